"""What warns and blocks nothing: what is out of date and why, how far a version drifted, and how much of it is padding."""

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq_assets.assets.judgements import Result, cell_up_to_date, drift, pad_ratio, ratio_of, raw_up_to_date
from seq_assets.assets.partitions import Grid
from seq_assets.assets.raw_observations import plan_ingest
from seq_assets.assets.sequenced import plan_cell
from seq_assets.io_managers.partition_keys import cell_key
from seq_assets.models import ModelRegistry
from seq_assets.models.spec import ChecksSpec
from seq_assets.sequencing.advice import ROUND_LENGTHS
from seq_assets.sequencing.plans import Dataset, IngestPlan, SequencePlan
from seq_assets.sequencing.schemas import VOCABULARY_SCHEMA, raw_schema
from seq_assets.warehouse.interface import RawObservations, Version
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets_tests.assets.building import COLUMNS, FEATURES, School
from seq_assets_tests.models.model_files import model
from seq_assets_tests.reference import examples
from seq_assets_tests.warehouse.building import read_rows

CELL: Final = Dataset.sequenced("dkt", "train", 10)
AGAIN: Final = "; materialize it again"


def ingest(school: School, name: str = "dkt", force: bool = False) -> Version:
    """Publishes raw observations."""
    plan = plan_ingest(school.grid(), name)
    assert isinstance(plan, IngestPlan)
    return school.warehouse.execute(plan, force=force).version


def sequence(school: School, name: str = "dkt", length: int = 10) -> Version:
    """Publishes the train sequences of the newest raw observations."""
    raw = school.warehouse.find(Dataset.raw(name))
    plan = plan_cell(school.grid(), "train", cell_key(name, length), RawObservations({name: raw}))
    assert isinstance(plan, SequencePlan)
    return school.warehouse.execute(plan).version


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> School:
    """The model `dkt`, of which the lengths 5 and 10 are published, and `whole`, without short windows. Not to be changed."""
    school = School(tmp_path_factory.mktemp("built"))
    school.add_source()
    school.add_model("dkt")
    school.add_model("whole", [10], min_length=6)
    for name, lengths in (("dkt", (5, 10)), ("whole", (10,))):
        ingest(school, name)
        for length in lengths:
            sequence(school, name, length)
    return school


@pytest.fixture
def school(built: School, tmp_path: Path) -> School:
    """A copy of it."""
    return built.copied_to(tmp_path)


def of_raw(school: School, name: str = "dkt") -> Result:
    return raw_up_to_date(school.warehouse, school.grid(), name)


def of_cell(school: School, dataset: Dataset = CELL) -> Result:
    return cell_up_to_date(school.warehouse, school.grid(), "train", dataset)


def assert_warns(result: Result, *reasons: str) -> None:
    """A check that did not pass, blocks nothing, and says why, in these lines."""
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert str(result.description).split("\n") == list(reasons)


# Up to date


def test_what_was_just_published_is_up_to_date(built: School) -> None:
    raw, cell = built.warehouse.find(Dataset.raw("dkt")), built.warehouse.find(CELL)
    result = of_raw(built)
    assert (result.check, result.passed, result.description) == ("up_to_date", True, None)
    assert result.metadata == {"version": raw.id}
    result = of_cell(built)
    assert (result.check, result.passed, result.description) == ("up_to_date", True, None)
    assert result.metadata == {"version": cell.id, "raw_version": raw.id, "newest_raw_version": raw.id}


