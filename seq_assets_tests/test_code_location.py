"""The code location is one and the same, whoever loads it: `dg`, `dagster dev`, one's own Dagster, Dagster+.

Runs, schedules and sensors are remembered by its name: under another one they would be others.
"""

from pathlib import Path
from typing import Final

import pytest
import yaml
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin
from dagster._core.workspace.load_target import PyProjectFileTarget, WorkspaceFileTarget, WorkspaceLoadTarget
from dagster_dg_core.context import DgContext

from seq_assets.environments import CODE_LOCATION, DEFINITIONS_MODULE

CHECKOUT: Final = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "target",
    [PyProjectFileTarget(str(CHECKOUT / "pyproject.toml")), WorkspaceFileTarget([str(CHECKOUT / "workspace.yaml")])],
    ids=["pyproject.toml", "workspace.yaml"],
)
def test_dagster_loads_the_definitions_as_the_code_location(target: WorkspaceLoadTarget) -> None:
    (origin,) = target.create_origins()
    assert isinstance(origin, ManagedGrpcPythonEnvCodeLocationOrigin)
    assert (origin.location_name, origin.loadable_target_origin.module_name) == (CODE_LOCATION, DEFINITIONS_MODULE)


def test_dg_loads_the_definitions_as_the_code_location() -> None:
    context = DgContext.for_project_environment(CHECKOUT, {})
    assert (context.code_location_name, context.code_location_target_module_name) == (CODE_LOCATION, DEFINITIONS_MODULE)


def test_dagster_plus_loads_the_definitions_as_the_code_location() -> None:
    (location,) = yaml.safe_load((CHECKOUT / "dagster_cloud.yaml").read_text(encoding="utf-8"))["locations"]
    assert (location["location_name"], location["code_source"]["module_name"]) == (CODE_LOCATION, DEFINITIONS_MODULE)
