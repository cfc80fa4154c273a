"""The comparison of two versions' rows against one entity at a time in plain Python."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq_assets.client.batches import StoredRows, sorted_in_parts
from seq_assets.client.comparing import MOST_NAMED, Compared, compare
from seq_assets.models import ColumnType
from seq_assets.sequencing.plans import Dataset
from seq_assets.sequencing.schemas import TableColumn, TableSchema
from seq_assets_tests.client.storing import Made
from seq_assets_tests.reference import examples
from seq_assets_tests.reference.differences import differences

LENGTH = 2
COLUMNS = ["pupil", "number", "word", "items", "words", "ratio"]
WORDS = st.sampled_from(["", "a", "é", "😀", "\uffff"])


def schema(entity: ColumnType) -> TableSchema:
    return TableSchema(
        (
            TableColumn("pupil", entity),
            TableColumn("sequence_index", ColumnType.INT32),
            TableColumn("number", ColumnType.INT8, nullable=True),
            TableColumn("word", ColumnType.STRING, nullable=True),
            TableColumn("items", ColumnType.INT16, LENGTH),
            TableColumn("words", ColumnType.STRING, LENGTH),
            TableColumn("ratio", ColumnType.FLOAT32, nullable=True),
        )
    )


HISTORY: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.fixed_dictionaries(
        {
            "number": st.none() | st.integers(0, 1),
            "word": st.none() | WORDS,
            "items": st.lists(st.integers(0, 1), min_size=LENGTH, max_size=LENGTH),
            "words": st.lists(WORDS, min_size=LENGTH, max_size=LENGTH),
            "ratio": st.none() | st.sampled_from([0.5, 1.5]),
        }
    ),
    min_size=1,
    max_size=4,
)


def made(histories: dict[Any, list[dict[str, Any]]], entity: ColumnType, stir: Callable[[int], list[int] | None]) -> Made:
    """A table of histories, in its order."""
    in_order = sorted(histories, key=lambda value: value.encode() if isinstance(value, str) else value)
    rows = [
        {"pupil": pupil, "sequence_index": index, **row} for pupil in in_order for index, row in enumerate(histories[pupil])
    ]
    return Made(rows, schema(entity), Dataset.sequenced("made", "train", LENGTH), stir(len(rows)))


@st.composite
def versions(draw: st.DrawFn) -> tuple[Made, Made]:
    """Two versions that have much in common; the files of each may be in any order."""
    entity = draw(st.sampled_from([ColumnType.INT64, ColumnType.STRING]))
    pupils = st.integers(-3, 5) if entity is ColumnType.INT64 else WORDS
    before: dict[Any, list[dict[str, Any]]] = draw(st.dictionaries(pupils, HISTORY, max_size=7))
    kept = {pupil: rows for pupil, rows in before.items() if draw(st.integers(0, 4))}
    after: dict[Any, list[dict[str, Any]]] = kept | draw(st.dictionaries(pupils, HISTORY, max_size=3))
    for rows in after.values():
        if draw(st.integers(0, 3)) == 0:
            row = draw(st.integers(0, len(rows) - 1))
            rows[:] = [
                *rows[:row],
                rows[row] | {"items": draw(st.lists(st.integers(0, 1), min_size=2, max_size=2))},
                *rows[row + 1 :],
            ]
    stir = lambda count: draw(st.none() | st.permutations(range(count)))  # noqa: E731
    return made(before, entity, stir), made(after, entity, stir)


def stored_pair(folder: str | Path, before: Made, after: Made) -> tuple[StoredRows, StoredRows]:
    places = [Path(folder, name) for name in ("before", "after")]
    for place in places:
        place.mkdir()
    return before.store(places[0]), after.store(places[1])


@given(pair=versions())
@settings(max_examples=examples(30))
def test_entities_are_what_one_at_a_time_finds(pair: tuple[Made, Made]) -> None:
    before, after = pair
    with TemporaryDirectory() as folder:
        found = compare(*stored_pair(folder, before, after), "pupil", COLUMNS)
    expected = differences(before.rows, after.rows, "pupil", COLUMNS)
    common = len(expected.altered) + len(expected.unchanged)
    assert found == Compared(
        before=common + len(expected.removed),
        after=common + len(expected.added),
        added=len(expected.added),
        removed=len(expected.removed),
        altered=len(expected.altered),
        first_added=expected.added[:MOST_NAMED],
        first_removed=expected.removed[:MOST_NAMED],
        first_altered=expected.altered[:MOST_NAMED],
        columns=expected.columns,
    )


def long_history(count: int, item: int) -> list[dict[str, Any]]:
    return [{"number": 0, "word": "a", "items": [0, item], "words": ["a", "b"], "ratio": None}] * count


@pytest.mark.parametrize("is_ordered", [True, False])
def test_an_entity_that_is_longer_than_many_batches_is_compared_as_one(tmp_path: Path, is_ordered: bool) -> None:
    stir = (lambda count: None) if is_ordered else (lambda count: list(reversed(range(count))))
    histories = {1: long_history(40, 0), 2: long_history(3, 0)}
    others = {1: [*long_history(39, 0), *long_history(1, 1)], 2: long_history(3, 0), 3: long_history(1, 0)}
    tables = [made(each, ColumnType.INT64, stir) for each in (histories, others)]
    found = compare(*stored_pair(tmp_path, *tables), "pupil", COLUMNS)
    assert (found.added, found.removed, found.altered, found.first_altered) == (1, 0, 1, [1])
    assert {name: count for name, count in found.columns.items() if count} == {"items": 1}


@given(pair=versions(), rows=st.integers(1, 3), rows_per_part=st.integers(1, 5))
@settings(max_examples=examples(20))
def test_wide_rows_in_any_order_are_sorted_part_by_part(pair: tuple[Made, Made], rows: int, rows_per_part: int) -> None:
    table = pair[0]
    with TemporaryDirectory() as folder:
        batches = list(sorted_in_parts(table.store(Path(folder)), rows, ["words", "number"], rows_per_part))
    assert [row for batch in batches for row in batch.to_pylist()] == [
        {name: row[name] for name in ("words", "number")} for row in table.rows
    ]
    assert all(0 < batch.num_rows <= rows for batch in batches)
