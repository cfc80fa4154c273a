"""The contract as SQL over source records: typed values, rejections, subset. Pure functions from a plan to text.

The stage table that results has, per record, `_file` (index), `_row`, `subset`, `_rejections` (null where it was accepted,
else one entry per failed column, in contract order) and the contract's columns in their stored types. Names that the queries
make up begin with `_`, which no column of a contract does.
"""

import math
from collections.abc import Mapping
from typing import Final

from seq_assets.models import ColumnSpec, ColumnType, ModelSpec, Scalar
from seq_assets.models.columns import Validation, literal
from seq_assets.models.spec import ColumnSplit, EntityHashSplit, LocationSplit, TimeSplit
from seq_assets.warehouse.local.casts import literal_sql, null_sql, readable_sql, trimmed_sql
from seq_assets.warehouse.local.engine import quoted, text_literal

MALFORMED_REASON: Final = "malformed"
REASONS: Final = (MALFORMED_REASON, "unreadable", "null", *(validation.value for validation in Validation), "split_value")
"""Why a record is rejected, in the order in which reasons apply."""

_COMPARISONS: Final = {
    Validation.IS_GREATER_THAN: ">",
    Validation.IS_GREATER_THAN_OR_EQUAL: ">=",
    Validation.IS_LOWER_THAN: "<",
    Validation.IS_LOWER_THAN_OR_EQUAL: "<=",
}


def stage_query(spec: ModelSpec, records: str, source_types: Mapping[str, str], subsets: tuple[list[int], list[int]]) -> str:
    """The query that makes the stage table out of source records.

    Args:
        spec: The model.
        records: A table or table function with `_file`, `_row`, `_malformed`, `_unreadable` and the contract's columns.
        source_types: The DuckDB type of each of the contract's columns in it.
        subsets: Of a split by location: the indexes of the files of train and of validation.
    """
    values, typed, rejections = [], [], []
    for number, (name, column) in enumerate(spec.columns.items()):
        source, value = quoted(name), quoted(f"_v{number}")
        values.append(f"{trimmed_sql(source, source_types[name], column)} AS {quoted(f'_w{number}')}")
        typed.append(f"{readable_sql(quoted(f'_w{number}'), source_types[name], column)} AS {value}")
        rejections.append(_rejection(spec, name, column, number, source_types[name]))
    columns = ", ".join(f"{quoted(f'_v{number}')} AS {quoted(name)}" for number, name in enumerate(spec.columns))
    malformed = f"[{{'column': NULL::VARCHAR, 'value': _malformed, 'reason': '{MALFORMED_REASON}'}}]"
    return f"""
        WITH trimmed AS (SELECT *, {", ".join(values)} FROM {records}),
        typed AS (SELECT *, {", ".join(typed)} FROM trimmed),
        checked AS (
            SELECT *, CASE WHEN _malformed IS NOT NULL THEN {malformed}
                ELSE list_filter([{", ".join(rejections)}], lambda rejection: rejection IS NOT NULL) END AS _failed
            FROM typed)
        SELECT _file, _row, nullif(_failed, []) AS _rejections, {_subset(spec, subsets)} AS subset, {columns}
        FROM checked"""


def _rejection(spec: ModelSpec, name: str, column: ColumnSpec, number: int, source_type: str) -> str:
    """A struct of column, value and reason, or null where the column did not fail."""
    source, value = quoted(name), quoted(f"_v{number}")
    is_null = null_sql(quoted(f"_w{number}"), source_type, column)
    marked = f"coalesce(contains(',' || _unreadable || ',', ',{name},'), false)"
    cases = [f"WHEN NOT {is_null} AND ({value} IS NULL OR {marked}) THEN 'unreadable'"]
    if not column.nullable:
        cases.append(f"WHEN {value} IS NULL THEN 'null'")
    cases += [
        f"WHEN NOT ({condition_sql(value, column.type, validation, values)}) THEN '{validation}'"
        for validation, values in column.validations()
    ]
    if isinstance(spec.split, ColumnSplit) and spec.split.column == name:
        known = [literal(item, column.type) for item in (*spec.split.train, *spec.split.validation)]
        cases.append(f"WHEN NOT coalesce({value} IN ({_literals(known, column.type)}), false) THEN 'split_value'")
    reason = f"CASE {' '.join(cases)} END"
    struct = f"{{'column': {text_literal(name)}, 'value': CAST({source} AS VARCHAR), 'reason': {reason}}}"
    return f"CASE WHEN ({reason}) IS NOT NULL THEN {struct} END"


