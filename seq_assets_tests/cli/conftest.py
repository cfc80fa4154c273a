"""Fixtures of the command line's tests."""

import pytest

from seq_assets_tests.cli.running import SOURCE
from seq_assets_tests.warehouse.building import Workspace


@pytest.fixture
def plain(workspace: Workspace) -> Workspace:
    """The sequence model `plain`, with the lengths 2 and 4; nothing is built."""
    workspace.write("source.csv", SOURCE)
    workspace.sequence_model(sequence_lengths=[2, 4])
    return workspace
