"""Vocabularies in every warehouse: who gets which id, what keeps it, and which vocabulary belongs to which version."""

from typing import Any

import pytest

from seq_assets.errors import LostFilesError, NotPublishedError
from seq_assets.models import ModelSpec
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.interface import Version
from seq_assets_tests.warehouse.building import PLAIN_COLUMNS, Row, Workspace, overwrite, published_rows, remove_file

BY_COLUMN = {"strategy": "column", "column": "side", "train": ["t"], "validation": ["v"]}
COLUMNS = {**PLAIN_COLUMNS, "item": {"type": "string"}, "side": {"type": "string"}}


def write_items(workspace: Workspace, train: str, validation: str = "") -> None:
    """One observation per character, of one pupil per subset."""
    sides = [("t", item) for item in train] + [("v", item) for item in validation]
    rows = [f"{'tv'.index(side)},{time},{item},{side}\n" for time, (side, item) in enumerate(sides)]
    workspace.write("source.csv", "pupil,time,item,side\n" + "".join(rows))


def encoding_model(workspace: Workspace, **fields: Any) -> ModelSpec:
    """A model whose feature `item` is encoded."""
    wanted = {"features": {"item": {"encode": "vocabulary"}}, "columns": COLUMNS, "split": BY_COLUMN}
    return workspace.sequence_model(**wanted | fields)


def vocabulary(workspace: Workspace, version: Version) -> list[Row]:
    """The vocabulary that a version names."""
    return published_rows(
        workspace.warehouse, workspace.warehouse.find(Dataset.vocabulary("plain"), version.metadata["vocabulary_version"])
    )


def ids(workspace: Workspace, version: Version, feature: str = "item") -> dict[str, int]:
    return {row["value"]: row["id"] for row in vocabulary(workspace, version) if row["feature"] == feature}


def items(workspace: Workspace, version: Version, feature: str = "item") -> list[list[int]]:
    return [row[f"{feature}_sequence"] for row in published_rows(workspace.warehouse, version)]


def test_values_are_numbered_from_two_by_count_then_by_value(workspace: Workspace) -> None:
    write_items(workspace, "bacéZcab")
    raw = workspace.ingest(encoding_model(workspace)).version
    assert vocabulary(workspace, raw) == [
        {"feature": "item", "value": value, "id": id_, "count": count}
        for value, id_, count in [("a", 2, 2), ("b", 3, 2), ("c", 4, 2), ("Z", 5, 1), ("é", 6, 1)]
    ]


def test_items_are_ids_and_zero_is_padding(workspace: Workspace) -> None:
    write_items(workspace, "abaac")
    spec = encoding_model(workspace)
    workspace.ingest(spec)
    version = workspace.sequence(spec).version
    assert items(workspace, version) == [[2, 3, 2, 2], [4, 0, 0, 0]]
    assert [row["is_pad_sequence"] for row in published_rows(workspace.warehouse, version)] == [[0, 0, 0, 0], [0, 1, 1, 1]]
    assert str(version.schema.stored().field("item_sequence").type.value_type) == "int32"


def test_what_only_validation_has_is_unknown(workspace: Workspace) -> None:
    write_items(workspace, train="ab", validation="xbyx")
    spec = encoding_model(workspace)
    raw = workspace.ingest(spec).version
    assert ids(workspace, raw) == {"a": 2, "b": 3}
    assert items(workspace, workspace.sequence(spec, "validation").version) == [[1, 3, 1, 1]]


