"""The command line: what each command prints, its exit codes, and that no mistake of a user ends in a traceback."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from dagster import AssetKey, DagsterInstance

import seq_assets
from seq_assets import client
from seq_assets.cli import cli
from seq_assets.models import SUBSETS, Subset, bundled_models_folder
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.interface import Version
from seq_assets_tests.warehouse.building import Workspace

SOURCE = "pupil,time,item\n1,1,10\n1,2,20\n1,3,30\n2,1,40\n"
ANSWERS = """\
pupilid,timestamp,skillid,correct,elapsed
1,2024-01-01,3,1,2.5
1,2024-01-02,4,0,
2,2024-01-01,5,1,1
4,2024-01-01,6,0,1
"""


def run(*arguments: str | Path, code: int = 0) -> Result:
    """Runs a command that must end with this exit code, and never with a traceback."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="seq-assets")
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def run_json(*arguments: str | Path, code: int = 0) -> Any:
    """What a command prints with `--json`, and nothing but that on standard output."""
    return json.loads(run(*arguments, "--json", code=code).stdout)


def raw_versions(workspace: Workspace, model: str = "plain") -> list[Version]:
    return workspace.warehouse.versions(Dataset.raw(model))


@pytest.fixture
def plain(workspace: Workspace) -> Workspace:
    """The sequence model `plain`, with the lengths 2 and 4; nothing is built."""
    workspace.write("source.csv", SOURCE)
    workspace.sequence_model(sequence_lengths=[2, 4])
    return workspace


# Help and usage


@pytest.mark.parametrize("command", ["models", "validate", "materialize", "versions", "advise", "sequence"])
def test_every_command_explains_itself(command: str) -> None:
    listed = run("--help").output
    assert command in listed
    shown = run(command, "--help").output
    assert shown == run(command, "-h").output
    assert shown.startswith(f"Usage: seq-assets {command} ")


def test_help_shows_what_happens_without_a_flag() -> None:
    shown = {name: " ".join(run(name, "--help").output.split()) for name in ("materialize", "validate", "versions")}
    assert "Builds models (all by default)" in shown["materialize"]
    assert "Only this length (repeatable); default: all." in shown["materialize"]
    assert "(all of the models folder by default)" in shown["validate"]
    assert "default: the raw observations" in shown["versions"]
    assert "Only this subset; default: both." in shown["versions"]


def test_help_of_sequence_shows_every_default_and_variable() -> None:
    shown = " ".join(run("sequence", "--help").output.split())
    for flag, default in {
        "s3_data_location": "data/raw",
        "sequence_length": "5",
        "output_s3_location": "data/sequenced",
        "model": "dkt",
        "subset": "all",
    }.items():
        assert f"--{flag} " in shown
        assert f"[env var: SEQ_ASSETS_{flag.upper()}; default: {default}" in shown


