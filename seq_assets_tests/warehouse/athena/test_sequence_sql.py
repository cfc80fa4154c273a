"""The text of the sequences' queries: what a model file says stays in its quotes, and nothing outgrows what Athena takes.

That they give the right sequences is shown on the real engine (`seq_assets_tests.athena`).
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import duckdb
import pytest

from seq_assets.models import ColumnType
from seq_assets.sequencing.plans import FeaturePlan, SequencePlan
from seq_assets.sequencing.windows import Chunk, First, Last, Prefix, Sliding, Window
from seq_assets.warehouse.athena.audit_sequences import form_question, lost_query
from seq_assets.warehouse.athena.sequence_sql import _blocks_of, _ManyBlocks, sequence_query
from seq_assets.warehouse.athena.sql import MOST_ENTRIES
from seq_assets_tests.warehouse.athena.test_ingest_sql import HOSTILE, MOST_BYTES, outside_of_quotes

PLAN = SequencePlan(
    model="m",
    subset="train",
    raw_version=1,
    entity=("pupil", ColumnType.INT64),
    features=(FeaturePlan("item", ColumnType.INT32, -1),),
    window=Chunk(),
    sequence_length=5,
    padding_side="right",
    min_length=1,
)
KINDS = [Chunk(), Sliding(2), First(), Last(), Prefix()]
LONGEST = 10_000
"""What a model file may ask for."""


def queries_of(plan: SequencePlan) -> list[str]:
    return [
        sequence_query(plan, "raw", "vocabulary"),
        lost_query(plan, "raw", "vocabulary", "sequences"),
        form_question(plan, "sequences").query,
    ]


@pytest.mark.parametrize("window", KINDS, ids=lambda window: type(window).__name__)
@pytest.mark.parametrize("side", ["left", "right"])
def test_names_and_values_of_the_model_file_stay_in_their_quotes(window: Window, side: Any) -> None:
    name = f'"{HOSTILE}'
    plan = replace(
        PLAN,
        entity=(name, ColumnType.STRING),
        features=(
            FeaturePlan(f"{name}1", ColumnType.STRING, HOSTILE, HOSTILE),
            FeaturePlan(f"{name}2", ColumnType.STRING, 0, HOSTILE, encoded=True),
            FeaturePlan("select", ColumnType.STRING, "a\nb"),
        ),
        window=window,
        padding_side=side,
    )
    for sql in queries_of(plan):
        assert "DROP" in sql
        assert not re.search(r"DROP|--|;", outside_of_quotes(sql))
        assert not re.search(r"\bselect\b", outside_of_quotes(sql))
        assert "\n'" not in sql
        assert "a\nb" not in sql


@pytest.mark.parametrize("window", KINDS, ids=lambda window: type(window).__name__)
def test_a_hundred_features_fit_in_one_query(window: Window) -> None:
    long = "f" * 60
    features = tuple(
        FeaturePlan(f"{long}_{number:02d}", ColumnType.STRING, 0, "unknown", encoded=True)
        if number % 2
        else FeaturePlan(f"{long}_{number:02d}", ColumnType.TIMESTAMP, -(2**62), 2**62)
        for number in range(100)
    )
    for sql in queries_of(replace(PLAN, features=features, window=window, padding_side="left", sequence_length=LONGEST)):
        assert len(sql.encode()) < MOST_BYTES


# Blocks


def plans() -> Iterator[SequencePlan]:
    """Windows that advance, at the lengths and strides where blocks change, with the lowest and the highest `min_length`."""
    for length in (1, 2, 50, 4_095, 4_096, 4_097, 5_904, 5_905, 5_906, LONGEST):
        strides = {1, 2, length // 2, length - 1, length} - {0}
        windows = [Chunk(), Prefix(), *(Sliding(stride) for stride in sorted(strides) if stride <= length)]
        for window in windows:
            for min_length in {1, length}:
                yield replace(PLAN, window=window, sequence_length=length, min_length=min_length)


def ordinals_of(plan: SequencePlan, items: int) -> range:
    """The windows of a history that are kept, among all that it has."""
    length = plan.sequence_length
    if isinstance(plan.window, Prefix):  # a window is numbered by the position of its last item
        return range(max(plan.min_length, 2) - 1, items)
    assert isinstance(plan.window, Sliding)
    step = plan.window.step(length)
    starts = range(0, max(items - length, 0) + step, step) if items > length else range(1)
    return range(len([start for start in starts if min(length, items - start) >= plan.min_length]))


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Whole numbers are divided as Trino divides them."""
    with duckdb.connect() as connected:
        connected.execute("SET integer_division = true")
        yield connected


@pytest.mark.parametrize("plan", plans(), ids=lambda plan: f"{plan.window}-{plan.sequence_length}-{plan.min_length}")
def test_no_block_needs_an_array_that_trino_refuses_and_together_they_have_every_window(
    connection: duckdb.DuckDBPyConnection, plan: SequencePlan
) -> None:
    blocks = _blocks_of(plan)
    assert isinstance(blocks, _ManyBlocks)
    own, reach = blocks.size_of_block.own, blocks.size_of_block.reach
    assert reach // own + 2 <= MOST_ENTRIES + 1, "the blocks that one item goes to"
    length = plan.sequence_length
    for items in sorted({1, 2, length, length + 1, own + 1, own + length, 12_345}):
        of_block = f"SELECT {own} * range AS _start, least({own} * (range + 1) + {reach}, {items}) AS _end"
        ordinals = f"SELECT *, {blocks.first_ordinal} AS _from, {blocks.last_ordinal} AS _to"
        window = f"{blocks.first_item} AS _first, {blocks.size} AS _size"
        found = connection.execute(f"""
            WITH blocks AS ({of_block} FROM range({-(-items // own)})), ordinals AS ({ordinals} FROM blocks),
            windows AS (SELECT *, {window} FROM (SELECT *, unnest([_from, _to]) AS _ordinal FROM ordinals WHERE _to >= _from))
            SELECT _from, _to, _start <= min(_first) AND max(_first + _size) <= _end, max(_size)
            FROM windows GROUP BY _start, _end, _from, _to ORDER BY _from""").fetchall()
        expected, last = ordinals_of(plan, items), None
        for first, to, has_its_items, size in found:
            assert to - first + 1 <= MOST_ENTRIES, "the windows of one block"
            assert has_its_items
            assert size <= length
            assert last is None or first == last + 1, "each window is in one block"
            last = to
        assert (found[0][0], last) == (expected[0], expected[-1]) if expected else not found, items