def condition_sql(value: str, column_type: ColumnType, validation: Validation, values: tuple[Scalar, ...]) -> str:
    """The condition that an accepted, non-null value meets; null where the value is null."""
    literals = [literal_sql(item, column_type) for item in values]
    if validation is Validation.IS_IN:
        return f"{value} IN ({', '.join(literals)})"
    if validation is Validation.IS_BETWEEN:
        return f"{value} BETWEEN {literals[0]} AND {literals[1]}"
    return f"{value} {_COMPARISONS[validation]} {literals[0]}"


def _literals(values: list[Scalar], column_type: ColumnType) -> str:
    return ", ".join(literal_sql(value, column_type) for value in values)


def _subset(spec: ModelSpec, subsets: tuple[list[int], list[int]]) -> str:
    split = spec.split
    if isinstance(split, LocationSplit):
        indexes = ", ".join(map(str, subsets[1])) or "NULL"
        return f"CASE WHEN _file IN ({indexes}) THEN 'validation' ELSE 'train' END"
    name = spec.entity if isinstance(split, EntityHashSplit) else split.column
    value = quoted(f"_v{list(spec.columns).index(name)}")
    return subset_sql(spec, value)


def subset_sql(spec: ModelSpec, value: str) -> str:
    """The subset of an accepted observation, from the value that the split goes by (the entity, or the split's column)."""
    split = spec.split
    assert not isinstance(split, LocationSplit), "goes by the file, not by a value"
    if isinstance(split, EntityHashSplit):
        is_validation = entity_hash_sql(value, split)
    elif isinstance(split, TimeSplit):
        is_validation = f"{value} >= {cutoff_sql(spec, split)}"
    else:
        column_type = spec.columns[split.column].type
        known = [literal(item, column_type) for item in split.validation]
        is_validation = f"{value} IN ({_literals(known, column_type)})"
    return f"CASE WHEN {is_validation} THEN 'validation' ELSE 'train' END"


def cutoff_sql(spec: ModelSpec, split: TimeSplit) -> str:
    """The first value of the split's column that is validation."""
    microseconds = split.cutoff_microseconds
    if spec.columns[split.column].type is ColumnType.TIMESTAMP:
        return f"{microseconds}::BIGINT"
    days = -(-microseconds // 86_400_000_000)
    return literal_sql(days, ColumnType.DATE)


def entity_hash_sql(entity: str, split: EntityHashSplit) -> str:
    """Whether an entity is validation: the first 8 hex digits of md5, as text, below the fraction of 2^32.

    Comparing text spares the conversion: hex digits order like the numbers that they write.
    """
    threshold = math.ceil(split.validation_fraction * 2**32)
    if threshold > 0xFFFFFFFF:
        return "true"
    return f"substr(md5('{split.seed}:' || CAST({entity} AS VARCHAR)), 1, 8) < '{threshold:08x}'"


def order_sql(spec: ModelSpec) -> str:
    """The order of raw observations within one subset."""
    return ", ".join([*(quoted(name) for name in dict.fromkeys([spec.entity, *spec.order_by])), "_file", "_row"])


def label_counts_query(spec: ModelSpec, feature: str, rows: str) -> str:
    """The query that counts the values of an encoded feature: `value` (its null filled, never null) and `count`."""
    value = label_sql(quoted(feature), spec.columns[feature].type, spec.fill_value(feature))
    return f"SELECT {value} AS value, count(*) AS count FROM {rows} WHERE {value} IS NOT NULL GROUP BY 1"


def label_sql(value: str, column_type: ColumnType, fill_value: Scalar | None) -> str:
    """The value that an encoded feature looks up: its null filled, where it is."""
    return value if fill_value is None else f"coalesce({value}, {literal_sql(fill_value, column_type)})"
