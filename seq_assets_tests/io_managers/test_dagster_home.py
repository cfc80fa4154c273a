"""Dagster's home, as others may have left it: what is wrong is said with the file and the remedy."""

from pathlib import Path

import pytest

from seq_assets.errors import SettingsError
from seq_assets.io_managers.dagster_home import open_instance


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


def opened() -> None:
    with open_instance() as instance:
        instance.get_runs_count()


@pytest.mark.parametrize(
    ("content", "found"),
    [("storage: [\n", "expected the node content, but found"), ("nonsense: 1\n", 'unexpected config entry "nonsense"')],
)
def test_a_configuration_that_dagster_does_not_like_is_named(home: Path, content: str, found: str) -> None:
    (home / "dagster.yaml").write_text(content)
    with pytest.raises(SettingsError, match=rf"(?s)dagster\.yaml': .*{found}.*Mend that file, or set DAGSTER_HOME to another"):
        opened()


@pytest.mark.parametrize("name", ["history/runs.db", "history/runs/index.db", "schedules/schedules.db"])
def test_a_database_that_is_none_is_named(home: Path, name: str) -> None:
    (home / name).parent.mkdir(parents=True)
    (home / name).write_bytes(b"what is this" * 100)
    with pytest.raises(
        SettingsError, match=f"{name}', where Dagster records runs, cannot be used: it is no database of SQLite"
    ):
        opened()


def test_what_the_machine_refuses_is_told_with_the_remedy(home: Path) -> None:
    (home / "history").touch()
    with pytest.raises(SettingsError, match=r"/history.* cannot be used: .*; mend that, or set DAGSTER_HOME to another folder"):
        opened()


@pytest.mark.usefixtures("runs_in_memory")
def test_an_error_of_what_is_done_with_it_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError), open_instance():
        raise ZeroDivisionError
