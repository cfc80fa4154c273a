"""From source files to `load()`: whatever the model file and the files are, what comes out is what the reference says.

Belongs here: properties of the whole local pipeline, one per format, and what holds for all of them. Not here: single rules of
the contract (`warehouse.local.test_ingest`), or of the windows (`sequencing.test_kernel`).
"""

import csv
import io
import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from fractions import Fraction
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import seq_assets
from seq_assets.errors import AuditError
from seq_assets.models import SUBSETS, ModelSpec, Subset
from seq_assets.models.spec import WindowSpec
from seq_assets.sequencing.kernel import Kernel
from seq_assets.sequencing.plans import Dataset, SequencePlan
from seq_assets.sequencing.schemas import VOCABULARY_SCHEMA
from seq_assets.sequencing.windows import window_of
from seq_assets.warehouse.storage.parquet_files import read_batches
from seq_assets.warehouse.storage.storage import LocalStorage
from seq_assets_tests.reference import Definition, accounting, examples, sequences
from seq_assets_tests.reference.contract import Model, stands_for
from seq_assets_tests.reference.pipeline import Ingested, definition_of, ingest
from seq_assets_tests.reference.reading import as_text
from seq_assets_tests.reference_cases.sources import (
    Source,
    csv_sources,
    json_sources,
    parquet_sources,
    parquet_versions,
    three_line_sources,
)
from seq_assets_tests.sequencing.cases import WINDOWS
from seq_assets_tests.warehouse.building import PLAIN_COLUMNS, Row, Workspace

NUMBERS: Final = itertools.count()
TABLE_WIDE: Final = ("has_unique_values", "has_acceptable_percentage_of_nulls")


def tries(count: int) -> settings:
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples(count), deadline=None, suppress_health_check=checks)


