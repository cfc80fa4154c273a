"""The audit of vocabularies finds each thing that may be wrong with one, and nothing in one that is right."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from seq_assets.sequencing.schemas import VOCABULARY_SCHEMA
from seq_assets.warehouse.engine import Engine, connect_in_memory
from seq_assets.warehouse.rules.audit_vocabulary import vocabulary_findings
from seq_assets.warehouse.storage.storage import LocalStorage
from seq_assets_tests.warehouse.building import Row

TRAIN = {"item": ["b", "b", "a", "c", "d"], "pupil": [10, 10, 9, 9, 9]}
BEFORE = [("item", "z", 2, 4), ("item", "c", 3, 1), ("pupil", "10", 2, 1), ("gone", "x", 2, 1)]
RIGHT = [
    ("item", "z", 2, 0),
    ("item", "c", 3, 1),
    ("item", "b", 4, 2),
    ("item", "a", 5, 1),
    ("item", "d", 6, 1),
    ("pupil", "10", 2, 2),
    ("pupil", "9", 3, 3),
    ("gone", "x", 2, 0),
]

Rows = list[tuple[str, str, int, int]]


@dataclass(frozen=True)
class House:
    """Runs the audit on vocabularies."""

    engine: Engine

    def problems(
        self, rows: Rows, before: Rows | None = None, ids_from: int = 2, min_counts: Mapping[str, int] = {}
    ) -> dict[str, tuple[str, ...]]:
        """By check, of a vocabulary that follows another one (by default `BEFORE`)."""
        counts = {
            feature: pa.table({"value": values}).group_by("value").aggregate([([], "count_all")])
            for feature, values in TRAIN.items()
        }
        counts = {feature: table.rename_columns(["value", "count"]) for feature, table in counts.items()}
        previous = None if before == [] else table_of(BEFORE if before is None else before)
        found = vocabulary_findings(self.engine, counts, table_of(rows), previous, ids_from, min_counts)
        return {finding.check: finding.problems for finding in found if not finding.passed}


def table_of(rows: Rows) -> pa.Table:
    records: list[Row] = [dict(zip(VOCABULARY_SCHEMA.names, row, strict=True)) for row in rows]
    return pa.Table.from_pylist(records, VOCABULARY_SCHEMA.stored())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with Engine.open(connect_in_memory, tmp_path, "512MiB", LocalStorage(tmp_path)) as engine:
        yield House(engine)


def test_what_is_right_passes(house: House) -> None:
    assert house.problems(RIGHT) == {}


def test_what_is_rare_has_no_id_unless_it_had_one(house: House) -> None:
    pupils = [("pupil", "9", 2, 3), ("pupil", "10", 3, 2)]
    frequent: Rows = [("item", "b", 2, 2), *pupils]
    assert house.problems(frequent, before=[], min_counts={"item": 2}) == {}
    assert "1 values have no id" in str(house.problems(pupils, before=[], min_counts={"item": 2}))
    rare: Rows = [*frequent, ("item", "a", 3, 1)]
    assert "1 values are too rare for an id" in str(house.problems(rare, before=[], min_counts={"item": 2}))
    assert house.problems(RIGHT, before=RIGHT, min_counts={"item": 9, "pupil": 9}) == {}


def test_new_ids_begin_where_they_may(house: House) -> None:
    first = [("item", value, id_, count) for value, id_, count in (("b", 9, 2), ("a", 10, 1), ("c", 11, 1), ("d", 12, 1))]
    first += [("pupil", "9", 9, 3), ("pupil", "10", 10, 2)]
    assert house.problems(first, before=[], ids_from=9) == {}
    assert "are numbered in another order" in str(house.problems(first, before=[], ids_from=8))


def test_the_first_vocabulary_has_nothing_to_keep(house: House) -> None:
    first: Rows = [
        ("item", "b", 2, 2),
        ("item", "a", 3, 1),
        ("item", "c", 4, 1),
        ("item", "d", 5, 1),
        ("pupil", "9", 2, 3),
        ("pupil", "10", 3, 2),
    ]
    assert house.problems(first, before=[]) == {}


def changed(number: int, row: tuple[str, str, int, int]) -> Callable[[], Rows]:
    return lambda: [*RIGHT[:number], row, *RIGHT[number + 1 :]]


@pytest.mark.parametrize(
    ("rows", "check", "problem"),
    [
        (changed(1, ("item", "c", 4, 1)), "well_formed", "1 ids of the vocabulary before are lost or changed"),
        (lambda: RIGHT[1:], "well_formed", "1 ids of the vocabulary before are lost or changed"),
        (lambda: RIGHT[:-1], "well_formed", "1 ids of the vocabulary before are lost or changed"),
        (changed(6, ("pupil", "9", 3, 4)), "well_formed", "vocabulary of pupil: 1 values have a wrong count"),
        (changed(0, ("item", "z", 2, 1)), "well_formed", "vocabulary of item: 1 values have a wrong count"),
        (lambda: RIGHT[:4] + RIGHT[5:], "well_formed", "vocabulary of item: 1 values have no id"),
        (changed(4, ("item", "d", 7, 1)), "well_formed", "vocabulary of item: 1 values are numbered in another order"),
        (lambda: [*RIGHT, ("item", "c", 3, 1)], "well_formed", "vocabulary of item: 1 values stand more than once"),
        (lambda: [*RIGHT, ("item", "e", 7, 0)], "no_leakage", "vocabulary of item: values have an id that no train"),
    ],
)
def test_one_wrong_thing_is_found(house: House, rows: Callable[[], Rows], check: str, problem: str) -> None:
    problems = house.problems(rows())
    assert any(found.startswith(problem) for found in problems[check]), problems


def test_a_value_without_an_id_is_nothing_else(house: House) -> None:
    rows = [*RIGHT[:4], *RIGHT[5:]]
    assert house.problems(rows) == {"well_formed": ("vocabulary of item: 1 values have no id",)}


def test_equally_frequent_new_values_in_another_order_are_found(house: House) -> None:
    rows = [*RIGHT[:3], ("item", "d", 5, 1), ("item", "a", 6, 1), *RIGHT[5:]]
    assert house.problems(rows) == {"well_formed": ("vocabulary of item: 2 values are numbered in another order",)}
