"""Metrics of every column over accepted rows."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from seq_assets.models import ColumnType, ModelSpec
from seq_assets.warehouse.local.engine import Engine, quoted

MOST_LABELS: Final = 50
LONGEST_TEXT: Final = 100


def column_metrics(engine: Engine, spec: ModelSpec, rows: str) -> dict[str, Mapping[str, Any]]:
    """Measures every column.

    Per column: count of non-nulls, exact unique count, min and max; mean, sample variance and standard deviation of numbers (in
    float64, after subtracting the minimum, which keeps large values precise); counts per label where there are at most 50.

    Args:
        engine: Where the rows are.
        spec: The model.
        rows: A table expression with the contract's columns.
    """
    return {name: _metrics(engine, name, column.type, rows) for name, column in spec.columns.items()}


def _metrics(engine: Engine, name: str, column_type: ColumnType, rows: str) -> dict[str, Any]:
    column = quoted(name)
    found = engine.row(
        f'SELECT count({column}) AS "count", count(DISTINCT {column}) AS "unique", '
        f'min({column}) AS "min", max({column}) AS "max" FROM {rows}'
    )
    if column_type.is_number and found["count"]:
        shifted = f"(CAST({column} AS DOUBLE) - CAST({found['min']!r} AS DOUBLE))"
        moments = engine.row(
            f"SELECT avg({shifted}) AS mean, var_samp({shifted}) AS variance, stddev_samp({shifted}) AS standard_deviation "
            f"FROM {rows}"
        )
        found |= moments | {"mean": moments["mean"] + float(found["min"])}
    if found["unique"] <= MOST_LABELS:
        labels = engine.rows(f"SELECT {column}, count(*) FROM {rows} WHERE {column} IS NOT NULL GROUP BY 1 ORDER BY 1")
        found["labels"] = {_plain(label): count for label, count in labels}
    return {key: _plain(value) for key, value in found.items()}


def _plain(value: Any) -> Any:
    """A value that JSON can hold, and that keeps a version's metadata small."""
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    return value.isoformat() if isinstance(value, date) else value
