"""The contract as Athena's SQL, from source records to raw and rejected observations. Pure functions from a model to text.

Sources arrive as records: a relation with `_file` (index in the source's order), `_name` (its name), `_row` (all null where the
source has no positions), `_malformed`, `_detail`, `_unreadable`, `_too_long`, each column of the contract in its carrier's
type, and for some columns `_text_<column>`, what stood there. One query makes the stage table of them, which all others read:
`_file`, `_name`, `_row`, `subset`, `_rejections` (null where the record was accepted, else one entry per failed column, in
contract order), and the contract's columns in their stored types. Names that the queries make up begin with `_`, which no
column of a contract does.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from seq_assets.models import ModelSpec, Subset
from seq_assets.models.spec import EntityHashSplit, LocationSplit
from seq_assets.sequencing.accounting import IngestAccounting
from seq_assets.warehouse.athena.casts import Carrier, null_sql, placed_sql, readable_sql, standard_sql
from seq_assets.warehouse.athena.sql import ATHENA_TYPES, hive_type, literal_sql, quoted, text_literal
from seq_assets.warehouse.rules.contract_sql import REASONS, ContractSql, Dialect, location_subset
from seq_assets.warehouse.rules.lookups import NO_LOOKUPS, Lookups
from seq_assets.warehouse.rules.metrics import Measures
from seq_assets.warehouse.rules.number_formats import NumberFormat
from seq_assets.warehouse.rules.questions import Question, Row
from seq_assets.warehouse.sources.records import text_column

_DIALECT: Final = Dialect(
    quoted=quoted,
    literal=literal_sql,
    md5_start=lambda text: f"lower(to_hex(substr(md5(to_utf8({text})), 1, 4)))",
    contains=lambda text, part: f"strpos({text}, {part}) > 0",
)
CONTRACT: Final = ContractSql(_DIALECT)
# Distinct counts of a dozen columns take five times as long together as each on its own.
MEASURES: Final = Measures(_DIALECT, widest_integer="decimal(38,0)", columns_per_scan=1)
_REJECTIONS: Final = "array(row(name varchar, value varchar, detail varchar, reason varchar))"
"""A struct's field cannot be named `column` in Athena's DDL."""
_ROWS: Final = "_name AS _file, _row"


def records_columns(spec: ModelSpec, carriers: Mapping[str, Carrier], texts: Collection[str]) -> list[tuple[str, str]]:
    """The columns of the records, with their types as Hive's DDL writes them.

    Args:
        spec: The model.
        carriers: By column of the contract.
        texts: The columns of the contract that have a `_text_<column>`.
    """
    columns = [("_file", "int"), ("_name", "string"), ("_row", "bigint")]
    columns += [(name, "string") for name in ("_malformed", "_detail", "_unreadable", "_too_long")]
    for name in spec.columns:
        columns.append((name, hive_type(carriers[name].athena_type)))
        if name in texts:
            columns.append((text_column(name), "string"))
    return columns


def stage_columns(spec: ModelSpec) -> list[tuple[str, str]]:
    """The columns of the stage table, with their types as Hive's DDL writes them."""
    rejections = "array<struct<name:string,value:string,detail:string,reason:string>>"
    fixed = [("_file", "int"), ("_name", "string"), ("_row", "bigint"), ("subset", "string"), ("_rejections", rejections)]
    return fixed + [(name, hive_type(ATHENA_TYPES[column.type])) for name, column in spec.columns.items()]