def test_a_rejected_observation_has_no_say(workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil,time,item,side\n1,1,a,t\n1,no,z,t\n1,2,z,?\n")
    spec = encoding_model(workspace, checks={"rejected_ratio": {"max": 1}})
    assert ids(workspace, workspace.ingest(spec).version) == {"a": 2}


def test_null_is_unknown_unless_it_is_filled(workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil,time,item,side\n0,1,a,t\n0,2,,t\n0,3,,t\n0,4,b,t\n")
    columns = COLUMNS | {"item": {"type": "string", "nullable": True}}
    spec = encoding_model(workspace, columns=columns)
    raw = workspace.ingest(spec).version
    assert ids(workspace, raw) == {"a": 2, "b": 3}
    assert items(workspace, workspace.sequence(spec).version) == [[2, 1, 1, 3]]
    filled = encoding_model(workspace, columns=columns, features={"item": {"encode": "vocabulary", "fill_null": "none"}})
    raw = workspace.ingest(filled).version
    assert ids(workspace, raw) == {"a": 2, "b": 3, "none": 4}
    assert items(workspace, workspace.sequence(filled).version) == [[2, 4, 4, 3]]


def test_ids_stay_new_values_follow_and_what_vanished_comes_back_to_its_own(workspace: Workspace) -> None:
    spec = encoding_model(workspace)
    write_items(workspace, "aab")
    first = workspace.ingest(spec).version
    write_items(workspace, "bbbbzyz")
    second = workspace.ingest(spec).version
    write_items(workspace, "zzzzaq")
    third = workspace.ingest(spec).version
    assert ids(workspace, first) == {"a": 2, "b": 3}
    assert [(row["value"], row["id"], row["count"]) for row in vocabulary(workspace, second)] == [
        ("a", 2, 0),
        ("b", 3, 4),
        ("z", 4, 2),
        ("y", 5, 1),
    ]
    assert ids(workspace, third) == {"a": 2, "b": 3, "z": 4, "y": 5, "q": 6}
    for version in (first, second, third):
        assert [finding for finding in workspace.warehouse.inspect(version) if not finding.passed] == []


def test_what_is_rare_is_unknown_and_what_became_rare_keeps_its_id(workspace: Workspace) -> None:
    features = {"item": {"encode": "vocabulary", "min_count": 2}}
    spec = encoding_model(workspace, features=features)
    write_items(workspace, "abbcca")
    first = workspace.ingest(spec).version
    write_items(workspace, "abbdde")
    second = workspace.ingest(spec).version
    assert ids(workspace, first) == {"a": 2, "b": 3, "c": 4}
    assert [(row["value"], row["id"], row["count"]) for row in vocabulary(workspace, second)] == [
        ("a", 2, 1),
        ("b", 3, 2),
        ("c", 4, 0),
        ("d", 5, 2),
    ]
    assert items(workspace, workspace.sequence(spec).version) == [[2, 3, 3, 5], [5, 1, 0, 0]]
    lower = encoding_model(workspace)
    assert ids(workspace, workspace.ingest(lower).version) == {"a": 2, "b": 3, "c": 4, "d": 5, "e": 6}


def test_sequences_of_an_old_version_have_its_vocabulary(workspace: Workspace) -> None:
    spec = encoding_model(workspace)
    write_items(workspace, train="ab", validation="q")
    first = workspace.ingest(spec).version
    before = workspace.sequence(spec, "validation").version
    write_items(workspace, train="abq", validation="q")
    second = workspace.ingest(spec).version
    after = workspace.sequence(spec, "validation").version
    assert (items(workspace, before), items(workspace, after)) == ([[1, 0, 0, 0]], [[4, 0, 0, 0]])
    assert before.metadata["vocabulary_version"] == first.metadata["vocabulary_version"]
    assert after.metadata["vocabulary_version"] == second.metadata["vocabulary_version"] != first.metadata["vocabulary_version"]
    assert all(finding.passed for version in (before, after) for finding in workspace.warehouse.inspect(version))


def test_ids_survive_a_time_without_the_feature(workspace: Workspace) -> None:
    write_items(workspace, "ba")
    both = {"item": {"encode": "vocabulary"}, "side": {"encode": "vocabulary"}}
    workspace.ingest(encoding_model(workspace, features=both))
    other = workspace.ingest(encoding_model(workspace, features={"side": {"encode": "vocabulary"}})).version
    assert ids(workspace, other) == {"a": 2, "b": 3}
    assert [row["count"] for row in vocabulary(workspace, other)] == [2, 0, 0]
    write_items(workspace, "ccb")
    none = workspace.ingest(workspace.sequence_model(columns=COLUMNS, split=BY_COLUMN, features={"item": {"pad_value": ""}}))
    assert "vocabulary_version" not in none.version.metadata
    assert ids(workspace, workspace.ingest(encoding_model(workspace)).version) == {"a": 2, "b": 3, "c": 4}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("type_", "values", "expected"),
    [
        ("int64", ["10", "9", "-1", "9223372036854775807"], ["-1", "9", "10", "9223372036854775807"]),
        ("bool", ["true", "false", "1"], ["true", "false"]),
        ("date", ["2024-02-29", "1969-12-31", "0001-01-01"], ["0001-01-01", "1969-12-31", "2024-02-29"]),
        ("string", ["10", "9", "a", "A", " "], [" ", "10", "9", "A", "a"]),
    ],
)
def test_every_type_of_label_can_be_encoded(workspace: Workspace, type_: str, values: list[str], expected: list[str]) -> None:
    workspace.write("source.csv", "pupil,time,item,side\n" + "".join(f"0,{i},{value},t\n" for i, value in enumerate(values)))
    spec = encoding_model(workspace, columns=COLUMNS | {"item": {"type": type_}}, sequence_lengths=[5])
    raw = workspace.ingest(spec).version
    found = ids(workspace, raw)
    assert list(found) == expected
    assert list(found.values()) == list(range(2, 2 + len(expected)))
    [sequence] = items(workspace, workspace.sequence(spec).version)
    assert set(sequence) - {0} == set(found.values())
    assert [finding for finding in workspace.warehouse.inspect(raw) if not finding.passed] == []


def test_what_decides_a_vocabulary_rebuilds_the_raw_observations(workspace: Workspace) -> None:
    write_items(workspace, "ab")
    plain = workspace.sequence_model(columns=COLUMNS, split=BY_COLUMN, features={"item": {"pad_value": ""}})
    assert not workspace.ingest(plain).unchanged
    assert not workspace.ingest(encoding_model(workspace)).unchanged
    assert workspace.ingest(encoding_model(workspace, sequence_lengths=[9])).unchanged


def test_sequences_are_refused_where_the_raw_version_has_no_such_vocabulary(workspace: Workspace) -> None:
    write_items(workspace, "ab")
    workspace.ingest(workspace.sequence_model(columns=COLUMNS, split=BY_COLUMN, features={"item": {"pad_value": ""}}))
    with pytest.raises(NotPublishedError, match=r"item: found no vocabulary .*; materialize raw_observations first"):
        workspace.sequence(encoding_model(workspace))


def test_the_vocabulary_may_be_empty(workspace: Workspace) -> None:
    write_items(workspace, train="", validation="ab")
    spec = encoding_model(workspace)
    raw = workspace.ingest(spec).version
    assert vocabulary(workspace, raw) == []
    assert items(workspace, workspace.sequence(spec, "validation").version) == [[1, 1, 0, 0]]


def test_the_entity_itself_may_be_encoded(workspace: Workspace) -> None:
    write_items(workspace, train="aa", validation="b")
    spec = encoding_model(workspace, features={"pupil": {"encode": "vocabulary"}})
    workspace.ingest(spec)
    assert items(workspace, workspace.sequence(spec).version, "pupil") == [[2, 2, 0, 0]]
    assert items(workspace, workspace.sequence(spec, "validation").version, "pupil") == [[1, 0, 0, 0]]


def test_a_vocabulary_may_have_any_number_of_values(workspace: Workspace) -> None:
    values = [f"v{number:03}" for number in range(300)]
    rows = "".join(f"{number},{number},{value},{value}\n" for number, value in enumerate(values))
    workspace.write("source.csv", f"pupil,time,item,side\n{rows}")
    spec = encoding_model(workspace, split={"strategy": "entity_hash", "validation_fraction": 0})
    assert ids(workspace, workspace.ingest(spec).version) == {value: number for number, value in enumerate(values, 2)}


def test_sequences_are_refused_where_the_raw_columns_are_of_another_model_file(workspace: Workspace) -> None:
    write_items(workspace, "ab")
    workspace.ingest(encoding_model(workspace))
    changed = encoding_model(workspace, columns=COLUMNS | {"pupil": {"type": "string"}})
    with pytest.raises(NotPublishedError, match=r"pupil: found int64, the model file says string\); materialize raw_obs"):
        workspace.sequence(changed)
    more = encoding_model(workspace, columns=COLUMNS | {"hint": {"type": "int8"}}, features={"hint": {"pad_value": 0}})
    with pytest.raises(NotPublishedError, match="hint: found no such column, the model file says int8"):
        workspace.sequence(more)
    other = encoding_model(workspace, entity="item")
    with pytest.raises(NotPublishedError, match="entity: found pupil, the model file says item"):
        workspace.sequence(other)


def test_sequences_are_refused_where_nulls_of_the_raw_observations_would_not_be_filled(workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil,time,item,side\n1,1,,t\n")
    plain = {"item": {"pad_value": ""}}
    nullable = COLUMNS | {"item": {"type": "string", "nullable": True}}
    filled = {"item": {"pad_value": "", "fill_null": "none"}}
    workspace.ingest(workspace.sequence_model(columns=nullable, split=BY_COLUMN, features=filled))
    with pytest.raises(NotPublishedError, match="item: found a column that may be null, the model file says that it may not"):
        workspace.sequence(workspace.sequence_model(columns=COLUMNS, split=BY_COLUMN, features=plain))


# Files that somebody has removed


def vocabulary_file(workspace: Workspace, raw: Version) -> str:
    [file] = workspace.warehouse.find(Dataset.vocabulary("plain"), raw.metadata["vocabulary_version"]).files
    return file


@pytest.mark.slow
def test_a_vocabulary_that_is_gone_is_made_again_with_the_same_ids(workspace: Workspace) -> None:
    spec = encoding_model(workspace)
    versions = []
    for train in ("bbaa", "ccdb", "ea"):
        write_items(workspace, train)
        versions.append(workspace.ingest(spec).version)
    before = vocabulary(workspace, versions[2])
    for raw in versions[1:]:
        remove_file(vocabulary_file(workspace, raw))
    assert not workspace.warehouse.stands(workspace.ingest_plan(spec))
    again = workspace.ingest(spec).version
    assert vocabulary(workspace, again) == before
    assert "is not there" in again.metadata["rebuilt_because"]
    assert "lost_ids" not in again.metadata
    assert all(finding.passed for finding in workspace.warehouse.inspect(again)), "although the one before is gone"
    assert workspace.ingest(spec).unchanged


@pytest.mark.slow
def test_a_vocabulary_is_made_again_from_its_source_where_its_raw_version_is_gone_too(workspace: Workspace) -> None:
    spec = encoding_model(workspace)
    write_items(workspace, "bbac")
    raw = workspace.ingest(spec).version
    before = vocabulary(workspace, raw)
    for file in (raw.files[0], vocabulary_file(workspace, raw)):
        remove_file(file)
    assert vocabulary(workspace, workspace.ingest(spec).version) == before


@pytest.mark.slow
def test_ids_that_cannot_be_made_again_are_refused_and_with_force_never_given_to_another_value(workspace: Workspace) -> None:
    spec = encoding_model(workspace)
    versions = []
    for train in ("aab", "cc"):
        write_items(workspace, train)
        versions.append(workspace.ingest(spec).version)
    assert ids(workspace, versions[1]) == {"a": 2, "b": 3, "c": 4}
    for file in (versions[1].files[0], vocabulary_file(workspace, versions[1])):
        remove_file(file)
    write_items(workspace, "dda")
    with pytest.raises(LostFilesError, match=r"(?s)the ids of its values cannot be made again.*--force: .* new ids, from 5 on"):
        workspace.ingest(spec)
    assert workspace.warehouse.find(Dataset.raw("plain")) == versions[1]
    forced = workspace.ingest(spec, force=True).version
    assert ids(workspace, forced) == {"a": 2, "b": 3, "d": 5}
    assert "cannot be made again" in forced.metadata["lost_ids"]
    assert "with new ids, because" in forced.why_rebuilt
    assert all(finding.passed for finding in workspace.warehouse.inspect(forced))
    write_items(workspace, "ce")
    assert ids(workspace, workspace.ingest(spec).version) == {"a": 2, "b": 3, "d": 5, "c": 6, "e": 7}


def test_a_vocabulary_that_is_overwritten_is_made_again_with_the_same_ids(workspace: Workspace) -> None:
    spec = encoding_model(workspace)
    write_items(workspace, "bbac")
    raw = workspace.ingest(spec).version
    before = vocabulary(workspace, raw)
    overwrite(workspace.warehouse, vocabulary_file(workspace, raw))
    write_items(workspace, "cccd")
    assert vocabulary(workspace, workspace.ingest(spec).version)[: len(before)] == [
        {**row, "count": {"c": 3}.get(row["value"], 0)} for row in before
    ]


@pytest.mark.slow
def test_ids_stay_lost_where_no_value_was_new(workspace: Workspace) -> None:
    spec = encoding_model(workspace)
    versions = []
    for train in ("a", "b"):
        write_items(workspace, train)
        versions.append(workspace.ingest(spec).version)
    for file in (versions[1].files[0], vocabulary_file(workspace, versions[1])):
        remove_file(file)
    write_items(workspace, "a")
    assert ids(workspace, workspace.ingest(spec, force=True).version) == {"a": 2}
    write_items(workspace, "c")
    assert ids(workspace, workspace.ingest(spec).version) == {"a": 2, "c": 4}
