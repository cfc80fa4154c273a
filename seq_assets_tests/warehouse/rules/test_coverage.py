"""Which windows hold an item, as the audits count: what the reference says, item by item."""

from collections.abc import Iterator

import duckdb

from seq_assets.warehouse.rules.coverage import coverage_of
from seq_assets_tests.reference import Definition, Feature, windows
from seq_assets_tests.sequencing.cases import WINDOWS, plan_of

LONGEST_HISTORY = 13


def definitions() -> Iterator[Definition]:
    """All window kinds, lengths up to 5, every stride and `min_length` that a model may have."""
    for length in range(1, 6):
        for min_length in range(1, length + 1):
            for window in WINDOWS:
                for stride in range(1, length + 1) if window == "sliding" else [None]:
                    yield Definition("pupil", (Feature("item", "int32", -1),), length, window, stride, min_length=min_length)


def test_which_windows_hold_an_item_is_what_the_reference_says() -> None:
    asked = list(definitions())
    rules = [coverage_of(plan_of(definition)) for definition in asked]
    queries = ", ".join(f"[({rule.windows})::BIGINT, ({rule.min_length})::BIGINT]" for rule in rules)
    grid = ", ".join(f"({n}, {p})" for n in range(1, LONGEST_HISTORY + 1) for p in range(n))
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT _n, _p, {queries} FROM (VALUES {grid}) AS t (_n, _p)").fetchall()
    assert len(found) == LONGEST_HISTORY * (LONGEST_HISTORY + 1) // 2
    for n, p, *answers in found:
        for definition, (held, short) in zip(asked, answers, strict=True):
            every = windows(n, definition)
            holding = [window for window in every if p in window]
            assert held == sum(len(window) >= definition.min_length for window in holding), (definition, n, p)
            if not held:
                assert short == bool(holding or not every), (definition, n, p)
