"""The asset graph: what Dagster shows, partitions and runs.

Belongs here: assets whose bodies return plans, their checks, jobs and automation, and their assembly. Not here: any I/O.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from seq_assets.assets.automation import (
    build_check_sensor,
    build_failure_sensors,
    build_garbage_job,
    build_jobs,
    build_schedules,
    build_sensors,
    say_what_is_unchecked,
)
from seq_assets.assets.checks import build_checks
from seq_assets.assets.partitions import Grid
from seq_assets.assets.raw_observations import build_raw_observations
from seq_assets.assets.sequenced import build_sequenced
from seq_assets.client.datasets import dataset_of
from seq_assets.environments import Environment
from seq_assets.errors import SettingsError
from seq_assets.models import SUBSETS, ModelRegistry


def build_definitions(
    environment: Environment, *, registry: ModelRegistry | None = None, resources: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """The graph over an environment's models, bound to its warehouse; it merges with the definitions of any project.

    Its resources have keys of their own, `seq_assets_warehouse` and `seq_assets_io_manager`, and it sets no executor.

    Args:
        environment: Where tables live and models are read from.
        registry: Other models than the environment's.
        resources: Replace the environment's resources of the same names.

    Raises:
        SettingsError: There is no model, of which Dagster could not make partitions.
    """
    models = environment.registry() if registry is None else registry
    if not models.names:
        raise SettingsError(
            f"No model file (.yaml) in {environment.models_folder}; add one, or set SEQ_ASSETS_MODELS to a folder that has one."
        )
    with warnings.catch_warnings():
        # Partition mappings and backfill policies are beta, checks on partitions a preview, in the version that is pinned.
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return _assemble(environment, Grid(models, environment.name), resources or {})


def _common_owner(models: ModelRegistry) -> list[str]:
    """The owner of all models; none where they have several, because Dagster shows an asset's owners on all its partitions."""
    owners = {spec.owner for spec in models.specs.values()}
    return [owner for owner in owners if owner] if len(owners) == 1 else []


def _assemble(environment: Environment, grid: Grid, resources: Mapping[str, Any]) -> dg.Definitions:
    models = grid.registry
    owners = _common_owner(models)
    kinds = {"iceberg", "duckdb"}
    assets = [
        build_raw_observations(grid, owners, kinds),
        *(build_sequenced(grid, subset, owners, kinds) for subset in SUBSETS),
    ]
    return dg.Definitions(
        assets=[asset.with_hooks({say_what_is_unchecked}) for asset in assets],
        asset_checks=build_checks(grid),
        jobs=[*build_jobs(), build_garbage_job(grid)],
        schedules=build_schedules(environment, grid),
        sensors=[*build_sensors(environment, grid), build_check_sensor(environment, grid), *build_failure_sensors(environment)],
        resources={**environment.resources(dataset_of), **resources},
    )
