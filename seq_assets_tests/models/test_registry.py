"""A folder of model files: each stands for itself."""

import os
import socket
from pathlib import Path

import pytest

from seq_assets.errors import ModelFileError, SettingsError
from seq_assets.models import ModelRegistry, bundled_models_folder, model_files, parse_model, read_model_file
from seq_assets.models.parsing import FAULT
from seq_assets_tests.models.model_files import model, model_text


def write(folder: Path, **texts: str) -> ModelRegistry:
    """The registry of a folder with these files, named without their ending."""
    for stem, text in texts.items():
        (folder / f"{stem}.yaml").write_text(text, encoding="utf-8")
    return ModelRegistry.of_folder(folder)


def named(name: str, **changes: object) -> str:
    return model_text({"name": name, **changes})


def test_models_are_found_by_their_name_not_by_their_file(tmp_path: Path) -> None:
    registry = write(tmp_path, one=named("b"), two=named("a"))
    assert registry.names == ("a", "b")
    assert set(registry) == {"a", "b"}
    assert len(registry) == 2
    assert registry["b"] == model({"name": "b"})


def test_both_endings_of_yaml_are_read_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(named("a"))
    (tmp_path / "b.yaml").write_text(named("b"))
    (tmp_path / "c.json").write_text("{}")
    (tmp_path / "README.md").write_text("# Models")
    assert [path.name for path in model_files(tmp_path)] == ["a.yml", "b.yaml"]


def test_an_empty_folder_has_no_models(tmp_path: Path) -> None:
    registry = ModelRegistry.of_folder(tmp_path)
    assert registry.names == ()
    assert registry.lengths == ()
    with pytest.raises(SettingsError, match="No model 'dkt'; allowed: none: the folder has no model files"):
        registry["dkt"]


def test_a_missing_folder_is_told_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"No folder of model files at .*nowhere; set SEQ_ASSETS_MODELS"):
        ModelRegistry.of_folder(tmp_path / "nowhere")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(named("a"))
    with pytest.raises(SettingsError, match="No folder of model files"):
        model_files(tmp_path / "a.yaml")


def test_an_unknown_model_is_told_with_the_nearest(tmp_path: Path) -> None:
    registry = write(tmp_path, dkt=named("dkt"), irt=named("irt"))
    with pytest.raises(SettingsError) as error:
        registry["dtk"]
    assert str(error.value) == "No model 'dtk'; allowed: dkt, irt; did you mean 'dkt'?"


def test_membership_is_a_question_and_no_mistake(tmp_path: Path) -> None:
    registry = write(tmp_path, good=named("good"), bad="name: [")
    assert "good" in registry
    assert "bad" not in registry
    assert "unknown" not in registry


@pytest.mark.parametrize(
    "text",
    ["", "name: [", "name: Bad", "cutoff: 2024-02-30", "[" * 1_000, "name: 'a\0b'"],
    ids=lambda text: text[:10],
)
def test_a_broken_file_takes_no_other_down(tmp_path: Path, text: str) -> None:
    registry = write(tmp_path, bad=text, good=named("good"))
    assert list(registry) == ["good"]
    assert registry.names == ("bad", "good")
    with pytest.raises(ModelFileError) as error:
        registry["bad"]
    assert {mistake.file for mistake in error.value.mistakes} == {str(tmp_path / "bad.yaml")}


def test_what_cannot_even_be_opened_takes_no_other_down(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    registry = write(tmp_path, good=named("good"))
    assert list(registry) == ["good"]
    assert sorted(registry.broken) == ["dangling", "folder", "latin"]
    assert "a byte that is not UTF-8 at 9; allowed: UTF-8" in str(registry.broken["latin"])


def test_what_would_never_end_is_named_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "device.yaml").symlink_to("/dev/zero")
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.yaml"))
    registry = write(tmp_path, good=named("good"))
    assert list(registry) == ["good"]
    assert {name: error.mistakes[0].found for name, error in registry.broken.items()} == {
        "device": "a device",
        "loop": "Too many levels of symbolic links",
        "pipe": "a named pipe (FIFO)",
        "socket": "a socket",
    }


def test_a_file_of_100_mb_is_refused_by_its_size(tmp_path: Path) -> None:
    with (tmp_path / "large.yaml").open("wb") as opened:
        opened.truncate(100 << 20)
    registry = write(tmp_path, good=named("good"))
    assert list(registry) == ["good"]
    assert str(registry.broken["large"]).endswith(
        "large.yaml: found 104,857,600 bytes; allowed: at most 8,388,608 bytes of text; data belongs into a source"
    )


def test_a_name_of_a_file_that_is_not_utf_8_is_told_as_text(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.yaml")).write_text("name: [", encoding="utf-8")
    registry = ModelRegistry.of_folder(tmp_path)
    assert registry.names == ("_",)
    assert str(registry.broken["_"]).startswith(rf"{tmp_path}/\xff.yaml: found ")


def test_what_nobody_has_words_for_is_said_to_be_a_fault_and_takes_no_other_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(text: str, file: str) -> object:
        return parse_model(text, file) if "good" in text else 1 / 0

    monkeypatch.setattr("seq_assets.models.parsing.parse_model", parse)
    registry = write(tmp_path, bad=named("bad"), good=named("good"))
    assert list(registry) == ["good"]
    assert f"found what {FAULT}: ZeroDivisionError: division by zero; allowed" in str(registry.broken["bad"])
    assert isinstance(registry.broken["bad"].__cause__, ZeroDivisionError)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"missing\.yaml: found No such file or directory"):
        read_model_file(tmp_path / "missing.yaml")


def test_the_second_of_two_files_with_one_name_is_broken(tmp_path: Path) -> None:
    registry = write(tmp_path, a=named("dkt", description="first"), b=named("dkt", description="second"))
    assert registry["dkt"].description == "first"
    assert str(registry.broken["b"]) == (
        f"{tmp_path / 'b.yaml'}: name: found 'dkt'; allowed: a name of its own; {tmp_path / 'a.yaml'} has this one"
    )


def test_a_broken_file_does_not_take_the_name_of_a_good_one(tmp_path: Path) -> None:
    registry = write(tmp_path, dkt="name: [", other=named("dkt"))
    assert "dkt" in registry
    assert registry.files["dkt"] == tmp_path / "other.yaml"
    assert list(registry.broken) == ["dkt_2"]
    assert registry.names == ("dkt", "dkt_2")


@pytest.mark.parametrize("stem", ["a b", 'a"b', "a;b", "a...b", "a|b", "a,b", "a'b"])
def test_a_broken_file_gets_a_name_that_a_partition_may_have(tmp_path: Path, stem: str) -> None:
    registry = write(tmp_path, **{stem: "name: [", "a_b": named("a_b"), "a___b": named("a___b")})
    (name,) = registry.broken
    assert name in ("a_b_2", "a___b_2")


def test_lengths_are_those_of_all_models(tmp_path: Path) -> None:
    registry = write(
        tmp_path,
        a=named("a", sequence_lengths=[100, 5]),
        b=named("b", sequence_lengths=[5, 20]),
        raw=named("raw", sequence_lengths=[7], features={}),
        bad="name: [",
    )
    assert registry.lengths == (5, 20, 100)


def test_a_relative_location_starts_from_the_folder_of_the_file(tmp_path: Path) -> None:
    registry = write(tmp_path, a=named("a"))
    assert registry.folder_of("a") == tmp_path


def test_the_bundled_folder_is_a_folder_of_models() -> None:
    assert ModelRegistry.of_folder(bundled_models_folder()).broken == {}
