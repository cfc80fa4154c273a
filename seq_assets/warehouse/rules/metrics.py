"""Metrics of every column over accepted rows, measured by any engine."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from seq_assets.models import ColumnType, ModelSpec
from seq_assets.warehouse.rules.contract_sql import Dialect
from seq_assets.warehouse.rules.questions import Question, Row

MOST_LABELS: Final = 50
LONGEST_TEXT: Final = 100
_LARGEST_BIGINT: Final = 2**63 - 1


@dataclass(frozen=True)
class Measures:
    """How an engine measures.

    Attributes:
        dialect: How it writes names and values.
        widest_integer: The type in which the difference of any two integers of a contract can be held.
        columns_per_scan: The columns whose values one pass over the rows counts; None for all of them.
    """

    dialect: Dialect
    widest_integer: str
    columns_per_scan: int | None


def count_questions(measures: Measures, spec: ModelSpec, rows: str, unique: Mapping[str, int] | None = None) -> list[Question]:
    """What is asked before other metrics: each column's values, different values, and extremes.

    Args:
        measures: How the engine measures.
        spec: The model.
        rows: A table expression with the contract's columns.
        unique: Of columns whose different values have been counted already, how many there are.
    """
    unique = unique or {}
    columns = list(enumerate(_values(measures, spec).items()))
    size = measures.columns_per_scan or len(columns)
    questions = []
    for start in range(0, len(columns), size):
        counts = {}
        for number, (name, value) in columns[start : start + size]:
            counts[f"count {number}"] = f"count({value})"
            counts[f"unique {number}"] = str(unique[name]) if name in unique else f"count(DISTINCT {value})"
            counts[f"min {number}"] = f"min({value})"
            counts[f"max {number}"] = f"max({value})"
        questions.append(Question.of("counts of columns", counts, rows))
    return questions


@dataclass(frozen=True)
class ColumnMetrics:
    """The metrics of every column, of which the first were counted: moments, and labels where there are few.

    Per column: count of non-nulls, exact unique count, min and max; mean, sample variance and standard deviation of numbers (in
    float64, after subtracting the minimum, which keeps large values precise); counts per label where there are at most 50.

    Attributes:
        measures: How the engine measures.
        spec: The model.
        rows: A table expression with the contract's columns.
        counted: The rows of `count_questions`.
    """

    measures: Measures
    spec: ModelSpec
    rows: str
    counted: Sequence[Row]

    def questions(self) -> list[Question]:
        """What is asked after the counts."""
        values, found = _values(self.measures, self.spec), self._found()
        labels = [_labels_question(values[name], self.rows) for name in self._labeled(found)]
        numbers = self._numbers(found)
        return [*([_moments_question(self.measures, self.spec, found, numbers, self.rows)] if numbers else []), *labels]

    def of(self, answers: Sequence[Sequence[Row]]) -> dict[str, Mapping[str, Any]]:
        """The metrics by column, given the answers to `questions`."""
        found = self._found()
        numbers, left = self._numbers(found), iter(answers)
        labeled = self._labeled(found)
        if numbers:
            [moments] = next(left)
            _note(found, numbers, moments)
        for name in numbers:
            column = found[name]
            column["mean"] += float(column["min"])
            column["standard_deviation"] = None if column["variance"] is None else math.sqrt(column["variance"])
        for name, labels in zip(labeled, left, strict=True):
            counts = sorted((row["label"], row["count"]) for row in labels)
            found[name]["labels"] = {_plain(label): count for label, count in counts}
        for column in found.values():
            # Of 0.0 and -0.0, which are equal, engines choose as they like.
            column |= {name: column[name] + 0.0 for name in ("min", "max") if isinstance(column[name], float)}
        return {name: {key: _plain(value) for key, value in column.items()} for name, column in found.items()}

    def _found(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {name: {} for name in self.spec.columns}
        for row in self.counted:
            _note(found, list(found), row)
        return found

    def _numbers(self, found: Mapping[str, Mapping[str, Any]]) -> list[str]:
        return [name for name, column in found.items() if self.spec.columns[name].type.is_number and column["count"]]

    def _labeled(self, found: Mapping[str, Mapping[str, Any]]) -> list[str]:
        return [name for name, column in found.items() if column["unique"] <= MOST_LABELS]


def _values(measures: Measures, spec: ModelSpec) -> dict[str, str]:
    return {name: _value(measures.dialect.quoted(name), column.type) for name, column in spec.columns.items()}


def _value(name: str, column_type: ColumnType) -> str:
    """A column, as float64 where it is float32, so that every engine gives the value that it has and not a short text of it."""
    return f"CAST({name} AS DOUBLE)" if column_type is ColumnType.FLOAT32 else name


def _labels_question(value: str, rows: str) -> Question:
    return Question.of("labels", {"label": value, "count": "count(*)"}, f"{rows} WHERE {value} IS NOT NULL GROUP BY 1")


def _moments_question(
    measures: Measures, spec: ModelSpec, found: Mapping[str, Mapping[str, Any]], numbers: Sequence[str], rows: str
) -> Question:
    values, moments = _values(measures, spec), {}
    for number, name in enumerate(numbers):
        shifted = _shifted(measures, values[name], spec.columns[name].type, found[name])
        moments[f"mean {number}"] = f"avg({shifted})"
        moments[f"variance {number}"] = f"var_samp({shifted})"
    return Question.of("moments", moments, rows)


def _shifted(measures: Measures, value: str, column_type: ColumnType, found: Mapping[str, Any]) -> str:
    """A number less the smallest of its column, in float64."""
    minimum = found["min"]
    # Whole numbers are subtracted as such, because float64 cannot tell large ones apart.
    exact = "DOUBLE"
    if column_type.is_integer:
        exact = "BIGINT" if found["max"] - minimum <= _LARGEST_BIGINT else measures.widest_integer
    lowest = measures.dialect.literal(minimum, ColumnType.INT64 if column_type.is_integer else ColumnType.FLOAT64)
    return f"CAST(CAST({value} AS {exact}) - CAST({lowest} AS {exact}) AS DOUBLE)"


def _note(found: dict[str, dict[str, Any]], names: Sequence[str], row: Mapping[str, Any]) -> None:
    """Sorts a row, whose columns are named `<metric> <number of the column>`, by column and metric."""
    for key, value in row.items():
        metric, number = key.split(" ")
        found[names[int(number)]][metric] = value


def _plain(value: Any) -> Any:
    """A value that JSON can hold, and that keeps a version's metadata small; texts stay different when they are cut.

    What exceeds float64 (the variance of very large floats) is null.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        digest = hashlib.md5(value.encode(), usedforsecurity=False).hexdigest()
        return f"{value[:LONGEST_TEXT]}… ({len(value)} characters, md5 {digest})"
    return value.isoformat() if isinstance(value, date) else value
