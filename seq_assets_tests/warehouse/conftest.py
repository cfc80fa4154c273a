"""Fixtures of warehouse tests: an empty local warehouse and a workspace on it."""

from pathlib import Path

import pytest

from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets_tests.warehouse.building import Workspace


@pytest.fixture
def warehouse(tmp_path: Path) -> LocalWarehouse:
    return LocalWarehouse(tmp_path / "home")


@pytest.fixture
def workspace(tmp_path: Path, warehouse: LocalWarehouse) -> Workspace:
    folder = tmp_path / "models"
    folder.mkdir()
    return Workspace(folder, warehouse)
