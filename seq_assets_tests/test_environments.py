"""The one switch: which settings the process' variables ask for, and Dagster's home."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from seq_assets.client.datasets import dataset_of
from seq_assets.environments import (
    Environment,
    current_environment,
    default_home,
    prepare_dagster_home,
)
from seq_assets.errors import SettingsError
from seq_assets.io_managers.plan_io_manager import AthenaIOManager, LocalIOManager
from seq_assets.io_managers.resources import LocalWarehouseResource, StagingWarehouseResource
from seq_assets.models import bundled_models_folder
from seq_assets.models.spec import EnvironmentName
from seq_assets.warehouse.athena.warehouse import AthenaWarehouse
from seq_assets.warehouse.local.staging import StagingWarehouse
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.storage.cloud import Cloud


def environment_of(**variables: str) -> Environment:
    return current_environment(variables)


def test_without_settings_the_environment_is_local_below_the_users_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert environment_of() == Environment(
        "local", tmp_path / "me" / ".seq_assets", bundled_models_folder(), "seq_assets_local"
    )


def test_the_default_home_is_beside_the_nearest_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "outer" / "inner"
    deep = inner / "a" / "b"
    deep.mkdir(parents=True)
    for folder in (tmp_path / "outer", inner):
        (folder / "workspace.yaml").write_text("load_from: []\n")
    assert default_home(deep) == inner / "data"
    assert default_home(inner) == inner / "data"
    assert default_home(tmp_path / "outer") == tmp_path / "outer" / "data"
    monkeypatch.chdir(deep)
    assert environment_of().home == inner / "data"
    assert environment_of(SEQ_ASSETS_HOME=str(tmp_path / "mine")).home == tmp_path / "mine"


def test_a_folder_named_like_a_workspace_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "workspace.yaml").mkdir()
    assert default_home(tmp_path) == tmp_path / ".seq_assets"


def test_variables_beat_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    found = environment_of(SEQ_ASSETS_HOME="~/tables", SEQ_ASSETS_MODELS="my_models", SEQ_ASSETS_DATABASE="experiment")
    assert found == Environment("local", tmp_path / "me" / "tables", tmp_path / "my_models", "experiment")
    assert found.dagster_home == tmp_path / "me" / "tables" / "dagster"


def test_an_empty_variable_is_an_unset_one() -> None:
    empty = environment_of(SEQ_ASSETS_ENV="", SEQ_ASSETS_HOME="", SEQ_ASSETS_MODELS="", SEQ_ASSETS_DATABASE="", MODE="")
    assert empty == environment_of()


def test_the_process_variables_are_read_at_each_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert current_environment().home == tmp_path / "home"
    monkeypatch.setenv("SEQ_ASSETS_HOME", str(tmp_path / "other"))
    assert current_environment().home == tmp_path / "other"


def test_mode_local_is_honoured() -> None:
    assert environment_of(MODE="local").name == "local"
    assert environment_of(MODE="elsewhere", SEQ_ASSETS_ENV="local").name == "local"


@pytest.mark.parametrize("variable", ["SEQ_ASSETS_ENV", "MODE"])
def test_an_unknown_environment_names_the_variable_and_the_nearest_allowed_one(variable: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{variable}: found 'locale'; allowed: local.*did you mean 'local'"):
        environment_of(**{variable: "locale"})


def test_a_home_that_duckdb_would_look_for_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^SEQ_ASSETS_HOME: found '.*a\\b'; allowed: a folder without a backslash"):
        environment_of(SEQ_ASSETS_HOME=str(tmp_path / "a\\b"))


@pytest.mark.parametrize("name", ["../other", "/tmp", "a/b", "a.b", "A", "1a", "a b", "a" * 64, " "])
def test_a_database_name_stays_a_name(name: str) -> None:
    with pytest.raises(SettingsError, match=r"^SEQ_ASSETS_DATABASE: found .* allowed: a name"):
        environment_of(SEQ_ASSETS_DATABASE=name)


def test_a_webhook_is_kept_and_shown_nowhere() -> None:
    found = environment_of(SEQ_ASSETS_FAILURE_WEBHOOK="https://chat.example/T0P-53CR37", SEQ_ASSETS_DAGSTER_URL="http://d:3000")
    assert (found.failure_webhook, found.dagster_url) == ("https://chat.example/T0P-53CR37", "http://d:3000")
    assert "T0P-53CR37" not in f"{found} {found!r}"
    assert (environment_of().failure_webhook, environment_of().dagster_url) == (None, None)


@pytest.mark.parametrize("variable", ["SEQ_ASSETS_FAILURE_WEBHOOK", "SEQ_ASSETS_DAGSTER_URL"])
@pytest.mark.parametrize("address", ["chat.example/T0P-53CR37", "file:///T0P-53CR37", "https://", "https://a b", "T0P-53CR37"])
def test_what_is_no_address_is_refused_and_not_repeated(variable: str, address: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{variable}: .* allowed: https://") as error:
        environment_of(**{variable: address})
    assert "T0P-53CR37" not in str(error.value)


@pytest.mark.parametrize(("name", "alone"), [("local", False), ("staging", False), ("prod", True)])
def test_only_prod_runs_by_itself(tmp_path: Path, name: EnvironmentName, alone: bool) -> None:
    assert Environment(name, tmp_path, tmp_path, "tables").runs_by_itself is alone


def test_a_models_folder_that_is_none_is_named(tmp_path: Path) -> None:
    missing = environment_of(SEQ_ASSETS_MODELS=str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match=r"No folder of model files at .*nowhere; set SEQ_ASSETS_MODELS"):
        missing.registry()


def io_manager_of(resources: dict[str, Any]) -> object:
    """The I/O manager that a run gets."""
    with dg.build_resources(resources) as built:
        return built.seq_assets_io_manager


def test_an_environment_binds_its_warehouse(tmp_path: Path) -> None:
    environment = environment_of(SEQ_ASSETS_HOME=str(tmp_path / "home"), SEQ_ASSETS_DATABASE="experiment")
    warehouse = environment.warehouse()
    assert isinstance(warehouse, LocalWarehouse)
    assert (warehouse.home, warehouse.database, warehouse.environment) == (tmp_path / "home", "experiment", "local")
    resources = environment.resources(dataset_of)
    assert set(resources) == {"seq_assets_warehouse", "seq_assets_io_manager"}
    assert isinstance(resources["seq_assets_warehouse"], LocalWarehouseResource)
    assert isinstance(io_manager_of(resources), LocalIOManager)
    opened = resources["seq_assets_warehouse"].open()
    assert isinstance(opened, LocalWarehouse)
    assert (opened.home, opened.database, opened.environment) == (tmp_path / "home", "experiment", "local")


# On AWS


@pytest.fixture
def without_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for a client, or for credentials, fails."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("AWS is asked")

    monkeypatch.setattr("botocore.session.Session.create_client", refuse)
    monkeypatch.setattr("botocore.session.Session.get_credentials", refuse)


def on_aws(name: EnvironmentName, home: Path, **variables: str) -> Environment:
    given = {"SEQ_ASSETS_ENV": name, "SEQ_ASSETS_HOME": str(home), "SEQ_ASSETS_BUCKET": "lake"}
    return environment_of(**given, **variables)


@pytest.mark.parametrize("name", ["staging", "prod"])
@pytest.mark.parametrize("bucket", [{}, {"SEQ_ASSETS_BUCKET": ""}])
def test_environments_on_aws_need_a_bucket(name: str, bucket: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=rf"^SEQ_ASSETS_BUCKET: found nothing; the environment {name} needs .* bucket"):
        environment_of(SEQ_ASSETS_ENV=name, **bucket)


@pytest.mark.parametrize("name", ["staging", "prod"])
def test_each_environment_on_aws_has_a_database_of_its_own(tmp_path: Path, name: EnvironmentName) -> None:
    found = on_aws(name, tmp_path)
    assert (found.database, found.bucket, found.prefix, found.workgroup) == (f"seq_assets_{name}", "lake", "", "primary")
    mine = on_aws(name, tmp_path, SEQ_ASSETS_DATABASE="ours", SEQ_ASSETS_PREFIX="team=a/v1.0", SEQ_ASSETS_WORKGROUP="Team.A-1")
    assert (mine.database, mine.prefix, mine.workgroup) == ("ours", "team=a/v1.0", "Team.A-1")


@pytest.mark.parametrize(
    ("variable", "values"),
    [
        ("SEQ_ASSETS_BUCKET", ["s3://lake", "lake/tables", "Lake", "la", "l" * 64, "lake-", "la ke", "a_lake"]),
        ("SEQ_ASSETS_PREFIX", ["/tables", "tables/", "a//b", "a b", "a'b", "a\nb", "é", "s3://a"]),
        ("SEQ_ASSETS_WORKGROUP", ["a b", "a/b", "w" * 129, "é", "a'b"]),
    ],
)
def test_names_on_aws_stay_names(tmp_path: Path, variable: str, values: list[str]) -> None:
    for value in values:
        with pytest.raises(SettingsError) as error:
            environment_of(
                SEQ_ASSETS_ENV="prod", SEQ_ASSETS_HOME=str(tmp_path), **{"SEQ_ASSETS_BUCKET": "lake", variable: value}
            )
        assert str(error.value).startswith(f"{variable}: found {value!r}; allowed: ")


@pytest.mark.usefixtures("without_aws")
def test_staging_binds_the_local_engine_to_tables_on_s3_and_asks_aws_for_nothing(tmp_path: Path) -> None:
    environment = on_aws("staging", tmp_path, SEQ_ASSETS_PREFIX="team")
    resources = environment.resources(dataset_of)
    assert isinstance(resources["seq_assets_warehouse"], StagingWarehouseResource)
    assert isinstance(io_manager_of(resources), LocalIOManager)
    for warehouse in (environment.warehouse(), resources["seq_assets_warehouse"].open()):
        assert isinstance(warehouse, StagingWarehouse)
        assert (warehouse.home, warehouse.cloud) == (tmp_path, Cloud("staging", "lake", "team", "seq_assets_staging"))
        assert warehouse.storage.root == "s3://lake/team/seq_assets_staging"


@pytest.mark.usefixtures("without_aws")
def test_prod_binds_athena_and_asks_aws_for_nothing(tmp_path: Path) -> None:
    from seq_assets.io_managers.athena_resource import AthenaWarehouseResource

    environment = on_aws("prod", tmp_path, SEQ_ASSETS_WORKGROUP="team")
    resources = environment.resources(dataset_of)
    assert set(resources) == {"seq_assets_warehouse", "seq_assets_io_manager"}
    assert isinstance(resources["seq_assets_warehouse"], AthenaWarehouseResource)
    assert isinstance(io_manager_of(resources), AthenaIOManager)
    for warehouse in (environment.warehouse(), resources["seq_assets_warehouse"].open()):
        assert isinstance(warehouse, AthenaWarehouse)
        assert (warehouse.home, warehouse.workgroup) == (tmp_path, "team")
        assert warehouse.cloud == Cloud("prod", "lake", "", "seq_assets_prod")
        assert warehouse.storage.root == "s3://lake/seq_assets_prod"


# Dagster's home


def test_dagsters_home_is_configured_once() -> None:
    environment = current_environment()
    home = prepare_dagster_home(environment)
    assert home == environment.home / "dagster"
    configuration = home / "dagster.yaml"
    assert yaml.safe_load(configuration.read_text())["telemetry"] == {"enabled": False}
    configuration.write_text("# mine\n")
    assert prepare_dagster_home(environment) == home
    assert configuration.read_text() == "# mine\n"


def test_a_given_dagster_home_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "given"
    given.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(given))
    environment = current_environment()
    assert prepare_dagster_home(environment) == given
    assert list(given.iterdir()) == []
    assert not environment.dagster_home.exists()


def test_a_given_dagster_home_may_be_relative_and_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "new/runs")
    assert prepare_dagster_home(current_environment()) == tmp_path / "new" / "runs"
    assert (tmp_path / "new" / "runs").is_dir(), "Dagster refuses one that is not there"


def test_run_as_a_module_it_prints_dagsters_home_for_make_dev() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "seq_assets.environments"], env=dict(os.environ), capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{current_environment().dagster_home}\n"
    assert (current_environment().dagster_home / "dagster.yaml").is_file()
