"""`versions` and `advise`."""

import pytest

import seq_assets
from seq_assets.environments import current_environment
from seq_assets.models import SUBSETS, Subset
from seq_assets_tests.cli.running import run, run_json
from seq_assets_tests.warehouse.building import Workspace


@pytest.mark.usefixtures("home_with_history")
def test_versions_are_shown_newest_first_of_a_removed_model_too() -> None:
    raw = run_json("versions", "plain")
    assert [version["version"] for version in raw] == [str(version.id) for version in seq_assets.versions("plain")]
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
    assert lines[0].split() == [name for name in both[0] if name != "tags"], "where none has a tag"
    assert [line.split()[1] for line in lines[1:]] == [version["version"] for version in both[:2]]


@pytest.mark.usefixtures("bundled_home")
def test_versions_that_are_not_there_are_an_error() -> None:
    assert "sakt_raw_observations: no published version; materialize sakt first." in run("versions", "sakt", code=1).stderr
    message = "dkt_sequenced_train_7 and dkt_sequenced_validation_7: no published version"
    assert message in run("versions", "dkt", "--sequence-length", "7", code=1).stderr
    assert "--subset needs --sequence-length" in run("versions", "dkt", "--subset", "train", code=2).stderr


@pytest.mark.usefixtures("bundled_home")
def test_versions_that_nothing_could_publish_are_wrong_usage() -> None:
    message = "No model 'dktt'; allowed: dkt, irt, recommender, sakt; did you mean 'dkt'?"
    assert message in run("versions", "dktt", code=2).stderr
    assert message in run("versions", "dktt", "--sequence-length", "50", code=2).stderr
    message = "irt is a raw model, without sequences"
    assert message in run("versions", "irt", "--sequence-length", "50", code=2).stderr


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
    assert lines[0].split()[:4] == ["subset", "sequence_length", "declared", "pad_ratio_check"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["train", "7", "no"],
        ["train", "50", "yes"],
        ["validation", "7", "no"],
        ["validation", "50", "yes"],
    ]


@pytest.mark.usefixtures("bundled_home")
def test_advise_marks_the_lengths_that_meet_the_bounds_of_the_check() -> None:
    bounds = current_environment().registry()["dkt"].checks.pad_ratio
    rows = run_json("advise", "dkt")
    for row in rows:
        above = "max" if row["pad_ratio"] > bounds.max else "warn" if row["pad_ratio"] > bounds.warn else None
        assert row["pad_ratio_check"] == ("ok" if above is None else f"above_{above}")
    assert {row["pad_ratio_check"] for row in rows} == {"ok", "above_warn", "above_max"}
    assert {row["pad_ratio_check"] for row in rows if row["declared"]} == {"ok"}


@pytest.mark.parametrize(("warn", "expected"), [(0.25, "ok"), (0.2499, "above_warn")])
def test_a_pad_ratio_that_is_the_bound_meets_it(plain: Workspace, warn: float, expected: str) -> None:
    plain.write("source.csv", "pupil,time,item\n1,1,10\n1,2,20\n1,3,30\n")
    plain.ingest(plain.sequence_model(checks={"pad_ratio": {"warn": warn, "max": 0.9}}))
    [row] = [row for row in run_json("advise", "plain", "--sequence-length", "4") if row["subset"] == "train"]
    assert (row["pad_ratio"], row["pad_ratio_check"]) == (0.25, expected)


@pytest.mark.usefixtures("bundled_home")
def test_advise_says_what_it_needs() -> None:
    assert "irt is a raw model, without features to sequence" in run("advise", "irt", code=2).stderr
    assert "No model 'dtk'; allowed: dkt, irt, recommender, sakt; did you mean 'dkt'?" in run("advise", "dtk", code=2).stderr
    assert (
        "recommender_raw_observations has no published version; materialize it first"
        in run("advise", "recommender", code=1).stderr
    )
