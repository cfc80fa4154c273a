"""Sequences are made range by range, and are what one pass over all rows would make, however many are made at a time."""

import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seq_assets.errors import SeqAssetsError
from seq_assets.models import Subset
from seq_assets.sequencing.plans import SequencePlan
from seq_assets.warehouse.interface import Version, no_progress
from seq_assets.warehouse.local.sequences import SequenceWriter
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.storage.storage import LocalStorage
from seq_assets_tests.reference import Definition, Feature, accounting, examples, sequences
from seq_assets_tests.sequencing.cases import Case, cases, plan_of
from seq_assets_tests.warehouse.building import Workspace, read_rows

LAST = plan_of(Definition("entity", (Feature("number", "int64", -1),), 2, "last", min_length=2))


def writer(folder: Path, plan: SequencePlan, workers: int, vocabulary: pa.Table | None = None) -> SequenceWriter:
    return SequenceWriter(plan, vocabulary, LocalStorage(folder), workers, rows_per_range=4)


def write(folder: Path, sizes: list[int]) -> str:
    """Raw rows of histories of these sizes, in row groups of one row."""
    rows = [(entity, number) for entity, size in enumerate(sizes) for number in range(size)]
    table = pa.table({"entity": [entity for entity, _ in rows], "number": [number for _, number in rows]})
    pq.write_table(table, folder / "raw.parquet", row_group_size=1)
    return str(folder / "raw.parquet")


@settings(deadline=None, max_examples=examples(40), suppress_health_check=list(HealthCheck))
@given(case=cases(), row_group=st.integers(1, 8))
def test_files_are_the_same_with_any_number_of_workers_and_equal_the_reference(
    tmp_path_factory: pytest.TempPathFactory, case: Case, row_group: int
) -> None:
    folder = tmp_path_factory.mktemp("sequences")
    raw = folder / "raw.parquet"
    pq.write_table(case.table, raw, row_group_size=row_group)
    made = {}
    for workers in (1, 2, 8):
        vocabulary = case.vocabulary if case.plan.encoded else None
        files, counted = writer(folder, case.plan, workers, vocabulary).write(
            [str(raw)], str(folder / str(workers)), no_progress
        )
        made[workers] = [(Path(file).name, Path(file).read_bytes()) for file in files]
        assert sorted(Path(file).name for file in files) == [Path(file).name for file in files]
        assert asdict(counted) == accounting(case.rows, case.definition)
    assert made[1] == made[2] == made[8]
    found = pa.concat_tables(pq.ParquetFile(file).read() for file in files)
    assert found.to_pylist() == sequences(case.rows, case.definition)


def test_a_range_without_a_sequence_has_no_file(tmp_path: Path) -> None:
    raw = write(tmp_path, [1, 1, 1, 1, 1, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    told: list[tuple[str, int]] = []
    files, _ = writer(tmp_path, LAST, 2).write([raw], str(tmp_path / "out"), lambda *said: told.append(said))
    assert sorted(map(str, (tmp_path / "out").iterdir())) == files
    assert [Path(file).name for file in files] == ["train-00001.parquet"]
    assert told == [(f"sequence {LAST.dataset.table}", 2)]


@pytest.mark.parametrize("sizes", [[], [1], [1] * 20])
def test_where_no_history_has_a_sequence_there_is_one_file_without_rows(tmp_path: Path, sizes: list[int]) -> None:
    files, counted = writer(tmp_path, LAST, 2).write([write(tmp_path, sizes)], str(tmp_path / "out"), no_progress)
    assert [Path(file).name for file in files] == ["train.parquet"]
    assert pq.ParquetFile(files[0]).read().equals(LAST.schema.stored().empty_table())
    assert (counted.observations, counted.sequences) == (len(sizes), 0)


def test_few_rows_are_one_file(tmp_path: Path) -> None:
    files, _ = writer(tmp_path, LAST, 2).write([write(tmp_path, [3, 4])], str(tmp_path / "out"), no_progress)
    assert [Path(file).name for file in files] == ["train.parquet"]


def test_what_one_range_cannot_write_is_raised(tmp_path: Path) -> None:
    class Full(LocalStorage):
        def open_output(self, location: str) -> Any:
            if location.endswith("-00002.parquet"):
                raise SeqAssetsError("no room")
            return super().open_output(location)

    full = SequenceWriter(LAST, None, Full(tmp_path), workers=3, rows_per_range=4)
    with pytest.raises(SeqAssetsError, match="no room"):
        full.write([write(tmp_path, [2] * 20)], str(tmp_path / "out"), no_progress)


def test_nothing_is_written_any_more_once_who_is_told_has_refused(tmp_path: Path) -> None:
    def refuse(_stage: str, _rows: int) -> None:
        raise OSError("no space left")

    # What was raised keeps the frames that it went through, and so their iterators, as long as it is handled.
    with pytest.raises(OSError, match="no space left") as caught:
        writer(tmp_path, LAST, 2).write([write(tmp_path, [2] * 40)], str(tmp_path / "out"), refuse)
    assert caught.value.__traceback__ is not None
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("side_by_side")]


class SmallGroups(LocalWarehouse):
    """A warehouse whose raw observations stand in row groups of three rows, so that few of them have ranges."""

    def raw_files(self, version: Version, subset: Subset) -> tuple[str, ...]:
        """Copies of the files."""
        copies = self.home / "copies"
        copies.mkdir(exist_ok=True)
        for file in super().raw_files(version, subset):
            pq.write_table(pq.ParquetFile(file).read(), copies / f"{subset}.parquet", row_group_size=3)
        return (str(copies / f"{subset}.parquet"),)


def test_versions_of_one_file_and_of_several_are_the_same_to_readers_and_to_the_audit(tmp_path: Path) -> None:
    plain, ranged = LocalWarehouse(tmp_path / "home"), SmallGroups(tmp_path / "home", workers=3, rows_per_range=10)
    records = "".join(f"{number % 9},{number},{number}\n" for number in range(100))
    workspace = Workspace(tmp_path, plain)
    workspace.write("source.csv", f"pupil,time,item\n{records}")
    spec = workspace.sequence_model()
    workspace.ingest(spec)
    one = workspace.sequence(spec).version
    several = replace(workspace, warehouse=ranged).sequence(spec, force=True).version
    assert (len(one.files), len(several.files)) == (1, 9)
    assert read_rows(several) == read_rows(one)
    assert several.metadata["accounting"] == one.metadata["accounting"]
    assert several.metadata["audit"] == one.metadata["audit"]
    for warehouse in (plain, ranged):
        for version in (one, several):
            assert all(finding.passed for finding in warehouse.inspect(version))
