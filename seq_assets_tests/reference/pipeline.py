"""From the records of all files to everything that an ingest publishes, one record at a time, and on to the sequences.

Belongs here: how the parts go together: order, positions, rejected rows, accounting. Not here: what each part does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from seq_assets_tests.reference.contract import REASONS, Model, check, metrics, table_failures
from seq_assets_tests.reference.files import Record
from seq_assets_tests.reference.split import Subset, subset_of
from seq_assets_tests.reference.vocabulary import encoded_feature, encoded_features, vocabulary
from seq_assets_tests.reference.windows import Definition, Feature, Row, Since, histories, in_order

UNITS: Final = {"us": 1, "ms": 10**3, "s": 10**6, "min": 60 * 10**6, "h": 3_600 * 10**6, "d": 86_400 * 10**6}
"""Microseconds of each."""


@dataclass(frozen=True)
class Rejected:
    """A row of the rejected observations; the value as the source has it, which its text must stand for."""

    file: str
    row: int
    column: str | None
    value: Any
    reason: str
    detail: str | None


@dataclass(frozen=True)
class Ingested:
    """All that one ingest publishes.

    Attributes:
        rows: The accepted rows of each subset, in order, with `subset`, `_file`, `_row` and `_position`.
        rejected: By file, record and column, in order.
        accounting: Where every record went.
        metrics: Of each column.
        failures: The paths of the conditions on the whole table that fail: then nothing is published.
        vocabulary: The rows of the vocabulary table.
    """

    rows: Mapping[Subset, Sequence[Row]]
    rejected: Sequence[Rejected]
    accounting: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Any]]
    failures: set[str]
    vocabulary: Sequence[Row]


def ingest(model: Model, files: Mapping[str, Sequence[Record]], vocabulary_before: Iterable[Row] = ()) -> Ingested:
    """What the records of files, by the files' names, become."""
    accepted: dict[Subset, list[Row]] = {"train": [], "validation": []}
    rejected = []
    first_reasons = []
    read = 0
    for file in sorted(files, key=str.encode):
        for record in files[file]:
            read += 1
            found = check(record, model, file)
            if isinstance(found, list):
                first_reasons.append(found[0].reason)
                rejected += [Rejected(file, record.number, f.column, f.value, f.reason, f.detail) for f in found]
            else:
                subset = subset_of(found, file, model)
                accepted[subset].append({**found, "subset": subset, "_file": file, "_row": record.number})
    rows = {subset: _positioned(accepted[subset], model) for subset in accepted}
    everything = rows["train"] + rows["validation"]
    return Ingested(
        rows=rows,
        rejected=rejected,
        accounting={
            "read": read,
            "accepted": len(everything),
            "rejected": len(first_reasons),
            "train": len(rows["train"]),
            "validation": len(rows["validation"]),
            "rejected_by_reason": {
                reason: first_reasons.count(reason) for reason in REASONS if first_reasons.count(reason) > 0
            },
        },
        metrics={name: metrics(everything, name, column["type"]) for name, column in model["columns"].items()},
        failures=table_failures(everything, read, model),
        vocabulary=vocabulary(rows["train"], model, vocabulary_before),
    )


def _positioned(rows: list[Row], model: Model) -> list[Row]:
    """The rows of one subset, which are in the source's order, in the table's order, each with its place in its history."""
    ordered = in_order(rows, model["entity"], model.get("order_by", []))
    return [
        {**row, "_position": position}
        for history in histories(ordered, model["entity"]).values()
        for position, row in enumerate(history)
    ]


def definition_of(model: Model, sequence_length: int, vocabulary_table: Iterable[Row] = ()) -> Definition:
    """The sequences that a model asks for."""
    table = list(vocabulary_table)
    window = model.get("window", {"mode": "chunk"})
    return Definition(
        entity=model["entity"],
        features=tuple(_feature(name, model, table) for name in model["features"]),
        sequence_length=sequence_length,
        window=window["mode"],
        stride=window.get("stride"),
        padding_side=model.get("padding", {}).get("side", "right"),
        min_length=model.get("min_length", 1),
    )


def _feature(name: str, model: Model, table: list[Row]) -> Feature:
    if name in encoded_features(model):
        return encoded_feature(name, model, table)
    feature = model["features"][name]
    if feature.get("derive") == "time_since_previous":
        since = Since(model["order_by"][0], UNITS[feature.get("unit", "s")], feature.get("first", 0))
        return Feature(name, "int64", feature["pad_value"], since=since)
    return Feature(name, model["columns"][name]["type"], feature["pad_value"], feature.get("fill_null"))
