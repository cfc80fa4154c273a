"""However an engine divides the work of measuring, the metrics are the same."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import duckdb
import pytest
import yaml

from seq_assets.models import parse_model
from seq_assets.warehouse.local.ingest_sql import MEASURES
from seq_assets.warehouse.rules.metrics import ColumnMetrics, Measures, count_questions
from seq_assets.warehouse.rules.questions import Question, only_rows

COLUMNS = 25
SPEC = parse_model(
    yaml.safe_dump(
        {
            **{"name": "m", "source": {"location": "x.csv"}, "entity": "c0"},
            "columns": {f"c{number}": {"type": "int32"} for number in range(COLUMNS)},
        }
    ),
    "m.yaml",
)


@dataclass
class Queries:
    """Answers, and what was asked together."""

    connection: Any
    asked: list[Sequence[Question]] = field(default_factory=list)

    def answers(self, questions: Sequence[Question]) -> list[list[dict[str, Any]]]:
        self.asked.append(questions)
        found = (self.connection.execute(question.query).fetchall() for question in questions)
        return [
            [dict(zip(question.columns, row, strict=True)) for row in rows]
            for question, rows in zip(questions, found, strict=True)
        ]

    def metrics(self, measures: Measures) -> dict[str, Mapping[str, Any]]:
        counted = only_rows(self, count_questions(measures, SPEC, "observations"))
        metrics = ColumnMetrics(measures, SPEC, "observations", counted)
        return metrics.of(self.answers(metrics.questions()))


@pytest.fixture
def queries() -> Iterator[Queries]:
    with closing(duckdb.connect()) as connection:
        columns = ", ".join(f"(range * {number} % 60)::INTEGER AS c{number}" for number in range(COLUMNS))
        connection.execute(f"CREATE TABLE observations AS SELECT {columns} FROM range(120)")
        yield Queries(connection)


def test_columns_that_are_scanned_one_by_one_are_measured_as_all_at_once(queries: Queries) -> None:
    at_once = queries.metrics(MEASURES)
    assert len(queries.asked[0]) == 1
    queries.asked.clear()
    assert queries.metrics(replace(MEASURES, columns_per_scan=1)) == at_once
    assert len(queries.asked[0]) == COLUMNS
    assert at_once["c1"]["unique"] == 60
    assert at_once["c2"]["labels"] == {2 * number: 4 for number in range(30)}


def test_moments_and_all_labels_are_asked_together(queries: Queries) -> None:
    found = queries.metrics(MEASURES)
    counts, others = queries.asked
    assert [question.purpose for question in counts] == ["counts of columns"]
    labels = sum("labels" in column for column in found.values())
    assert 0 < labels < COLUMNS
    assert [question.purpose for question in others] == ["moments", *["labels"] * labels]
