"""Running the graph in this process: what became of each model, and which partitions its runs had."""

import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from dagster import AssetKey, DagsterInstance, DagsterRunStatus
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from rich.text import Text

from seq_assets.environments import current_environment
from seq_assets.errors import LostRaceError, SourceError
from seq_assets.io_managers import plan_io_manager
from seq_assets.io_managers.dead_runs import process_tags
from seq_assets.io_managers.progress import progress_of, terminal_progress
from seq_assets.materialize import Outcome, materialize_models
from seq_assets.sequencing.plans import IngestPlan, SequencePlan
from seq_assets.warehouse.cancellation import CanceledError, cancelable
from seq_assets.warehouse.engine import Engine
from seq_assets.warehouse.interface import Finding, Publication
from seq_assets.warehouse.local.audit_sequences import sequence_findings
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets_tests.io_managers.leaving import DEAD, ELSEWHERE, add_run, status_of
from seq_assets_tests.warehouse.building import Workspace

SOURCE = "pupil,time,item\n1,1,10\n1,2,20\n1,3,30\n2,1,40\n"


def materialized(*models: str, lengths: Sequence[int] = (), force: bool = False, are_small: bool = True) -> list[Outcome]:
    environment = current_environment()
    size = {} if are_small else {"most_bytes_together": 0}
    return materialize_models(environment, environment.registry(), models, lengths, force, **size)


def tables(outcome: Outcome) -> list[str]:
    return [version.dataset.table for version in outcome.versions]


def ranges(instance: DagsterInstance) -> list[tuple[str, str, str]]:
    """Job, first and last partition of each run, oldest first."""
    return [
        (run.job_name, run.tags[ASSET_PARTITION_RANGE_START_TAG], run.tags[ASSET_PARTITION_RANGE_END_TAG])
        for run in reversed(instance.get_runs())
    ]


@pytest.fixture
def models(workspace: Workspace) -> Workspace:
    """Models `a` (lengths 2, 4 and 8) and `raw`, of one source."""
    workspace.write("source.csv", SOURCE)
    workspace.sequence_model(name="a", sequence_lengths=[8, 2, 4])
    workspace.model(name="raw")
    return workspace