def test_a_changed_source_is_told_of_the_raw_observations_and_of_their_sequences(school: School) -> None:
    os.utime(school.models_folder / "answers.csv", ns=(1, 1))
    published = school.warehouse.find(Dataset.raw("dkt")).committed_at
    reason = f"the source answers.csv has changed since {published:%Y-%m-%d %H:%M:%S} UTC"
    assert_warns(of_raw(school), reason + AGAIN)
    assert_warns(of_cell(school), f"dkt_raw_observations: {reason}{AGAIN}")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"source": {"location": "answers.csv", "options": {"null_values": ["-"]}}}, "source"),
        ({"columns": {**COLUMNS, "skill": {"type": "int64"}}}, "columns"),
        ({"columns": {**COLUMNS, "skill": {"type": "string"}}, "entity": "skill", "features": {}}, "columns, entity"),
        ({"order_by": []}, "order_by"),
        ({"split": {"strategy": "entity_hash", "seed": 1}}, "split"),
        ({"split": {"strategy": "entity_hash", "seed": 1}, "order_by": ["time", "skill"]}, "order_by, split"),
        ({"features": {"skill": {"encode": "vocabulary"}}}, "features"),
        ({"checks": {"rejected_ratio": {"max": 0.5}}}, "checks.rejected_ratio"),
    ],
)
def test_a_changed_model_file_is_told_with_its_parts(school: School, change: dict[str, Any], parts: str) -> None:
    school.add_model("dkt", **change)
    assert_warns(of_raw(school), f"the model file has changed since: {parts}{AGAIN}")


@pytest.mark.parametrize(
    "change",
    [
        {"description": "Other words."},
        {"window": {"mode": "last"}, "padding": {"side": "left"}, "min_length": 2, "sequence_lengths": (5, 10, 20)},
        {"features": {"skill": {"pad_value": -2}}},
        {"checks": {"pad_ratio": {"warn": 0.1}, "drift": {"rows": 0.1}}},
    ],
)
def test_what_does_not_decide_the_raw_observations_leaves_them_up_to_date(school: School, change: dict[str, Any]) -> None:
    school.add_model("dkt", **change)
    assert of_raw(school).passed


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"window": {"mode": "last"}}, "window"),
        ({"padding": {"side": "left"}, "min_length": 2}, "padding_side, min_length"),
        ({"features": {"skill": {"pad_value": -2}}}, "features"),
        ({"features": dict(reversed(list(FEATURES.items())))}, "features"),
    ],
)
def test_a_model_file_that_changed_for_sequences_only_is_told_with_its_parts(
    school: School, change: dict[str, Any], parts: str
) -> None:
    school.add_model("dkt", **change)
    assert of_raw(school).passed
    assert_warns(of_cell(school), f"the model file has changed since: {parts}{AGAIN}")


def test_sequences_of_an_older_raw_version_say_so(school: School) -> None:
    old = school.warehouse.find(Dataset.raw("dkt"))
    new = ingest(school, force=True)
    result = of_cell(school)
    assert_warns(result, f"it was made from the raw version {old.id}, the newest is {new.id}{AGAIN}")
    assert (result.metadata["raw_version"], result.metadata["newest_raw_version"]) == (old.id, new.id)
    sequence(school)
    assert of_cell(school).passed
    assert not of_cell(school, replace(CELL, sequence_length=5)).passed


def test_files_that_are_gone_are_told_of_the_version_that_they_were_of(school: School) -> None:
    raw, cell = school.warehouse.find(Dataset.raw("dkt")), school.warehouse.find(CELL)
    Path(cell.files[0]).unlink()
    assert of_raw(school).passed
    gone = f"{cell.files[0]!r} is not there{AGAIN}"
    assert_warns(of_cell(school), gone)
    rejected = school.warehouse.find(Dataset.rejected("dkt"), raw.metadata["rejected_version"])
    Path(rejected.files[0]).write_bytes(b"cut")
    cut = f"{rejected.files[0]!r} has 3 bytes in place of {rejected.parts[rejected.files[0]]:,}{AGAIN}"
    assert_warns(of_raw(school), cut)
    assert_warns(of_cell(school), gone, f"dkt_raw_observations: {cut}")


def test_a_length_that_is_not_declared_any_more_says_so(school: School) -> None:
    school.add_model("dkt", [5, 7])
    assert str(of_cell(school).description).startswith("dkt|10: no declared cell; dkt has the lengths 5, 7.")
    school.add_model("dkt", [])
    assert str(of_cell(school).description).startswith("dkt|10: no declared cell; dkt is a raw model.")


def test_a_broken_model_file_is_told_with_its_mistakes(school: School) -> None:
    school.add_file("dkt")
    for result in (of_raw(school), of_cell(school)):
        assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert "did you mean 'source'?" in str(result.description)


