"""Whatever happens in the middle of a run: the last version stands, whole, and the next run succeeds."""

import errno
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from seq_assets.errors import AuditError, SettingsError
from seq_assets.models import ModelSpec
from seq_assets.sequencing.kernel import Kernel
from seq_assets.sequencing.plans import Dataset, SequencePlan
from seq_assets.sequencing.vocabulary import next_vocabulary
from seq_assets.warehouse.cancellation import CanceledError, cancelable
from seq_assets.warehouse.interface import Version
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets_tests.warehouse import processes
from seq_assets_tests.warehouse.building import PLAIN_COLUMNS, Workspace, read_rows

FULL = r"cannot be used: No space left on device; make room there, or set SEQ_ASSETS_HOME to another folder\.$"
RAW, REJECTED, SEQUENCED = Dataset.raw("plain"), Dataset.rejected("plain"), Dataset.sequenced("plain", "train", 4)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home in which the first version of a model is published, raw and sequenced."""
    folder = tmp_path_factory.mktemp("prepared")
    workspace = Workspace(folder, LocalWarehouse(folder / "home"))
    spec = model(workspace)
    write_source(workspace, 20)
    workspace.ingest(spec)
    workspace.sequence(spec)
    return folder / "home"


@pytest.fixture
def home(prepared: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(prepared, tmp_path / "home"))


@pytest.fixture
def workspace(home: Path, tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, LocalWarehouse(home))


@pytest.fixture
def spec(workspace: Workspace) -> ModelSpec:
    """The model, whose source has changed since."""
    write_source(workspace, 300)
    return model(workspace)


def model(workspace: Workspace) -> ModelSpec:
    return workspace.sequence_model(
        source={"location": "source.parquet"},
        checks={"rejected_ratio": {"max": 0.5}},
        split={"strategy": "entity_hash", "validation_fraction": 0.5},
    )


def write_source(workspace: Workspace, rows: int) -> None:
    """Rows of which every tenth is rejected, with times that hardly compress."""
    numbers = np.arange(rows)
    times = np.random.default_rng(0).integers(0, 2**60, rows)
    items = [None if number % 10 == 9 else number for number in range(rows)]
    workspace.write("source.parquet", pa.table({"pupil": numbers % 7, "time": times, "item": pa.array(items, pa.int32())}))


def files_of(home: Path) -> set[Path]:
    """All files of rows, those of unfinished runs included."""
    return set((home / "warehouse").rglob("*.parquet"))


def published_files(warehouse: LocalWarehouse) -> set[Path]:
    return {Path(file) for name in warehouse.datasets() for version in warehouse.versions(name) for file in version.files}


def newest(home: Path) -> tuple[Version, Version]:
    warehouse = LocalWarehouse(home)
    return warehouse.find(RAW), warehouse.find(SEQUENCED)


def assert_whole(home: Path) -> None:
    """The newest versions can be read and pass their audits, and raw names a version of rejected that is there."""
    warehouse = LocalWarehouse(home)
    for version in newest(home):
        assert len(read_rows(version)) == version.rows
        assert all(finding.passed for finding in warehouse.inspect(version))
    raw, _ = newest(home)
    assert warehouse.find(REJECTED, raw.metadata["rejected_version"]).rows == raw.metadata["accounting"]["rejected"]


def assert_the_next_run_succeeds(workspace: Workspace, spec: ModelSpec, home: Path) -> None:
    publication = workspace.ingest(spec)
    assert (publication.version.rows, publication.unchanged) == (270, False)
    assert workspace.sequence(spec).version.raw_version == publication.version.id


# Killed


@pytest.mark.parametrize(
    ("function", "where"),
    [
        (processes.execute_and_die_at, "read"),
        pytest.param(processes.execute_and_die_at, "sort and write train", marks=pytest.mark.slow),
        pytest.param(processes.execute_and_die_at, "sort and write validation", marks=pytest.mark.slow),
        pytest.param(processes.execute_and_die_at, "write rejected", marks=pytest.mark.slow),
        pytest.param(processes.execute_and_die_before_commit, REJECTED.table, marks=pytest.mark.slow),
        pytest.param(processes.execute_and_die_after_publishing, REJECTED.table, marks=pytest.mark.slow),
        pytest.param(processes.execute_and_die_before_commit, RAW.table, marks=pytest.mark.slow),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_killed_ingest_leaves_the_last_version(
    workspace: Workspace, spec: ModelSpec, home: Path, function: Callable[..., None], where: str
) -> None:
    before = newest(home)
    assert processes.run(function, home, workspace.ingest_plan(spec), where) == -signal.SIGKILL
    assert newest(home) == before
    assert_whole(home)
    assert_the_next_run_succeeds(workspace, spec, home)


@pytest.mark.parametrize(
    ("function", "where"),
    [(processes.execute_and_die_at, "sequence"), (processes.execute_and_die_before_commit, SEQUENCED.table)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_killed_sequencing_leaves_the_last_version(
    workspace: Workspace, spec: ModelSpec, home: Path, function: Callable[..., None], where: str
) -> None:
    _, before = newest(home)
    raw = workspace.ingest(spec).version
    plan = SequencePlan.of(spec, "train", 4, raw.id)
    assert processes.run(function, home, plan, where) == -signal.SIGKILL
    assert newest(home) == (raw, before)
    assert_whole(home)
    assert workspace.sequence(spec).version.raw_version == raw.id
    assert_whole(home)


def test_a_run_that_is_killed_right_after_its_commit_has_published(workspace: Workspace, spec: ModelSpec, home: Path) -> None:
    plan = workspace.ingest_plan(spec)
    assert processes.run(processes.execute_and_die_after_publishing, home, plan, RAW.table) == -signal.SIGKILL
    assert_whole(home)
    assert workspace.ingest(spec).unchanged


@pytest.mark.slow
def test_the_first_run_of_a_home_may_be_killed(workspace: Workspace, spec: ModelSpec, home: Path) -> None:
    shutil.rmtree(home)
    plan = workspace.ingest_plan(spec)
    assert processes.run(processes.execute_and_die_before_commit, home, plan, RAW.table) == -signal.SIGKILL
    assert LocalWarehouse(home).datasets() == [REJECTED]
    workspace.ingest(spec)
    workspace.sequence(spec)
    assert_whole(home)


def test_sigterm_ends_a_running_query_and_cleans_up(workspace: Workspace, home: Path) -> None:
    before = LocalWarehouse(home).find(RAW)
    workspace.write("source.csv", "pupil,time,item\n1,1,1\n")
    spec = workspace.model()
    running = processes.context().Event()
    process = processes.context().Process(target=processes.ingest_endlessly, args=(home, workspace.ingest_plan(spec), running))
    process.start()
    assert running.wait(processes.PATIENCE)
    process.terminate()
    process.join(processes.PATIENCE)
    assert process.exitcode == 143
    assert LocalWarehouse(home).versions(RAW) == [before]
    assert files_of(home) == published_files(LocalWarehouse(home))
    assert list((home / "scratch").iterdir()) == []


@pytest.mark.parametrize("stage", ["read", "sort and write train", "sort and write validation", "write rejected observations"])
def test_an_ingest_that_is_canceled_leaves_the_last_version_and_no_other_file(
    workspace: Workspace, spec: ModelSpec, home: Path, stage: str
) -> None:
    before, files = newest(home), files_of(home)
    with cancelable() as cancel:

        def progress(found: str, rows: int) -> None:
            if found == stage:
                cancel()

        with pytest.raises(CanceledError):
            workspace.ingest(spec, progress=progress)
    assert (newest(home), files_of(home)) == (before, files)
    assert list((home / "scratch").iterdir()) == []
    assert_the_next_run_succeeds(workspace, spec, home)


def test_a_sequencing_that_is_canceled_leaves_the_last_version_and_no_other_file(
    workspace: Workspace, spec: ModelSpec, home: Path
) -> None:
    workspace.ingest(spec)
    before, files = newest(home), files_of(home)
    with cancelable() as cancel:

        def progress(found: str, rows: int) -> None:
            cancel()

        with pytest.raises(CanceledError):
            workspace.sequence(spec, progress=progress)
    assert (newest(home), files_of(home)) == (before, files)
    assert workspace.sequence(spec).version.raw_version == before[0].id


# A full disk


@pytest.mark.parametrize("stage", ["sort and write train", "sort and write validation", "write rejected observations"])
def test_an_ingest_on_a_full_disk_leaves_the_last_version_and_no_other_file(
    workspace: Workspace, spec: ModelSpec, home: Path, stage: str
) -> None:
    before, files = newest(home), files_of(home)

    def progress(found: str, rows: int) -> None:
        if found == stage:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(SettingsError, match=FULL):
        workspace.ingest(spec, progress=progress)
    assert (newest(home), files_of(home)) == (before, files)
    assert list((home / "scratch").iterdir()) == []
    assert_the_next_run_succeeds(workspace, spec, home)


def test_a_sequencing_on_a_full_disk_leaves_the_last_version_and_no_other_file(
    workspace: Workspace, spec: ModelSpec, home: Path
) -> None:
    workspace.ingest(spec)
    before, files = newest(home), files_of(home)

    def progress(found: str, rows: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(SettingsError, match=FULL):
        workspace.sequence(spec, progress=progress)
    assert (newest(home), files_of(home)) == (before, files)
    assert workspace.sequence(spec).version.raw_version == before[0].id


@pytest.mark.slow
def test_a_disk_that_fills_while_files_are_written_leaves_the_last_version_and_no_other_file(
    workspace: Workspace, spec: ModelSpec, home: Path
) -> None:
    """A limit on the size of files is met by DuckDB, by Parquet or by Iceberg; each of them fails in its own words."""
    before, files = newest(home), files_of(home)
    write_source(workspace, 100_000)
    errors = processes.context().Queue()
    for largest in (50_000, 300_000, 500_000):
        arguments = (home, workspace.ingest_plan(spec), largest, errors)
        assert processes.run(processes.execute_with_small_files, *arguments) == 0
        assert errors.get(timeout=processes.PATIENCE) != ""
        assert (newest(home), files_of(home)) == (before, files)
        assert list((home / "scratch").iterdir()) == []
    raw = workspace.ingest(spec).version
    files = files_of(home)
    plan = SequencePlan.of(spec, "train", 4, raw.id)
    assert processes.run(processes.execute_with_small_files, home, plan, 100_000, errors) == 0
    assert errors.get(timeout=processes.PATIENCE) != ""
    assert (newest(home), files_of(home)) == ((raw, before[1]), files)
    workspace.sequence(spec)
    assert_whole(home)


def test_a_publication_that_fails_leaves_the_last_version(
    workspace: Workspace, spec: ModelSpec, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = newest(home)

    def fail(*arguments: Any, **named: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("seq_assets.warehouse.storage.iceberg_tables.replace_content", fail)
        with pytest.raises(SettingsError, match=FULL):
            workspace.ingest(spec)
    assert newest(home) == before
    assert_whole(home)
    assert_the_next_run_succeeds(workspace, spec, home)


# Refused by the audit


class KernelThatLosesASequence(Kernel):
    """Loses the first sequence of each batch."""

    def batches(self, observations: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return (batch.slice(1) for batch in super().batches(observations))


def test_sequences_that_fail_their_audit_leave_the_last_version_and_no_file(
    workspace: Workspace, spec: ModelSpec, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, before = newest(home)
    raw = workspace.ingest(spec).version
    files = files_of(home)
    with monkeypatch.context() as patched:
        patched.setattr("seq_assets.warehouse.local.sequences.Kernel", KernelThatLosesASequence)
        with pytest.raises(AuditError, match=r"(?s)plain_sequenced_train_4 was not published.*nothing_lost: pupil"):
            workspace.sequence(spec)
    assert (newest(home), files_of(home)) == ((raw, before), files)
    assert workspace.sequence(spec).version.raw_version == raw.id


def test_a_vocabulary_that_fails_its_audit_leaves_the_last_version(
    workspace: Workspace, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = newest(home)
    columns = {**PLAIN_COLUMNS, "item": {"type": "string"}}
    spec = workspace.sequence_model(columns=columns, features={"item": {"encode": "vocabulary"}})
    workspace.write("source.csv", "pupil,time,item\n1,1,a\n1,2,b\n")
    with monkeypatch.context() as patched:
        patched.setattr(
            "seq_assets.warehouse.publishing.next_vocabulary", lambda *arguments: next_vocabulary(*arguments).slice(1)
        )
        with pytest.raises(AuditError, match=r"(?s)plain_vocabulary was not published.*1 values have no id"):
            workspace.ingest(spec)
    assert newest(home) == before
    assert workspace.warehouse.versions(Dataset.vocabulary("plain")) == []
    assert [file for file in files_of(home) if "plain_vocabulary" in file.parts] == []
    assert workspace.ingest(spec).version.metadata["vocabulary_version"]


# At once


@pytest.mark.slow
def test_processes_that_number_other_values_at_once_give_each_value_one_id(workspace: Workspace, home: Path) -> None:
    plans = []
    for items in ("abc", "xyz"):
        workspace.write(f"{items}.csv", "pupil,time,item\n" + "".join(f"1,1,{item}\n" for item in items))
        columns = {**PLAIN_COLUMNS, "item": {"type": "string"}}
        encoding = {"source": {"location": f"{items}.csv"}, "columns": columns, "features": {"item": {"encode": "vocabulary"}}}
        plans.append(workspace.ingest_plan(workspace.sequence_model(**encoding)))
    barrier, errors = processes.context().Barrier(2), processes.context().Queue()
    arguments = [(home, [plan] * 2, barrier, errors) for plan in plans]
    assert processes.run_at_once(processes.execute_at_once, arguments, errors) == []
    warehouse = LocalWarehouse(home)
    versions = warehouse.versions(Dataset.vocabulary("plain"))
    newest = {row["value"]: row["id"] for row in read_rows(versions[0])}
    assert len(newest) == len(set(newest.values())) == 6
    for version in versions:
        assert all(newest[row["value"]] == row["id"] for row in read_rows(version))
    for version in warehouse.versions(RAW)[:4]:
        assert all(finding.passed for finding in warehouse.inspect(version))


@pytest.mark.slow
def test_processes_that_work_on_one_model_at_once_all_finish(workspace: Workspace, spec: ModelSpec, home: Path) -> None:
    raw, _ = newest(home)
    plans = [workspace.ingest_plan(spec), SequencePlan.of(spec, "train", 4, raw.id)]
    barrier, errors = processes.context().Barrier(2), processes.context().Queue()
    arguments = [(home, plans, barrier, errors)] * 2
    assert processes.run_at_once(processes.execute_at_once, arguments, errors) == []
    warehouse = LocalWarehouse(home)
    assert [len(warehouse.versions(dataset)) for dataset in (RAW, REJECTED, SEQUENCED)] == [3, 3, 3]
    assert [version.rows for version in warehouse.versions(RAW)] == [270, 270, 18]
    rejected = [version.metadata["rejected_version"] for version in warehouse.versions(RAW)]
    assert set(rejected) == {version.id for version in warehouse.versions(REJECTED)}
    for dataset in (RAW, SEQUENCED):
        for version in warehouse.versions(dataset):
            assert all(finding.passed for finding in warehouse.inspect(version))
    assert files_of(home) == published_files(warehouse)
