"""Running the graph in this process, as `seq-assets materialize` does, recorded by Dagster.

What a run costs beside its work is most of what small models cost, and unchanged ones. So those that are seen to be unchanged
before anything runs share their runs, and so do small ones. A large model has a run of its own per step, and so has each model
where a shared run fails: a failure of one stops no other.

The runs belong to the code location that the UI shows: there they are found, and can be executed again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.execution.api import execute_run_iterator
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.utils import make_new_run_id

from seq_assets.assets import build_definitions
from seq_assets.assets.automation import INGEST_JOB, SEQUENCE_JOB, step_failure_message
from seq_assets.assets.partitions import Grid, range_tags
from seq_assets.assets.raw_observations import plan_ingest
from seq_assets.assets.sequenced import plan_cell
from seq_assets.environments import CODE_LOCATION, DEFINITIONS_MODULE, Environment
from seq_assets.errors import DamagedError, SeqAssetsError
from seq_assets.io_managers.dagster_home import open_instance
from seq_assets.io_managers.dead_runs import end_dead_runs, process_tags
from seq_assets.io_managers.event_log import write_in_bursts
from seq_assets.io_managers.metadata import RAW_KEY, REJECTED_KEY
from seq_assets.io_managers.partition_keys import cell_key, model_of
from seq_assets.io_managers.plan_io_manager import FORCE_TAG
from seq_assets.io_managers.progress import terminal_progress
from seq_assets.models import SUBSETS, ModelRegistry
from seq_assets.sequencing.plans import Dataset, RefusedPlan
from seq_assets.warehouse.cancellation import Work, doing, raise_if_canceled
from seq_assets.warehouse.interface import RawObservations, Version, Warehouse

MOST_MODELS_TOGETHER: Final = 16
"""In one run: for each partition of a run and each check, Dagster writes down all partitions of the run."""
MOST_BYTES_TOGETHER: Final = 16 << 20
"""Of its source, as stored, up to which a model is small: what is read, sorted and cut in a few seconds."""
_WHAT_STANDS: Final = "what is published stands, and nothing is half published. Run the same command again to go on."
_QUIET: Final[Mapping[str, object]] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Outcome:
    """What became of one model.

    Attributes:
        model: Its name.
        versions: What stands now, of what was asked for.
        failures: The messages of what failed.
        built: The ids of the versions that were built; others stood already.
        checks: The checks that failed or warn.
    """

    model: str
    versions: tuple[Version, ...]
    failures: tuple[str, ...]
    built: frozenset[int] = frozenset()
    checks: tuple[dg.AssetCheckEvaluation, ...] = ()


def materialize_models(
    environment: Environment,
    registry: ModelRegistry,
    models: Collection[str],
    lengths: Sequence[int],
    force: bool,
    *,
    most_bytes_together: int = MOST_BYTES_TOGETHER,
) -> list[Outcome]:
    """Materializes models; a failure of one stops no other.

    Args:
        environment: Where to.
        registry: The models.
        models: Names, those of broken files included.
        lengths: Only these lengths; all declared ones where empty.
        force: Build even what is unchanged.
        most_bytes_together: Of a model's source, up to which its runs are shared with others.
    """
    raise_if_canceled()
    # The executor of `definitions`: the graph itself has none, and work here is to stay in this process.
    executor = dg.Definitions(executor=dg.in_process_executor)
    definitions = dg.Definitions.merge(build_definitions(environment, registry=registry), executor)
    grid = Grid(registry, environment.name)
    with doing(Work(f"Stopped: {_WHAT_STANDS}")), open_instance() as instance, terminal_progress(len(models)) as begin:
        write_in_bursts(instance)
        end_dead_runs(instance)
        runner = _Runner(definitions, instance, force)
        choice = _Choice(environment.warehouse(), grid, lengths)
        done: dict[str, Outcome] = {}
        # What was built by shared runs that failed.
        before = _Recorded()
        together = [] if len(models) == 1 else list(models)
        for first in range(0, len(together), MOST_MODELS_TOGETHER):
            chosen = together[first : first + MOST_MODELS_TOGETHER]
            begin(f"{chosen[0]} to {chosen[-1]}", 1 + len(done))
            unchanged = {} if force else choice.unchanged(chosen)
            small = choice.small([model for model in chosen if model not in unchanged], most_bytes_together)
            done |= _materialize_together(runner, choice, list(unchanged), before, unchanged)
            # One alone would run again where it fails.
            if len(small) > 1:
                done |= _materialize_together(runner, choice, small, before)
        remaining = [model for model in models if model not in done]
        for number, model in enumerate(remaining, start=1 + len(done)):
            begin(model, number)
            done[model] = _materialize(runner, choice, model, before)
        return [done[model] for model in models]


@dataclass
class _Recorded:
    """What runs have recorded."""

    failures: list[str] = field(default_factory=list)
    built: set[int] = field(default_factory=set)
    ingested: set[str] = field(default_factory=set)
    """The models whose raw observations were built."""
    checks: list[dg.AssetCheckEvaluation] = field(default_factory=list)

    def add(self, events: Sequence[dg.DagsterEvent]) -> None:
        """Takes what is of interest to people from the events of a run."""
        self.failures += _failures(events)
        for event in events:
            if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
                materialization = event.step_materialization_data.materialization
                if materialization.asset_key != REJECTED_KEY and "unchanged" not in materialization.metadata:
                    self.built.add(int(str(materialization.metadata["version"].value)))
                    if materialization.asset_key == RAW_KEY and materialization.partition is not None:
                        self.ingested.add(materialization.partition)
            elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                evaluation = event.asset_check_evaluation_data
                if not evaluation.passed:
                    self.checks.append(evaluation)

    def outcome(self, model: str, versions: tuple[Version, ...]) -> Outcome:
        """What became of one of the models."""
        checks = (check for check in self.checks if check.partition is not None and model_of(check.partition) == model)
        return Outcome(model, versions, tuple(self.failures), frozenset(self.built), tuple(checks))


@dataclass(frozen=True)
class _Runner:
    definitions: dg.Definitions
    instance: dg.DagsterInstance
    force: bool

    def run(self, job: str, keys: Sequence[str]) -> Sequence[dg.DagsterEvent]:
        """Runs a job over a range of partitions; returns its events."""
        raise_if_canceled()
        definition = self.definitions.resolve_job_def(job)
        run_id = make_new_run_id()
        forced = {FORCE_TAG: "true"} if self.force else {}
        tags = {**definition.run_tags, **forced, **range_tags(keys), **process_tags(run_id)}
        with doing(_work(self.instance, run_id, job, keys)):
            run = self.instance.create_run_for_job(
                definition, run_id=run_id, run_config=_QUIET, tags=tags, remote_job_origin=_origin(job)
            )
            events = list(execute_run_iterator(InMemoryJob(definition), run, self.instance))
        raise_if_canceled()
        if any(event.is_step_failure for event in events):
            # Of a step that failed, what it materialized before is in the log alone.
            events = [event for entry in self.instance.all_logs(run_id) if (event := entry.dagster_event) is not None]
        return events


def _failures(events: Sequence[dg.DagsterEvent]) -> list[str]:
    """The messages of the steps that failed; where none could begin, that of the run."""
    steps = [step_failure_message(event) for event in events if event.is_step_failure]
    runs = [event.job_failure_data.error for event in events if event.is_run_failure]
    return steps or [error.message for error in runs if error is not None]


def _origin(job: str) -> RemoteJobOrigin:
    """Where the UI finds the job: it goes by the names of the location, the repository and the job."""
    module = LoadableTargetOrigin(module_name=DEFINITIONS_MODULE)
    location = ManagedGrpcPythonEnvCodeLocationOrigin(module, CODE_LOCATION)
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME), job)


def _work(instance: dg.DagsterInstance, run_id: str, job: str, keys: Sequence[str]) -> Work:
    """What a run is doing, and how it ends as a canceled one where it is told to stop."""

    @cache
    def report_canceling() -> None:
        """Once, also where several threads are interrupted: a run that nobody is canceling would count as failed."""
        run = instance.get_run_by_id(run_id)
        assert run is not None, "what is interrupted has begun"
        instance.report_run_canceling(run, "The command that runs it was told to stop.")

    def interruption() -> BaseException:
        report_canceling()
        return dg.DagsterExecutionInterruptedError()

    def give_up() -> None:
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            instance.report_run_canceled(run, "The command that ran it was told to stop, and has ended.")

    what = keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"
    return Work(f"Stopped in the job {job} of {what}: {_WHAT_STANDS}", interruption, give_up)


@dataclass(frozen=True)
class _Choice:
    """What is asked for of models, and what is known of them before anything runs.

    Attributes:
        warehouse: Has their tables.
        grid: The models.
        lengths: Only these lengths; all declared ones where empty.
    """

    warehouse: Warehouse
    grid: Grid
    lengths: Sequence[int]

    def unchanged(self, models: Iterable[str]) -> dict[str, tuple[Version, ...]]:
        """What stands of those whose runs would make nothing else; what cannot be told is left to them."""
        with self.warehouse.at_rest():
            return {model: self.newest(model) for model in models if self._stands(model)}

    def small(self, models: Iterable[str], most_bytes: int) -> list[str]:
        """Those whose source has so many bytes at most; what cannot be told is left to their runs."""
        return [model for model in models if (size := self._source_bytes(model)) is not None and size <= most_bytes]

    def cells(self, models: Iterable[str]) -> list[list[str]]:
        """The fewest ranges of all cells that are wanted."""
        return self.grid.cell_ranges([cell_key(model, length) for model in models for length in self._lengths(model)])

    def newest(self, model: str) -> tuple[Version, ...]:
        """What stands of what was asked for."""
        wanted = [Dataset.sequenced(model, subset, length) for length in self._lengths(model) for subset in SUBSETS]
        newest = (_newest_of(self.warehouse, dataset) for dataset in (Dataset.raw(model), *wanted))
        return tuple(version for version in newest if version is not None)

    def _lengths(self, model: str) -> list[int]:
        spec = self.grid.registry.specs.get(model)
        return [length for length in spec.lengths if not self.lengths or length in self.lengths] if spec else []

    def _stands(self, model: str) -> bool:
        plan = plan_ingest(self.grid, model)
        try:
            if isinstance(plan, RefusedPlan) or not self.warehouse.stands(plan):
                return False
            raw = RawObservations({model: self.warehouse.find(plan.dataset)})
            keys = [cell_key(model, length) for length in self._lengths(model)]
            cells = [plan_cell(self.grid, subset, key, raw) for key in keys for subset in SUBSETS]
            return all(not isinstance(cell, RefusedPlan) and self.warehouse.stands(cell) for cell in cells)
        except SeqAssetsError:
            return False

    def _source_bytes(self, model: str) -> int | None:
        plan = plan_ingest(self.grid, model)
        try:
            return None if isinstance(plan, RefusedPlan) else self.warehouse.source_bytes(plan)
        except SeqAssetsError:
            return None


def _materialize_together(
    runner: _Runner,
    choice: _Choice,
    models: list[str],
    before: _Recorded,
    standing: Mapping[str, tuple[Version, ...]] | None = None,
) -> dict[str, Outcome]:
    """Materializes models in joint runs; no outcome where one of them failed, because each model then has its own.

    Args:
        runner: Runs them.
        choice: What is asked for.
        models: Small models, or unchanged ones.
        before: Is told what was built by a run that failed.
        standing: What stands of the models where nothing is built.
    """
    recorded = _Recorded()
    for job, ranges in ((INGEST_JOB, choice.grid.model_ranges(models)), (SEQUENCE_JOB, choice.cells(models))):
        for keys in ranges:
            recorded.add(runner.run(job, keys))
            if recorded.failures:
                before.built |= recorded.built
                before.ingested |= recorded.ingested
                return {}
    versions = standing if standing and not recorded.built else {model: choice.newest(model) for model in models}
    return {model: recorded.outcome(model, versions[model]) for model in models}


def _materialize(runner: _Runner, choice: _Choice, model: str, before: _Recorded) -> Outcome:
    """Materializes a model in runs of its own; what a joint run has built anew is not forced to be built again."""
    runner = replace(runner, force=runner.force and model not in before.ingested)
    recorded = _Recorded(built=set(before.built))
    recorded.add(runner.run(INGEST_JOB, [model]))
    if not recorded.failures:
        for keys in choice.cells([model]):
            recorded.add(runner.run(SEQUENCE_JOB, keys))
    return recorded.outcome(model, choice.newest(model))


def _newest_of(warehouse: Warehouse, dataset: Dataset) -> Version | None:
    """What stands of a table; of one that is damaged nothing, which the run that was to publish to it has failed with."""
    try:
        return next(iter(warehouse.versions(dataset)), None)
    except DamagedError:
        return None
