"""Questions that are asked together are answered as if each were asked alone; no query exceeds what Athena takes."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from seq_assets.warehouse.athena.client import MAXIMUM_QUERY_BYTES, Select, Unload
from seq_assets.warehouse.athena.queries import (
    MOST_COLUMNS_TOGETHER,
    MOST_TOGETHER,
    AthenaQueries,
    answer_table,
    answers_of,
    batches,
    combined,
)
from seq_assets.warehouse.rules.questions import Question

QUESTIONS = [
    Question.of("counts", {"rows": "count(*)", 'a "name"': "max(word)"}, "(VALUES (1, 'a'), (2, 'é')) AS rows(number, word)"),
    Question.of("labels", {"label": "number", "count": "count(*)"}, "(VALUES (3), (3), (1)) AS rows(number) GROUP BY 1"),
    Question.of("nothing", {"rows": "number"}, "(VALUES (1)) AS rows(number) WHERE number > 1"),
    Question("dates", ("day", "is_null"), "WITH days AS (SELECT DATE '2024-02-29' AS day) SELECT day, NULL FROM days"),
]
ANSWERS: list[list[dict[str, Any]]] = [
    [{"rows": 2, 'a "name"': "é"}],
    [{"label": 1, "count": 1}, {"label": 3, "count": 2}],
    [],
    [{"day": date(2024, 2, 29), "is_null": None}],
]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(duckdb.connect()) as connection:
        yield connection


@dataclass
class Client:
    """Runs queries on another engine that understands them; what for is noted."""

    connection: duckdb.DuckDBPyConnection
    purposes: list[str] = field(default_factory=list)

    def side_by_side(
        self, selects: Sequence[Select], unloads: Sequence[Unload] = ()
    ) -> tuple[list[list[dict[str, Any]]], list[str]]:
        self.purposes += [select.purpose for select in selects] + [unload.purpose for unload in unloads]
        found = [self.connection.sql(select.sql) for select in selects]
        rows = [[dict(zip(one.columns, row, strict=True)) for row in one.fetchall()] for one in found]
        return rows, [f"{unload.folder}/attempt/" for unload in unloads]


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(tuple(row.values())))


@pytest.mark.parametrize("numbers", [[0], [1], [2], [3], [0, 1, 2, 3], [3, 2, 1, 0], [1, 1]], ids=str)
def test_questions_that_are_asked_together_have_the_answers_of_each(
    connection: duckdb.DuckDBPyConnection, numbers: list[int]
) -> None:
    client: Any = Client(connection)
    found = AthenaQueries(client, "table").answers([QUESTIONS[number] for number in numbers])
    assert [in_order(rows) for rows in found] == [ANSWERS[number] for number in numbers]
    assert len(client.purposes) == 1


def test_no_question_is_no_query(connection: duckdb.DuckDBPyConnection) -> None:
    client: Any = Client(connection)
    assert AthenaQueries(client, "table").answers([]) == []
    assert client.purposes == []


def test_a_query_says_which_table_it_is_about_and_once_what_each_question_is_for(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    client: Any = Client(connection)
    AthenaQueries(client, "m_raw_observations").answers([*QUESTIONS[:2], QUESTIONS[0]])
    assert client.purposes == ["m_raw_observations: counts, labels"]


def test_groups_are_asked_apart_each_with_its_answers(connection: duckdb.DuckDBPyConnection) -> None:
    client: Any = Client(connection)
    queries = AthenaQueries(client, "m")
    many = [QUESTIONS[0]] * (MOST_TOGETHER + 1)
    answers, folders = queries.side_by_side([QUESTIONS[:2], [], many], [queries.unloading("stage", "SELECT 1", "s3://b/stage")])
    assert [[in_order(rows) for rows in group] for group in answers] == [ANSWERS[:2], [], [ANSWERS[0]] * len(many)]
    assert folders == ["s3://b/stage/attempt/"]
    assert client.purposes == ["m: counts, labels", "m: counts", "m: counts", "m: stage"]


def test_a_question_that_is_asked_alone_keeps_its_order(connection: duckdb.DuckDBPyConnection) -> None:
    client: Any = Client(connection)
    rows = "(VALUES (2), (3), (1)) AS rows(number) ORDER BY 1 DESC LIMIT 2"
    [found] = AthenaQueries(client, "table").answers([Question.of("first", {"number": "number"}, rows)])
    assert found == [{"number": 3}, {"number": 2}]


def test_the_files_of_a_common_query_hold_each_questions_rows_in_their_type(connection: duckdb.DuckDBPyConnection) -> None:
    table = connection.sql(combined(QUESTIONS)).to_arrow_table()
    schema = pa.schema([("label", pa.int64()), ("count", pa.int64())])
    assert in_order(answer_table(table, 1, schema).to_pylist()) == ANSWERS[1]
    days = answer_table(table, 3, pa.schema([("day", pa.date32()), ("is_null", pa.string())]))
    assert days.to_pylist() == ANSWERS[3]


def test_questions_are_asked_together_up_to_their_most_number() -> None:
    many = [QUESTIONS[0]] * (2 * MOST_TOGETHER + 1)
    assert [len(batch) for batch in batches(many)] == [MOST_TOGETHER, MOST_TOGETHER, 1]


def test_questions_are_asked_together_up_to_the_longest_query() -> None:
    long = [
        Question.of(str(number), {"longest": f"max('{'é' * 20_000}')"}, "(VALUES (1)) AS rows(number)") for number in range(8)
    ]
    found = list(batches(long))
    assert [len(batch) for batch in found] == [6, 2]
    assert max(len(combined(batch).encode()) for batch in found) < MAXIMUM_QUERY_BYTES
    assert [question for batch in found for question in batch] == long


def test_a_question_that_is_too_long_for_others_is_asked_alone() -> None:
    longest = Question("longest", ("n",), f"SELECT 1 -- {'x' * MAXIMUM_QUERY_BYTES}")
    assert list(batches([QUESTIONS[0], longest, QUESTIONS[1]])) == [[QUESTIONS[0]], [longest], [QUESTIONS[1]]]


def test_questions_with_many_columns_are_asked_apart() -> None:
    columns = {f"c{number}": str(number) for number in range(MOST_COLUMNS_TOGETHER // 2)}
    wide = Question.of("wide", columns, "(VALUES (1)) AS rows(number)")
    assert [len(batch) for batch in batches([wide, wide, QUESTIONS[0], wide])] == [2, 2]


def test_answers_are_told_apart_by_the_number_of_their_question() -> None:
    rows = [{"_question": 1, "_0_0": None, "_0_1": None, "_1_0": 7, "_1_1": 8}]
    assert answers_of(QUESTIONS[:2], rows) == [[], [{"label": 7, "count": 8}]]
