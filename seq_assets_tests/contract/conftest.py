"""The warehouses that share one contract; every test of the suite runs on each of them."""

from pathlib import Path

import pytest

from seq_assets.environments import current_environment
from seq_assets.warehouse.interface import Warehouse
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets_tests.warehouse.building import Workspace

WAREHOUSES = ["local", pytest.param("staging", marks=pytest.mark.athena), pytest.param("prod", marks=pytest.mark.athena)]


@pytest.fixture(params=WAREHOUSES)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """An empty warehouse, named by its environment; other ones than the local one are on the stack."""
    if request.param == "local":
        return LocalWarehouse(tmp_path / "home")
    request.getfixturevalue("production")
    monkeypatch.setenv("SEQ_ASSETS_ENV", request.param)
    return current_environment().warehouse()


@pytest.fixture
def workspace(tmp_path: Path, warehouse: Warehouse) -> Workspace:
    """A folder of model files and sources, and the warehouse that executes their plans."""
    folder = tmp_path / "models"
    folder.mkdir()
    return Workspace(folder, warehouse)