def test_a_source_that_is_gone_is_told(school: School) -> None:
    (school.models_folder / "answers.csv").unlink()
    for result in (of_raw(school), of_cell(school)):
        assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert "answers.csv" in str(result.description)


def test_an_environment_without_a_location_is_told(built: School) -> None:
    spec = built.grid().registry["dkt"]
    only_local = spec.model_copy(update={"source": spec.source.model_copy(update={"location": {"local": "answers.csv"}})})
    grid = Grid(ModelRegistry({"dkt": only_local}, {}, built.grid().registry.files), "prod")
    result = raw_up_to_date(built.warehouse, grid, "dkt")
    assert str(result.description).startswith("dkt: source.location names no location for the environment 'prod'")


def test_what_was_never_published_is_told_with_the_remedy(built: School) -> None:
    assert_warns(of_raw(built, "other"), "other_raw_observations has no published version; materialize it first.")
    never = replace(CELL, sequence_length=20)
    assert_warns(of_cell(built, never), f"{never.table} has no published version; materialize it first.")


# Drift


RAW: Final = Dataset.raw("dkt")


class Known(LocalWarehouse):
    """A warehouse that only knows versions, newest first, and their vocabularies, and where nothing can be read."""

    def __init__(self, *versions: Version, vocabularies: Mapping[int, pa.Table] | None = None) -> None:
        """Knows these versions, and these vocabularies by the id of the version that names them."""
        super().__init__(Path("nowhere"))
        self.known = versions
        self.vocabularies = vocabularies or {}

    def versions(self, dataset: Dataset) -> list[Version]:
        """Those of the dataset."""
        return [version for version in self.known if version.dataset == dataset]

    def vocabulary(self, version: Version) -> pa.Table | None:
        """That of the version."""
        return self.vocabularies.get(version.id)


def version(
    number: int,
    rows: int = 100,
    dataset: Dataset = RAW,
    labels: Mapping[str, Mapping[str, int] | None] | None = None,
    padding: int = 0,
) -> Version:
    """A version of so many rows, with the labels of each column, or so much padding in a thousand positions."""
    metrics = {name: {} if found is None else {"labels": dict(found)} for name, found in (labels or {}).items()}
    metadata = {"metrics": metrics, "accounting": {"positions": 1_000, "padding": padding}}
    return Version(dataset, number, datetime.now(UTC), rows, raw_schema([]), (), metadata)


def grid(**bounds: float) -> Grid:
    """Of the model `dkt` with these bounds."""
    return Grid(ModelRegistry({"dkt": model({"name": "dkt", "checks.drift": bounds})}, {}, {}), "local")


def drifted(before: Version, after: Version, **bounds: float) -> Result:
    """What is said of a version and the one before it."""
    return drift(Known(after, before), grid(**bounds), after.dataset)


def labelled(*counts: int) -> dict[str, dict[str, int]]:
    """A column with labels, so often each."""
    return {"correct": {str(label): count for label, count in enumerate(counts)}}


def vocabulary(**counts: Mapping[str, int]) -> pa.Table:
    """The values of features, and how many train observations have each."""
    rows = [
        {"feature": feature, "value": value, "id": number, "count": count}
        for feature, values in counts.items()
        for number, (value, count) in enumerate(values.items(), start=2)
    ]
    return pa.Table.from_pylist(rows, VOCABULARY_SCHEMA.stored())


def new_values(old: pa.Table | None, new: pa.Table | None, **bounds: float) -> Result:
    """What is said of a raw version and the one before it, which have these vocabularies."""
    tables = {number: table for number, table in ((1, old), (2, new)) if table is not None}
    return drift(Known(version(2), version(1), vocabularies=tables), grid(**bounds), RAW)


