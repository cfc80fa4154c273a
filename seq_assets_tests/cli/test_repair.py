"""`repair`, and what every other command says of a damaged home."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import seq_assets
from seq_assets.errors import DamagedError
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets_tests.cli.running import SOURCE, run, run_json
from seq_assets_tests.warehouse.building import Workspace


@pytest.fixture
def home(home_with_history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that a test may damage."""
    copy = shutil.copytree(home_with_history, tmp_path / "copy")
    monkeypatch.setenv("SEQ_ASSETS_HOME", str(copy))
    return Path(copy)


def test_a_lost_catalog_is_said_by_every_reader_and_mended(home: Path) -> None:
    before = run_json("versions", "plain")
    (home / "catalog.db").unlink()
    for command in (("models",), ("versions", "plain")):
        assert "catalog.db is missing" in run(*command, code=1).stderr
    for read in (seq_assets.connect, lambda: seq_assets.load("plain", sequence_length=4), lambda: seq_assets.versions("plain")):
        with pytest.raises(DamagedError, match="Run `seq-assets repair`"):
            read()
    shown = run("repair").stdout
    assert f"{home}/catalog.db is missing. A new one stands in its place." in shown
    assert f"plain_raw_observations: the catalog does not list it, though {home}/warehouse/" in shown
    assert f"versions: 2, the newest: {before[0]['version']}" in shown
    assert run_json("versions", "plain") == before
    assert run("repair").stdout.startswith("Nothing to repair: ")
    assert run_json("repair") == {"catalog": None, "tables": [], "missing": []}


def test_broken_metadata_is_a_warning_for_readers_and_mended(home: Path) -> None:
    older = run_json("versions", "plain")[1]
    folder = home / "warehouse" / "seq_assets_local" / "plain_raw_observations" / "metadata"
    (broken,) = folder.glob("00002-*.metadata.json")
    broken.write_bytes(b"\x00" * 10)
    shown = run("versions", "plain", "--json")
    assert older["version"] in shown.stdout
    assert shown.stderr.startswith("Warning: seq_assets_local.plain_raw_observations: the catalog names ")
    assert shown.stderr.count("Warning") == 1
    told = run_json("repair")
    (table,) = told["tables"]
    assert (table["table"], table["repaired"], table["versions"]) == ("plain_raw_observations", True, [older["version"]])
    # What was sequenced from the newest raw version names it still.
    assert all("which is not there: materialize plain with --force." in sentence for sentence in told["missing"])
    assert len(told["missing"]) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("runs_in_memory")
def test_a_damaged_table_takes_no_other_model_down(workspace: Workspace) -> None:
    workspace.write("source.csv", SOURCE)
    for name in ("one", "other"):
        workspace.ingest(workspace.model(name=name))
    warehouse = workspace.warehouse
    assert isinstance(warehouse, LocalWarehouse)
    catalog: Any = warehouse.tables._catalog
    catalog.drop_table((warehouse.database, "one_raw_observations"))
    workspace.write("source.csv", SOURCE + "3,1,50\n")
    shown = run("materialize", code=1)
    assert "other_raw_observations" in shown.stdout
    assert "one failed:" in shown.stderr
    assert "one_raw_observations: the catalog does not list it, though " in shown.stderr
    assert "Run `seq-assets repair`" in shown.stderr
    assert "other failed" not in shown.stderr


def test_what_cannot_be_mended_is_exit_code_1_with_the_way_out(home: Path) -> None:
    for file in (home / "warehouse" / "seq_assets_local" / "plain_raw_observations" / "metadata").glob("*.metadata.json"):
        file.write_text("{}")
    shown = run("repair", code=1)
    assert "done: nothing, because none of its metadata is whole" in shown.stdout
    assert "given up: 00001-" in shown.stdout
    assert "plain_raw_observations could not be repaired: put back what is missing of " in shown.stderr
