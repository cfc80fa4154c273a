"""Questions to an engine whose answers are small, and checks that are judged by such answers.

Belongs here: their shape, and the promise of whoever answers. Not here: what is asked (audits, metrics), or how many questions
an engine answers in one query: a query has a price and a latency of its own on Athena, and none here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from seq_assets.warehouse.engine import quoted
from seq_assets.warehouse.interface import Finding

Row: TypeAlias = Mapping[str, Any]
"""The values of a row by column."""


@dataclass(frozen=True)
class Question:
    """A query with few rows, whose order holds where it is asked alone.

    Attributes:
        purpose: What it is for, in a few words that need no quotes.
        columns: The names of its columns, in their order.
        query: The query.
    """

    purpose: str
    columns: tuple[str, ...]
    query: str

    @classmethod
    def of(cls, purpose: str, columns: Mapping[str, str], source: str) -> "Question":
        """Asks for expressions, by the names of their columns, over what stands behind FROM."""
        named = ", ".join(f"{expression} AS {quoted(name)}" for name, expression in columns.items())
        return cls(purpose, tuple(columns), f"SELECT {named} FROM {source}")


class Queries(Protocol):
    """Answers questions."""

    def answers(self, questions: Sequence[Question], /) -> Sequence[Sequence[Row]]:
        """The rows of each question, in the order of the questions."""


@dataclass(frozen=True)
class Check:
    """What an audit asks for one of its findings.

    Attributes:
        questions: Each has one row.
        judge: What these rows say, given in the order of the questions.
    """

    questions: Sequence[Question]
    judge: Callable[[Sequence[Row]], Finding]


def only_rows(queries: Queries, questions: Sequence[Question]) -> list[Row]:
    """The only row of each question."""
    return [row for [row] in queries.answers(questions)]


def questions_of(checks: Sequence[Check]) -> list[Question]:
    """What checks ask, in their order."""
    return [question for check in checks for question in check.questions]


def judged(checks: Sequence[Check], rows: Sequence[Row]) -> list[Finding]:
    """What the rows say that answer the questions of checks."""
    left = iter(rows)
    return [check.judge([next(left) for _ in check.questions]) for check in checks]


def findings(queries: Queries, checks: Sequence[Check]) -> list[Finding]:
    """What checks find that are asked together."""
    return judged(checks, only_rows(queries, questions_of(checks)))
