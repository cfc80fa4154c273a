"""From the rows of one subset, in order, to its sequences: one history and one window at a time.

Belongs here: windows, padding, repeats, and where each observation of a subset went. Not here: how rows came to be.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal, TypeAlias

from seq_assets_tests.reference.reading import as_text

Row: TypeAlias = Mapping[str, Any]

UNKNOWN: Final = 1
"""The id of null, and of a value that no train observation has had."""


@dataclass(frozen=True)
class Feature:
    """A feature: its column, the column's type (as a model file names it), what pads it, what replaces null in it.

    A feature that holds ids has them by the texts of the values; of any other, `ids` is None. What replaces null is a value of
    the column in the former, an item in the latter. A derived one has no column; `since` says how its items follow from others.
    """

    name: str
    type: str
    pad_value: Any
    fill_value: Any = None
    ids: Mapping[str, int] | None = None
    since: "Since | None" = None


@dataclass(frozen=True)
class Since:
    """The time since the item before: the column of times, the microseconds of a unit, what a history's first item has."""

    column: str
    unit: int
    first: int


@dataclass(frozen=True)
class Definition:
    """Which sequences are asked for."""

    entity: str
    features: tuple[Feature, ...]
    sequence_length: int
    window: Literal["chunk", "sliding", "last", "first", "prefix"] = "chunk"
    stride: int | None = None
    padding_side: Literal["right", "left"] = "right"
    min_length: int = 1


def in_order(rows: Iterable[Row], entity: str, order_by: Sequence[str]) -> list[Row]:
    """Rows by entity (strings by UTF-8 bytes), then by `order_by`, ascending; ties keep the order that they have."""

    def key(row: Row) -> tuple[Any, ...]:
        return tuple(_utf8(row[name]) for name in [entity, *order_by])

    return sorted(rows, key=key)


def histories(rows: Iterable[Row], entity: str) -> dict[Any, list[Row]]:
    """The rows of each entity; entities in order of first appearance, rows in the order that they have."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(row[entity], []).append(row)
    return found


def windows(items: int, definition: Definition) -> list[list[int]]:
    """The positions that each window of a history holds, kept or not, in order."""
    length, positions = definition.sequence_length, list(range(items))
    found: list[list[int]] = []
    if not positions:
        return found
    match definition.window:
        case "chunk":
            for start in range(0, items, length):
                found.append(positions[start : start + length])
        case "sliding":
            assert definition.stride is not None
            start = 0
            while not found or found[-1][-1] != positions[-1]:
                found.append(positions[start : start + length])
                start += definition.stride
        case "last":
            found.append(positions[-length:])
        case "first":
            found.append(positions[:length])
        case "prefix":
            for target in positions[1:]:
                found.append(positions[: target + 1][-length:])
    return found


def sequences(rows: Iterable[Row], definition: Definition) -> list[dict[str, Any]]:
    """The rows of the sequence table, for rows that are in order."""
    found = []
    for entity, history in histories(rows, definition.entity).items():
        seen: set[int] = set()
        kept = [window for window in windows(len(history), definition) if len(window) >= definition.min_length]
        for index, window in enumerate(kept):
            row = {
                definition.entity: entity,
                "sequence_index": index,
                "sequence_start": window[0],
                "sequence_size": len(window),
            }
            for feature in definition.features:
                items = [item_at(position, history, feature) for position in window]
                row[f"{feature.name}_sequence"] = _padded(items, feature.pad_value, definition)
            row["is_pad_sequence"] = _padded([0] * len(window), 1, definition)
            if definition.window in ("sliding", "prefix"):
                row["is_repeat_sequence"] = _padded([int(position in seen) for position in window], 0, definition)
            seen.update(window)
            found.append(row)
    return found


def accounting(rows: Iterable[Row], definition: Definition) -> dict[str, int]:
    """Where each observation went, one observation at a time, and the padding, one position at a time."""
    counts = dict.fromkeys(["observations", "sequenced", "dropped_min_length", "dropped_truncation"], 0)
    rows = list(rows)
    for history in histories(rows, definition.entity).values():
        every = windows(len(history), definition)
        for position in range(len(history)):
            holding = [window for window in every if position in window]
            counts["observations"] += 1
            if any(len(window) >= definition.min_length for window in holding):
                counts["sequenced"] += 1
            elif holding or not every:
                counts["dropped_min_length"] += 1
            else:
                counts["dropped_truncation"] += 1
    made = sequences(rows, definition)
    flags = [flag for sequence in made for flag in sequence["is_pad_sequence"]]
    return counts | {"sequences": len(made), "positions": len(flags), "padding": flags.count(1)}


def item_at(position: int, history: Sequence[Row], feature: Feature) -> Any:
    """The item of a feature at a position of a history."""
    if feature.since is None:
        return item_of(history[position][feature.name], feature)
    if position == 0:
        return feature.since.first
    elapsed = history[position][feature.since.column] - history[position - 1][feature.since.column]
    return elapsed // feature.since.unit


def _utf8(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def item_of(value: Any, feature: Feature) -> Any:
    """A raw value (timestamps as microseconds since the epoch) as the feature's item."""
    if feature.ids is not None:
        known = feature.fill_value if value is None else value
        return UNKNOWN if known is None else feature.ids.get(as_text(known), UNKNOWN)
    if value is None:
        return feature.fill_value
    if feature.type == "timestamp":
        milliseconds, _ = divmod(value, 1000)
        return milliseconds
    if feature.type == "date":
        return (value - date(1970, 1, 1)).days
    return value


def _padded(items: list[Any], pad_value: Any, definition: Definition) -> list[Any]:
    padding = [pad_value] * (definition.sequence_length - len(items))
    return items + padding if definition.padding_side == "right" else padding + items
