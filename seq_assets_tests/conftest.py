"""Fixtures of all tests: no test sees this machine's settings, and none writes outside a folder of its own.

Belongs here: places to work in, and data sets that are dear to build. Not here: what a test expects.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings

from seq_assets_tests.athena.fixtures import SHOWN_AT_THE_END, athena, athena_stack, production
from seq_assets_tests.reference import examples

# This file is loaded before the tests' processes start, so what is heavy is imported where it is used.
if TYPE_CHECKING:
    from dagster import DagsterInstance

    from seq_assets.models import Subset
    from seq_assets_tests.warehouse.building import Workspace

# Neither the examples nor what makes them up has a time limit: it would fail tests on a busy machine.
settings.register_profile("seq_assets", deadline=None, max_examples=examples(100), suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("seq_assets")
# The same examples in every run, and the first that fails as it is: for proofs that a test fails, not for finding out why.
settings.register_profile(
    "repeatable", settings.get_profile("seq_assets"), derandomize=True, phases=[Phase.explicit, Phase.generate]
)

__all__ = ["athena", "athena_stack", "production"]

_SETTINGS = ("MODE", "DAGSTER_HOME")
_SEQUENCE_LENGTHS = (50, 100)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows what tests have recorded for people."""
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, text in report.user_properties:
            if name == SHOWN_AT_THE_END:
                terminalreporter.write_line(f"\n{text}")


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings are unset but for a home below the test's folder, which is the working directory; all is restored afterwards."""
    before = dict(os.environ)
    for name in before:
        if name in _SETTINGS or (name.startswith("SEQ_ASSETS_") and not name.startswith("SEQ_ASSETS_TEST_")):
            del os.environ[name]
    os.environ["SEQ_ASSETS_HOME"] = str(tmp_path / "home")
    monkeypatch.chdir(tmp_path)
    yield
    # The command line sets DAGSTER_HOME, which monkeypatch would not notice.
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session", autouse=True)
def _described_pictures() -> Iterator[None]:
    """Pages have descriptions in place of pictures, because drawing them would take a sixth of all tests' time."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("history_lengths_plot", "pad_ratio_plot"):
            patch.setattr(f"seq_assets.io_managers.pages.{name}", lambda *_, name=name: f"![{name}](data:image/png;base64,)")
        yield


@pytest.fixture(scope="session", autouse=True)
def _databases_are_used_again() -> Iterator[None]:
    """Engines share open databases, because opening one takes a third of what most tests of the warehouse take."""
    from seq_assets_tests.warehouse.databases import used_again

    with used_again():
        yield


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Workspace":
    """A folder of model files that SEQ_ASSETS_MODELS names, and the warehouse of the test's home."""
    from seq_assets.warehouse.local.warehouse import LocalWarehouse
    from seq_assets_tests.warehouse.building import Workspace

    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("SEQ_ASSETS_MODELS", str(folder))
    return Workspace(folder, LocalWarehouse(tmp_path / "home"))


@pytest.fixture(scope="session")
def _bundled_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the bundled models `dkt` (two lengths) and `irt`, built once per process."""
    from seq_assets.environments import Environment
    from seq_assets.models import SUBSETS, bundled_models_folder
    from seq_assets.sequencing.plans import IngestPlan, SequencePlan

    home = tmp_path_factory.mktemp("bundled") / "home"
    environment = Environment("local", home, bundled_models_folder(), "seq_assets_local")
    registry, warehouse = environment.registry(), environment.warehouse()
    for name in ("dkt", "irt"):
        spec = registry[name]
        location = spec.location("local")
        assert location is not None
        raw = warehouse.execute(IngestPlan(spec, location, str(registry.folder_of(name)))).version
        for sequence_length in set(spec.lengths) & set(_SEQUENCE_LENGTHS):
            for subset in SUBSETS:
                warehouse.execute(SequencePlan.of(spec, subset, sequence_length, raw.id))
    return home


@pytest.fixture
def bundled_home(_bundled_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SEQ_ASSETS_HOME is a home with the bundled models `dkt` (lengths 50 and 100) and `irt`; for reading only."""
    monkeypatch.setenv("SEQ_ASSETS_HOME", str(_bundled_home))
    return _bundled_home


@pytest.fixture(scope="session")
def _home_with_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of two raw versions of the model `plain`, whose model file and source are gone."""
    from seq_assets.warehouse.local.warehouse import LocalWarehouse
    from seq_assets_tests.warehouse.building import Workspace

    folder = tmp_path_factory.mktemp("history")
    there = Workspace(folder, LocalWarehouse(folder / "home"))
    cells: list[list[tuple[Subset, int]]] = [
        [("train", 4), ("validation", 4), ("validation", 4), ("train", 2)],
        [("train", 4), ("validation", 2)],
    ]
    for items, built in zip(([7], [7, 8, 9]), cells, strict=True):
        source = there.write("source.csv", "pupil,time,item\n" + "".join(f"1,{item},{item}\n" for item in items))
        spec = there.sequence_model(sequence_lengths=[2, 4])
        there.ingest(spec)
        for subset, sequence_length in built:
            there.sequence(spec, subset, sequence_length, force=True)
        source.unlink()
    (folder / "plain.yaml").unlink()
    return folder / "home"


@pytest.fixture
def home_with_history(_home_with_history: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SEQ_ASSETS_HOME is a home of two raw versions of the model `plain`, which has no file any more; for reading only.

    From both, of one and of three items of one pupil: train at length 4. From the first alone: validation at length 4 (twice),
    train at length 2. From the second alone: validation at length 2.
    """
    monkeypatch.setenv("SEQ_ASSETS_HOME", str(_home_with_history))
    return _home_with_history


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT and SIGTERM end this process and those that it starts, also if a shell runs the tests aside.

    Such a shell has SIGINT ignored, and Dagster, where it executes in this process, has SIGTERM handled as SIGINT is.
    """
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    terminate = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, terminate)


@pytest.fixture(scope="session")
def _instance() -> "Iterator[DagsterInstance]":
    import dagster as dg

    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def runs_in_memory(_instance: "DagsterInstance", monkeypatch: pytest.MonkeyPatch) -> "DagsterInstance":
    """Dagster's instance keeps its runs in memory, of which there are none: making a home on disk takes seconds."""
    _instance.wipe()
    # Users of the instance close it; here, others still need it.
    monkeypatch.setattr("dagster.DagsterInstance.get", lambda: nullcontext(_instance))
    return _instance
