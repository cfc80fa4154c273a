"""The models that ship with the package, and what importing them costs."""

import subprocess
import sys
from pathlib import Path

import pytest

import seq_assets.models
from seq_assets.models import ModelRegistry, bundled_models_folder


@pytest.fixture(scope="module")
def bundled() -> ModelRegistry:
    return ModelRegistry.of_folder(bundled_models_folder())


def test_the_bundled_models_have_no_mistake(bundled: ModelRegistry) -> None:
    assert bundled.names == ("dkt", "irt", "recommender", "sakt")
    assert bundled.broken == {}


def test_every_bundled_model_reads_the_one_sample(bundled: ModelRegistry) -> None:
    assert {spec.location("local") for spec in bundled.values()} == {"sample://school"}
    assert {spec.entity for spec in bundled.values()} == {"pupilid"}
    assert {spec.order_by for spec in bundled.values()} == {("timestamp",)}


def test_the_bundled_models_split_alike_so_that_no_pupil_is_on_two_sides(bundled: ModelRegistry) -> None:
    assert len({spec.split for spec in bundled.values()}) == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [("dkt", ("chunk", "right")), ("sakt", ("sliding", "left")), ("recommender", ("last", "left"))],
)
def test_a_sequence_model_has_its_window_and_padding(
    bundled: ModelRegistry,
    name: str,
    expected: tuple[str, str],
) -> None:
    assert not bundled[name].is_raw
    assert (bundled[name].window.mode, bundled[name].padding.side) == expected


def test_the_bundled_models_sequence_skills_and_exercises(bundled: ModelRegistry) -> None:
    assert "skillid" in bundled["dkt"].features
    assert "exerciseid" in bundled["sakt"].features
    assert "exerciseid" in bundled["recommender"].features


def test_irt_is_a_raw_model(bundled: ModelRegistry) -> None:
    assert bundled["irt"].is_raw
    assert bundled["irt"].lengths == ()


def test_a_name_is_that_of_its_file_and_an_owner_and_a_description_are_given(bundled: ModelRegistry) -> None:
    for name, spec in bundled.items():
        assert bundled.files[name].stem == name
        assert spec.owner
        assert spec.description


def test_an_editor_finds_the_schema_from_every_bundled_file(bundled: ModelRegistry) -> None:
    for path in bundled.files.values():
        first_line = path.read_text(encoding="utf-8").splitlines()[0]
        _, schema = first_line.split("$schema=")
        assert (path.parent / schema).is_file()


def test_importing_the_models_imports_no_engine() -> None:
    heavy = {"pyarrow", "duckdb", "dagster", "pandas", "numpy", "boto3", "pyiceberg"}
    code = "import seq_assets.models, sys; print(*sys.modules)"
    package = Path(seq_assets.models.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=package, check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "seq_assets.models" in loaded
    assert not heavy & loaded
