"""Writing finished files, and reading them again."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seq_assets.warehouse.storage.parquet_files import ROW_GROUP_CELLS, read_batches, write_parquet
from seq_assets.warehouse.storage.storage import LocalStorage

SCHEMA = pa.schema([("item", pa.int64())])


def test_no_rows_are_made_any_more_when_writing_has_failed(tmp_path: Path) -> None:
    made: list[int] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(100):
            made.append(number)
            yield pa.record_batch({"item": [number]}, SCHEMA)

    def full(_stage: str, _rows: int) -> None:
        raise OSError("no space left")

    file = str(tmp_path / "items.parquet")
    # What was raised keeps the frames that it went through, and so their iterators, as long as it is handled.
    with pytest.raises(OSError, match="no space left") as caught:
        write_parquet(LocalStorage(tmp_path), file, SCHEMA, batches(), full, "write", ROW_GROUP_CELLS)
    assert caught.value.__traceback__ is not None
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("prefetched")]
    assert made == [0, 1]


def test_repeated_texts_are_read_as_dictionaries_where_that_is_asked_for(tmp_path: Path) -> None:
    file = str(tmp_path / "records.parquet")
    texts = ["b", "b", "a", "c", "c", "c"]
    pq.write_table(pa.table({"name": texts, "other": texts}), file, row_group_size=2)
    read = list(read_batches(LocalStorage(tmp_path), [file], ["name", "other"], rows=10, encoded=["name"]))
    assert all(pa.types.is_dictionary(batch.column("name").type) for batch in read)
    assert all(pa.types.is_string(batch.column("other").type) for batch in read)
    assert pa.Table.from_batches(read).to_pydict() == {"name": texts, "other": texts}
