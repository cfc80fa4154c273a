"""Raw rows are cut into ranges that hold whole histories, whatever the files look like."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq_assets.warehouse.local.ranges import MOST_RANGES, HistoryRows, RowRange
from seq_assets.warehouse.storage.storage import LocalStorage
from seq_assets_tests.reference import examples


def write(folder: Path, entities: list[int] | list[str], files: int, row_group: int) -> HistoryRows:
    """Rows with these entities, in files of as many rows as can be, and row groups of so many."""
    table = pa.table({"item": range(len(entities)), "entity": pa.array(entities)})
    size = -(-table.num_rows // files) or 1
    names = [str(folder / f"{number}.parquet") for number in range(files)]
    for number, name in enumerate(names):
        pq.write_table(table.slice(number * size, size), name, row_group_size=row_group)
    return HistoryRows(LocalStorage(folder), names, "entity", batch_rows=3)


def items(rows: HistoryRows, range_: RowRange) -> list[int]:
    return [item for batch in rows.read(range_.start, range_.end, ["item"]) for item in batch["item"].to_pylist()]


@settings(deadline=None, max_examples=examples(40))
@given(
    histories=st.lists(st.integers(1, 12), max_size=12),
    files=st.integers(1, 3),
    row_group=st.integers(1, 9),
    rows_per_range=st.integers(1, 9),
)
def test_ranges_hold_every_row_once_and_no_history_in_part(
    tmp_path_factory: pytest.TempPathFactory, histories: list[int], files: int, row_group: int, rows_per_range: int
) -> None:
    entities = np.repeat(np.arange(len(histories)), histories).tolist()
    rows = write(tmp_path_factory.mktemp("rows"), entities, files, row_group)
    ranges = rows.ranges(rows_per_range)
    assert [items(rows, range_) for range_ in ranges] == [list(range(range_.start, range_.end)) for range_ in ranges]
    assert [item for range_ in ranges for item in items(rows, range_)] == list(range(rows.count)) == list(range(sum(histories)))
    assert all(entities[range_.start - 1] != entities[range_.start] for range_ in ranges[1:])
    assert len(ranges) <= max(rows.count // rows_per_range, 1)
    beginnings = [rows.first_row_of(pa.scalar(entity)) for entity in range(len(histories))]
    assert beginnings == (np.cumsum(histories) - histories).tolist()
    assert rows.first_row_of(pa.scalar(len(histories))) is None


def test_ranges_are_of_about_equally_many_rows(tmp_path: Path) -> None:
    ranges = write(tmp_path, np.repeat(np.arange(100), 10).tolist(), 1, 10).ranges(150)
    assert [range_.end - range_.start for range_ in ranges] == [180, 160, 170, 170, 160, 160]


def test_a_history_may_be_longer_than_a_range(tmp_path: Path) -> None:
    ranges = write(tmp_path, ["a"] * 3 + ["b"] * 50 + ["c"] * 3, 2, 4).ranges(5)
    assert ranges == [RowRange(0, 53), RowRange(53, 56)]


def test_few_rows_are_one_range_and_none_are_none(tmp_path: Path) -> None:
    assert write(tmp_path, [1, 2, 3, 4, 5], 1, 1).ranges(3) == [RowRange(0, 5)]
    assert write(tmp_path, [], 1, 1).ranges(3) == []


def test_there_are_never_very_many_ranges(tmp_path: Path) -> None:
    assert len(write(tmp_path, list(range(1000)), 1, 1).ranges(1)) == MOST_RANGES


def test_a_history_is_found_where_footers_say_nothing_of_the_values(tmp_path: Path) -> None:
    file = str(tmp_path / "rows.parquet")
    pq.write_table(pa.table({"entity": ["a", "b", "b", "c"]}), file, row_group_size=1, write_statistics=False)
    rows = HistoryRows(LocalStorage(tmp_path), [file], "entity")
    assert [rows.first_row_of(pa.scalar(entity)) for entity in "abcd"] == [0, 1, 3, None]
