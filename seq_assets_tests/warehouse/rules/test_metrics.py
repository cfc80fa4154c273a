"""However an engine divides the work of measuring, the metrics are the same."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import duckdb
import pytest
import yaml

from seq_assets.models import parse_model
from seq_assets.warehouse.local.ingest_sql import MEASURES
from seq_assets.warehouse.rules.metrics import column_metrics

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
    """Rows by column, as Athena's client gives them, and what was asked."""

    connection: Any
    asked: list[str] = field(default_factory=list)

    def rows(self, query: str) -> list[dict[str, Any]]:
        self.asked.append(query)
        result = self.connection.execute(query)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def row(self, query: str) -> dict[str, Any]:
        [row] = self.rows(query)
        return row


@pytest.fixture
def queries() -> Iterator[Queries]:
    with closing(duckdb.connect()) as connection:
        columns = ", ".join(f"(range * {number} % 60)::INTEGER AS c{number}" for number in range(COLUMNS))
        connection.execute(f"CREATE TABLE observations AS SELECT {columns} FROM range(120)")
        yield Queries(connection)


def test_columns_that_are_scanned_one_by_one_are_measured_as_all_at_once(queries: Queries) -> None:
    at_once = column_metrics(queries, MEASURES, SPEC, "observations")
    asked = [query for query in queries.asked if "count(DISTINCT" in query]
    assert len(asked) == 1
    queries.asked.clear()
    assert column_metrics(queries, replace(MEASURES, columns_per_scan=1), SPEC, "observations") == at_once
    scans = [query.count("FROM observations") for query in queries.asked if "count(DISTINCT" in query]
    assert scans == [10, 10, 5]
    assert at_once["c1"]["unique"] == 60
    assert at_once["c2"]["labels"] == {2 * number: 4 for number in range(30)}