CHANGES: Final = {
    "rows": (0.25, [(version(1, 100), version(2, 125)), (version(1, 100), version(2, 75))]),
    "pad_ratio": (0.25, [(version(1, dataset=CELL, padding=500), version(2, dataset=CELL, padding=750))]),
    "label_share": (0.25, [(version(1, labels=labelled(4, 4)), version(2, labels=labelled(1, 3)))]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_warns_above_its_bound_and_not_at_it(name: str) -> None:
    change, pairs = CHANGES[name]
    for before, after in pairs:
        for bound in (change, change + 0.01, 1.0):
            assert drifted(before, after, **{name: bound}).passed
        result = drifted(before, after, **{name: 0.2})
        assert_warns(
            result,
            f"{name} changed by 0.25 from version 1 to 2; allowed: checks.drift.{name}, 0.2. Look at what changed, or raise "
            "the bound.",
        )
        assert result.metadata.items() >= {"version": 2, "previous_version": 1, name: 0.25}.items()


def test_new_values_warn_above_their_bound_and_not_at_it() -> None:
    old, new = vocabulary(skill={"a": 5}), vocabulary(skill={"a": 3, "b": 1})
    assert all(new_values(old, new, new_values=bound).passed for bound in (0.25, 0.26))
    result = new_values(old, new, new_values=0.24)
    assert not result.passed
    assert result.metadata["new_values"] == 0.25
    assert "new_values changed by 0.25 from version 1 to 2; allowed: checks.drift.new_values, 0.24." in str(result.description)


def test_without_bounds_nothing_warns_but_every_number_is_there() -> None:
    tables = {1: vocabulary(skill={"a": 1}), 2: vocabulary(skill={"b": 1})}
    after = version(2, 10**9, labels=labelled(0, 9))
    result = drift(Known(after, version(1, 1, labels=labelled(9, 0)), vocabularies=tables), grid(), RAW)
    assert (result.passed, result.description) == (True, None)
    assert result.metadata == {
        **{"version": 2, "previous_version": 1},
        **{"rows": 10**9 - 1, "label_share": 1.0, "new_values": 1.0},
    }


def test_every_bound_that_is_exceeded_is_told_on_a_line_of_its_own() -> None:
    result = drifted(version(1, 10, labels=labelled(1, 1)), version(2, 30, labels=labelled(1, 0)), rows=1.5, label_share=0.1)
    assert [line.split(" ")[0] for line in str(result.description).split("\n")] == ["rows", "label_share"]


def test_a_first_version_drifts_from_nothing() -> None:
    result = drift(Known(version(1)), grid(rows=0.0, label_share=0.0), RAW)
    assert (result.passed, result.metadata) == (True, {"version": 1, "compared": "the first version"})


def test_only_the_version_just_before_counts() -> None:
    result = drift(Known(version(3), version(2), version(1, 5)), grid(rows=0.0), RAW)
    assert result.passed
    assert result.metadata["previous_version"] == 2


def test_rows_where_there_were_none_are_a_change_by_all_of_them() -> None:
    assert drifted(version(1, 0), version(2, 7)).metadata["rows"] == 1.0
    assert drifted(version(1, 0), version(2, 0)).metadata["rows"] == 0.0
    assert drifted(version(1, 7), version(2, 0)).metadata["rows"] == 1.0


def test_sequences_have_neither_labels_nor_a_vocabulary_to_compare() -> None:
    result = drifted(version(1, dataset=CELL, padding=100), version(2, dataset=CELL))
    assert result.metadata == {"version": 2, "previous_version": 1, "rows": 0.0, "pad_ratio": 0.1}


def test_labels_that_appear_and_vanish_count() -> None:
    before, after = version(1, labels={"side": {"l": 3, "r": 1}}), version(2, labels={"side": {"l": 3, "m": 1}})
    assert drifted(before, after).metadata["label_share"] == 0.25


@pytest.mark.parametrize("other", [None, {"side": None}, {"side": {}}, {"other": {"r": 1}}])
def test_labels_of_one_version_only_are_not_compared(other: Mapping[str, Mapping[str, int] | None] | None) -> None:
    one, none = version(1, labels={"side": {"l": 1}}), version(2, labels=other)
    assert drifted(one, none, label_share=0.0).metadata["label_share"] == 0.0
    assert drifted(replace(none, id=1), replace(one, id=2), label_share=0.0).passed


Labels = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 1_000), min_size=1)


