"""Fixtures of the team's project: a home where its model is published, and a real instance that records its runs."""

from collections.abc import Iterator

import dagster as dg
import pytest

from seq_assets.environments import Environment
from seq_assets.models import bundled_models_folder
from seq_assets_tests.assets.building import NO_TELEMETRY, Runner
from tutoring.definitions import build


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The environment of the team's runs, which is not the one of this process."""
    home = tmp_path_factory.mktemp("team") / "home"
    return Environment("local", home, bundled_models_folder(), "seq_assets_local")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance on disk."""
    folder = str(tmp_path_factory.mktemp("instance"))
    with dg.DagsterInstance.local_temp(folder, overrides=NO_TELEMETRY) as instance:
        yield instance


@pytest.fixture(scope="module")
def team(environment: Environment, instance: dg.DagsterInstance) -> Runner:
    """The team's project, with `answers` and its length 20 published."""
    team = Runner(build(environment), instance)
    assert team.job("ingest", "answers").success
    assert team.job("sequence", "answers|20").success
    return team
