"""A model file for a source that nobody has described yet: a proposal from a sample of its values, each line explained.

Belongs here: pure functions from sampled values to the text of a model file. Not here: reading a source, and which types read
all values of a sample (the warehouse, which reads them as it would for the model).
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import yaml

from seq_assets.models.columns import ColumnType, Scalar
from seq_assets.models.cross_checks import RESERVED_NAMES

Unit = Literal["s", "ms", "us", "ns"]

_ENTITY_WORDS: Final = (
    "user",
    "pupil",
    "student",
    "learner",
    "anon",
    "person",
    "customer",
    "patient",
    "player",
    "member",
    "account",
    "visitor",
    "client",
    "subject",
    "entity",
    "session",
)
"""The likeliest first: where there are a user and a session, the user has the longer history."""
_TIME_WORDS: Final = ("time", "date", "stamp", "epoch", "when", "start", "created", "_at", "_ts")
_ORDER_WORDS: Final = ("position", "order", "index", "sequence", "step", "number", "rank", "turn", "attempt")
_MOST_LABELS: Final = 10
_LEAST_RECORDS: Final = 20
"""Of fewer records, nothing is concluded from values being few or all different."""
_FIRST_YEAR: Final = 631_152_000
"""1990, in seconds since the epoch."""
_LAST_YEAR: Final = 4_102_444_800
"""2100."""
_PER_SECOND: Final[dict[Unit, int]] = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_ROOM: Final = 1_000
"""An int32 is proposed where it holds numbers this many times larger than those that were seen."""
_SAFE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NEARLY_ALL: Final = 0.9
_LONGEST_SUGGESTION: Final = 100
_LENGTH: Final = 100
_ALSO_A_VALUE: Final = "it may be a value, too: is_pad_sequence tells padding"


@dataclass(frozen=True)
class SampledColumn:
    """A column of a source, as far as a sample shows it.

    Attributes:
        source: Its name in the source.
        type: The narrowest type that reads every value of the sample, int64 for all whole numbers; None where no type does.
        values: Of that type, null where the source says null; timestamps and dates as whole numbers.
        is_declared: Whether the source itself says the type, so that no other value can stand there.
    """

    source: str
    type: ColumnType | None
    values: Sequence[Scalar | None]
    is_declared: bool = False


@dataclass(frozen=True)
class SampledSource:
    """A source, as far as a sample shows it.

    Attributes:
        location: As the model file shall give it.
        format: As it was found.
        is_told_by_name: Whether `format: auto` finds the same.
        options: What `source.options` has to say, and why, by option.
        columns: In the source's order.
        records: The records of the sample.
        malformed: Those of them that are none.
        described: What the sample is: "all 20 records", "the first 10,000 records of 3 of 31 files".
    """

    location: str
    format: str
    is_told_by_name: bool
    options: dict[str, tuple[object, str]]
    columns: Sequence[SampledColumn]
    records: int
    malformed: int
    described: str


@dataclass(frozen=True)
class _Column:
    """A proposed column: its name in the model, its type, and why."""

    name: str
    sampled: SampledColumn
    type: ColumnType
    unit: Unit | None
    why: str

    @property
    def nullable(self) -> bool:
        """Whether the sample has a null."""
        return any(value is None for value in self.sampled.values)

    @property
    def different(self) -> set[Scalar]:
        """The different values that are not null."""
        return {value for value in self.sampled.values if value is not None}


def propose(source: SampledSource, name: str) -> str:
    """The text of a model file, which `seq-assets validate` accepts as it is.

    Raises:
        ValueError: No column can be the entity; the message says what is needed.
    """
    columns = _columns(source.columns, source.records)
    entity, why_entity = _entity(columns, source.records)
    columns = [_widest(column) if column is entity else column for column in columns]
    entity = next(column for column in columns if column.name == entity.name)
    order, why_order = _order(columns, entity)
    lines = [
        f"# Proposed from a sample: {source.described}.",
        "# What it does not show (other values, nulls, longer numbers) a run tells, which then publishes nothing.",
        "# Every line is yours to change; `seq-assets validate` checks it.",
        *_head(source, name),
        _line(f"entity: {_scalar(entity.name)}", f"whose observations form one history: {why_entity}"),
        _line(f"order_by: [{', '.join(_scalar(column.name) for column in order)}]", why_order),
        *_contract(source, columns, entity),
        *_features(columns, entity, order),
        *_rest(source, name),
    ]
    return "\n".join(lines) + "\n"


def _head(source: SampledSource, name: str) -> Iterator[str]:
    yield _line(f"name: {_scalar(name)}", "of its tables, and what it is loaded by")
    yield "source:"
    yield _line(f"  location: {_scalar(source.location)}", "a path, folder or glob, relative to this file; or an address on S3")
    if not source.is_told_by_name:
        yield _line(f"  format: {source.format}", "found in the file; its name does not tell it")
    if source.options:
        yield "  options:"
    for option, (value, why) in source.options.items():
        yield _line(f"    {option}: {_scalar(value)}", why)


def _widest(entity: _Column) -> _Column:
    """New entities come with larger numbers."""
    if not entity.type.is_integer or entity.sampled.is_declared:
        return entity
    return replace(entity, type=ColumnType.INT64, why="whole numbers; entities get larger ones with time, so the widest type")


def _columns(sampled: Iterable[SampledColumn], records: int) -> list[_Column]:
    found: list[_Column] = []
    for column in sampled:
        if column.type is not None and any(value is not None for value in column.values):
            name = _free_name(column.source, {other.name for other in found})
            found.append(_typed(name, column, column.type, records))
    return found


def _typed(name: str, column: SampledColumn, found: ColumnType, records: int) -> _Column:
    values = [value for value in column.values if value is not None]
    unit = _epoch_unit(name, values) if found.is_number else None
    if unit:
        why = f"numbers that are times since 1970 in {unit}, by their size and name"
        return _Column(name, column, ColumnType.TIMESTAMP, unit, why)
    if column.is_declared:
        return _Column(name, column, found, None, "the source's own type")
    if not found.is_integer:
        return _Column(name, column, found, None, f"every value is read as {found}")
    low, high = int(min(values)), int(max(values))
    seen = f"whole numbers from {low:,} to {high:,}"
    if _is_id(name):
        return _Column(name, column, ColumnType.INT64, None, f"{seen}; ids grow, so the widest type")
    if low >= -1 and high <= _MOST_LABELS and records >= _LEAST_RECORDS:
        return _Column(name, column, ColumnType.INT8, None, f"{seen}; int8 holds -128 to 127")
    if max(abs(low), abs(high)) * _ROOM < 2**31 and not _is_of_its_own(values):
        return _Column(name, column, ColumnType.INT32, None, f"{seen}; int32 has room for {_ROOM:,} times as much")
    return _Column(name, column, ColumnType.INT64, None, f"{seen}; they need, or may come to need, the widest type")


def _is_of_its_own(values: Sequence[Scalar]) -> bool:
    """Whether nearly every record has a value of its own, so that more records have more of them."""
    return len(values) >= _LEAST_RECORDS and len(set(values)) > _NEARLY_ALL * len(values)


def _epoch_unit(name: str, values: Sequence[Scalar]) -> Unit | None:
    """The unit of numbers that are times between 1990 and 2100, in whole microseconds, in a column that is named like one."""
    numbers = [value if isinstance(value, int) else float(value) for value in values]
    if not any(word in name for word in _TIME_WORDS) or any(round(number, 6) != number for number in numbers):
        return None
    for unit, per_second in _PER_SECOND.items():
        if all(_FIRST_YEAR * per_second <= number < _LAST_YEAR * per_second for number in numbers):
            return unit if unit != "ns" or all(number % 1_000 == 0 for number in numbers) else None
    return None


def _is_id(name: str) -> bool:
    return name.endswith("id") or any(word in name for word in _ENTITY_WORDS)


def _entity(columns: Sequence[_Column], records: int) -> tuple[_Column, str]:
    """The column whose values stand for many records each, one with a telling name first."""
    able = [column for column in columns if _may_be_entity(column)]
    able = [column for column in able if not _is_named(column, _TIME_WORDS)] or able
    if not able:
        raise ValueError("no column can be the entity: that takes one of whole numbers or texts, without a null")

    def rank(column: _Column) -> tuple[int, int]:
        hints = [number for number, word in enumerate(_ENTITY_WORDS) if word in column.name]
        repeats = 2 * len(column.different) <= records and (len(column.different) > 1 or bool(hints))
        told = [repeats and bool(hints), repeats and column.name.endswith("id"), repeats, True]
        return told.index(True), min(hints, default=-len(column.different))

    chosen = min(able, key=rank)
    certainty = (
        "by its name and",
        "by its name and",
        "a guess:",
        "a guess, because no value stands for several records:",
    )
    return chosen, f"{certainty[rank(chosen)[0]]} {len(chosen.different):,} different values in {records:,} records"


def _is_named(column: _Column, words: Iterable[str]) -> bool:
    return any(word in column.name for word in words)


def _may_be_entity(column: _Column) -> bool:
    return not column.nullable and not column.unit and (column.type.is_integer or column.type is ColumnType.STRING)


def _order(columns: Sequence[_Column], entity: _Column) -> tuple[list[_Column], str]:
    others = [column for column in columns if column is not entity and not column.nullable]
    times = [column for column in others if column.type in (ColumnType.TIMESTAMP, ColumnType.DATE)]
    if times:
        # Of several times, the one that goes by the order of the rows already.
        chosen = max(times, key=lambda column: (column.type is ColumnType.TIMESTAMP, _ascending(column, entity)))
        forwards = f"{_ascending(chosen, entity):.0%} of the steps from record to record of a history do not go back"
        return [chosen], f"a time without nulls; {forwards}"
    numbers = [column for column in others if column.type.is_integer and _ascending(column, entity) == 1]
    hinted = [column for column in numbers if _is_named(column, _ORDER_WORDS + _TIME_WORDS) or column.name in ("t", "ts")]
    growing = hinted or [column for column in numbers if len(column.different) > _MOST_LABELS]
    if growing:
        return growing[:1], "whole numbers that never fall from one record of a history to the next"
    return [], "nothing tells the order, so the rows' own order counts"


def _ascending(column: _Column, entity: _Column) -> float:
    """The share of steps from one record of an entity to its next that do not go backwards; 1 without steps."""
    last: dict[Scalar, Scalar] = {}
    steps = forwards = 0
    for key, value in zip(entity.sampled.values, column.sampled.values, strict=True):
        assert key is not None
        assert value is not None
        if key in last:
            steps += 1
            forwards += last[key] <= value  # type: ignore[operator]  # of the column's one type
        last[key] = value
    return forwards / steps if steps else 1.0


def _contract(source: SampledSource, columns: Sequence[_Column], entity: _Column) -> Iterator[str]:
    yield _line("columns:", "the contract: only these are read, and what breaks it is rejected")
    by_source = {column.sampled.source: column for column in columns}
    for sampled in source.columns:
        column = by_source.get(sampled.source)
        if column is None:
            why = "no type reads its values" if sampled.type is None else "only nulls were seen"
            yield f"  # {_comment(sampled.source)} is left out: {why}"
            continue
        parts = [f"type: {column.type}"]
        parts += [f"unit: {column.unit}"] if column.unit else []
        parts += [f"from: {_scalar(sampled.source)}"] if sampled.source != column.name else []
        parts += ["nullable: true"] if column.nullable else []
        why = column.why + (f"; {_share_of_nulls(column)} of them null" if column.nullable else "")
        yield _line(f"  {_scalar(column.name)}: {{{', '.join(parts)}}}", why + _suggestion(column, entity, source.records))


def _share_of_nulls(column: _Column) -> str:
    values = column.sampled.values
    return f"{sum(value is None for value in values) / len(values):.2%}"


def _suggestion(column: _Column, entity: _Column, records: int) -> str:
    """Few labels may be all that there are, which only who knows the data can tell."""
    labels = column.different
    is_label = column.type.is_integer or column.type is ColumnType.STRING
    if column is entity or not is_label or records < _LEAST_RECORDS or not 2 <= len(labels) <= _MOST_LABELS:
        return ""
    shown = ", ".join(_scalar(label) for label in sorted(labels))
    return "" if len(shown) > _LONGEST_SUGGESTION else f"; if there are no other values: is_in: [{shown}]"


def _features(columns: Sequence[_Column], entity: _Column, order: Collection[_Column]) -> Iterator[str]:
    lines: list[str] = []
    for column in columns:
        if column is entity or column in order:
            continue
        if _is_of_one_record(column):
            lines.append(f"  # {_comment(column.name)} is none: nearly every record has a value of its own")
            continue
        fields, why = _feature(column)
        lines.append(_line(f"  {_scalar(column.name)}: {{{fields}}}", why))
    is_any = any(not line.lstrip().startswith("#") for line in lines)
    yield _line(
        "features:" if is_any else "features: {}", "each becomes <name>_sequence, with its pad value where a history has ended"
    )
    yield from lines


def _is_of_one_record(column: _Column) -> bool:
    """Whether the values tell records apart, so that a model can learn nothing from them."""
    is_label = column.type.is_integer or column.type is ColumnType.STRING
    return is_label and _is_of_its_own([value for value in column.sampled.values if value is not None])


def _feature(column: _Column) -> tuple[str, str]:
    if column.type is ColumnType.STRING:
        return "encode: vocabulary", "ids of its values: 0 padding, 1 unknown or null, from 2 on the values of train"
    pad, why = _pad(column)
    shown = "false" if column.type is ColumnType.BOOL else str(pad)
    fill = f", fill_null: {shown}" if column.nullable else ""
    return f"pad_value: {shown}{fill}", why + ("; the same where there is none" if fill else "")


def _pad(column: _Column) -> tuple[float, str]:
    if column.type.is_integer:
        is_free = min(map(int, column.different)) >= 0
        return (-1, "the padding is no value that was seen") if is_free else (0, _ALSO_A_VALUE)
    if column.type is ColumnType.TIMESTAMP:
        return 0, "milliseconds since 1970"
    if column.type is ColumnType.DATE:
        return 0, "days since 1970"
    return 0.0, _ALSO_A_VALUE


def _rest(source: SampledSource, name: str) -> Iterator[str]:
    yield _line("split: {strategy: entity_hash, validation_fraction: 0.2, seed: 0}", "whole entities, the same ones everywhere")
    yield _line("window: {mode: chunk}", "sequences side by side; or sliding, last, first, prefix")
    yield _line("padding: {side: right}", "after the items; or left")
    yield _line(f"sequence_lengths: [{_LENGTH}]", f"`seq-assets advise {name}` says what others would give")
    most = _rounded_up(2 * source.malformed / source.records)
    seen = f"{source.malformed:,} of the {source.records:,} sampled records are malformed"
    why = (
        "no record of the sample is rejected, so none may be"
        if not source.malformed
        else f"{seen}; twice as many may be rejected"
    )
    yield _line(f"checks: {{rejected_ratio: {{max: {_scalar(most)}}}}}", why)


def _rounded_up(share: float) -> float:
    """To two digits after the leading zeros."""
    if not share:
        return 0.0
    digits = 1 - math.floor(math.log10(share))
    return min(1.0, math.ceil(round(share * 10.0**digits, 6)) / 10.0**digits)


def model_name(text: str) -> str:
    """A name that a model or a column may have, made of any text; empty where nothing of it can be used."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", text).lower()
    return re.sub(r"[^a-z0-9]+", "_", words).lstrip("_0123456789")[:63].rstrip("_")


def _free_name(source: str, taken: Collection[str]) -> str:
    name = model_name(source)
    if not name and source.isdecimal():
        name = f"column_{source}"
    elif not name or name in RESERVED_NAMES or name.endswith("_sequence"):
        name = f"column_{name}"[:63].rstrip("_")
    found, number = name, 2
    while found in taken:
        found, number = f"{name[:56]}_{number}", number + 1
    return found


def _line(field: str, why: str) -> str:
    return f"{field}  # {_comment(why)}"


def _comment(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _scalar(value: object) -> str:
    """A value as YAML reads it back, on one line; texts that are no plain word in quotes."""
    if isinstance(value, str) and _SAFE.fullmatch(value) and yaml.safe_load(value) == value:
        return value
    style = '"' if isinstance(value, str) else None
    text = yaml.safe_dump(value, default_style=style, default_flow_style=True, width=math.inf, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