@pytest.mark.slow
@pytest.mark.usefixtures("models")
def test_an_outcome_has_what_was_built_by_the_fewest_ranges_of_wanted_lengths(runs_in_memory: DagsterInstance) -> None:
    a, raw = materialized("a", "raw", lengths=[8, 2])
    assert (a.model, a.failures) == ("a", ())
    assert tables(a) == [
        "a_raw_observations",
        "a_sequenced_train_2",
        "a_sequenced_validation_2",
        "a_sequenced_train_8",
        "a_sequenced_validation_8",
    ]
    assert [version.rows for version in a.versions] == [4, 3, 0, 2, 0]
    assert {version.raw_version for version in a.versions[1:]} == {a.versions[0].id}
    assert (tables(raw), raw.failures) == (["raw_raw_observations"], ())
    assert all(run.is_success for run in runs_in_memory.get_runs())
    assert ranges(runs_in_memory) == [
        ("ingest", "a", "raw"),
        ("sequence", "a|2", "a|2"),
        ("sequence", "a|8", "a|8"),
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("models")
def test_large_models_have_runs_of_their_own(runs_in_memory: DagsterInstance) -> None:
    a, raw = materialized("a", "raw", lengths=[2], are_small=False)
    assert (len(a.built), len(raw.built)) == (3, 1)
    assert ranges(runs_in_memory) == [("ingest", "a", "a"), ("sequence", "a|2", "a|2"), ("ingest", "raw", "raw")]


def test_a_failing_model_leaves_the_others_whole(models: Workspace, runs_in_memory: DagsterInstance) -> None:
    models.sequence_model(name="gone", source={"location": "gone.csv"})
    (models.folder / "typo.yaml").write_text("name: typo\nentitty: pupil\n", encoding="utf-8")
    gone, typo, raw = materialized("gone", "typo", "raw")
    assert gone.versions == typo.versions == ()
    assert len(gone.failures) == 1
    assert gone.failures[0].startswith("gone: No source file at 'gone.csv'")
    assert len(typo.failures) == 1
    assert "entitty: found" in typo.failures[0]
    assert "did you mean 'entity'" in typo.failures[0]
    assert (tables(raw), raw.failures) == (["raw_raw_observations"], ())
    # What was not ingested is not sequenced.
    assert [job for job, *_ in ranges(runs_in_memory)] == ["ingest", "ingest", "ingest"]


@pytest.mark.slow
@pytest.mark.usefixtures("models")
def test_models_that_are_unchanged_share_their_runs(models: Workspace, runs_in_memory: DagsterInstance) -> None:
    first = materialized("a", "raw")
    models.sequence_model(name="z", sequence_lengths=[2])
    runs_in_memory.wipe()
    a, z, raw = materialized("a", "z", "raw")
    assert ranges(runs_in_memory) == [
        ("ingest", "a", "raw"),
        ("sequence", "a|2", "a|8"),
        ("ingest", "z", "z"),
        ("sequence", "z|2", "z|2"),
    ]
    assert [a.versions, raw.versions] == [outcome.versions for outcome in first]
    assert not a.built | raw.built
    assert z.built == {version.id for version in z.versions}
    recorded = runs_in_memory.fetch_materializations(AssetKey("sequenced_train"), limit=10).records
    assert {record.partition_key for record in recorded} == {"a|2", "a|4", "a|8", "z|2"}
    unchanged = [record for record in recorded if record.partition_key != "z|2"]
    assert all("unchanged" in record.asset_materialization.metadata for record in unchanged if record.asset_materialization)


@pytest.mark.usefixtures("models")
def test_a_run_names_its_process_and_ends_those_of_dead_ones(runs_in_memory: DagsterInstance) -> None:
    dead, elsewhere = add_run(runs_in_memory, DEAD), add_run(runs_in_memory, ELSEWHERE)
    materialized("raw")
    assert [status_of(runs_in_memory, run) for run in (dead, elsewhere)] == ["CANCELED", "STARTED"]
    run = runs_in_memory.get_runs()[0]
    assert process_tags(run.run_id).items() <= run.tags.items()


@pytest.mark.slow
@pytest.mark.usefixtures("models")
def test_a_model_that_was_not_built_whole_is_not_unchanged(runs_in_memory: DagsterInstance) -> None:
    materialized("a", "raw", lengths=[2])
    runs_in_memory.wipe()
    a, raw = materialized("a", "raw")
    assert ranges(runs_in_memory) == [("ingest", "raw", "raw"), ("ingest", "a", "a"), ("sequence", "a|2", "a|8")]
    assert (raw.built, len(a.built)) == (frozenset(), 4)


@pytest.mark.slow
@pytest.mark.usefixtures("models")
def test_where_a_joint_run_fails_each_model_has_its_own(
    runs_in_memory: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = materialized("a", "raw")
    runs_in_memory.wipe()

    def failing(self: LocalWarehouse, plan: IngestPlan, *arguments: Any, **options: Any) -> Publication:
        if plan.dataset.model == "raw":
            raise SourceError("not today")
        return execute(self, plan, *arguments, **options)

    execute = LocalWarehouse.execute
    monkeypatch.setattr(LocalWarehouse, "execute", failing)
    a, raw = materialized("a", "raw")
    assert (a.failures, raw.failures) == ((), ("raw: not today",))
    assert [a.versions, raw.versions] == [outcome.versions for outcome in first]
    assert ranges(runs_in_memory) == [
        ("ingest", "a", "raw"),
        ("ingest", "a", "a"),
        ("sequence", "a|2", "a|8"),
        ("ingest", "raw", "raw"),
    ]


@pytest.mark.slow
def test_what_a_joint_run_has_built_before_it_failed_is_not_built_again(
    models: Workspace, runs_in_memory: DagsterInstance
) -> None:
    models.write("bad.csv", "pupil,time,item\n1,1,x\n")
    models.sequence_model(name="bad", source={"location": "bad.csv"})
    a, bad, raw = materialized("a", "bad", "raw", lengths=[2], force=True)
    assert (a.failures, len(bad.failures), raw.failures) == ((), 1, ())
    versions = current_environment().warehouse().versions
    assert [len(versions(version.dataset)) for version in (*a.versions, *raw.versions)] == [1] * 4
    assert {version.id for version in a.versions} <= a.built
    assert {version.id for version in raw.versions} <= raw.built
    assert ranges(runs_in_memory) == [
        ("ingest", "a", "raw"),
        ("ingest", "a", "a"),
        ("sequence", "a|2", "a|2"),
        ("ingest", "bad", "bad"),
        ("ingest", "raw", "raw"),
    ]
    entries = [entry for run in runs_in_memory.get_runs() for entry in runs_in_memory.all_logs(run.run_id)]
    checked = {entry.asset_check_evaluation.partition for entry in entries if entry.asset_check_evaluation is not None}
    assert {"a", "raw", "a|2"} <= checked


def test_a_failing_length_leaves_the_others_whole(
    models: Workspace, runs_in_memory: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(engine: Engine, plan: SequencePlan, *arguments: Any) -> list[Finding]:
        if (plan.subset, plan.sequence_length) == ("train", 4):
            raise RuntimeError("a mistake of the program")
        return sequence_findings(engine, plan, *arguments)

    monkeypatch.setattr("seq_assets.warehouse.local.warehouse.sequence_findings", failing)
    (a,) = materialized("a")
    assert a.failures == ("a|4: RuntimeError: a mistake of the program",)
    assert "a_sequenced_train_4" not in tables(a)
    assert {"a_sequenced_train_2", "a_sequenced_train_8", "a_sequenced_validation_4"} <= set(tables(a))
    assert [run.is_success for run in runs_in_memory.get_runs()] == [False, True]
    assert ranges(runs_in_memory)[1] == ("sequence", "a|2", "a|8")
    assert not list((models.folder.parent / "home").rglob("a_sequenced_train_4/*/*")), "nothing is left behind"


@pytest.mark.usefixtures("models")
def test_what_is_told_to_stop_is_canceled_and_nothing_further_begins(
    runs_in_memory: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cancelable() as cancel:

        def told_to_stop(*arguments: Any) -> list[Finding]:
            cancel()
            return sequence_findings(*arguments)

        monkeypatch.setattr("seq_assets.warehouse.local.warehouse.sequence_findings", told_to_stop)
        with pytest.raises(CanceledError):
            materialized("a", "raw", are_small=False)
    assert [run.status for run in runs_in_memory.get_runs()] == [DagsterRunStatus.CANCELED, DagsterRunStatus.SUCCESS]
    assert ranges(runs_in_memory) == [("ingest", "a", "a"), ("sequence", "a|2", "a|8")]
    [canceled, _] = runs_in_memory.get_runs()
    steps = {stats.step_key for stats in runs_in_memory.get_run_step_stats(canceled.run_id)}
    assert len(steps) == 1, "neither the other subset nor a check"
    assert [dataset.table for dataset in current_environment().warehouse().datasets()] == [
        "a_raw_observations",
        "a_rejected_observations",
    ]


@pytest.mark.usefixtures("models", "runs_in_memory")
def test_a_run_that_does_not_end_when_it_is_told_to_stop_can_be_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with cancelable() as cancel:
        given_up: list[DagsterRunStatus] = []

        def deaf(*arguments: Any) -> list[Finding]:
            work = cancel()
            assert work.once_stopped.startswith("Stopped in the job sequence of a|2 to a|8: what is published stands")
            with DagsterInstance.get() as instance:
                work.give_up()
                given_up.append(instance.get_runs()[0].status)
            return []

        monkeypatch.setattr("seq_assets.warehouse.local.warehouse.sequence_findings", deaf)
        with pytest.raises(CanceledError):
            materialized("a")
    assert given_up == [DagsterRunStatus.CANCELED]


@pytest.mark.usefixtures("models", "runs_in_memory")
def test_a_run_that_cannot_begin_is_a_failure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: Any) -> None:
        raise ValueError("not today")

    monkeypatch.setattr(plan_io_manager, "require_partitions", refusing)
    (raw,) = materialized("raw")
    assert len(raw.failures) == 1
    assert raw.versions == ()


@pytest.mark.usefixtures("models", "runs_in_memory")
def test_a_lost_race_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    races = [LostRaceError("somebody was faster")] * 2

    def losing(self: LocalWarehouse, *arguments: Any, **options: Any) -> Publication:
        if races:
            raise races.pop()
        return execute(self, *arguments, **options)

    execute = LocalWarehouse.execute
    monkeypatch.setattr(LocalWarehouse, "execute", losing)
    monkeypatch.setattr(plan_io_manager, "SECONDS_BEFORE_RETRY", 0)
    (raw,) = materialized("raw")
    assert (tables(raw), raw.failures, races) == (["raw_raw_observations"], (), [])


@pytest.mark.slow
def test_a_fresh_home_of_the_bundled_models_has_no_failed_check_and_no_line_that_is_not_of_a_partition(
    runs_in_memory: DagsterInstance,
) -> None:
    names = current_environment().registry().names
    assert [outcome.failures for outcome in materialized(*names)] == [()] * len(names)
    entries = [entry for run in runs_in_memory.get_runs() for entry in runs_in_memory.all_logs(run.run_id)]
    evaluations = [entry.asset_check_evaluation for entry in entries if entry.asset_check_evaluation is not None]
    assert {evaluation.asset_key.to_user_string() for evaluation in evaluations} == {
        "raw_observations",
        "sequenced_train",
        "sequenced_validation",
    }
    assert [evaluation for evaluation in evaluations if not evaluation.passed] == []
    logged = [entry.user_message for entry in entries if not entry.is_dagster_event]
    assert len(logged) > len(names)
    assert [line for line in logged if line.split("|")[0].split(":")[0] not in names] == []


def test_progress_is_a_line_every_few_seconds_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr("seq_assets.io_managers.progress.time", SimpleNamespace(monotonic=lambda: now[0]))
    logged: list[str] = []
    with terminal_progress(50) as begin:
        begin("dkt", 3)
        progress = progress_of("dkt", logged.append)
        for now[0], rows in ((1, 1000), (11, 2000), (12, 3000), (22, 4000)):
            progress("read", rows)
    assert capsys.readouterr() == ("", "3 of 50, dkt: read, 2,000 rows\n3 of 50, dkt: read, 4,000 rows\n")
    assert logged == []
    log = progress_of("dkt|5", logged.append)
    with terminal_progress():
        only = progress_of("irt", logged.append)
        now[0] = 33
        only("read", 1)
    assert capsys.readouterr() == ("", "irt: read, 1 rows\n"), "there is nothing to count"
    now[0] = 44
    log("write", 5)
    assert logged == ["dkt|5: write, 5 rows"], "outside a command it is the run's log"


def test_progress_is_a_bar_on_a_terminal_with_model_stage_rows_and_how_many_are_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)
    with terminal_progress(50) as begin:
        begin("dkt", 3)
        progress_of("dkt|50", print)("sequence dkt_sequenced_train_50", 2000)
    shown = " ".join(Text.from_ansi(capsys.readouterr().err).plain.split())
    assert re.search(r"2 of 50 \S+ dkt\|50 sequence dkt_sequenced_train_50, 2,000 rows", shown)
