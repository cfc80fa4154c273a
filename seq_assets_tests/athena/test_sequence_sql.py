"""Sequences by SQL on the real engine are the reference's, for any histories and any definition."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seq_assets.models import ColumnType
from seq_assets.sequencing.plans import SequencePlan
from seq_assets.sequencing.schemas import VOCABULARY_SCHEMA, raw_schema
from seq_assets.warehouse.athena.sequence_sql import sequence_query
from seq_assets.warehouse.athena.sql import quoted
from seq_assets_tests.athena.fixtures import AthenaClient
from seq_assets_tests.athena.values import values_table
from seq_assets_tests.reference import examples, histories, in_order, sequences
from seq_assets_tests.sequencing.cases import Case, cases

pytestmark = pytest.mark.athena

CASES_PER_QUERY = 12


@settings(
    max_examples=examples(12),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(batch=st.lists(cases(), min_size=CASES_PER_QUERY, max_size=CASES_PER_QUERY))
def test_any_case_gives_the_sequences_of_the_reference(athena: AthenaClient, batch: list[Case]) -> None:
    queries = [f"SELECT {number} AS _case, {_as_json(case)} AS _row FROM ({_query(case)})" for number, case in enumerate(batch)]
    found: dict[int, list[Any]] = {number: [] for number in range(len(batch))}
    for answered, row in athena.rows(" UNION ALL ".join(queries)):
        found[int(answered or "")].append(json.loads(row or ""))
    for number, case in enumerate(batch):
        expected = sequences(in_order(case.rows, "entity", []), case.definition)
        assert _comparable(found[number], case.plan) == _comparable(expected, case.plan), case


def _query(case: Case) -> str:
    columns = dict([*(feature.source for feature in case.plan.features), ("entity", case.entity_type)])
    schema = raw_schema((name, type_, True) for name, type_ in columns.items())
    rows = [
        {**row, "subset": subset, "_file": "f", "_row": None, "_position": position}
        for history in histories(case.rows, "entity").values()
        for position, row in enumerate(history)
        # Rows of the other subset are none of the plan's.
        for subset in ("train", "validation")
    ]
    vocabulary = values_table(VOCABULARY_SCHEMA, case.vocabulary.to_pylist())
    return sequence_query(case.plan, values_table(schema, rows), vocabulary)


def _as_json(case: Case) -> str:
    """A row as a list of its values, so that cases with different columns fit into one query."""
    values = ", ".join(f"CAST({quoted(name)} AS JSON)" for name in case.plan.schema.names)
    return f"json_format(CAST(ARRAY[{values}] AS JSON))"


def _comparable(rows: Iterable[Any], plan: SequencePlan) -> list[list[Any]]:
    """Rows in order, a list of values each; what is printed of a float32 is taken as one."""
    found = []
    for row in rows:
        values = list(row.values()) if isinstance(row, Mapping) else row
        typed = zip(plan.schema.columns, values, strict=True)
        found.append([np.float32(value).tolist() if column.type is ColumnType.FLOAT32 else value for column, value in typed])
    return sorted(found, key=lambda row: (row[0].encode() if isinstance(row[0], str) else row[0], row[1]))
