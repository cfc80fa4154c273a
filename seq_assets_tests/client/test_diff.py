"""Differences: which versions are compared, and what is said of them. How rows are compared is in `test_comparing.py`."""

import json
from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

import seq_assets
from seq_assets.client.diff import Difference, EntityDifference
from seq_assets.errors import InputError, LostFilesError, NotPublishedError
from seq_assets.models import SUBSETS, Subset
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets_tests.reference.differences import differences
from seq_assets_tests.warehouse.building import PLAIN_COLUMNS, Workspace, published_rows, remove_file

OLD = "pupil,time,item\n1,1,10\n1,2,20\n2,1,30\n3,1,40\n"
NEW = "pupil,time,item\n1,1,10\n1,2,20\n2,1,31\n2,2,5\n4,1,40\n"


def publish(workspace: Workspace, sources: Sequence[str], subsets: Sequence[Subset] = (), **fields: Any) -> list[int]:
    """Versions of the plain model's observations, and of sequences of length 2; the observations' ids, oldest first."""
    raw = []
    for source in sources:
        workspace.write("source.csv", source)
        spec = workspace.sequence_model(**{"sequence_lengths": [2], **fields})
        raw.append(workspace.ingest(spec, force=True).version.id)
        for subset in subsets:
            workspace.sequence(spec, subset, force=True)
    return raw


@pytest.fixture(scope="session")
def _home_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    publish(Workspace(folder, LocalWarehouse(folder / "home")), [OLD, NEW], ["train"])
    return folder / "home"


