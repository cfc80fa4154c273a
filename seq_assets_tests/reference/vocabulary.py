"""The ids of a feature's values, one value at a time, and how they go on from the version before."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from seq_assets_tests.reference.contract import Model, contract_value
from seq_assets_tests.reference.reading import as_text
from seq_assets_tests.reference.windows import UNKNOWN, Feature, Row

PADDING: Final = 0


def encoded_features(model: Model) -> list[str]:
    """The features that hold ids, in the model's order."""
    return [name for name, feature in model.get("features", {}).items() if feature.get("encode") == "vocabulary"]


def vocabulary(
    train: Sequence[Row], model: Model, before: Iterable[Row] = (), ids_from: int = UNKNOWN + 1
) -> list[dict[str, Any]]:
    """The rows of the vocabulary table, from accepted train rows and the newest version of the table before.

    No new value gets an id below `ids_from`: such ids may have been given to values that nobody knows any more.

    Features that hold no ids any more come last, for their ids are never given again.
    """
    earlier = list(before)
    names = encoded_features(model)
    gone = [row["feature"] for row in earlier if row["feature"] not in names]
    counts = {name: _counts(name, train, model) for name in names}
    features = dict.fromkeys(names + gone)
    return [
        row for name in features for row in _with_ids(name, counts.get(name, {}), earlier, ids_from, _min_count(name, model))
    ]


def _counts(name: str, train: Sequence[Row], model: Model) -> dict[Any, int]:
    counts: dict[Any, int] = {}
    for row in train:
        value = _fill_value(name, model) if row[name] is None else row[name]
        if value is not None:
            counts[value] = counts.get(value, 0) + 1
    return counts


def _min_count(name: str, model: Model) -> int:
    """How often a value must occur to get an id."""
    minimum: int = model.get("features", {}).get(name, {}).get("min_count", 1)
    return minimum


def _with_ids(name: str, counts: dict[Any, int], before: list[Row], ids_from: int, min_count: int) -> list[dict[str, Any]]:
    ids = {row["value"]: row["id"] for row in before if row["feature"] == name}
    for value in sorted(counts, key=lambda value: (-counts[value], value.encode() if isinstance(value, str) else value)):
        if as_text(value) not in ids and counts[value] >= min_count:
            ids[as_text(value)] = max([*(given + 1 for given in ids.values()), ids_from])
    by_text = {as_text(value): count for value, count in counts.items()}
    by_id = sorted(ids, key=lambda text: ids[text])
    return [{"feature": name, "value": text, "id": ids[text], "count": by_text.get(text, 0)} for text in by_id]


def encoded_feature(name: str, model: Model, table: Iterable[Row]) -> Feature:
    """The feature, with the ids of the vocabulary table."""
    ids = {row["value"]: row["id"] for row in table if row["feature"] == name}
    return Feature(name, model["columns"][name]["type"], PADDING, _fill_value(name, model), ids)


def _fill_value(name: str, model: Model) -> Any:
    """What replaces null before anything is counted or encoded; None where nothing does."""
    fill = model["features"][name].get("fill_null")
    return None if fill is None else contract_value(fill, model["columns"][name]["type"])
