"""The streaming kernel gives what the reference gives, whatever it is given, in bounded memory."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings

from seq_assets.models import ColumnType
from seq_assets.sequencing.kernel import CELLS_PER_BATCH, Kernel
from seq_assets.sequencing.plans import SequencePlan
from seq_assets_tests import reference
from seq_assets_tests.reference import Definition, Feature, examples
from seq_assets_tests.sequencing.cases import Case, cases, plan_of

MILLION = 1_000_000


def tries(count: int) -> settings:
    return settings(max_examples=examples(count), deadline=None, suppress_health_check=[HealthCheck.too_slow])


def run(
    plan: SequencePlan, batches: Iterator[pa.RecordBatch], vocabulary: pa.Table | None = None
) -> tuple[pa.Table, dict[str, int]]:
    kernel = Kernel(plan, vocabulary)
    table = pa.Table.from_batches(kernel.batches(batches), plan.schema.stored())
    return table, asdict(kernel.accounting)


def definition(sequence_length: int, **changes: Any) -> Definition:
    return replace(Definition("entity", (Feature("number", "int64", -1),), sequence_length), **changes)


def histories(sizes: list[int], batch_size: int = MILLION) -> Iterator[pa.RecordBatch]:
    """Histories of entities 0, 1, … and of these sizes, items numbered through, in batches of Arrow's own memory."""
    entity = np.repeat(np.arange(len(sizes)), sizes)
    for start in range(0, len(entity), batch_size):
        part = entity[start : start + batch_size]
        number = np.arange(start, start + len(part))
        yield pa.record_batch({"entity": pc.add(part, 0), "number": pc.add(number, 0)})


def matrix(table: pa.Table, column: str) -> npt.NDArray[Any]:
    lists = table[column].combine_chunks()
    values: npt.NDArray[Any] = lists.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(lists), -1)


@tries(500)
@given(cases())
def test_sequences_are_what_the_reference_says(case: Case) -> None:
    table, _ = run(case.plan, case.batches(), case.vocabulary)
    table.validate(full=True)
    assert table.to_pylist() == reference.sequences(case.rows, case.definition)


@tries(250)
@given(cases())
def test_the_accounting_is_what_the_reference_says_and_its_sums_hold(case: Case) -> None:
    kernel = Kernel(case.plan, case.vocabulary)
    for _ in kernel.batches(case.batches()):
        pass
    assert asdict(kernel.accounting) == reference.accounting(case.rows, case.definition)
    assert kernel.accounting.problems == []


@pytest.mark.parametrize("window", ["chunk", "sliding", "last", "first", "prefix"])
def test_every_definition_of_short_sequences_on_every_short_history(window: str) -> None:
    sizes = list(range(1, 12))
    rows = [row for batch in histories(sizes) for row in batch.to_pylist()]
    for length in range(1, 6):
        for stride in range(1, length + 1) if window == "sliding" else [None]:
            for min_length in range(1, length + 1):
                asked = definition(length, window=window, stride=stride, min_length=min_length)
                table, counts = run(plan_of(asked), histories(sizes))
                assert table.to_pylist() == reference.sequences(rows, asked)
                assert counts == reference.accounting(rows, asked)


@tries(50)
@given(cases())
def test_batches_may_end_anywhere(case: Case) -> None:
    whole = replace(case, cuts=[])
    row_by_row = replace(case, cuts=list(range(len(case.rows) + 1)))
    expected = run(case.plan, whole.batches(), case.vocabulary)
    assert run(case.plan, row_by_row.batches(), case.vocabulary) == expected


@tries(50)
@given(cases())
def test_every_batch_has_the_schema_of_the_plan_and_no_null(case: Case) -> None:
    for batch in Kernel(case.plan, case.vocabulary).batches(case.batches()):
        assert batch.schema.equals(case.plan.schema.stored(), check_metadata=True)
        for column in batch.columns:
            values = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
            assert values.null_count == 0


