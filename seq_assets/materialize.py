"""Running the graph in this process, as `seq-assets materialize` does: one run per model and step, recorded by Dagster."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dagster as dg

from seq_assets.assets import build_definitions
from seq_assets.assets.automation import INGEST_JOB, SEQUENCE_JOB, step_failure_message
from seq_assets.assets.partitions import Grid, range_tags
from seq_assets.environments import Environment
from seq_assets.io_managers.partition_keys import cell_key
from seq_assets.io_managers.plan_io_manager import FORCE_TAG
from seq_assets.io_managers.progress import terminal_progress
from seq_assets.models import SUBSETS, ModelRegistry
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.interface import Version


@dataclass(frozen=True)
class Outcome:
    """What became of one model.

    Attributes:
        model: Its name.
        versions: What stands now, of what was asked for.
        failures: The messages of what failed.
    """

    model: str
    versions: tuple[Version, ...]
    failures: tuple[str, ...]


def materialize_models(
    environment: Environment, registry: ModelRegistry, models: Iterable[str], lengths: Sequence[int], force: bool
) -> list[Outcome]:
    """Materializes models one after the other; a failure of one stops no other.

    Args:
        environment: Where to.
        registry: The models.
        models: Names, those of broken files included.
        lengths: Only these lengths; all declared ones where empty.
        force: Build even what is unchanged.
    """
    definitions = build_definitions(environment, registry=registry)
    grid = Grid(registry, environment.name)
    with dg.DagsterInstance.get() as instance, terminal_progress():
        runner = _Runner(definitions, instance, {FORCE_TAG: "true"} if force else {})
        return [_materialize(environment, runner, grid, model, lengths) for model in models]


@dataclass(frozen=True)
class _Runner:
    definitions: dg.Definitions
    instance: dg.DagsterInstance
    tags: dict[str, str]

    def run(self, job: str, keys: Sequence[str]) -> list[str]:
        """Runs a job over a range of partitions; returns the messages of failed steps."""
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            tags=self.tags | range_tags(keys),
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        return [step_failure_message(event) for event in result.all_events if event.is_step_failure]


def _materialize(environment: Environment, runner: _Runner, grid: Grid, model: str, lengths: Sequence[int]) -> Outcome:
    failures = runner.run(INGEST_JOB, [model])
    spec = grid.registry.specs.get(model)
    wanted = tuple(length for length in spec.lengths if not lengths or length in lengths) if spec else ()
    if not failures:
        for keys in grid.cell_ranges([cell_key(model, length) for length in wanted]):
            failures += runner.run(SEQUENCE_JOB, keys)
    warehouse = environment.warehouse()
    datasets = [Dataset.raw(model), *(Dataset.sequenced(model, subset, length) for length in wanted for subset in SUBSETS)]
    newest = (next(iter(warehouse.versions(dataset)), None) for dataset in datasets)
    return Outcome(model, tuple(version for version in newest if version is not None), tuple(failures))
