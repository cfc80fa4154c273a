"""Metrics of every column over accepted rows, measured by any engine."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Protocol

from seq_assets.models import ColumnType, ModelSpec
from seq_assets.warehouse.rules.contract_sql import Dialect

MOST_LABELS: Final = 50
LONGEST_TEXT: Final = 100
_LARGEST_BIGINT: Final = 2**63 - 1
_MOST_SCANS: Final = 10
"""Of the rows, in one query: Athena's queries have a most number of stages."""


class Queries(Protocol):
    """Runs queries whose results are small."""

    def row(self, query: str, /) -> Mapping[str, Any]:
        """The only row of a result, by column."""

    def rows(self, query: str, /) -> Sequence[Any]:
        """All rows of a result: tuples, or mappings by column."""


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


def column_metrics(
    queries: Queries, measures: Measures, spec: ModelSpec, rows: str, unique: Mapping[str, int] | None = None
) -> dict[str, Mapping[str, Any]]:
    """Measures every column: counts and extremes first, then moments, then labels where there are few.

    Per column: count of non-nulls, exact unique count, min and max; mean, sample variance and standard deviation of numbers (in
    float64, after subtracting the minimum, which keeps large values precise); counts per label where there are at most 50.

    Args:
        queries: Runs the queries.
        measures: How its engine measures.
        spec: The model.
        rows: A table expression with the contract's columns.
        unique: Of columns whose different values have been counted already, how many there are.
    """
    unique = unique or {}
    values = {name: _value(measures.dialect.quoted(name), column.type) for name, column in spec.columns.items()}
    found: dict[str, dict[str, Any]] = {name: {} for name in values}
    distinct = [str(unique[name]) if name in unique else f"count(DISTINCT {value})" for name, value in values.items()]
    for query in _count_queries(measures, list(values.values()), distinct, rows):
        _note(found, list(values), queries.row(query))
    numbers = [name for name, column in found.items() if spec.columns[name].type.is_number and column["count"]]
    if numbers:
        moments = [
            _moments(measures, values[name], spec.columns[name].type, found[name], number)
            for number, name in enumerate(numbers)
        ]
        _note(found, numbers, queries.row(f"SELECT {', '.join(moments)} FROM {rows}"))
    for name, column in found.items():
        if name in numbers:
            column["mean"] += float(column["min"])
            column["standard_deviation"] = None if column["variance"] is None else math.sqrt(column["variance"])
        if column["unique"] <= MOST_LABELS:
            value = values[name]
            labels = queries.rows(
                f"SELECT {value} AS label, count(*) AS count FROM {rows} WHERE {value} IS NOT NULL GROUP BY 1 ORDER BY 1"
            )
            column["labels"] = {_plain(label): count for label, count in map(cells, labels)}
    return {name: {key: _plain(value) for key, value in column.items()} for name, column in found.items()}


def _value(name: str, column_type: ColumnType) -> str:
    """A column, as float64 where it is float32, so that every engine gives the value that it has and not a short text of it."""
    return f"CAST({name} AS DOUBLE)" if column_type is ColumnType.FLOAT32 else name


def _count_queries(measures: Measures, values: Sequence[str], distinct: Sequence[str], rows: str) -> list[str]:
    counts = [_counts(value, unique, number) for number, (value, unique) in enumerate(zip(values, distinct, strict=True))]
    scans = [f"(SELECT {', '.join(part)} FROM {rows})" for part in _parts(counts, measures.columns_per_scan or len(counts))]
    return [f"SELECT * FROM {' CROSS JOIN '.join(part)}" for part in _parts(scans, _MOST_SCANS)]


def _parts(items: list[str], size: int) -> list[list[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _counts(value: str, unique: str, number: int) -> str:
    return (
        f'count({value}) AS "count {number}", {unique} AS "unique {number}", '
        f'min({value}) AS "min {number}", max({value}) AS "max {number}"'
    )


def _moments(measures: Measures, value: str, column_type: ColumnType, found: Mapping[str, Any], number: int) -> str:
    minimum = found["min"]
    # Whole numbers are subtracted as such, because float64 cannot tell large ones apart.
    exact = "DOUBLE"
    if column_type.is_integer:
        exact = "BIGINT" if found["max"] - minimum <= _LARGEST_BIGINT else measures.widest_integer
    lowest = measures.dialect.literal(minimum, ColumnType.INT64 if column_type.is_integer else ColumnType.FLOAT64)
    shifted = f"CAST(CAST({value} AS {exact}) - CAST({lowest} AS {exact}) AS DOUBLE)"
    return f'avg({shifted}) AS "mean {number}", var_samp({shifted}) AS "variance {number}"'


def _note(found: dict[str, dict[str, Any]], names: Sequence[str], row: Mapping[str, Any]) -> None:
    """Sorts a row, whose columns are named `<metric> <number of the column>`, by column and metric."""
    for key, value in row.items():
        metric, number = key.split(" ")
        found[names[int(number)]][metric] = value


def cells(row: Any) -> tuple[Any, ...]:
    """The values of a row of `Queries.rows`, in the order of its columns."""
    return tuple(row.values()) if isinstance(row, Mapping) else row


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