def exactly(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Rows whose values can be compared to the sign of a zero and the difference of 1 and True."""
    return [{name: repr(value) for name, value in row.items()} for row in rows]


# One example


@tries(8)
@given(source=csv_sources(), seed=st.integers(0, 2**32))
def test_any_csv_becomes_what_the_reference_says(workspace: Workspace, source: Source, seed: int) -> None:
    assert_pipeline(workspace, source, random.Random(seed))


@tries(8)
@given(source=json_sources(), seed=st.integers(0, 2**32))
def test_any_json_lines_become_what_the_reference_says(workspace: Workspace, source: Source, seed: int) -> None:
    assert_pipeline(workspace, source, random.Random(seed))


@tries(8)
@given(source=parquet_sources(), seed=st.integers(0, 2**32))
def test_any_parquet_becomes_what_the_reference_says(workspace: Workspace, source: Source, seed: int) -> None:
    assert_pipeline(workspace, source, random.Random(seed))


@tries(6)
@given(source=three_line_sources(), seed=st.integers(0, 2**32))
def test_any_three_line_text_becomes_what_the_reference_says(workspace: Workspace, source: Source, seed: int) -> None:
    assert_pipeline(workspace, source, random.Random(seed))


@pytest.mark.slow
@tries(3)
@given(source=parquet_sources(), seed=st.integers(0, 2**32))
def test_how_files_are_written_and_when_changes_nothing(workspace: Workspace, source: Source, seed: int) -> None:
    """The order in which they are made, and the sizes of their row groups."""
    tables = []
    for generator in (random.Random(seed), random.Random(seed + 1)):
        model, _ = publishable(workspace, source, generator)
        spec = workspace.model(**model)
        workspace.ingest(spec)
        tables.append((workspace.raw_rows(spec), workspace.rejected_rows(spec), workspace.accounting(spec)))
    assert repr(tables[0]) == repr(tables[1])
    if source.model["split"]["strategy"] == "entity_hash":
        sides = {(row[source.model["entity"]], row["subset"]) for row in tables[0][0]}
        assert len(sides) == len({entity for entity, _ in sides})


@pytest.mark.slow
@tries(4)
@given(sources=parquet_versions(), seed=st.integers(0, 2**32))
def test_ids_stay_from_version_to_version(workspace: Workspace, sources: tuple[Source, Source], seed: int) -> None:
    generator = random.Random(seed)
    name = f"m{next(NUMBERS)}"
    before: Sequence[Mapping[str, Any]] = ()
    for number, source in enumerate(sources):
        location = f"{name}/{number}"
        source.write(workspace.folder / location, generator)
        model = {**source.model, "name": name, "source": {"location": location}}
        expected = ingest(model, source.records, before)
        spec = workspace.model(**model)
        workspace.ingest(spec)
        definition = definition_of(model, spec.lengths[0], expected.vocabulary)
        for subset in SUBSETS:
            workspace.sequence(spec, subset)
        for subset in SUBSETS:
            assert_loaded(name, subset, spec.lengths[0], expected, definition)
        before = expected.vocabulary


def assert_pipeline(workspace: Workspace, source: Source, generator: random.Random) -> None:
    """Ingests a source, sequences both subsets and compares everything that is published."""
    model, expected = publishable(workspace, source, generator)
    spec = workspace.model(**model)
    versions = [workspace.ingest(spec).version]
    assert_raw(workspace, spec, model, expected)
    length = generator.choice(model["sequence_lengths"])
    for subset in SUBSETS:
        published = workspace.sequence(spec, subset, length).version
        definition = definition_of(model, length, expected.vocabulary)
        assert published.metadata["accounting"] == accounting(expected.rows[subset], definition)
        assert_loaded(spec.name, subset, length, expected, definition)
        plan = SequencePlan.from_json(published.metadata["plan"])
        assert_further_windows(workspace, plan, expected, definition, generator)
        versions.append(published)
    # All of them were audited before they were published; so one is enough.
    assert all(finding.passed for finding in workspace.warehouse.inspect(generator.choice(versions)))


def publishable(workspace: Workspace, source: Source, generator: random.Random) -> tuple[dict[str, Any], Ingested]:
    """The model as it can be published, and what is: conditions on the whole table that fail are seen to fail, and given up."""
    name = f"m{next(NUMBERS)}"
    folder = workspace.folder / name
    source.write(folder / "data", generator)
    model = {**source.model, "name": name, "source": {"location": f"{name}/data", **source.model["source"]}}
    expected = ingest(model, source.records)
    if expected.failures:
        with pytest.raises(AuditError) as caught:
            workspace.ingest(workspace.model(**model))
        assert {path for path in conditions(model) if f"{path}" in str(caught.value)} == expected.failures
        columns = {
            name: {key: value for key, value in column.items() if key not in TABLE_WIDE}
            for name, column in model["columns"].items()
        }
        model |= {"columns": columns, "checks": {"rejected_ratio": {"max": 1.0}}}
    return model, expected


def conditions(model: Model) -> Iterator[str]:
    """The paths of the conditions on the whole table that a model has."""
    yield "checks.rejected_ratio.max"
    for name, column in model["columns"].items():
        yield from (f"columns.{name}.{condition}" for condition in TABLE_WIDE if condition in column)


def assert_raw(workspace: Workspace, spec: ModelSpec, model: Model, expected: Ingested) -> None:
    """Raw and rejected observations, the accounting and the metrics are what the reference says."""
    rows = workspace.raw_rows(spec)
    assert exactly(rows) == exactly([*expected.rows["train"], *expected.rows["validation"]])
    rejected = workspace.rejected_rows(spec)
    places = [(row["file"], row["row"], row["column"], row["reason"]) for row in rejected]
    assert places == [(row.file, row.row, row.column, row.reason) for row in expected.rejected]
    details = [row["detail"] for row in rejected if row["reason"] == "malformed"]
    assert details == [row.detail for row in expected.rejected if row.reason == "malformed"]
    for found, wanted in zip(rejected, expected.rejected, strict=True):
        assert stands_for(found["value"], wanted.value), (found, wanted)
    assert workspace.accounting(spec) == expected.accounting
    assert_observations_loaded(spec, rows)
    metadata = workspace.warehouse.find(Dataset.raw(spec.name)).metadata
    for name, wanted_metrics in expected.metrics.items():
        assert_metrics(metadata["metrics"][name], wanted_metrics)


def assert_observations_loaded(spec: ModelSpec, rows: Sequence[Row]) -> None:
    loaded = seq_assets.load_observations(spec.name).to_arrow()
    times = [name for name, column in spec.columns.items() if column.type == "timestamp"]
    for name in times:
        assert loaded.schema.field(name).type == pa.timestamp("us", "UTC")
        loaded = loaded.set_column(loaded.schema.get_field_index(name), name, loaded[name].cast(pa.int64()))
    assert exactly(loaded.to_pylist()) == exactly(rows)


def assert_metrics(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Counts are exact, moments as precise as float64 after subtracting the minimum."""
    assert set(found) - {"standard_deviation"} == set(wanted)
    for name in ("count", "unique"):
        assert found[name] == wanted[name]
    for name in ("min", "max"):
        assert found[name] == (wanted[name] if isinstance(wanted[name], bool) else json_form(wanted[name]))
    spread = Fraction(wanted["max"]) - Fraction(wanted["min"]) if "mean" in wanted else Fraction(0)
    # The squares of larger differences are no float64.
    if "mean" in wanted and spread < 2**500:
        allowed = float(max(spread, abs(Fraction(wanted["min"])))) * 1e-12
        assert found["mean"] == pytest.approx(float(wanted["mean"]), rel=1e-12, abs=allowed)
        assert found["variance"] == almost(wanted["variance"])
        assert found["standard_deviation"] == almost(wanted["variance"] and math.sqrt(wanted["variance"]))
    if "labels" in wanted:
        # The keys of JSON are texts; those of floats have several forms.
        read = float if isinstance(wanted["max"], float) else str
        labels = {read(key): count for key, count in found["labels"].items()}
        assert labels == {read(json_form(key)): count for key, count in wanted["labels"].items()}
        assert len(labels) == len(found["labels"])


def almost(exact: float | Fraction | None) -> Any:
    """What is as precise as float64 allows; the squares of very small differences are 0."""
    return None if exact is None else pytest.approx(float(exact), rel=1e-9, abs=1e-300)


def json_form(value: Any) -> Any:
    """A value as a version's metadata keeps it."""
    return as_text(value) if isinstance(value, bool | date) else value


def assert_loaded(model: str, subset: Subset, length: int, ingested: Ingested, definition: Definition) -> None:
    """`load` gives the sequences, as a table and as arrays, and the vocabulary."""
    expected = sequences(ingested.rows[subset], definition)
    dataset = seq_assets.load(model, sequence_length=length, subset=subset)
    table = dataset.to_arrow()
    assert exactly(table.to_pylist()) == exactly(expected)
    if any(feature.ids is not None for feature in definition.features):
        assert dataset.vocabulary().to_pylist() == ingested.vocabulary
    arrays = dataset.to_numpy()
    assert list(arrays) == table.schema.names
    for name, array in arrays.items():
        is_list = pa.types.is_fixed_size_list(table.schema.field(name).type)
        assert array.shape == ((len(expected), length) if is_list else (len(expected),))
        assert array.tolist() == [row[name] for row in expected]


def assert_further_windows(
    workspace: Workspace, plan: SequencePlan, expected: Ingested, definition: Definition, generator: random.Random
) -> None:
    """The kernel cuts the same raw files in other ways, without publishing, in batches of any size."""
    vocabulary = pa.Table.from_pylist(list(expected.vocabulary), VOCABULARY_SCHEMA.stored())
    raw = workspace.warehouse.find(Dataset.raw(plan.model))
    files = workspace.warehouse.raw_files(raw, plan.subset)
    rows = expected.rows[plan.subset]
    for mode in WINDOWS:
        length = generator.choice([1, 2, 3, 5, 200])
        stride = generator.randint(1, length) if mode == "sliding" else None
        changes: dict[str, Any] = {
            "sequence_length": length,
            "padding_side": generator.choice(["right", "left"]),
            "min_length": generator.randint(1, min(length, 3)),
        }
        asked = replace(definition, window=mode, stride=stride, **changes)
        further = replace(plan, window=window_of(WindowSpec(mode=mode, stride=stride)), **changes)
        kernel = Kernel(further, vocabulary)
        read = read_batches(LocalStorage(workspace.folder), files, kernel.input_columns, generator.choice([1, 2, 7, 1000]))
        made = [row for batch in kernel.batches(read) for row in batch.to_pylist()]
        assert exactly(made) == exactly(sequences(rows, asked))
        assert asdict(kernel.accounting) == accounting(rows, asked)


# At the edges


ENTITY_TEXTS: Final = ["", "007", "7", "NA", "Z", "nan", "null", "x" * 100_000, "x" * 99_999 + "y", "é", "ａ", "😀"]
ENTITY_NUMBERS: Final = [-(2**63), -1, 0, 7, 2**53 + 1, 2**63 - 1]


def written(rows: Sequence[Row], source_format: str) -> str | pa.Table:
    """Rows of one kind as a source file; texts of CSV are quoted."""
    if source_format == "parquet":
        return pa.Table.from_pylist(list(rows))
    if source_format == "json":
        return "".join(f"{json.dumps(row)}\n" for row in rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize(
    ("type_", "entities", "source_format"),
    [
        ("string", ENTITY_TEXTS, "csv"),
        ("string", ENTITY_TEXTS, "json"),
        ("string", ENTITY_TEXTS, "parquet"),
        ("int64", ENTITY_NUMBERS, "json"),
    ],
    ids=["csv", "json", "parquet", "numbers"],
)
def test_entities_of_any_text_and_number_come_through_as_they_are(
    workspace: Workspace, type_: str, entities: list[Any], source_format: str
) -> None:
    rows = [{"pupil": entity, "time": time, "item": time} for time in (1, 2) for entity in reversed(entities)]
    workspace.write(f"source.{source_format}", written(rows, source_format))
    spec = workspace.sequence_model(
        source={"location": f"source.{source_format}"},
        columns={**PLAIN_COLUMNS, "pupil": {"type": type_}},
        features={"pupil": {"encode": "vocabulary"}, "item": {"pad_value": -1}},
        sequence_lengths=[3],
    )
    versions = [workspace.ingest(spec).version, workspace.sequence(spec).version]
    assert all(finding.passed for version in versions for finding in workspace.warehouse.inspect(version))
    found = seq_assets.load("plain", sequence_length=3)
    assert found.to_arrow()["pupil"].to_pylist() == found.to_numpy()["pupil"].tolist() == entities
    assert found.to_arrow()["item_sequence"].to_pylist() == [[1, 2, -1]] * len(entities)
    # All are equally frequent, so that they are numbered in their own order.
    assert found.vocabulary()["value"].to_pylist() == [str(entity) for entity in entities]
    assert found.to_arrow()["pupil_sequence"].to_pylist() == [[id_, id_, 0] for id_ in range(2, len(entities) + 2)]


def test_numbers_that_are_written_in_several_ways_are_one_entity(workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil,time,item\n007,1,1\n7,2,2\n+7.0,3,3\n")
    workspace.ingest(workspace.sequence_model())
    assert [(row["pupil"], row["_position"]) for row in seq_assets.load_observations("plain").to_arrow().to_pylist()] == [
        (7, position) for position in range(3)
    ]


def test_only_the_mask_tells_padding_from_a_real_value_that_equals_it(workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil,time,item\n1,1,-1\n1,2,-1\n")
    spec = workspace.sequence_model(padding={"side": "left"})
    workspace.ingest(spec)
    workspace.sequence(spec)
    arrays = seq_assets.load("plain", sequence_length=4).to_numpy()
    assert arrays["item_sequence"].tolist() == [[-1, -1, -1, -1]]
    assert arrays["is_pad_sequence"].tolist() == [[1, 1, 0, 0]]


def test_moments_before_1970_with_zones_and_microseconds_keep_their_order_and_are_floored(workspace: Workspace) -> None:
    moments = ["1970-01-01 00:00:00.000001", "1969-12-31T23:59:59.999999Z", "1970-01-01 05:29:59.998999+05:30", "0001-01-01"]
    workspace.write("source.csv", "pupil,time,item\n" + "".join(f"1,{moment},0\n" for moment in moments))
    spec = workspace.sequence_model(
        columns={**PLAIN_COLUMNS, "time": {"type": "timestamp"}}, features={"time": {"pad_value": 0}}, sequence_lengths=[4]
    )
    workspace.ingest(spec)
    workspace.sequence(spec)
    assert seq_assets.load_observations("plain").to_numpy()["time"].astype("int64").tolist() == [
        *(-62_135_596_800_000_000, -1_001, -1, 1)
    ]
    sequences_ = seq_assets.load("plain", sequence_length=4).to_numpy()["time_sequence"]
    assert sequences_.tolist() == [[-62_135_596_800_000, -2, -1, 0]]


@pytest.mark.slow
def test_sequences_may_be_of_one_item_or_longer_than_any_history(workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil,time,item\n" + "".join(f"{item % 2},{item},{item}\n" for item in range(7)))
    histories = [[0, 2, 4, 6], [1, 3, 5]]
    prefixes = [history[: end + 1] for history in histories for end in range(1, len(history))]
    single = {"last": [[6], [5]], "first": [[0], [1]], "prefix": [prefix[-1:] for prefix in prefixes]}
    for mode in WINDOWS:
        window: dict[str, Any] = {"mode": mode, **({"stride": 1} if mode == "sliding" else {})}
        spec = workspace.sequence_model(sequence_lengths=[1, 10_000], window=window)
        workspace.ingest(spec)
        found = {}
        for length in spec.lengths:
            workspace.sequence(spec, "train", length)
            arrays = seq_assets.load("plain", sequence_length=length).to_numpy()
            assert arrays["item_sequence"].shape[1] == length
            masked = zip(arrays["item_sequence"], arrays["is_pad_sequence"], strict=True)
            found[length] = [items[is_pad == 0].tolist() for items, is_pad in masked]
        assert found[1] == single.get(mode, [[item] for history in histories for item in history])
        assert found[10_000] == (prefixes if mode == "prefix" else histories)


@pytest.mark.slow
def test_a_million_entities_of_one_event_are_a_million_sequences(workspace: Workspace) -> None:
    count = 1_000_000
    numbers = np.arange(count) * 7919 % count
    table = {"pupil": numbers, "time": np.zeros(count, np.int64), "item": numbers.astype(np.int32)}
    workspace.write("source.parquet", pa.table(table))
    spec = workspace.sequence_model(source={"location": "source.parquet"}, sequence_lengths=[2])
    workspace.ingest(spec)
    assert workspace.sequence(spec).version.rows == count
    arrays = seq_assets.load("plain", sequence_length=2).to_numpy()
    assert np.array_equal(arrays["pupil"], np.arange(count))
    assert np.array_equal(arrays["item_sequence"], np.stack([np.arange(count), np.full(count, -1)], axis=1))
    assert np.array_equal(arrays["is_pad_sequence"], np.tile([0, 1], (count, 1)))
