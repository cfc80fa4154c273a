"""Ranges of sequences on S3, which needs nothing else of the stack: side by side, and the same files as on this machine."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seq_assets.warehouse.interface import no_progress
from seq_assets.warehouse.local.sequences import SequenceWriter
from seq_assets.warehouse.storage.storage import LocalStorage, S3Storage
from seq_assets_tests.athena.object_storage import ObjectStorage, object_storage, s3_endpoint
from seq_assets_tests.reference import Definition, Feature
from seq_assets_tests.sequencing.cases import plan_of

__all__ = ["object_storage", "s3_endpoint"]

pytestmark = pytest.mark.athena


def test_files_on_s3_are_those_of_this_machine(object_storage: ObjectStorage, tmp_path: Path) -> None:
    plan = plan_of(Definition("entity", (Feature("number", "int64", -1),), 4, "chunk"))
    raw = tmp_path / "raw.parquet"
    table = pa.table({"entity": [number // 7 for number in range(200)], "number": range(200)})
    pq.write_table(table, raw, row_group_size=5)
    address = object_storage.put("table/raw.parquet", raw.read_bytes())
    here, there = LocalStorage(tmp_path), S3Storage(f"{object_storage.address}/table")
    local, counted = SequenceWriter(plan, None, here, 1, rows_per_range=10).write([str(raw)], f"{tmp_path}/made", no_progress)
    remote, counted_there = SequenceWriter(plan, None, there, 4, rows_per_range=10).write(
        [address], f"{there.root}/made", no_progress
    )
    assert len(local) > 10
    assert counted_there == counted
    assert [there.read(file) for file in remote] == [here.read(file) for file in local]
