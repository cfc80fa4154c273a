"""The contract as SQL over source records: typed values, rejections, subset. Pure functions from a plan to text.

The stage table that results has, per record, `_file` (index), `_row`, `_rejections` (null where it was accepted, else one entry
per failed column, in contract order) and the contract's columns in their stored types. Names that the queries make up begin
with `_`, which no column of a contract does.
"""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from seq_assets.models import ModelSpec
from seq_assets.models.spec import EntityHashSplit, LocationSplit
from seq_assets.warehouse.engine import Engine, quoted, text_literal
from seq_assets.warehouse.local.casts import (
    is_read_as_it_stands,
    literal_sql,
    null_sql,
    placed_sql,
    readable_sql,
    standard_sql,
)
from seq_assets.warehouse.rules.contract_sql import ContractSql, Dialect
from seq_assets.warehouse.rules.lookups import Lookups, looked_up, lookup_table
from seq_assets.warehouse.rules.metrics import Measures
from seq_assets.warehouse.rules.number_formats import NumberFormat
from seq_assets.warehouse.sources.records import text_column

_DIALECT: Final = Dialect(
    quoted=quoted,
    literal=literal_sql,
    md5_start=lambda text: f"substr(md5({text}), 1, 8)",
    contains=lambda text, part: f"contains({text}, {part})",
)
CONTRACT: Final = ContractSql(_DIALECT)
MEASURES: Final = Measures(_DIALECT, widest_integer="HUGEINT", columns_per_scan=None)


def stage_query(
    spec: ModelSpec,
    records: str,
    source_types: Mapping[str, str],
    texts: Collection[str] = (),
    unreadable: Mapping[str, str] = MappingProxyType({}),
    numbers: NumberFormat | None = None,
) -> str:
    """The query that makes the stage table out of source records.

    Args:
        spec: The model.
        records: A table or table function with `_file`, `_row`, `_malformed`, `_detail`, `_unreadable`, `_too_long` and the
            contract's columns.
        source_types: The DuckDB type of each of the contract's columns in it.
        texts: The columns of the contract that have a `_text_<column>`; of the others the value's own text is shown.
        unreadable: By column of the contract: the detail of its unreadable values; those of other columns have none.
        numbers: How numbers are written, where that is not the standard.
    """
    values, typed, placed, rejections, tables = [], [], [], [], lookups(spec)
    for number, (name, column) in enumerate(spec.columns.items()):
        source, value, local = quoted(name), quoted(f"_v{number}"), quoted(f"_l{number}")
        standard, type_ = standard_sql(source, source_types[name], column, numbers), source_types[name]
        if is_read_as_it_stands(type_, column, numbers):
            typed.append(f"{readable_sql(source, type_, column)} AS {local}")
            again = f"CASE WHEN {source} IS NOT NULL THEN {readable_sql(standard, type_, column)} END"
            placed.append(f"CASE WHEN {local} IS NULL THEN {again} ELSE {local} END AS {value}")
            standard = standard if column.type.is_float else source  # only NaN is a null that is written
        else:
            values.append(f"{standard} AS {quoted(f'_w{number}')}")
            standard = quoted(f"_w{number}")
            in_utc = placed_sql(local, standard, type_, column)
            typed.append(f"{readable_sql(standard, type_, column)} AS {value if in_utc is None else local}")
            placed += [] if in_utc is None else [f"{in_utc} AS {value}"]
        is_null = null_sql(standard, type_, column)
        stood = quoted(text_column(name)) if name in texts else f"CAST({source} AS VARCHAR)"
        rejections.append(_rejection(spec, name, value, is_null, stood, unreadable.get(name), tables))
    columns = ", ".join(f"{quoted(f'_v{number}')} AS {quoted(name)}" for number, name in enumerate(spec.columns))
    malformed = f"[{{'column': NULL::VARCHAR, 'value': _malformed, 'detail': _detail, 'reason': {CONTRACT.record_reason()}}}]"
    return f"""
        WITH standard AS (SELECT {", ".join(["*", *values])} FROM {records}),
        typed AS (SELECT {", ".join(["*", *typed])} FROM standard),
        placed AS (SELECT {", ".join(["*", *placed])} FROM typed),
        checked AS (
            SELECT *, CASE WHEN _malformed IS NOT NULL THEN {malformed}
                WHEN {_acceptance(spec, tables)} THEN []
                ELSE list_filter([{", ".join(rejections)}], lambda rejection: rejection IS NOT NULL) END AS _failed
            FROM placed)
        SELECT _file, _row, nullif(_failed, []) AS _rejections, {columns}
        FROM checked"""


def lookups(spec: ModelSpec) -> Lookups:
    """The tables of accepted values, as `register_lookups` names them."""
    return {name: f"accepted_values_{number}" for number, name in enumerate(looked_up(spec))}


def register_lookups(engine: Engine, spec: ModelSpec) -> None:
    """Gives an engine the tables that the contract's queries look values up in."""
    for name, table in lookups(spec).items():
        engine.register(table, lookup_table(spec, name))


def _acceptance(spec: ModelSpec, tables: Lookups) -> str:
    """A condition of records, met by most, by which nothing of theirs is rejected: reasons take longer to look for."""
    if tables:
        return "false"  # looking values up twice takes longer
    values = {name: quoted(f"_v{number}") for number, name in enumerate(spec.columns)}
    conditions = [CONTRACT.acceptance(spec, name, value, f"{quoted(name)} IS NULL") for name, value in values.items()]
    return " AND ".join(["_too_long IS NULL", "_unreadable IS NULL", *conditions])


def _rejection(
    spec: ModelSpec, name: str, value: str, is_null: str, stood: str, unreadable: str | None, tables: Lookups
) -> str:
    """A struct of column, value, detail and reason, or null where the column did not fail."""
    reason = CONTRACT.rejection_reason(spec, name, value, is_null, tables)
    detail = CONTRACT.rejection_detail(f"({reason})", unreadable)
    struct = f"{{'column': {text_literal(name)}, 'value': {stood}, 'detail': {detail}, 'reason': {reason}}}"
    return f"CASE WHEN ({reason}) IS NOT NULL THEN {struct} END"


def entities_query(spec: ModelSpec, stage: str) -> str:
    """The subset of each accepted entity, where it depends on the entity alone: `_entity`, `subset`."""
    return f"""
        SELECT _entity, {CONTRACT.subset(spec, "_entity")} AS subset
        FROM (SELECT DISTINCT {quoted(spec.entity)} AS _entity FROM {stage} WHERE _rejections IS NULL)"""


def accepted_query(spec: ModelSpec, stage: str, entities: str, validation_files: Sequence[int]) -> str:
    """The stage's accepted records, with their subset.

    Args:
        spec: The model.
        stage: The stage table.
        entities: A table with the result of `entities_query`; read where the subset depends on the entity alone.
        validation_files: Of a split by location: the indexes of the files of validation.
    """
    split = spec.split
    if isinstance(split, EntityHashSplit):
        return f"SELECT * FROM {stage} JOIN {entities} ON {quoted(spec.entity)} = _entity WHERE _rejections IS NULL"
    if isinstance(split, LocationSplit):
        indexes = ", ".join(map(str, validation_files)) or "NULL"
        subset = f"CASE WHEN _file IN ({indexes}) THEN 'validation' ELSE 'train' END"
    else:
        subset = CONTRACT.subset(spec, quoted(split.column))
    return f"SELECT *, {subset} AS subset FROM {stage} WHERE _rejections IS NULL"


def order_sql(spec: ModelSpec) -> str:
    """The order of raw observations within one subset."""
    return ", ".join(CONTRACT.order_keys(spec))
