"""Fixtures of tests of the graph: a school whose model files a test adds, and an instance that records its runs."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from seq_assets_tests.assets.building import NO_TELEMETRY, School


@pytest.fixture
def school(tmp_path: Path) -> School:
    """A school with its source `answers.csv` and no model file yet."""
    school = School(tmp_path)
    school.add_source()
    return school


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance that forgets everything after the test."""
    with dg.DagsterInstance.ephemeral(settings=NO_TELEMETRY) as instance:
        yield instance