@tries(50)
@given(cases())
def test_items_that_are_neither_padding_nor_repeated_give_back_each_history(case: Case) -> None:
    everything = replace(case.definition, min_length=1)
    table, counts = run(plan_of(everything, case.entity_type), case.batches(), case.vocabulary)
    items = []
    for row in table.to_pylist():
        no_repeats = [0] * case.definition.sequence_length
        repeats = row.get("is_repeat_sequence", no_repeats)
        for number, is_pad, is_repeat in zip(row["number_sequence"], row["is_pad_sequence"], repeats, strict=True):
            if not is_pad and not is_repeat:
                items.append(number)
    assert len(items) == len(set(items)) == counts["sequenced"]
    assert items == sorted(items)
    if everything.window in ("chunk", "sliding"):
        assert items == [row["number"] for row in case.rows]


@tries(100)
@given(cases())
def test_without_its_padding_a_sequence_is_the_stretch_of_the_history_that_it_says(case: Case) -> None:
    table, _ = run(case.plan, case.batches(), case.vocabulary)
    histories_ = reference.histories(case.rows, "entity")
    for row in table.to_pylist():
        start, size = row["sequence_start"], row["sequence_size"]
        stretch = histories_[row["entity"]][start : start + size]
        for feature in case.definition.features:
            flagged = zip(row[f"{feature.name}_sequence"], row["is_pad_sequence"], strict=True)
            items = [item for item, is_pad in flagged if not is_pad]
            if feature.since is None:
                assert items == [reference.item_of(observation[feature.name], feature) for observation in stretch]


@tries(100)
@given(cases())
def test_masks_agree_with_sizes_and_padding_stands_on_its_side(case: Case) -> None:
    length, side = case.definition.sequence_length, case.definition.padding_side
    table, counts = run(case.plan, case.batches(), case.vocabulary)
    padding = 0
    for row in table.to_pylist():
        pads = length - row["sequence_size"]
        items, padded = [0] * row["sequence_size"], [1] * pads
        assert row["is_pad_sequence"] == (items + padded if side == "right" else padded + items)
        assert case.definition.min_length <= row["sequence_size"] <= length
        padding += pads
    assert (counts["padding"], counts["positions"]) == (padding, length * table.num_rows)


@tries(100)
@given(cases())
def test_every_sequenced_item_is_scored_exactly_once(case: Case) -> None:
    table, counts = run(case.plan, case.batches(), case.vocabulary)
    no_repeats = [0] * case.definition.sequence_length
    scored = []
    for row in table.to_pylist():
        repeats = row.get("is_repeat_sequence", no_repeats)
        flagged = zip(row["number_sequence"], row["is_pad_sequence"], repeats, strict=True)
        scored += [number for number, is_pad, is_repeat in flagged if not is_pad and not is_repeat]
    assert len(scored) == len(set(scored)) == counts["sequenced"]


def test_no_observations_give_no_sequences() -> None:
    table, counts = run(plan_of(definition(3)), iter([]))
    assert table.num_rows == 0
    assert set(counts.values()) == {0}


def test_the_pass_reads_each_column_once_even_where_the_entity_is_a_feature() -> None:
    both = definition(3, features=(Feature("number", "int64", -1), Feature("entity", "int64", -2)))
    assert Kernel(plan_of(both)).input_columns == ["entity", "number"]
    table, _ = run(plan_of(both), histories([2]))
    assert table["entity_sequence"].to_pylist() == [[0, 0, -2]]


@pytest.mark.parametrize(
    ("microseconds", "milliseconds"),
    [(0, 0), (999, 0), (1000, 1), (-1, -1), (-1000, -1), (-1001, -2)],
)
def test_timestamps_are_floored_to_milliseconds_before_1970_too(microseconds: int, milliseconds: int) -> None:
    when = definition(1, features=(Feature("when", "timestamp", 0),))
    batch = pa.record_batch({"entity": pa.array([1]), "when": pa.array([microseconds])})
    table, _ = run(plan_of(when), iter([batch]))
    assert table["when_sequence"].to_pylist() == [[milliseconds]]


def test_a_missing_timestamp_is_filled_after_flooring() -> None:
    when = definition(2, features=(Feature("when", "timestamp", -1, fill_value=7),))
    batch = pa.record_batch({"entity": pa.array([1]), "when": pa.array([None], pa.int64())})
    table, _ = run(plan_of(when), iter([batch]))
    assert table["when_sequence"].to_pylist() == [[7, -1]]


