"""The blocking conditions on raw observations, verified from the finished files alone."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seq_assets.models import ModelSpec
from seq_assets.models.spec import EntityHashSplit, LocationSplit, TimeSplit
from seq_assets.sequencing.accounting import IngestAccounting
from seq_assets.sequencing.schemas import REJECTED_SCHEMA, raw_schema
from seq_assets.warehouse.engine import BATCH_ROWS, Engine, parquet, quoted
from seq_assets.warehouse.files import read_batches, read_schema
from seq_assets.warehouse.interface import Finding
from seq_assets.warehouse.local.ingest_sql import REASONS, condition_sql, cutoff_sql, subset_sql
from seq_assets.warehouse.rejections import ROWS_SHOWN, Rejection, too_many_rejected
from seq_assets.warehouse.storage import Storage


def raw_findings(
    engine: Engine,
    spec: ModelSpec,
    storage: Storage,
    raw: Sequence[str],
    rejected: Sequence[str],
    accounting: IngestAccounting,
) -> list[Finding]:
    """What the four conditions say.

    Args:
        engine: Runs the queries.
        spec: The model.
        storage: Where the files are.
        raw: Finished files of accepted observations: train, then validation.
        rejected: The finished file of rejected observations.
        accounting: What the ingest counted.
    """
    rows = parquet(raw)
    return [
        _contract(engine, spec, storage, rows, rejected, accounting),
        _nothing_lost(engine, rows, rejected, accounting),
        _no_leakage(engine, spec, rows),
        _well_formed(spec, storage, raw),
    ]


def _contract(
    engine: Engine, spec: ModelSpec, storage: Storage, rows: str, rejected: Sequence[str], accounting: IngestAccounting
) -> Finding:
    """No accepted value breaks the contract, table-wide validations hold, and not too much was rejected."""
    violations = engine.row(f"SELECT {', '.join(_violation_counts(spec))} FROM {rows}")
    problems = [f"{count} accepted rows break {name}" for name, count in violations.items() if count]
    problems += list(_table_problems(engine, spec, rows))
    first = _first_rejected(storage, rejected) if accounting.rejected else []
    if accounting.rejected_ratio > spec.checks.rejected_ratio.max:
        problems.append(too_many_rejected(spec, accounting, _failed_columns(engine, spec, rejected), first))
    numbers: dict[str, int | float | str] = {
        "accepted": accounting.accepted,
        "rejected": accounting.rejected,
        "rejected_ratio": accounting.rejected_ratio,
    }
    if first:
        numbers["first_rejected"] = "\n".join(map(str, first))
    return Finding("contract", tuple(problems), numbers)


def _failed_columns(engine: Engine, spec: ModelSpec, rejected: Sequence[str]) -> list[tuple[str | None, str, int]]:
    """Column, reason and count of rejections, whole records first, then in contract order."""
    found = engine.rows(f'SELECT "column", reason, count(*) FROM {parquet(rejected)} GROUP BY ALL')
    order = [None, *spec.columns]
    return sorted(found, key=lambda row: (order.index(row[0]), REASONS.index(row[1])))


def _first_rejected(storage: Storage, rejected: Sequence[str]) -> list[Rejection]:
    batches = read_batches(storage, rejected, list(REJECTED_SCHEMA.names), ROWS_SHOWN)
    return [Rejection(**row) for row in next(batches).to_pylist()]


def _violation_counts(spec: ModelSpec) -> Iterator[str]:
    yield "0 AS nothing"
    for name, column in spec.columns.items():
        value = quoted(name)
        if not column.nullable:
            yield f"count(*) FILTER ({value} IS NULL) AS {quoted(f'columns.{name}.nullable')}"
        for validation, values in column.validations():
            condition = condition_sql(value, column.type, validation, values)
            yield f"count(*) FILTER (NOT ({condition})) AS {quoted(f'columns.{name}.{validation}')}"


def _table_problems(engine: Engine, spec: ModelSpec, rows: str) -> Iterator[str]:
    for name, column in spec.columns.items():
        value = quoted(name)
        if column.has_unique_values:
            found = engine.row(f"SELECT count({value}) - count(DISTINCT {value}) AS repeated FROM {rows}")
            if found["repeated"]:
                query = f"SELECT {value} FROM {rows} GROUP BY 1 HAVING count({value}) > 1 ORDER BY 1 LIMIT {ROWS_SHOWN}"
                first = ", ".join(repr(repeated) for (repeated,) in engine.rows(query))
                yield (
                    f"columns.{name}.has_unique_values: {found['repeated']} accepted rows repeat a value (the first: {first}); "
                    "mend the rows, or remove it"
                )
        most = column.has_acceptable_percentage_of_nulls
        if most is not None:
            found = engine.row(f"SELECT coalesce(1 - count({value}) / count(*), 0) AS nulls FROM {rows}")
            if found["nulls"] > most:
                yield (
                    f"columns.{name}.has_acceptable_percentage_of_nulls: found a share of {found['nulls']:.4g}; "
                    f"allowed: at most {most:g}; mend the rows, or raise it"
                )


def _nothing_lost(engine: Engine, rows: str, rejected: Sequence[str], accounting: IngestAccounting) -> Finding:
    """The files hold what was counted, and each record once."""
    found = engine.row(f"""
        SELECT count(*) AS accepted, count(*) FILTER (subset = 'train') AS train,
            count(*) FILTER (subset = 'validation') AS validation, count(DISTINCT (_file, _row)) AS records FROM {rows}""")
    found |= engine.row(f'SELECT count(DISTINCT (file, "row")) AS rejected FROM {parquet(rejected)}')
    counted = {
        "accepted": accounting.accepted,
        "train": accounting.train,
        "validation": accounting.validation,
        "records": accounting.accepted,
        "rejected": accounting.rejected,
    }
    problems = accounting.problems + [
        f"{name}: the files hold {found[name]}, the ingest counted {count}"
        for name, count in counted.items()
        if found[name] != count
    ]
    return Finding("nothing_lost", tuple(problems), {"read": accounting.read, **found})


def _no_leakage(engine: Engine, spec: ModelSpec, rows: str) -> Finding:
    """Every observation is in the subset that the declared rule says."""
    split = spec.split
    numbers: dict[str, int | float | str] = {"strategy": split.strategy}
    if isinstance(split, LocationSplit):
        expected = "CASE WHEN starts_with(_file, 'validation/') THEN 'validation' ELSE 'train' END"
    else:
        expected = subset_sql(spec, quoted(spec.entity if isinstance(split, EntityHashSplit) else split.column))
    found = engine.row(f"SELECT count(*) FILTER (subset <> {expected}) AS misplaced FROM {rows}")
    problems = [f"{found['misplaced']} observations are in the wrong subset"] if found["misplaced"] else []
    if isinstance(split, EntityHashSplit):
        problems += _shared_entities(engine, spec, rows, numbers)
    if isinstance(split, TimeSplit):
        problems += _time_overlap(engine, spec, split, rows)
    return Finding("no_leakage", tuple(problems), numbers | {"misplaced": found["misplaced"]})


def _shared_entities(engine: Engine, spec: ModelSpec, rows: str, numbers: dict[str, int | float | str]) -> list[str]:
    entity = quoted(spec.entity)
    found = engine.row(f"""
        SELECT count(*) AS entities, count(*) FILTER (_subsets > 1) AS shared
        FROM (SELECT {entity}, count(DISTINCT subset) AS _subsets FROM {rows} GROUP BY 1)""")
    numbers |= {"entities": found["entities"], "entities_in_both": found["shared"]}
    return [f"{found['shared']} entities are in both subsets"] if found["shared"] else []


def _time_overlap(engine: Engine, spec: ModelSpec, split: TimeSplit, rows: str) -> list[str]:
    column, cutoff = quoted(split.column), cutoff_sql(spec, split)
    found = engine.row(f"""
        SELECT max({column}) FILTER (subset = 'train') >= {cutoff} AS late_train,
            min({column}) FILTER (subset = 'validation') < {cutoff} AS early_validation FROM {rows}""")
    problems = []
    if found["late_train"]:
        problems.append(f"train has observations at or after the cutoff {split.cutoff}")
    if found["early_validation"]:
        problems.append(f"validation has observations before the cutoff {split.cutoff}")
    return problems


def _well_formed(spec: ModelSpec, storage: Storage, raw: Sequence[str]) -> Finding:
    """The files have the contract's types and are clustered by entity and order, with positions that count from 0."""
    schema = raw_schema((name, column.type, column.nullable) for name, column in spec.columns.items()).stored()
    others = [file for file in raw if not read_schema(storage, file).equals(schema)]
    problems = [f"{PurePosixPath(file).name} has other columns than the contract" for file in others]
    unordered = misnumbered = 0
    keys = list(dict.fromkeys([spec.entity, *spec.order_by]))
    for file in raw if not problems else ():
        previous: pa.Table | None = None
        for batch in read_batches(storage, [file], [*keys, "_file", "_row", "_position"], BATCH_ROWS):
            table = pa.Table.from_batches([batch])
            joined = table if previous is None else pa.concat_tables([previous, table])
            unordered += _descents(joined, [*keys, "_file", "_row"])
            misnumbered += _wrong_positions(joined, spec.entity, starts=previous is None)
            previous = table.slice(table.num_rows - 1)
    if unordered:
        problems.append(f"{unordered} rows are out of order")
    if misnumbered:
        problems.append(f"{misnumbered} rows have a wrong _position")
    return Finding("well_formed", tuple(problems), {"unordered": unordered, "misnumbered": misnumbered})


def _descents(table: pa.Table, keys: list[str]) -> int:
    """The rows that do not follow the row before them in the order of the keys."""
    equal = np.ones(table.num_rows - 1, np.bool_)
    ascends = np.zeros(table.num_rows - 1, np.bool_)
    for key in keys:
        column = table.column(key)
        later, earlier = column.slice(1), column.slice(0, table.num_rows - 1)
        ascends |= equal & np.asarray(pc.greater(later, earlier))
        equal &= np.asarray(pc.equal(later, earlier))
    return int((~ascends).sum())


def _wrong_positions(table: pa.Table, entity: str, starts: bool) -> int:
    position, entities = np.asarray(table.column("_position")), table.column(entity)
    same = np.asarray(pc.equal(entities.slice(1), entities.slice(0, table.num_rows - 1)))
    expected = np.where(same, position[:-1] + 1, 0)
    return int((position[1:] != expected).sum()) + int(starts and position[0] != 0)