@pytest.fixture
def two(_home_of_two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home has two versions of the plain model and its train sequences of length 2; for reading only."""
    monkeypatch.setenv("SEQ_ASSETS_HOME", str(_home_of_two))


@pytest.mark.usefixtures("two")
def test_what_changed_is_said_in_counts_and_names() -> None:
    found = seq_assets.diff("plain", sequence_length=2)
    ids = [version.id for version in seq_assets.versions("plain", sequence_length=2)]
    assert (found.table, found.from_version, found.to_version) == ("plain_sequenced_train_2", ids[1], ids[0])
    assert found.rows == (3, 3)
    assert found.entities == (EntityDifference("train", 3, 3, 1, 1, 1, 1, (4,), (3,), (2,)),)
    assert found.altered_columns == {
        "sequence_index": 0,
        "sequence_start": 0,
        "sequence_size": 1,
        "item_sequence": 1,
        "is_pad_sequence": 1,
    }
    assert found.accounting == {
        "observations": (4, 5),
        "sequenced": (4, 5),
        "padding": (2, 1),
        "pad_ratio": (0.333333, 0.166667),
    }
    assert found.metrics["item"] == {
        "unique": (4, 5),
        "min": (10, 5),
        "mean": (25.0, 21.2),
        "standard_deviation": (pytest.approx(12.909944), pytest.approx(14.481022)),
    }
    assert found.label_shares["pupil"] == {"1": (0.5, 0.4), "2": (0.25, 0.4), "3": (0.25, None), "4": (None, 0.2)}
    lines = repr(found).splitlines()
    assert lines[0].startswith(f"plain_sequenced_train_2: {ids[1]} (20")
    assert lines[1:5] == ["rows: 3 -> 3 (+0)", "observations: 4 -> 5", "sequenced: 4 -> 5", "padding: 2 -> 1"]
    assert "entities of train: 3 -> 3; 1 added (4); 1 removed (3); 1 altered (2); 1 unchanged" in lines
    assert "entities with other values, by column: sequence_size 1, item_sequence 1, is_pad_sequence 1" in lines
    assert [line for line in lines if line.startswith("observations, item: unique 4 -> 5; min 10 -> 5; mean 25 -> 21.2")]
    assert seq_assets.diff("plain").from_version == seq_assets.versions("plain")[1].id


@pytest.mark.usefixtures("two")
def test_it_is_a_value_and_json_text() -> None:
    found = seq_assets.diff("plain", sequence_length=2)
    assert found == seq_assets.diff("plain", sequence_length=2, from_version=found.from_version, to_version=found.to_version)
    with pytest.raises(FrozenInstanceError):
        found.rows = (0, 0)  # type: ignore[misc]
    values = json.loads(json.dumps(found.to_dict()))
    assert (values["from_version"], values["to_version"]) == (str(found.from_version), str(found.to_version))
    assert values["rows"] == [3, 3]
    assert values["entities"][0]["first_added"] == [4]
    assert values["is_empty"] is False


@pytest.mark.usefixtures("two")
def test_backwards_it_is_the_other_way_round() -> None:
    newest, oldest = (version.id for version in seq_assets.versions("plain", sequence_length=2))
    found = seq_assets.diff("plain", sequence_length=2, from_version=newest, to_version=oldest)
    assert found.entities == (EntityDifference("train", 3, 3, 1, 1, 1, 1, (3,), (4,), (2,)),)


def test_observations_are_compared_subset_by_subset_and_by_what_was_observed(workspace: Workspace) -> None:
    split = {"strategy": "column", "column": "side", "train": ["t"], "validation": ["v"]}
    columns = dict(PLAIN_COLUMNS) | {"side": {"type": "string"}}
    publish(workspace, ["pupil,time,item,side\n1,1,10,t\n1,2,20,v\n2,1,3,t\n"], split=split, columns=columns)
    # Another order of the records, which is no other observation; and one that has changed sides.
    publish(workspace, ["pupil,time,item,side\n2,1,3,v\n1,2,20,v\n1,1,10,t\n"], split=split, columns=columns)
    found = seq_assets.diff("plain")
    assert found.entities == (
        EntityDifference("train", 2, 1, 0, 1, 0, 1, (), (2,), ()),
        EntityDifference("validation", 1, 2, 1, 0, 0, 1, (2,), (), ()),
    )
    assert (found.accounting, found.rows) == ({"train": (2, 1), "validation": (1, 2)}, (3, 3))
    assert seq_assets.diff("plain", subset="validation").entities == found.entities[1:]


def test_a_version_that_was_built_again_has_changed_in_nothing(workspace: Workspace) -> None:
    publish(workspace, [OLD, OLD], ["train"])
    found = seq_assets.diff("plain", sequence_length=2)
    assert found.from_version != found.to_version
    assert found.is_empty
    assert repr(found).splitlines()[1:] == [
        "nothing changed: schema and rows are the same",
        "rows: 3 -> 3 (+0)",
        "entities of train: 3 -> 3; 0 added; 0 removed; 0 altered; 3 unchanged",
    ]


def test_a_version_and_itself_are_the_same_without_being_read(workspace: Workspace) -> None:
    publish(workspace, [OLD], ["train"])
    [version] = seq_assets.versions("plain", sequence_length=2)
    remove_file(version.files[0])
    found = seq_assets.diff("plain", sequence_length=2, from_version=version.id)
    assert found.is_empty
    assert repr(found).splitlines()[1:] == ["nothing changed: it is the same version"]


@pytest.mark.slow
def test_columns_that_came_went_and_changed_are_named_and_others_compared(workspace: Workspace) -> None:
    text = "pupil,time,item,old,new\n1,1,10,1,1\n1,2,20,1,1\n"
    both = dict(PLAIN_COLUMNS)
    publish(workspace, [text], columns=both | {"old": {"type": "int8"}})
    publish(workspace, [text], columns=both | {"item": {"type": "int64"}, "new": {"type": "string", "nullable": True}})
    found = seq_assets.diff("plain")
    assert found.added_columns == {"new": "string, nullable"}
    assert found.removed_columns == {"old": "int8"}
    assert found.retyped_columns == {"item": ("int32", "int64")}
    assert (found.entities[0].altered, found.is_empty) == (0, False)
    assert set(found.altered_columns) == {"time", "subset", "_position"}
    lines = repr(found).splitlines()
    for line in ("column added: new (string, nullable)", "column removed: old (int8)", "column retyped: item: int32 -> int64"):
        assert line in lines


def test_where_the_entity_is_another_column_no_entities_are_compared(workspace: Workspace) -> None:
    publish(workspace, [OLD], ["train"])
    publish(workspace, [OLD], ["train"], entity="item")
    found = seq_assets.diff("plain", sequence_length=2)
    assert (found.entities, found.altered_columns) == ((), {})
    assert found.added_columns == {"item": "int32"}
    assert found.removed_columns == {"pupil": "int64"}


def test_times_are_readable(workspace: Workspace) -> None:
    columns = dict(PLAIN_COLUMNS) | {"time": {"type": "timestamp"}}
    sources = [f"pupil,time,item\n1,2024-01-0{day} 10:00,1\n" for day in (1, 2)]
    publish(workspace, sources, columns=columns)
    assert seq_assets.diff("plain").metrics["time"]["min"] == ("2024-01-01T10:00:00+00:00", "2024-01-02T10:00:00+00:00")


@pytest.mark.slow
@pytest.mark.parametrize("mode", [{"mode": "sliding", "stride": 1}, {"mode": "prefix"}])
def test_real_versions_are_compared_as_one_entity_at_a_time_is(workspace: Workspace, mode: dict[str, Any]) -> None:
    histories = {pupil: [pupil * 3 + item for item in range(pupil % 7 + 1)] for pupil in range(40)}
    others = {pupil: items[:-1] if pupil % 5 == 0 else items for pupil, items in histories.items() if pupil % 11}
    sources = [
        "pupil,time,item\n" + "".join(f"{pupil},{n},{item}\n" for pupil, items in each.items() for n, item in enumerate(items))
        for each in (histories, others | {99: [1]})
    ]
    publish(workspace, sources, SUBSETS, window=mode, split={"strategy": "entity_hash", "validation_fraction": 0.4})
    warehouse = workspace.warehouse
    for subset in SUBSETS:
        new, old = (published_rows(warehouse, each) for each in warehouse.versions(Dataset.sequenced("plain", subset, 2)))
        found = seq_assets.diff("plain", sequence_length=2, subset=subset)
        columns = list(found.altered_columns)
        expected = differences(old, new, "pupil", columns)
        [entities] = found.entities
        assert (entities.added, entities.removed) == (len(expected.added), len(expected.removed))
        assert (entities.altered, entities.unchanged) == (len(expected.altered), len(expected.unchanged))
        assert found.altered_columns == expected.columns
        assert list(entities.first_altered) == expected.altered[:5]
        assert f"{entities.altered:,} altered ({', '.join(map(str, expected.altered[:5]))}" in repr(found)


def test_versions_that_are_not_there_are_named(workspace: Workspace) -> None:
    raw = publish(workspace, [OLD], ["train"])
    for arguments, message in [
        ({"sequence_length": 2}, "plain_sequenced_train_2 has no version before "),
        ({"to_version": 5}, f"plain_raw_observations has no version 5; its newest are {raw[0]}"),
        ({"from_version": 5}, f"plain_raw_observations has no version 5; its newest are {raw[0]}"),
        ({"sequence_length": 3}, "plain_sequenced_train_3 has no published version; materialize it first"),
    ]:
        with pytest.raises(NotPublishedError, match=message):
            seq_assets.diff("plain", **arguments)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="subset: found 'test'; allowed: 'train' or 'validation'"):
        seq_assets.diff("plain", subset="test")  # type: ignore[arg-type]


@pytest.mark.usefixtures("bundled_home")
def test_models_that_are_not_there_are_named() -> None:
    with pytest.raises(NotPublishedError, match="No model 'dktt'; allowed: dkt, irt, recommender, sakt; did you mean 'dkt'"):
        seq_assets.diff("dktt")
    with pytest.raises(NotPublishedError, match="irt is a raw model, without sequences"):
        seq_assets.diff("irt", sequence_length=50)
    with pytest.raises(NotPublishedError, match="recommender_raw_observations has no published version"):
        seq_assets.diff("recommender")


@pytest.mark.slow
def test_a_version_whose_files_are_gone_is_named(workspace: Workspace) -> None:
    publish(workspace, [OLD, OLD], ["train"])
    [newest, oldest] = seq_assets.versions("plain", sequence_length=2)
    remove_file(oldest.files[0])
    with pytest.raises(LostFilesError, match=f"plain_sequenced_train_2, version {oldest.id}, cannot be read"):
        seq_assets.diff("plain", sequence_length=2)
    assert newest.id != oldest.id


@pytest.mark.usefixtures("two")
def test_a_raw_version_that_is_gone_leaves_out_what_it_said_of_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    find = LocalWarehouse.find

    def gone(self: Any, dataset: Dataset, version: int | None = None) -> Any:
        if dataset.kind == "raw_observations":
            raise NotPublishedError("gone")
        return find(self, dataset, version)

    monkeypatch.setattr(LocalWarehouse, "find", gone)
    found = seq_assets.diff("plain", sequence_length=2)
    assert (found.metrics, found.label_shares, found.entities[0].altered) == ({}, {}, 1)
    assert isinstance(found, Difference)
