"""Metrics of every column over accepted rows."""

import hashlib
import math
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from seq_assets.models import ColumnType, ModelSpec
from seq_assets.warehouse.local.engine import Engine, quoted

MOST_LABELS: Final = 50
LONGEST_TEXT: Final = 100


def column_metrics(engine: Engine, spec: ModelSpec, rows: str) -> dict[str, Mapping[str, Any]]:
    """Measures every column, in two passes over all of them, and one more for each that has few labels.

    Per column: count of non-nulls, exact unique count, min and max; mean, sample variance and standard deviation of numbers (in
    float64, after subtracting the minimum, which keeps large values precise); counts per label where there are at most 50.

    Args:
        engine: Where the rows are.
        spec: The model.
        rows: A table expression with the contract's columns.
    """
    names = list(spec.columns)
    counts = [_counts(quoted(name), number) for number, name in enumerate(names)]
    found = _by_column(names, engine.row(f"SELECT {', '.join(counts)} FROM {rows}"))
    numbers = {name: found[name] for name in names if spec.columns[name].type.is_number and found[name]["count"]}
    if numbers:
        moments = [
            _moments(quoted(name), spec.columns[name].type, column["min"], number)
            for number, (name, column) in enumerate(numbers.items())
        ]
        for name, measured in _by_column(list(numbers), engine.row(f"SELECT {', '.join(moments)} FROM {rows}")).items():
            found[name] |= measured | {"mean": measured["mean"] + float(found[name]["min"])}
    for name, column in found.items():
        if column["unique"] <= MOST_LABELS:
            value = quoted(name)
            labels = engine.rows(f"SELECT {value}, count(*) FROM {rows} WHERE {value} IS NOT NULL GROUP BY 1 ORDER BY 1")
            column["labels"] = {_plain(label): count for label, count in labels}
    return {name: {key: _plain(value) for key, value in column.items()} for name, column in found.items()}


def _counts(value: str, number: int) -> str:
    return (
        f'count({value}) AS "count {number}", count(DISTINCT {value}) AS "unique {number}", '
        f'min({value}) AS "min {number}", max({value}) AS "max {number}"'
    )


def _moments(value: str, column_type: ColumnType, minimum: float, number: int) -> str:
    # Whole numbers are subtracted as such: float64 cannot tell large ones apart.
    exact = "HUGEINT" if column_type.is_integer else "DOUBLE"
    shifted = f"CAST(CAST({value} AS {exact}) - CAST({minimum!r} AS {exact}) AS DOUBLE)"
    return (
        f'avg({shifted}) AS "mean {number}", var_samp({shifted}) AS "variance {number}", '
        f'stddev_samp({shifted}) AS "standard_deviation {number}"'
    )


def _by_column(names: list[str], row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A row whose columns are named `<metric> <number of the column>`, by column and metric."""
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    for key, value in row.items():
        metric, number = key.split(" ")
        found[names[int(number)]][metric] = value
    return found


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
