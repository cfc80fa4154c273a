"""The warehouses that share one contract; every test of the suite runs on each of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from seq_assets.warehouse.interface import Warehouse
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets_tests.warehouse.building import Workspace

WAREHOUSES: dict[str, Callable[[Path], Warehouse]] = {
    "local": lambda folder: LocalWarehouse(folder / "home"),
}


@pytest.fixture(params=list(WAREHOUSES))
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    """An empty warehouse."""
    return WAREHOUSES[request.param](tmp_path)


@pytest.fixture
def workspace(tmp_path: Path, warehouse: Warehouse) -> Workspace:
    """A folder of model files and sources, and the warehouse that executes their plans."""
    folder = tmp_path / "models"
    folder.mkdir()
    return Workspace(folder, warehouse)