def test_a_real_value_may_equal_the_pad_value() -> None:
    batch = pa.record_batch({"entity": pa.array([1, 1]), "number": pa.array([-1, -1])})
    table, _ = run(plan_of(definition(3)), iter([batch]))
    assert table["number_sequence"].to_pylist() == [[-1, -1, -1]]
    assert table["is_pad_sequence"].to_pylist() == [[0, 0, 1]]


def test_output_batches_are_bounded() -> None:
    length = 10_000
    batches = list(Kernel(plan_of(definition(length))).batches(histories([1] * 250)))
    assert sum(batch.num_rows for batch in batches) == 250
    assert max(batch.num_rows for batch in batches) * length == CELLS_PER_BATCH


@pytest.mark.parametrize(
    ("window", "stride", "starts"),
    [
        ("chunk", None, range(0, MILLION, 1000)),
        ("sliding", 700, range(0, MILLION - 300, 700)),
        ("first", None, [0]),
        ("last", None, [MILLION - 1000]),
    ],
)
def test_one_history_of_a_million_items_needs_little_memory(
    window: str,
    stride: int | None,
    starts: list[int],
) -> None:
    plan = plan_of(definition(1000, window=window, stride=stride))
    held, before = [], pa.total_allocated_bytes()

    def observed() -> Iterator[pa.RecordBatch]:
        for batch in histories([MILLION], batch_size=10_000):
            held.append(pa.total_allocated_bytes() - before)
            yield batch

    found = []
    for batch in Kernel(plan).batches(observed()):
        table = pa.table(batch)
        start, size = table["sequence_start"].to_numpy(), table["sequence_size"].to_numpy()
        expected = start[:, None] + np.arange(1000)
        is_item = np.arange(1000) < size[:, None]
        assert np.array_equal(matrix(table, "number_sequence"), np.where(is_item, expected, -1))
        found += start.tolist()
    assert found == list(starts)
    # The whole history is 16 MB; a batch, a copy of it with the carried rows, and its output are well below 2 MB.
    assert len(held) == 100
    assert max(held) < 2_000_000


def test_every_prefix_of_a_long_history_is_made_in_bounded_batches() -> None:
    plan = plan_of(definition(4, window="prefix"))
    count = 0
    for batch in Kernel(plan).batches(histories([300_000], batch_size=70_000)):
        table = pa.table(batch)
        last = table["sequence_start"].to_numpy() + table["sequence_size"].to_numpy() - 1
        assert np.array_equal(last, np.arange(count + 1, count + 1 + batch.num_rows))
        assert np.array_equal(matrix(table, "number_sequence").max(axis=1), last)
        count += batch.num_rows
        assert batch.num_rows * 4 <= CELLS_PER_BATCH
    assert count == 299_999


@pytest.mark.parametrize("window", ["chunk", "sliding", "first", "last"])
def test_a_million_histories_of_one_item(window: str) -> None:
    plan = plan_of(definition(2, window=window, stride=1 if window == "sliding" else None))
    table, counts = run(plan, histories([1] * MILLION, batch_size=300_000))
    everyone = np.arange(MILLION)
    assert np.array_equal(table["entity"].to_numpy(), everyone)
    assert np.array_equal(matrix(table, "number_sequence"), np.stack([everyone, np.full(MILLION, -1)], axis=1))
    assert counts["sequences"] == counts["sequenced"] == counts["padding"] == MILLION


def test_a_million_histories_of_one_item_have_no_prefix() -> None:
    table, counts = run(plan_of(definition(2, window="prefix")), histories([1] * MILLION))
    assert table.num_rows == 0
    assert counts["dropped_min_length"] == MILLION


@pytest.mark.parametrize("type_", [ColumnType.INT8, ColumnType.STRING])
def test_the_entity_keeps_its_type(type_: ColumnType) -> None:
    case = Case(definition(2), type_, [{"entity": 5 if type_.is_integer else "é", "number": 1}], [])
    table, _ = run(case.plan, case.batches())
    assert table.schema.field("entity").type == case.table.schema.field("entity").type
    assert table["entity"].to_pylist() == [case.rows[0]["entity"]]
