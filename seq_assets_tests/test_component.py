"""`seq_assets.SequenceModels`: what a `defs.yaml` can say, what is scaffolded, and which mistakes are named where."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pytest
import yaml
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.testing import DefsFolderSandbox, create_defs_folder_sandbox

from seq_assets import SequenceModels
from seq_assets.assets import build_definitions
from seq_assets.environments import current_environment
from seq_assets.errors import ModelFileError, SeqAssetsError, SettingsError
from seq_assets.io_managers.resources import WarehouseResource
from seq_assets.models import ModelRegistry
from seq_assets_tests.assets.building import BROKEN_FILE
from seq_assets_tests.assets.test_graph import describe

ONLY_CHECKED: Final = "DAGSTER_IS_DEFS_VALIDATION_CLI"


@dataclass(frozen=True)
class Project:
    """A team's `dg` project with the scaffolded component.

    Attributes:
        sandbox: Its folder of definitions.
        folder: The component's folder, of its `defs.yaml`.
    """

    sandbox: DefsFolderSandbox
    folder: Path

    @property
    def models(self) -> Path:
        """The folder of model files that is scaffolded."""
        return self.folder / "models"

    def say(self, **attributes: Any) -> None:
        """Replaces the `defs.yaml` by one with these attributes."""
        content = {"type": "seq_assets.SequenceModels", "attributes": attributes}
        (self.folder / "defs.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")

    def definitions(self) -> dg.Definitions:
        """What Dagster loads."""
        with self.sandbox.load_component_and_build_defs(self.folder) as (_, definitions):
            return definitions

    def warehouse(self) -> Any:
        """The warehouse that the graph is bound to."""
        resources = (self.definitions().resources or {}).values()
        (resource,) = (found for found in resources if isinstance(found, WarehouseResource))
        return resource.open()

    def mistake(self) -> SeqAssetsError:
        """What Dagster shows in place of definitions."""
        with pytest.raises(ComponentTreeException) as raised:
            self.definitions()
        cause = raised.value.__cause__
        assert isinstance(cause, SeqAssetsError), "a message for people"
        return cause


@pytest.fixture
def project() -> Iterator[Project]:
    with create_defs_folder_sandbox() as sandbox:
        yield Project(sandbox, sandbox.scaffold_component(SequenceModels, "my_models"))


def test_what_is_scaffolded_is_the_graph_of_build_definitions(project: Project) -> None:
    registry = ModelRegistry.of_folder(project.models)
    assert registry.names == ("example",)
    assert describe(project.definitions()) == describe(build_definitions(current_environment(), registry=registry))


def test_the_scaffolded_model_is_explained_and_its_source_is_there(project: Project) -> None:
    (file,) = project.models.iterdir()
    assert file.read_text(encoding="utf-8").count("# ") > 5
    assert ModelRegistry.of_folder(project.models)["example"].location("local") == "sample://school"


def test_python_is_scaffolded_where_it_is_asked_for(project: Project) -> None:
    folder = project.sandbox.scaffold_component(SequenceModels, "in_python", scaffold_format="python")
    written = (folder / "component.py").read_text(encoding="utf-8")
    (folder / "component.py").write_text(written.replace(": ...", ": return SequenceModels()"), encoding="utf-8")
    graph = Project(project.sandbox, folder).definitions().resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} >= {"raw_observations", "sequenced_train"}


def test_settings_that_are_left_out_come_from_the_variables(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQ_ASSETS_DATABASE", "by_variable")
    assert project.warehouse().database == "by_variable"
    assert project.warehouse().home == current_environment().home


def test_attributes_beat_the_variables(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE", "BUCKET", "PREFIX", "ENV"):
        monkeypatch.setenv(f"SEQ_ASSETS_{name}", f"{name.lower()}-of-variable")
    project.say(environment="staging", database="ours", bucket="lake", prefix="team/a")
    assert project.warehouse().storage.root == "s3://lake/team/a/ours"


def test_templates_are_filled_from_variables(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.say(database="{{ env.TEAMS_DATABASE }}")
    assert project.warehouse().database == "seq_assets_local", "a variable that is not set says nothing"
    monkeypatch.setenv("TEAMS_DATABASE", "of_the_team")
    assert project.warehouse().database == "of_the_team"


def test_relative_paths_start_at_the_folder_of_the_defs_yaml(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQ_ASSETS_MODELS", "elsewhere")
    project.models.rename(project.folder / "others")
    project.say(models="others", home="../tables")
    assert project.warehouse().home == project.folder.parent / "tables"


@pytest.mark.parametrize(
    ("attributes", "variables", "message"),
    [
        ({"environment": "locale"}, {}, "attributes.environment: found 'locale'; allowed: local, "),
        ({}, {"SEQ_ASSETS_ENV": "locale"}, "attributes.environment or SEQ_ASSETS_ENV: found 'locale'; allowed: local, "),
        ({"environment": "prod"}, {}, "attributes.bucket or SEQ_ASSETS_BUCKET: found nothing; "),
        ({"database": "Ours"}, {}, "attributes.database: found 'Ours'; allowed: a name"),
        ({"models": "nowhere"}, {}, "No folder of model files at "),
    ],
)
def test_a_setting_that_is_not_possible_is_named(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    attributes: dict[str, str],
    variables: dict[str, str],
    message: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    project.say(**attributes)
    mistake = project.mistake()
    assert isinstance(mistake, SettingsError)
    assert str(mistake).startswith(f"{project.folder}: {message}")
    assert "SEQ_ASSETS_MODELS" not in str(mistake), "the attribute says where models are, the variable does not"


def test_a_folder_without_model_files_is_named(project: Project) -> None:
    (project.models / "example.yaml").unlink()
    assert str(project.mistake()).startswith(f"{project.folder}: No model file (.yaml) in {project.models}; ")


def test_a_broken_model_file_takes_no_other_down_but_fails_the_check_of_definitions(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = project.models / "broken.yaml"
    broken.write_text(BROKEN_FILE, encoding="utf-8")
    assert "**Broken model files" in describe_raw(project.definitions())
    monkeypatch.setenv(ONLY_CHECKED, "1")
    mistake = project.mistake()
    assert isinstance(mistake, ModelFileError)
    assert f"{broken}: sourc: found an unknown field" in str(mistake)


def describe_raw(definitions: dg.Definitions) -> str:
    """The description of raw observations."""
    return str(definitions.resolve_asset_graph().get(dg.AssetKey("raw_observations")).description)