def test_the_version_is_that_of_the_package() -> None:
    assert run("--version").output == "seq-assets, version 0.1.0\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["no_such_command"],
        ["materialize", "--no_such_flag"],
        ["materialize", "--sequence-length", "five"],
        ["versions"],
        ["versions", "dkt", "--subset", "test", "--sequence-length", "50"],
        ["sequence", "--sequence_length", "0"],
        ["sequence", "--sequence_length", "10001"],
        ["sequence", "--subset", "test"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert "Usage: seq-assets" in run(*arguments, code=2).stderr


def test_an_unknown_environment_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQ_ASSETS_ENV", "prot")
    assert "SEQ_ASSETS_ENV: found 'prot'; allowed: local" in run("models", code=1).stderr


# models


@pytest.mark.usefixtures("bundled_home")
def test_models_shows_lengths_and_what_is_built() -> None:
    shown = run("models").output
    for name in ("dkt", "irt", "recommender", "sakt"):
        assert f"\n{name}  " in f"\n{shown}"
    assert "lengths: 50, 100, 200" in shown
    assert "lengths: none (a raw model)" in shown
    assert str(seq_assets.versions("dkt", sequence_length=50)[0].id) in shown


@pytest.mark.usefixtures("bundled_home")
def test_models_as_json() -> None:
    shown = {model["model"]: model for model in run_json("models")}
    assert list(shown) == ["dkt", "irt", "recommender", "sakt"]
    assert shown["dkt"]["sequence_lengths"] == [50, 100, 200]
    assert shown["irt"]["sequence_lengths"] == shown["sakt"]["built"] == []
    assert shown["dkt"]["error"] is None
    built = {table["table"]: table for table in shown["dkt"]["built"]}
    version = seq_assets.versions("dkt", sequence_length=50, subset="validation")[0]
    table = built["dkt_sequenced_validation_50"]
    assert (table["version"], table["rows"], table["raw_version"]) == (version.id, version.rows, version.raw_version)
    assert 0 < table["pad_ratio"] < 1
    assert built["dkt_raw_observations"]["pad_ratio"] is None


def test_models_shows_the_mistakes_of_a_broken_file_among_the_good(plain: Workspace) -> None:
    (plain.folder / "broken.yaml").write_text("name: broken\nentity: 1\n", encoding="utf-8")
    shown = {model["model"]: model for model in run_json("models")}
    assert "broken.yaml: entity: found 1" in shown["broken"]["error"]
    assert shown["plain"]["error"] is None
    assert "broken.yaml: entity: found 1" in run("models").output


def test_a_models_folder_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQ_ASSETS_MODELS", "nowhere")
    for command in ("models", "validate", "materialize"):
        assert "nowhere; set SEQ_ASSETS_MODELS to one that exists" in run(command, code=1).stderr


def test_a_models_folder_without_models_is_said(workspace: Workspace) -> None:
    assert f"{workspace.folder}; add one, or set SEQ_ASSETS_MODELS" in run("materialize", code=1).stderr


# validate


def test_validate_says_which_files_are_right() -> None:
    shown = run("validate").output.splitlines()
    assert shown == [f"{bundled_models_folder() / name}.yaml: ok" for name in ("dkt", "irt", "recommender", "sakt")]


def test_validate_shows_every_mistake_of_every_file_at_once(plain: Workspace) -> None:
    first, second = plain.folder / "first.yaml", plain.folder / "second.yaml"
    first.write_text("name: First\ncolumns: {a: {type: int65}}\nentity: a\nsource: {location: x.csv}\n", encoding="utf-8")
    second.write_text("name: [", encoding="utf-8")
    result = run("validate", code=1)
    assert result.stdout == f"{plain.folder / 'plain.yaml'}: ok\n"
    lines = result.stderr.splitlines()
    assert lines[0].startswith(f"Error: {first}: name: found 'First' (str); allowed: ")
    assert any(line.startswith(f"{first}: columns.a.type: found 'int65' (str); allowed: ") for line in lines)
    assert any(line.startswith(f"{second}: found ") for line in lines)


def test_validate_takes_files(plain: Workspace, tmp_path: Path) -> None:
    good = plain.folder / "plain.yaml"
    assert run("validate", good).output == f"{good}: ok\n"
    copy = tmp_path / "copy.yaml"
    copy.write_text(good.read_text(encoding="utf-8"), encoding="utf-8")
    assert (
        f"{copy}: name: found 'plain'; allowed: a name of its own; {good} has this one"
        in run("validate", good, copy, code=1).stderr
    )


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_validate_says_what_is_no_file(name: str) -> None:
    assert f"Error: {name}: found " in run("validate", name, code=1).stderr


# materialize


@pytest.mark.usefixtures("runs_in_memory")
def test_materialize_builds_everything_and_says_where(plain: Workspace, tmp_path: Path) -> None:
    plain.model(name="other")
    shown = run("materialize").stdout.splitlines()
    assert [line.split()[0] for line in shown[:-1]] == [
        "table",
        "other_raw_observations",
        "plain_raw_observations",
        "plain_sequenced_train_2",
        "plain_sequenced_validation_2",
        "plain_sequenced_train_4",
        "plain_sequenced_validation_4",
    ]
    assert shown[-1] == f"Tables are in {tmp_path / 'home'}"
    assert client.load("plain", sequence_length=4).to_numpy()["item_sequence"].tolist() == [[10, 20, 30, -1], [40, -1, -1, -1]]


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_materialize_names_the_address_of_tables_that_are_not_on_this_machine(
    environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seq_assets.materialize.materialize_models", lambda *_: [])
    for name, value in {"ENV": environment, "BUCKET": "school", "PREFIX": "teams/learning"}.items():
        monkeypatch.setenv(f"SEQ_ASSETS_{name}", value)
    assert run("materialize").stdout == f"Tables are in s3://school/teams/learning/seq_assets_{environment}\n"


@pytest.mark.usefixtures("runs_in_memory")
def test_materialize_builds_only_what_is_asked_for_and_keeps_it_unless_forced(plain: Workspace) -> None:
    plain.model(name="other")
    arguments = ("materialize", "plain", "--sequence-length", "4")
    first = run_json(*arguments)
    assert first["failed"] == {}
    assert [table["table"] for table in first["built"]] == [
        "plain_raw_observations",
        "plain_sequenced_train_4",
        "plain_sequenced_validation_4",
    ]
    assert len(plain.warehouse.datasets()) == 4, "these, and the rejected observations"
    assert run_json(*arguments) == first
    forced = run_json(*arguments, "--force")["built"]
    assert not {table["version"] for table in forced} & {table["version"] for table in first["built"]}
    assert {table["raw_version"] for table in forced[1:]} == {forced[0]["version"]}
    assert len(raw_versions(plain)) == 2


@pytest.mark.usefixtures("plain")
def test_an_unknown_model_gets_the_nearest_word() -> None:
    assert "No model 'plane'; allowed: plain; did you mean 'plain'?" in run("materialize", "plane", code=2).stderr


def test_an_undeclared_length_gets_the_declared_ones(plain: Workspace) -> None:
    plain.model(name="raw")
    message = "No chosen model declares the sequence length {}; declared lengths: 2, 4"
    assert message.format(3) in run("materialize", "--sequence-length", "4", "--sequence-length", "3", code=2).stderr
    assert message.format(4) in run("materialize", "raw", "--sequence-length", "4", code=2).stderr
    assert plain.warehouse.datasets() == []


@pytest.mark.usefixtures("runs_in_memory")
def test_a_broken_model_file_leaves_the_others_built(plain: Workspace) -> None:
    plain.model(name="other")
    (plain.folder / "broken.yaml").write_text("name: broken\nentity: pupil\nwindow: {mod: chunk}\n", encoding="utf-8")
    result = run("materialize", "broken", "other", "--json", code=1)
    message = f"{plain.folder / 'broken.yaml'}: window.mod: found an unknown field; allowed: mode, stride; did you mean 'mode'?"
    assert result.stderr.startswith("broken failed:\n")
    assert message in result.stderr
    shown = json.loads(result.stdout)
    assert list(shown["failed"]) == ["broken"]
    assert message in shown["failed"]["broken"][0]
    assert [table["table"] for table in shown["built"]] == ["other_raw_observations"]
    assert len(raw_versions(plain, "other")) == 1


BAD_SOURCES: Mapping[str, tuple[str | None, list[str]]] = {
    "missing": (None, ["No source file at 'source.csv' (looked in {folder}); put one there or mend source.location."]),
    "empty": ("", ["The source file {folder}/source.csv is empty (0 bytes); remove or mend it."]),
    "header only": ("pupil,time,item\n", ["The source 'source.csv' has no rows in 1 file(s); put some there."]),
    "missing column": (
        "pupil,time,itme\n1,1,1\n",
        ["The source file {folder}/source.csv has no column 'item' (columns.item); found: 'pupil', 'time', 'itme'", "'itme'?"],
    ),
    "unreadable value": (
        "pupil,time,item\n1,1,1\n1,2,1.5\n",
        [
            "plain_raw_observations was not published, because its audit failed:",
            "contract: 1 of 2 records were rejected (unreadable 1), a ratio of 0.5; allowed: checks.rejected_ratio.max, 0.",
            "source.csv, row 2, column 'item', value '1.5': unreadable",
        ],
    ),
    "too many rejected": (
        "pupil,time,item\n1,1,1\n,2,1\n1,,x\n1,4,\n1,5,5\n",
        [
            "contract: 3 of 5 records were rejected (null 3), a ratio of 0.6",
            "source.csv, row 2, column 'pupil', value None: null",
        ],
    ),
}


@pytest.mark.usefixtures("runs_in_memory")
@pytest.mark.parametrize("case", BAD_SOURCES)
def test_a_bad_source_is_said_and_the_last_version_stands(case: str, workspace: Workspace) -> None:
    workspace.write("source.csv", SOURCE)
    spec = workspace.model()
    before = workspace.ingest(spec).version
    content, messages = BAD_SOURCES[case]
    if content is None:
        (workspace.folder / "source.csv").unlink()
    else:
        workspace.write("source.csv", content)

    result = run("materialize", code=1)
    assert result.stderr.startswith("plain failed:\n")
    for message in messages:
        assert message.format(folder=workspace.folder) in result.stderr
    assert raw_versions(workspace) == [before]
    assert str(before.id) in result.stdout, "what stands is shown"
    assert len(workspace.raw_rows(spec)) == 4


def test_materialize_records_its_runs_in_dagsters_home(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.write("source.csv", SOURCE)
    workspace.model()
    given = tmp_path / "given"
    given.mkdir()
    (given / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", "given")
    run("materialize")
    with DagsterInstance.from_config(str(given)) as instance:
        (ingested,) = instance.get_runs()
        recorded = instance.get_latest_materialization_event(AssetKey("raw_observations"))
    assert (ingested.job_name, ingested.is_success) == ("ingest", True)
    tags = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    assert [ingested.tags[tag] for tag in tags] == ["plain", "plain"]
    assert recorded is not None
    assert recorded.asset_materialization is not None
    assert recorded.asset_materialization.partition == "plain"
    assert recorded.asset_materialization.metadata["version"].value == raw_versions(workspace)[0].id
    assert not (tmp_path / "home" / "dagster").exists(), "a given one is used instead"


# versions


@pytest.mark.usefixtures("home_with_history")
def test_versions_are_shown_newest_first_of_a_removed_model_too() -> None:
    raw = run_json("versions", "plain")
    assert [version["version"] for version in raw] == [version.id for version in seq_assets.versions("plain")]
    assert raw[0]["committed_at"] >= raw[1]["committed_at"]
    assert [version["rows"] for version in raw] == [3, 1]
    both = run_json("versions", "plain", "--sequence-length", "4")
    assert [version["table"] for version in both] == [
        "plain_sequenced_train_4",
        "plain_sequenced_train_4",
        "plain_sequenced_validation_4",
        "plain_sequenced_validation_4",
    ]
    assert run_json("versions", "plain", "--sequence-length", "4", "--subset", "train") == both[:2]
    assert [version["raw_version"] for version in both[:2]] == [version["version"] for version in raw]
    assert [(version["rows"], version["pad_ratio"]) for version in both] == [(1, 0.25), (1, 0.75), (0, 0.0), (0, 0.0)]
    lines = run("versions", "plain", "--sequence-length", "4", "--subset", "train").output.splitlines()
    assert lines[0].split() == list(both[0])
    assert [line.split()[1] for line in lines[1:]] == [str(version["version"]) for version in both[:2]]


@pytest.mark.usefixtures("bundled_home")
def test_versions_that_are_not_there_are_an_error() -> None:
    assert "sakt_raw_observations: no published version; materialize sakt first." in run("versions", "sakt", code=1).stderr
    message = "dkt_sequenced_train_7 and dkt_sequenced_validation_7: no published version"
    assert message in run("versions", "dkt", "--sequence-length", "7", code=1).stderr
    assert "--subset needs --sequence-length" in run("versions", "dkt", "--subset", "train", code=2).stderr


# advise


@pytest.mark.usefixtures("bundled_home")
@pytest.mark.parametrize("subset", SUBSETS)
def test_advise_says_of_each_length_what_is_counted_when_it_is_built(subset: Subset) -> None:
    advice = {(row["subset"], row["sequence_length"]): row for row in run_json("advise", "dkt")}
    assert {length for _, length in advice} >= {1, 10, 50, 100, 200, 1000}
    assert [length for (of, length), row in advice.items() if row["declared"] and of == subset] == [50, 100, 200]
    for length in (50, 100):
        [version] = seq_assets.versions("dkt", sequence_length=length, subset=subset)
        built, said = version.metadata["accounting"], advice[subset, length]
        for name in ("sequences", "dropped_min_length", "dropped_truncation"):
            assert said[name] == built[name]
        assert said["pad_ratio"] == round(built["padding"] / built["positions"], 4)
        columns = seq_assets.load("dkt", sequence_length=length, subset=subset, version=version.id).to_numpy()
        assert said["bytes"] == sum(array.nbytes for name, array in columns.items() if name.endswith("_sequence"))
        assert said["mostly_padding"] == round(float((columns["sequence_size"] * 2 <= length).mean()), 4)


@pytest.mark.usefixtures("bundled_home")
def test_advise_takes_any_lengths() -> None:
    lines = run("advise", "dkt", "--sequence-length", "7", "--sequence-length", "50").output.splitlines()
    assert lines[0].split()[:4] == ["subset", "declared", "sequence_length", "sequences"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["train", "False", "7"],
        ["train", "True", "50"],
        ["validation", "False", "7"],
        ["validation", "True", "50"],
    ]


@pytest.mark.usefixtures("bundled_home")
def test_advise_says_what_it_needs() -> None:
    assert "irt is a raw model, without features to sequence" in run("advise", "irt", code=2).stderr
    assert "No model 'dtk'; allowed: dkt, irt, recommender, sakt; did you mean 'dkt'?" in run("advise", "dtk", code=2).stderr
    assert (
        "recommender_raw_observations has no published version; materialize it first"
        in run("advise", "recommender", code=1).stderr
    )


# sequence


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """Answers of three pupils, of whom 4 is in validation."""
    path = tmp_path / "answers.csv"
    path.write_text(ANSWERS, encoding="utf-8")
    return path


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The rows of the Parquet files in a folder."""
    rows: list[dict[str, Any]] = pa.concat_tables(
        pq.ParquetFile(path).read() for path in sorted(folder.glob("*.parquet"))
    ).to_pylist()
    return rows


def test_sequence_prints_the_arguments_first_and_the_locations_last(answers: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("sequence", "--s3_data_location", answers, "--sequence_length", "3", "--output_s3_location", out)
    assert result.stdout.splitlines() == [
        f"s3_data_location: {answers}",
        "sequence_length: 3",
        f"output_s3_location: {out}",
        "model: dkt",
        "subset: all",
        str(out / "train_sequenced_3"),
        str(out / "validation_sequenced_3"),
    ]
    train, validation = rows_of(out / "train_sequenced_3"), rows_of(out / "validation_sequenced_3")
    assert {row["pupilid"]: row["skillid_sequence"] for row in train + validation} == {
        1: [3, 4, -1],
        2: [5, -1, -1],
        4: [6, -1, -1],
    }
    assert sorted(path.name for path in out.iterdir()) == ["train_sequenced_3", "validation_sequenced_3"]
    assert not (tmp_path / "home").exists(), "it keeps no tables"


def test_sequence_takes_dashes_for_underscores_and_flags_beat_variables(
    answers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQ_ASSETS_S3_DATA_LOCATION", "nowhere")
    monkeypatch.setenv("SEQ_ASSETS_SEQUENCE_LENGTH", "2")
    monkeypatch.setenv("SEQ_ASSETS_OUTPUT_S3_LOCATION", str(tmp_path / "by_variable"))
    monkeypatch.setenv("SEQ_ASSETS_SUBSET", "train")
    result = run("sequence", "--s3-data-location", answers, "--sequence-length", "4")
    assert result.stdout.splitlines() == [
        f"s3_data_location: {answers}",
        "sequence_length: 4",
        f"output_s3_location: {tmp_path / 'by_variable'}",
        "model: dkt",
        "subset: train",
        str(tmp_path / "by_variable" / "train_sequenced_4"),
    ]
    assert [path.name for path in (tmp_path / "by_variable").iterdir()] == ["train_sequenced_4"]


def test_sequence_without_flags_uses_its_defaults(answers: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "raw").mkdir(parents=True)
    answers.rename(tmp_path / "data" / "raw" / "answers.csv")
    assert run("sequence").stdout.splitlines()[-1] == str(Path("data/sequenced/validation_sequenced_5"))
    assert {len(row["correct_sequence"]) for row in rows_of(tmp_path / "data" / "sequenced" / "train_sequenced_5")} == {5}


def test_sequence_replaces_the_whole_folder_and_no_other(answers: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    old, other = out / "train_sequenced_2" / "old.parquet", out / "train_sequenced_9" / "other.parquet"
    for path in (old, other):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"old")
    run("sequence", "--s3_data_location", answers, "--sequence_length", "2", "--output_s3_location", out)
    assert [path.name for path in old.parent.iterdir()] == ["part-0.parquet"]
    assert other.read_bytes() == b"old"


@pytest.mark.usefixtures("plain")
def test_sequence_follows_the_named_model(tmp_path: Path) -> None:
    source = tmp_path / "models" / "source.csv"
    run("sequence", "--s3_data_location", source, "--sequence_length", "3", "--output_s3_location", "out", "--model", "plain")
    assert [row["item_sequence"] for row in rows_of(tmp_path / "out" / "train_sequenced_3")] == [[10, 20, 30], [40, -1, -1]]


def test_sequence_writes_the_vocabulary_of_encoded_features_beside_the_sequences(workspace: Workspace, tmp_path: Path) -> None:
    source = workspace.write("source.csv", "pupil,time,item\n1,1,30\n1,2,10\n1,3,30\n")
    workspace.sequence_model(features={"item": {"encode": "vocabulary"}})
    arguments = ("--s3_data_location", source, "--sequence_length", "4", "--output_s3_location", "out", "--model", "plain")
    assert run("sequence", *arguments).stdout.splitlines()[-1] == str(Path("out/vocabulary"))
    assert [row["item_sequence"] for row in rows_of(tmp_path / "out" / "train_sequenced_4")] == [[2, 3, 2, 0]]
    assert [(row["value"], row["id"]) for row in rows_of(tmp_path / "out" / "vocabulary")] == [("30", 2), ("10", 3)]


def test_sequence_refuses_a_bad_source_and_leaves_what_was_written(answers: Path, tmp_path: Path) -> None:
    arguments = ("--s3_data_location", answers, "--sequence_length", "2", "--output_s3_location", "out")
    run("sequence", *arguments)
    before = rows_of(tmp_path / "out" / "train_sequenced_2")
    answers.write_text(ANSWERS.replace("2024-01-02,4,0", "2024-01-02,4,2"), encoding="utf-8")
    message = run("sequence", *arguments, code=1).stderr
    assert "answers.csv, row 2, column 'correct', value '2': is_in" in message
    assert rows_of(tmp_path / "out" / "train_sequenced_2") == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["train_sequenced_2", "validation_sequenced_2"]
    assert "No source file at 'nowhere'" in run("sequence", "--s3_data_location", "nowhere", code=1).stderr


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_sequence_asks_for_nothing_in_the_cloud(
    environment: str, answers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQ_ASSETS_ENV", environment)
    monkeypatch.setenv("SEQ_ASSETS_BUCKET", "school")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # where nobody answers
    out = tmp_path / "out"
    run("sequence", "--s3_data_location", answers, "--sequence_length", "3", "--output_s3_location", out)
    assert len(rows_of(out / "train_sequenced_3") + rows_of(out / "validation_sequenced_3")) == 3


@pytest.mark.parametrize("flag", ["s3_data_location", "output_s3_location"])
def test_sequence_refuses_remote_addresses_in_the_local_environment(flag: str, tmp_path: Path) -> None:
    message = run("sequence", f"--{flag}", "s3://bucket/prefix/", code=1).stderr
    assert "'s3://bucket/prefix/': the environment local reads and writes local paths" in message
    assert list(tmp_path.iterdir()) == []


def test_sequence_refuses_a_model_that_does_not_fit() -> None:
    assert (
        "No model 'dkd'; allowed: dkt, irt, recommender, sakt; did you mean 'dkt'?"
        in run("sequence", "--model", "dkd", code=1).stderr
    )
    assert "--model: irt is a raw model" in run("sequence", "--model", "irt", code=2).stderr
    message = "--sequence_length: found 24; allowed for sakt: at least 25"
    assert message in run("sequence", "--model", "sakt", "--sequence_length", "24", code=2).stderr