def stage_query(
    spec: ModelSpec,
    records: str,
    carriers: Mapping[str, Carrier],
    texts: Collection[str],
    unreadable: Mapping[str, str] = MappingProxyType({}),
    numbers: NumberFormat | None = None,
    lookups: Lookups = NO_LOOKUPS,
) -> str:
    """The query that makes the stage table out of source records.

    Args:
        spec: The model.
        records: A table, or a subquery in parentheses.
        carriers: By column of the contract.
        texts: The columns of the contract that have a `_text_<column>`; of the others the value's own text is shown.
        unreadable: By column of the contract: the detail of its unreadable values; those of other columns have none.
        numbers: How numbers are written, where that is not the standard.
        lookups: The tables of accepted values, of the columns that have one.
    """
    standard, typed, placed, judged, rejections = [], [], [], [], []
    for number, (name, column) in enumerate(spec.columns.items()):
        carrier, source, value, reason = carriers[name], f"_w{number}", f"_v{number}", f"_r{number}"
        standard.append(f"{standard_sql(quoted(name), carrier, column, numbers)} AS {source}")
        local = f"_l{number}"
        in_utc = placed_sql(local, source, carrier, column)
        typed.append(f"{readable_sql(source, carrier, column)} AS {value if in_utc is None else local}")
        placed += [] if in_utc is None else [f"{in_utc} AS {value}"]
        judged.append(f"{CONTRACT.rejection_reason(spec, name, value, null_sql(source, carrier, column), lookups)} AS {reason}")
        stood = quoted(text_column(name)) if name in texts else f"CAST({quoted(name)} AS varchar)"
        detail = CONTRACT.rejection_detail(reason, unreadable.get(name))
        rejections.append(f"ROW({text_literal(name)}, {stood}, {detail}, {reason})")
    reasons = ", ".join(f"_r{number}" for number in range(len(rejections)))
    columns = ", ".join(f"_v{number} AS {quoted(name)}" for number, name in enumerate(spec.columns))
    return f"""
        WITH standard AS (SELECT *, {", ".join(standard)} FROM {records}),
        typed AS (SELECT *, {", ".join(typed)} FROM standard),
        placed AS (SELECT {", ".join(["*", *placed])} FROM typed),
        judged AS (SELECT *, {", ".join(judged)} FROM placed)
        SELECT _file, _name, _row, {_subset(spec)} AS subset,
            CASE WHEN _malformed IS NOT NULL
                THEN CAST(ARRAY[ROW(NULL, _malformed, _detail, {CONTRACT.record_reason()})] AS {_REJECTIONS})
            WHEN coalesce({reasons}, NULL) IS NOT NULL
                THEN CAST(filter(ARRAY[{", ".join(rejections)}], failed -> failed[4] IS NOT NULL) AS {_REJECTIONS})
            END AS _rejections, {columns}
        FROM judged"""


def _subset(spec: ModelSpec) -> str:
    split = spec.split
    if isinstance(split, LocationSplit):
        return location_subset("_name")
    name = spec.entity if isinstance(split, EntityHashSplit) else split.column
    return CONTRACT.subset(spec, f"_v{list(spec.columns).index(name)}")


def raw_query(spec: ModelSpec, stage: str, subset: Subset) -> str:
    """The published columns of the accepted observations of one subset, each with its position in its entity's history."""
    columns = ", ".join(quoted(name) for name in spec.columns)
    keys = CONTRACT.order_keys(spec)
    if spec.ties == "any":
        keys += [quoted(name) for name in spec.columns]
    return f"""
        SELECT {columns}, subset, {_ROWS},
            row_number() OVER (PARTITION BY {quoted(spec.entity)} ORDER BY {", ".join(keys)}) - 1 AS _position
        FROM {stage} WHERE _rejections IS NULL AND subset = '{subset}'"""


def ties_question(spec: ModelSpec, stage: str) -> Question:
    """Counts the accepted observations (`ties`) that `order_by` puts neither before nor after another one of their history."""
    keys = ", ".join(["subset", *(quoted(name) for name in dict.fromkeys([spec.entity, *spec.order_by]))])
    alike = f"SELECT count(*) AS _alike FROM {stage} WHERE _rejections IS NULL GROUP BY {keys} HAVING count(*) > 1"
    return Question.of("ties", {"ties": "coalesce(sum(_alike), 0)"}, f"({alike})")


def rejected_query(stage: str) -> str:
    """The rows of the rejected observations: one per rejected record and failed column."""
    return f"""
        SELECT _name AS file, _row AS "row", failed.name AS "column", failed.value AS value, failed.detail AS detail,
            failed.reason AS reason
        FROM {stage} CROSS JOIN UNNEST(_rejections) AS failed(name, value, detail, reason)
        WHERE _rejections IS NOT NULL"""


def accounting_question(stage: str) -> Question:
    """Counts records, each number on its own: `accepted`, `rejected`, `train`, `validation`, and the rejected by reason."""
    counts = {
        "accepted": "count_if(_rejections IS NULL)",
        "rejected": "count_if(_rejections IS NOT NULL)",
        "train": "count_if(_rejections IS NULL AND subset = 'train')",
        "validation": "count_if(_rejections IS NULL AND subset = 'validation')",
    }
    # Nothing has an index in a null.
    reasons = {reason: f"count_if(_rejections[1].reason = '{reason}')" for reason in REASONS}
    return Question.of("accounting", counts | reasons, stage)


def accounting_of(counted: Row, read: int) -> IngestAccounting:
    """The accounting, from the row of `accounting_question` and the number of records that were read."""
    by_reason = {reason: counted[reason] for reason in REASONS if counted[reason]}
    return IngestAccounting(
        read=read,
        accepted=counted["accepted"],
        rejected=counted["rejected"],
        train=counted["train"],
        validation=counted["validation"],
        rejected_by_reason=by_reason,
    )
