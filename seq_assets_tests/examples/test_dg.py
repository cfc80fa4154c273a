"""`dg` as people call it, in processes: in the checkout, in the team's project, and in a project that has the component.

Slow, because a process takes seconds to start: few, and `make test-dg` runs them.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from seq_assets.environments import Environment, prepare_dagster_home
from seq_assets.models import SUBSETS, ModelRegistry, bundled_models_folder
from seq_assets.sequencing.plans import Dataset, IngestPlan, SequencePlan

pytestmark = pytest.mark.dg

CHECKOUT: Final = Path(__file__).parents[2]
TEAM: Final = CHECKOUT / "examples"
COMPONENT: Final = "seq_assets.SequenceModels"
PYPROJECT: Final = """\
[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "clean"
"""
DEFINITIONS: Final = """\
from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
"""
OWN_ASSET: Final = """\
from pathlib import Path

import dagster as dg

from seq_assets import ObservationDataset
from seq_assets.assets.partitions import Grid
from seq_assets.models import ModelRegistry

registry = ModelRegistry.of_folder(Path(__file__).parent / "my_models" / "models")


@dg.asset(partitions_def=Grid(registry, "local").models)
def right_answers(raw_observations: ObservationDataset) -> None:
    right = raw_observations.to_numpy()["correct"].sum()
    Path("right_answers.txt").write_text(f"{raw_observations.version} {right}")
"""


@dataclass(frozen=True)
class Dg:
    """`dg` in a project's folder.

    Attributes:
        folder: The project's.
        variables: The processes' environment.
    """

    folder: Path
    variables: Mapping[str, str]

    def __call__(self, *arguments: str) -> str:
        """Runs a command that must succeed and warn of nothing that is out of date; returns what it prints."""
        command = [str(Path(sys.executable).with_name("dg")), *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.variables, capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert not re.search("supersed|deprecat", done.stdout + done.stderr, re.IGNORECASE)
        return done.stdout

    def assets(self) -> set[str]:
        """The assets that are listed."""
        return {asset["asset_key"] for asset in json.loads(self("list", "defs", "--json"))["assets"]}


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment("local", tmp_path / "home", bundled_models_folder(), "seq_assets_local")


@pytest.fixture
def variables(environment: Environment) -> Mapping[str, str]:
    """What a user has set: where tables and runs are."""
    return {
        **os.environ,
        "SEQ_ASSETS_HOME": str(environment.home),
        "DAGSTER_HOME": str(prepare_dagster_home(environment)),
    }


def publish(environment: Environment, model: str, sequence_length: int) -> None:
    """Publishes the team's model, without Dagster: its assets read what the warehouse has."""
    registry, warehouse = ModelRegistry.of_folder(TEAM / "tutoring" / "models"), environment.warehouse()
    spec = registry[model]
    raw = warehouse.execute(IngestPlan(spec, str(spec.location("local")), str(registry.folder_of(model)))).version
    for subset in SUBSETS:
        warehouse.execute(SequencePlan.of(spec, subset, sequence_length, raw.id))


def newest(environment: Environment, dataset: Dataset) -> Any:
    return environment.warehouse().versions(dataset)[0]


def test_dg_works_in_a_checkout(environment: Environment, variables: Mapping[str, str]) -> None:
    dg = Dg(CHECKOUT, variables)
    assert "All definitions loaded successfully." in dg("check", "defs")
    assert dg.assets() >= {"raw_observations", "sequenced_train"}
    dg("launch", "--job", "ingest", "--partition", "irt")
    assert newest(environment, Dataset.raw("irt")).rows > 0


def test_the_teams_project_runs_with_its_own_executor(environment: Environment, variables: Mapping[str, str]) -> None:
    dg = Dg(TEAM, variables)
    assert "All definitions loaded successfully." in dg("check", "defs")
    publish(environment, "answers", 20)
    dg("launch", "--assets", "skill_difficulty,hardest_skills", "--partition", "answers|20")
    difficulty = json.loads((environment.home / "tutoring" / "skill_difficulty" / "answers|20.json").read_text())
    assert difficulty["version"] == newest(environment, Dataset.sequenced("answers", "train", 20)).id


@pytest.fixture
def clean_project(tmp_path: Path, variables: Mapping[str, str]) -> Dg:
    """A `dg` project with nothing in it."""
    folder = tmp_path / "project"
    (folder / "clean" / "defs").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "clean" / "__init__.py").touch()
    (folder / "clean" / "defs" / "__init__.py").touch()
    (folder / "clean" / "definitions.py").write_text(DEFINITIONS)
    return Dg(folder, variables)


def test_a_project_gets_the_platform_by_one_file(clean_project: Dg, environment: Environment) -> None:
    listed = json.loads(clean_project("list", "components", "--json"))
    assert COMPONENT in {component["key"] for component in listed["items"]}
    clean_project("scaffold", "defs", COMPONENT, "my_models")
    (clean_project.folder / "clean" / "defs" / "right_answers.py").write_text(OWN_ASSET)
    assert "All definitions loaded successfully." in clean_project("check", "defs")
    assert clean_project.assets() >= {"raw_observations", "sequenced_train", "right_answers"}
    clean_project("launch", "--job", "ingest", "--partition", "example")
    clean_project("launch", "--assets", "right_answers", "--partition", "example")
    version, right = (clean_project.folder / "right_answers.txt").read_text().split()
    assert int(version) == newest(environment, Dataset.raw("example")).id
    assert int(right) > 0