@settings(max_examples=examples(20))
@given(columns=st.dictionaries(st.sampled_from("xyz"), st.tuples(Labels, Labels), min_size=1))
def test_the_share_of_labels_is_the_largest_change_of_any_in_any_column(
    columns: dict[str, tuple[dict[str, int], dict[str, int]]],
) -> None:
    before, after = ({name: labels[side] for name, labels in columns.items()} for side in (0, 1))
    changes = [
        abs(Fraction(new.get(label, 0), sum(new.values())) - Fraction(old.get(label, 0), sum(old.values())))
        for old, new in columns.values()
        for label in "abcd"
    ]
    found = drifted(version(1, labels=before), version(2, labels=after)).metadata["label_share"]
    assert found == pytest.approx(float(max(changes)), abs=1e-6)
    assert drifted(version(1, labels=after), version(2, labels=before)).metadata["label_share"] == found


@pytest.mark.parametrize(
    ("old", "new", "share"),
    [
        ({"skill": {"a": 1}}, {"skill": {"a": 9}}, 0.0),
        ({"skill": {"a": 1, "b": 1}}, {"skill": {"a": 1, "b": 0}}, 0.0),
        ({"skill": {}}, {"skill": {"a": 1}}, 1.0),
        ({"skill": {"a": 1}}, {"skill": {"a": 0}}, 0.0),
        ({"skill": {"a": 1}}, {}, 0.0),
        ({"skill": {"a": 1}}, {"skill": {"a": 1}, "side": {"a": 3}}, 1.0),
        ({"skill": {"a": 1}, "side": {"b": 1}}, {"skill": {"a": 3, "b": 1}, "side": {"b": 1, "a": 1}}, 0.5),
    ],
)
def test_new_values_are_the_largest_share_that_a_feature_has_of_them(
    old: Mapping[str, Mapping[str, int]], new: Mapping[str, Mapping[str, int]], share: float
) -> None:
    assert new_values(vocabulary(**old), vocabulary(**new)).metadata["new_values"] == share


@pytest.mark.parametrize(("old", "new"), [(None, {"a": 1}), ({"a": 1}, None), (None, None)])
def test_without_a_vocabulary_in_both_versions_there_are_no_new_values(
    old: Mapping[str, int] | None, new: Mapping[str, int] | None
) -> None:
    tables = [None if values is None else vocabulary(skill=values) for values in (old, new)]
    result = new_values(*tables, new_values=0.0)
    assert result.passed
    assert "new_values" not in result.metadata


def test_published_versions_are_compared(school: School) -> None:
    school.add_model("dkt", features={"skill": {"encode": "vocabulary"}}, checks={"drift": {"rows": 0.1, "new_values": 0.1}})
    before = ingest(school)
    (school.models_folder / "answers.csv").write_text("pupil,time,skill,correct\n" + "1,1,99,1\n" * 50, encoding="utf-8")
    after = ingest(school)
    result = drift(school.warehouse, school.grid(), RAW)
    assert result.metadata.items() >= {"version": after.id, "previous_version": before.id, "new_values": 1.0}.items()
    assert result.metadata["rows"] == round(1 - 50 / before.rows, 6)
    assert [line.split(" ")[0] for line in str(result.description).split("\n")] == ["rows", "new_values"]


def test_drift_of_what_was_never_published_or_has_a_broken_model_file_is_told(school: School) -> None:
    assert_warns(
        drift(school.warehouse, school.grid(), replace(CELL, sequence_length=20)),
        "dkt_sequenced_train_20 has no published version; materialize it first.",
    )
    school.add_file("dkt")
    result = drift(school.warehouse, school.grid(), RAW)
    assert not result.passed
    assert "did you mean 'source'?" in str(result.description)


# Pad ratio


def padded(school: School, name: str = "dkt", **bounds: float) -> Result:
    """What is said of the train sequences of length 10 when the model file has these bounds."""
    spec = school.grid().registry[name]
    checked = spec.model_copy(update={"checks": ChecksSpec.model_validate({"pad_ratio": bounds})})
    return pad_ratio(school.warehouse, Grid(ModelRegistry({name: checked}, {}, {}), "local"), replace(CELL, model=name))


