"""`materialize`: what it builds, what it says, and what stands when a source is bad."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from dagster import AssetKey, DagsterInstance

import seq_assets
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.interface import Version
from seq_assets_tests.cli.running import SOURCE, run, run_json
from seq_assets_tests.warehouse.building import Workspace


def raw_versions(workspace: Workspace, model: str = "plain") -> list[Version]:
    return workspace.warehouse.versions(Dataset.raw(model))


def newest(workspace: Workspace, *tables: str) -> list[Version]:
    """The newest version of each of these tables."""
    by_name = {dataset.table: dataset for dataset in workspace.warehouse.datasets()}
    return [workspace.warehouse.find(by_name[table]) for table in tables]


@pytest.mark.usefixtures("runs_in_memory")
def test_materialize_builds_everything_and_says_where(plain: Workspace, tmp_path: Path) -> None:
    plain.model(name="other")
    shown = run("materialize").stdout.splitlines()
    rows = [line.split() for line in shown[:-1]]
    assert [[table, *numbers] for table, _, *numbers in rows] == [
        ["table", "state", "rows", "rejected", "pad_ratio"],
        ["other_raw_observations", "built", "4", "0", "-"],
        ["plain_raw_observations", "built", "4", "0", "-"],
        ["plain_sequenced_train_2", "built", "3", "-", "0.3333"],
        ["plain_sequenced_validation_2", "built", "0", "-", "0.0000"],
        ["plain_sequenced_train_4", "built", "2", "-", "0.5000"],
        ["plain_sequenced_validation_4", "built", "0", "-", "0.0000"],
    ]
    assert [row[1] for row in rows[1:]] == [str(version.id) for version in newest(plain, *(row[0] for row in rows[1:]))]
    assert shown[-1] == f"Tables are in {tmp_path / 'home'}"
    assert seq_assets.load("plain", sequence_length=4).to_numpy()["item_sequence"].tolist() == [
        [10, 20, 30, -1],
        [40, -1, -1, -1],
    ]


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_materialize_names_the_address_of_tables_that_are_not_on_this_machine(
    environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seq_assets.materialize.materialize_models", lambda *_: [])
    for name, value in {"ENV": environment, "BUCKET": "school", "PREFIX": "teams/learning"}.items():
        monkeypatch.setenv(f"SEQ_ASSETS_{name}", value)
    assert run("materialize").stdout == f"Tables are in s3://school/teams/learning/seq_assets_{environment}\n"


@pytest.mark.slow
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
    assert [table["unchanged"] for table in first["built"]] == [False] * 3
    again = run_json(*arguments)
    assert again == first | {"built": [table | {"unchanged": True} for table in first["built"]]}
    forced = run_json(*arguments, "--force")["built"]
    assert not {table["version"] for table in forced} & {table["version"] for table in first["built"]}
    assert {table["raw_version"] for table in forced[1:]} == {forced[0]["version"]}
    assert len(raw_versions(plain)) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("runs_in_memory")
def test_materialize_shows_every_check_that_warns_or_fails_with_its_number(workspace: Workspace) -> None:
    workspace.write("source.csv", SOURCE)
    workspace.sequence_model(sequence_lengths=[2, 4], checks={"pad_ratio": {"warn": 0.3, "max": 0.4}})
    shown = run("materialize").stdout
    assert "\nwarn: pad_ratio of sequenced_train, plain|2: 33.3% of all positions are padding, above " in shown
    assert "\nerror: pad_ratio of sequenced_train, plain|4: 50.0% of all positions are padding, above " in shown
    again = run_json("materialize")
    assert all(table["unchanged"] for table in again["built"])
    found = {check["partition"]: check for check in again["checks"]}
    assert {name: (check["check"], check["asset"], check["severity"]) for name, check in found.items()} == {
        "plain|2": ("pad_ratio", "sequenced_train", "warn"),
        "plain|4": ("pad_ratio", "sequenced_train", "error"),
    }
    assert found["plain|4"]["message"].startswith("50.0% of all positions are padding, above checks.pad_ratio.max (40.0%)")
    assert found["plain|4"]["numbers"]["pad_ratio"] == 0.5


@pytest.mark.usefixtures("runs_in_memory")
def test_materialize_counts_what_was_rejected(workspace: Workspace) -> None:
    workspace.write("source.csv", SOURCE + "3,1,none\n")
    workspace.model(checks={"rejected_ratio": {"max": 0.5}})
    assert run("materialize").stdout.splitlines()[1].split()[2:] == ["built", "4", "1", "-"]
    [table] = run_json("materialize")["built"]
    assert (table["rows"], table["rejected"], table["unchanged"]) == (4, 1, True)


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
    assert result.stdout.splitlines()[1].split()[1:3] == [str(before.id), "unchanged"], "what stands is shown"
    assert len(workspace.raw_rows(spec)) == 4


@pytest.mark.slow
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
    assert recorded.asset_materialization.metadata["version"].value == str(raw_versions(workspace)[0].id)
    assert not (tmp_path / "home" / "dagster").exists(), "a given one is used instead"
