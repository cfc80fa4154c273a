"""The comparison passes what the reference says, however both sides are cut into batches, and nothing else."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from seq_assets.sequencing.plans import SequencePlan
from seq_assets.warehouse.local.item_comparison import Held, ItemComparison, places_of_items
from seq_assets_tests.reference import Definition, Feature, examples, histories, sequences, windows
from seq_assets_tests.reference.windows import item_at
from seq_assets_tests.sequencing.cases import Case, cases, plan_of

PATIENT = settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))


def cut(table: pa.Table, cuts: Sequence[int]) -> Iterator[pa.RecordBatch]:
    """A table in batches, some of which may be empty."""
    whole = table.combine_chunks()
    for start, end in zip([0, *cuts], [*cuts, table.num_rows], strict=True):
        columns = [column.combine_chunks() for column in whole.slice(start, end - start).columns]
        yield pa.RecordBatch.from_arrays(columns, schema=whole.schema)


def items_of(case: Case) -> pa.Table:
    """What the comparison is given of the raw observations."""
    columns = {"entity": case.table["entity"]}
    for feature, column in zip(case.definition.features, case.plan.features, strict=True):
        items = [
            item_at(position, history, feature)
            for history in histories(case.rows, "entity").values()
            for position in range(len(history))
        ]
        columns[feature.name] = pa.array(items, case.plan.schema.stored().field(f"{column.name}_sequence").type.value_type)
    return pa.table(columns)


def compare(plan: SequencePlan, items: Iterator[pa.RecordBatch], found: Iterator[pa.RecordBatch]) -> Counter[Held] | None:
    comparison = ItemComparison(plan, items)
    for batch in found:
        comparison.take(batch, places_of_items(plan, np.asarray(batch.column("sequence_size"))))
    return comparison.held()


def expected_of(case: Case) -> Counter[Held]:
    """What each history holds, one window at a time."""
    found: Counter[Held] = Counter()
    for history in histories(case.rows, "entity").values():
        every = windows(len(history), case.definition)
        kept = [position for window in every if len(window) >= case.definition.min_length for position in window]
        found[len(history), len(set(kept)), len(kept), sum(kept)] += 1
    return found


def cuts_of(data: st.DataObject, rows: int) -> list[int]:
    return sorted(data.draw(st.lists(st.integers(0, rows), max_size=6)))


@PATIENT
@given(cases(), st.data())
def test_what_the_reference_makes_is_held_as_it_should_be(case: Case, data: st.DataObject) -> None:
    made = pa.Table.from_pylist(sequences(case.rows, case.definition), case.plan.schema.stored())
    found = compare(case.plan, cut(items_of(case), cuts_of(data, len(case.rows))), cut(made, cuts_of(data, made.num_rows)))
    assert found == expected_of(case)


@PATIENT
@given(cases(), st.data())
def test_any_item_that_differs_is_noticed(case: Case, data: st.DataObject) -> None:
    made = sequences(case.rows, case.definition)
    assume(made)
    row = data.draw(st.sampled_from(made))
    position = data.draw(st.sampled_from([place for place, is_pad in enumerate(row["is_pad_sequence"]) if not is_pad]))
    row["number_sequence"][position] += 1
    table = pa.Table.from_pylist(made, case.plan.schema.stored())
    cuts = cuts_of(data, len(case.rows)), cuts_of(data, table.num_rows)
    assert compare(case.plan, cut(items_of(case), cuts[0]), cut(table, cuts[1])) is None


@PATIENT
@given(cases(), st.data())
def test_sequences_that_are_missing_or_repeated_are_noticed(case: Case, data: st.DataObject) -> None:
    made = sequences(case.rows, case.definition)
    assume(made)
    place = data.draw(st.integers(0, len(made) - 1))
    is_missing = data.draw(st.booleans())
    changed = [*made[:place], *made[place + 1 :]] if is_missing else [*made[: place + 1], *made[place:]]
    table = pa.Table.from_pylist(changed, case.plan.schema.stored())
    cuts = cuts_of(data, len(case.rows)), cuts_of(data, table.num_rows)
    assert compare(case.plan, cut(items_of(case), cuts[0]), cut(table, cuts[1])) != expected_of(case)


def test_rows_that_no_sequence_needs_are_not_kept() -> None:
    """The last items of a long history, behind and before others: what is held stays far below the history."""
    plan = plan_of(Definition("entity", (Feature("number", "int64", -1),), 10, "last"))
    sizes, most = [3, 100_000, 5], []
    entities = np.repeat(np.arange(3), sizes)
    items = pa.table({"entity": entities, "number": np.arange(len(entities))})
    rows: list[dict[str, Any]] = [{"entity": int(entity), "number": number} for number, entity in enumerate(entities)]
    made = sequences(rows, Definition("entity", (Feature("number", "int64", -1),), 10, "last"))
    comparison = ItemComparison(plan, cut(items, range(1000, len(entities), 1000)))
    advance = comparison._histories.advance

    def noting() -> bool:
        went_on = advance()
        assert comparison._histories.rows is not None
        most.append(comparison._histories.rows.num_rows)
        return went_on

    comparison._histories.advance = noting  # type: ignore[method-assign]
    batch = pa.RecordBatch.from_pylist(made, plan.schema.stored())
    comparison.take(batch, places_of_items(plan, np.asarray(batch.column("sequence_size"))))
    assert comparison.held() == Counter({(3, 3, 3, 3): 1, (100_000, 10, 10, 999_945): 1, (5, 5, 5, 10): 1})
    assert max(most) <= 2100