def test_a_pad_ratio_passes_at_its_bound_warns_above_it_and_is_an_error_above_the_other(built: School) -> None:
    ratio = ratio_of(built.warehouse.find(CELL))
    assert 0.1 < ratio < 0.9
    assert padded(built, warn=ratio, max=ratio).passed
    assert padded(built).passed
    above: list[tuple[dict[str, float], dg.AssetCheckSeverity]] = [
        ({"warn": ratio - 0.01, "max": ratio}, dg.AssetCheckSeverity.WARN),
        ({"warn": 0.0, "max": ratio - 0.01}, dg.AssetCheckSeverity.ERROR),
    ]
    for bounds, severity in above:
        result = padded(built, "dkt", **bounds)
        assert (result.passed, result.severity) == (False, severity)
        assert result.metadata.items() >= {"pad_ratio": ratio, **bounds}.items()


def test_mostly_padding_is_the_share_of_sequences_that_are_at_most_half_full(built: School) -> None:
    rows = read_rows(built.warehouse.find(CELL))
    share = sum(row["sequence_size"] <= 5 for row in rows) / len(rows)
    assert share > 0
    result = padded(built, warn=0.01, max=1.0)
    assert result.metadata["mostly_padding"] == round(share, 6)
    assert f"{share:.1%} of the sequences are padding in at least half of their positions" in str(result.description)


@pytest.mark.parametrize("bound", [0.0, 0.1, 0.2])
def test_the_longest_round_length_within_the_bound_is_named(built: School, bound: float) -> None:
    pupils = [row["pupil"] for row in read_rows(built.warehouse.find(RAW)) if row["subset"] == "train"]
    histories = [pupils.count(pupil) for pupil in set(pupils)]

    def ratio(length: int) -> float:
        return 1 - sum(histories) / (length * sum(-(-items // length) for items in histories))

    fitting = max(length for length in ROUND_LENGTHS if length < 10 and ratio(length) <= bound)
    result = padded(built, warn=bound, max=1.0)
    assert result.metadata["longest_within"] == fitting
    assert f"a length of {fitting} meets the bound" in str(result.description)


def test_where_no_shorter_length_is_within_the_bound_none_is_named(built: School) -> None:
    result = padded(built, "whole", warn=0.0, max=1.0)
    assert not result.passed
    assert result.metadata["longest_within"] == "none"
    assert "no shorter length meets the bound" in str(result.description)


def test_the_other_declared_lengths_that_are_published_are_compared(built: School) -> None:
    other = built.warehouse.find(replace(CELL, sequence_length=5))
    assert padded(built).metadata["pad_ratio_5"] == ratio_of(other)
    assert [name for name in padded(built, "whole").metadata if name.startswith("pad_ratio_")] == []


def test_the_pad_ratio_of_what_was_never_published_is_an_error(built: School) -> None:
    result = pad_ratio(built.warehouse, built.grid(), replace(CELL, sequence_length=20))
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert result.description == "dkt_sequenced_train_20 has no published version; materialize it first."


def test_a_decimal_change_is_within_a_bound_as_large_as_it() -> None:
    assert drifted(version(1, labels=labelled(7, 3)), version(2, labels=labelled(6, 4)), label_share=0.1).passed
    assert drifted(version(1, dataset=CELL, padding=300), version(2, dataset=CELL, padding=400), pad_ratio=0.1).passed


def test_another_order_of_columns_is_a_change_of_the_columns(school: School) -> None:
    school.add_model("dkt", columns=dict(reversed(list(COLUMNS.items()))))
    assert_warns(of_raw(school), f"the model file has changed since: columns{AGAIN}")


def test_what_decides_nothing_is_not_named(school: School) -> None:
    school.add_model("dkt", order_by=[], checks={"pad_ratio": {"warn": 0.5}}, features={"skill": {"pad_value": -9}})
    assert_warns(of_raw(school), f"the model file has changed since: order_by{AGAIN}")
