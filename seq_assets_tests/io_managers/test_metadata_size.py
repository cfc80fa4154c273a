"""What Dagster stores of a materialization stays small, whatever the model and its source are like.

Not here: the pages behind the glance, whose sizes are in `test_pages`.
"""

from datetime import UTC, datetime
from typing import Any, Final

import dagster as dg
import pytest

from seq_assets.io_managers.metadata import MOST_COLUMNS, RAW_KEY, version_metadata
from seq_assets.models import ColumnType
from seq_assets.sequencing.plans import Dataset
from seq_assets.sequencing.schemas import raw_schema, sequence_schema
from seq_assets.warehouse.interface import Version
from seq_assets.warehouse.rules.metrics import LONGEST_TEXT, MOST_LABELS

MOST_BYTES: Final = 100_000
COUNTED: Final = {"count": 10**9, "unique": MOST_LABELS}


def raw_version(columns: int, labels: int) -> Version:
    """Raw observations of text columns that each have so many labels, as long as labels can be."""
    names = [f"column_{number:03}" for number in range(columns)]
    counts = {f"{label:02}{'é' * LONGEST_TEXT}": 10**7 for label in range(labels)}
    accounting = {"read": 1, "accepted": 1, "rejected": 0, "train": 1, "validation": 0, "rejected_by_reason": {}}
    metadata: dict[str, Any] = {
        "metrics": {name: COUNTED | {"labels": counts} for name in names},
        "accounting": accounting,
        "source": "answers.csv",
        "ignored_columns": [f"other_{number}" for number in range(10_000)],
        "source_fingerprint": "f" * 64,
        "model_digest": "d" * 64,
    }
    schema = raw_schema([(name, ColumnType.STRING, True) for name in names])
    return Version(Dataset.raw("dkt"), 2**63 - 1, datetime.now(UTC), 10**9, schema, (), metadata)


def stored(value: dg.MetadataValue[Any]) -> int:
    """Bytes of a value in the event log."""
    return len(dg.serialize_value(dg.AssetMaterialization(RAW_KEY, metadata={"value": value})))


@pytest.mark.parametrize(("columns", "labels"), [(1, MOST_LABELS), (40, MOST_LABELS), (600, 0), (600, MOST_LABELS)])
def test_no_value_of_a_materialization_is_large(columns: int, labels: int) -> None:
    metadata = dg.AssetMaterialization(RAW_KEY, metadata=version_metadata(raw_version(columns, labels))).metadata
    assert {name: stored(value) for name, value in metadata.items() if stored(value) > MOST_BYTES} == {}


def test_no_value_of_wide_sequences_is_large() -> None:
    features = [(f"{'x' * 59}_{number:03}", ColumnType.FLOAT64) for number in range(600)]
    schema = sequence_schema(("pupil", ColumnType.INT64), features, 10_000, repeats=True)
    metadata = {"raw_version": 1, "accounting": {}, "source_fingerprint": "f" * 64, "model_digest": "d" * 64}
    version = Version(Dataset.sequenced("dkt", "train", 10_000), 1, datetime.now(UTC), 1, schema, (), metadata)
    shown = dg.AssetMaterialization(RAW_KEY, metadata=version_metadata(version)).metadata
    assert {name: stored(value) for name, value in shown.items() if stored(value) > MOST_BYTES} == {}


def test_a_schema_that_is_cut_says_so() -> None:
    schema = version_metadata(raw_version(600, 0))["dagster/column_schema"]
    assert [column.name for column in schema.columns] == [f"column_{number:03}" for number in range(MOST_COLUMNS)]
    assert list(schema.constraints.other) == [f"and {len(raw_version(600, 0).schema.columns) - MOST_COLUMNS} more columns"]
    assert list(version_metadata(raw_version(40, 0))["dagster/column_schema"].constraints.other) == []


def test_of_metrics_the_counts_per_label_give_way_first_and_then_the_last_columns() -> None:
    few, many, most = (version_metadata(raw_version(columns, MOST_LABELS))["metrics"].value for columns in (1, 40, 600))
    assert few == raw_version(1, MOST_LABELS).metadata["metrics"]
    assert many == {f"column_{number:03}": COUNTED for number in range(40)}
    assert most == {f"column_{number:03}": COUNTED for number in range(600)}
    largest = raw_version(600, 0)
    for found in largest.metadata["metrics"].values():
        found |= {"mean": 0.1234567890123456, "standard_deviation": 0.1234567890123456, "variance": 0.1234567890123456}
    assert list(version_metadata(largest)["metrics"].value) == [f"column_{number:03}" for number in range(MOST_COLUMNS)]
