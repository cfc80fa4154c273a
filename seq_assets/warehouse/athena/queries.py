"""Several questions in one query of Athena, each of which costs a second and ten megabytes whatever it asks.

Belongs here: how questions become one query and its rows become their answers, and how many are asked together. Not here: what
is asked, and how a query is run (`client`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from seq_assets.warehouse.athena.client import MAXIMUM_QUERY_BYTES, AthenaClient, Select, Unload
from seq_assets.warehouse.interface import Finding
from seq_assets.warehouse.rules.questions import Check, Question, judged, questions_of

MOST_TOGETHER: Final = 12
"""Questions, each of which scans a table: a query has a most number of stages, and memory that all of them share."""
MOST_COLUMNS_TOGETHER: Final = 500
"""Columns of their answers together."""
_PURPOSE_BYTES: Final = 1_000
"""Left for the purpose that the client writes before a query."""
_QUESTION: Final = "_question"


Answer: TypeAlias = list[dict[str, Any]]
"""The rows of a question, by column."""


@dataclass(frozen=True)
class AthenaQueries:
    """Asks Athena for what has to do with one table; its history shows with each query what it was for.

    Attributes:
        client: Runs the queries.
        about: The name of the table.
    """

    client: AthenaClient
    about: str

    def answers(self, questions: Sequence[Question]) -> list[Answer]:
        """The rows of each question, by column, from as few queries as Athena's limits allow.

        Raises:
            SeqAssetsError: As `AthenaClient.execute`.
        """
        [answers], _ = self.side_by_side([questions])
        return answers

    def unloading(self, purpose: str, select: str, folder: str) -> Unload:
        """A query about the table whose rows become Parquet files, to be run by `side_by_side`."""
        return Unload(select, folder, self._said(purpose))

    def side_by_side(
        self, groups: Sequence[Sequence[Question]], unloads: Sequence[Unload] = ()
    ) -> tuple[list[list[Answer]], list[str]]:
        """Asks and unloads at the same time.

        Args:
            groups: Questions; those of one group are asked together.
            unloads: Queries whose rows become files.

        Returns:
            Of each group the rows of each question, by column; and the folder with the result of each unload.

        Raises:
            SeqAssetsError: As `AthenaClient.execute`.
        """
        asked = [list(batches(group)) for group in groups]
        found, folders = self.client.side_by_side([self._select(batch) for batched in asked for batch in batched], unloads)
        rows = iter(found)
        answers = [[answer for batch in batched for answer in answers_of(batch, next(rows))] for batched in asked]
        return answers, folders

    def _select(self, questions: Sequence[Question]) -> Select:
        purpose = ", ".join(dict.fromkeys(question.purpose for question in questions))
        return Select(combined(questions) if len(questions) > 1 else questions[0].query, self._said(purpose))

    def _said(self, purpose: str) -> str:
        return f"{self.about}: {purpose}"


def found_by(queries: AthenaQueries, groups: Sequence[Sequence[Check]]) -> list[Finding]:
    """What checks find; those of one group are asked together, the groups at the same time."""
    answers, _ = queries.side_by_side([questions_of(checks) for checks in groups])
    return judged_groups(groups, answers)


def judged_groups(groups: Sequence[Sequence[Check]], answers: Sequence[Sequence[Answer]]) -> list[Finding]:
    """What the answers say to the questions of each group of checks."""
    return [
        finding for checks, asked in zip(groups, answers, strict=True) for finding in judged(checks, [row for [row] in asked])
    ]


def batches(questions: Sequence[Question]) -> Iterator[list[Question]]:
    """The questions in their order, as many together as one query may ask."""
    batch: list[Question] = []
    for question in questions:
        if batch and not _fit_together([*batch, question]):
            yield batch
            batch = []
        batch.append(question)
    if batch:
        yield batch


def _fit_together(questions: Sequence[Question]) -> bool:
    columns = sum(len(question.columns) for question in questions)
    if len(questions) > MOST_TOGETHER or columns > MOST_COLUMNS_TOGETHER:
        return False
    return len(combined(questions).encode()) <= MAXIMUM_QUERY_BYTES - _PURPOSE_BYTES


def combined(questions: Sequence[Question]) -> str:
    """One query with the rows of all questions: `_question` is the number of theirs, and each has columns of its own."""
    columns = [_column(number, place) for number, question in enumerate(questions) for place in range(len(question.columns))]
    parts = []
    for number, question in enumerate(questions):
        own = [_column(number, place) for place in range(len(question.columns))]
        # Without a type, a null takes that of the same column in the other parts.
        shown = [column if column in own else f"NULL AS {column}" if number == 0 else "NULL" for column in columns]
        parts.append(f"SELECT {number} AS {_QUESTION}, {', '.join(shown)} FROM ({question.query}) AS _asked({', '.join(own)})")
    return " UNION ALL ".join(parts)


def answers_of(questions: Sequence[Question], rows: Answer) -> list[Answer]:
    """The rows of each question, out of those of `combined`, or of the only question itself."""
    if len(questions) == 1:
        return [[dict(zip(questions[0].columns, row.values(), strict=True)) for row in rows]]
    answers: list[Answer] = [[] for _ in questions]
    for row in rows:
        number = row[_QUESTION]
        columns = enumerate(questions[number].columns)
        answers[number].append({name: row[_column(number, place)] for place, name in columns})
    return answers


def answer_table(table: pa.Table, number: int, schema: pa.Schema) -> pa.Table:
    """The rows of one question, by number, out of files with those of `combined`, in the columns of a schema."""
    rows = table.filter(pc.equal(table.column(_QUESTION), number))
    return pa.table([rows.column(_column(number, place)) for place in range(len(schema))], schema.names).cast(schema)


def _column(number: int, place: int) -> str:
    return f"_{number}_{place}"
