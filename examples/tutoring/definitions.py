"""What Dagster loads: the platform's graph over the team's model files, and the team's own definitions beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from seq_assets.assets import build_definitions
from seq_assets.assets.partitions import Grid
from seq_assets.environments import Environment, current_environment
from seq_assets.models import ModelRegistry
from tutoring.assets import Learning, build_assets
from tutoring.json_files import JsonFiles


def build(environment: Environment, resources: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Everything, for an environment; a test gives resources of the platform in place of the environment's."""
    registry = ModelRegistry.of_folder(Path(__file__).parent / "models")
    platform = build_definitions(environment, registry=registry, resources=resources)
    own = dg.Definitions(
        assets=build_assets(Grid(registry, environment.name)),
        resources={"io_manager": JsonFiles(folder=str(environment.home / "tutoring")), "learning": Learning()},
        executor=dg.multiprocess_executor.configured({"max_concurrent": 2}),
    )
    return dg.Definitions.merge(platform, own)


defs = build(current_environment())
