"""What publishing knows of a version, whatever made its files; what failures leave is shown with each warehouse."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from seq_assets.models import Subset
from seq_assets.sequencing.advice import Histories
from seq_assets.sequencing.plans import Dataset
from seq_assets.sequencing.schemas import raw_schema
from seq_assets.warehouse.interface import Version
from seq_assets.warehouse.local.warehouse import LocalWarehouse


def version_of(*files: str, version: int = 1) -> Version:
    return Version(Dataset.raw("m"), version, datetime.now(UTC), len(files), raw_schema([]), files, {})


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        (["/home/t/data/1/train.parquet"], ["/home/t/data/1/validation.parquet"]),
        (["s3://b/t/data/1/train/5/x.parquet", "s3://b/t/data/1/train/5/y"], ["s3://b/t/data/1/validation/6/train"]),
        (["s3://train/data/validation/data/1/train/5/x"], ["s3://train/data/validation/data/1/validation/6/x"]),
    ],
    ids=["a file each", "any files below a folder each", "whatever is named like a subset above the run"],
)
def test_the_files_of_a_subset_are_known_by_their_names(tmp_path: Path, train: list[str], validation: list[str]) -> None:
    version, warehouse = version_of(*train, *validation), LocalWarehouse(tmp_path)
    assert list(warehouse.raw_files(version, "train")) == train
    assert list(warehouse.raw_files(version, "validation")) == validation


def test_histories_are_counted_once_per_version_and_subset(tmp_path: Path) -> None:
    counted: list[tuple[int, Subset]] = []

    class Counting(LocalWarehouse):
        def _count_histories(self, version: Version, subset: Subset) -> Histories:
            counted.append((version.id, subset))
            return Histories.of([(len(counted), 1)])

    warehouse = Counting(tmp_path)
    for _ in range(2):
        assert warehouse.histories(version_of(), "train") == Histories.of([(1, 1)])
        assert warehouse.histories(version_of(), "validation") == Histories.of([(2, 1)])
        assert warehouse.histories(version_of(version=2), "train") == Histories.of([(3, 1)])
    assert counted == [(1, "train"), (1, "validation"), (2, "train")]
