"""The blocking conditions on raw observations, verified by Athena from the finished files alone.

That the files have the columns of the contract is not asked here: a table over them shows no others.
"""

from collections.abc import Iterator

from seq_assets.models import ModelSpec
from seq_assets.models.spec import EntityHashSplit, LocationSplit, TimeSplit
from seq_assets.sequencing.accounting import IngestAccounting
from seq_assets.warehouse.athena.ingest_sql import CONTRACT, location_subset_sql
from seq_assets.warehouse.athena.sql import quoted, text_literal
from seq_assets.warehouse.contract_sql import REASONS
from seq_assets.warehouse.interface import Finding
from seq_assets.warehouse.metrics import Queries
from seq_assets.warehouse.rejections import ROWS_SHOWN, Rejection, too_many_rejected


def raw_findings(
    queries: Queries,
    spec: ModelSpec,
    raw: str,
    rejected: str,
    accounting: IngestAccounting,
    source_has_positions: bool,
) -> list[Finding]:
    """What the four conditions say.

    Args:
        queries: Runs the queries; rows come by column.
        spec: The model.
        raw: Accepted observations, as a table or subquery over the finished files.
        rejected: Rejected observations, likewise.
        accounting: What the ingest counted.
        source_has_positions: Whether each record has a file and a number there; the rows of a table have none.
    """
    return [
        _contract(queries, spec, raw, rejected, accounting),
        _nothing_lost(queries, raw, rejected, accounting, source_has_positions),
        _no_leakage(queries, spec, raw),
        _well_formed(queries, spec, raw, source_has_positions),
    ]


def _contract(queries: Queries, spec: ModelSpec, raw: str, rejected: str, accounting: IngestAccounting) -> Finding:
    """No accepted value breaks the contract, table-wide validations hold, and not too much was rejected."""
    violations = queries.row(f"SELECT {', '.join(_violation_counts(spec))} FROM {raw}")
    problems = [f"{count} accepted rows break {name}" for name, count in violations.items() if count]
    problems += list(_table_problems(queries, spec, raw))
    first = _first_rejected(queries, spec, rejected) if accounting.rejected else []
    if accounting.rejected_ratio > spec.checks.rejected_ratio.max:
        problems.append(too_many_rejected(spec, accounting, _failed_columns(queries, spec, rejected), first))
    numbers: dict[str, int | float | str] = {
        "accepted": accounting.accepted,
        "rejected": accounting.rejected,
        "rejected_ratio": accounting.rejected_ratio,
    }
    if first:
        numbers["first_rejected"] = "\n".join(map(str, first))
    return Finding("contract", tuple(problems), numbers)


def _violation_counts(spec: ModelSpec) -> Iterator[str]:
    yield "0 AS nothing"
    for name, column in spec.columns.items():
        value = quoted(name)
        if not column.nullable:
            yield f"count_if({value} IS NULL) AS {quoted(f'columns.{name}.nullable')}"
        for validation, values in column.validations():
            condition = CONTRACT.condition(value, column.type, validation, values)
            yield f"count_if(NOT ({condition})) AS {quoted(f'columns.{name}.{validation}')}"


def _table_problems(queries: Queries, spec: ModelSpec, raw: str) -> Iterator[str]:
    for name, column in spec.columns.items():
        value = quoted(name)
        if column.has_unique_values:
            found = queries.row(f"SELECT count({value}) - count(DISTINCT {value}) AS repeated FROM {raw}")
            if found["repeated"]:
                query = f"SELECT {value} AS value FROM {raw} GROUP BY 1 HAVING count({value}) > 1 ORDER BY 1 LIMIT {ROWS_SHOWN}"
                first = ", ".join(repr(row["value"]) for row in queries.rows(query))
                yield (
                    f"columns.{name}.has_unique_values: {found['repeated']} accepted rows repeat a value (the first: {first}); "
                    "mend the rows, or remove it"
                )
        most = column.has_acceptable_percentage_of_nulls
        if most is not None:
            share = f"coalesce(1 - CAST(count({value}) AS double) / nullif(count(*), 0), 0)"
            found = queries.row(f"SELECT {share} AS nulls FROM {raw}")
            if found["nulls"] > most:
                yield (
                    f"columns.{name}.has_acceptable_percentage_of_nulls: found a share of {found['nulls']:.4g}; "
                    f"allowed: at most {most:g}; mend the rows, or raise it"
                )


def _failed_columns(queries: Queries, spec: ModelSpec, rejected: str) -> list[tuple[str | None, str, int]]:
    """Column, reason and count of rejections, whole records first, then in contract order."""
    found = queries.rows(f'SELECT "column", reason, count(*) AS rejections FROM {rejected} GROUP BY 1, 2')
    order = [None, *spec.columns]
    return sorted(
        ((row["column"], row["reason"], row["rejections"]) for row in found),
        key=lambda failed: (order.index(failed[0]), REASONS.index(failed[1])),
    )


def _first_rejected(queries: Queries, spec: ModelSpec, rejected: str) -> list[Rejection]:
    """In the order of the source, each record's columns in that of the contract; tables have rows in no order."""
    place = f'array_position(ARRAY[{", ".join(map(text_literal, spec.columns))}], "column")'
    rows = queries.rows(f"""
        SELECT file, "row", "column", value, reason FROM {rejected}
        ORDER BY file, "row", {place}, value LIMIT {ROWS_SHOWN}""")
    return [Rejection(**row) for row in rows]


def _nothing_lost(
    queries: Queries, raw: str, rejected: str, accounting: IngestAccounting, source_has_positions: bool
) -> Finding:
    """The files hold what was counted, and each record once, as far as records can be told apart."""
    counted = {"accepted": accounting.accepted, "train": accounting.train, "validation": accounting.validation}
    counts = """count(*) AS accepted, count_if(subset = 'train') AS train, count_if(subset = 'validation') AS validation"""
    if not source_has_positions:
        found = dict(queries.row(f"SELECT {counts} FROM {raw}"))
        found |= queries.row(f"SELECT count(*) AS rejected_rows FROM {rejected}")
        problems = _different(found, counted)
        if found["rejected_rows"] < accounting.rejected or (found["rejected_rows"] and not accounting.rejected):
            rows = found["rejected_rows"]
            problems.append(f"rejected: the files hold {rows} rows, the ingest counted {accounting.rejected} records")
    else:
        found = dict(queries.row(f"SELECT {counts}, count(DISTINCT (_file, _row)) AS records FROM {raw}"))
        found |= queries.row(f'SELECT count(DISTINCT (file, "row")) AS rejected FROM {rejected}')
        problems = _different(found, counted | {"records": accounting.accepted, "rejected": accounting.rejected})
    return Finding("nothing_lost", tuple(accounting.problems + problems), {"read": accounting.read, **found})


def _different(found: dict[str, int], counted: dict[str, int]) -> list[str]:
    return [
        f"{name}: the files hold {found[name]}, the ingest counted {count}"
        for name, count in counted.items()
        if found[name] != count
    ]


def _no_leakage(queries: Queries, spec: ModelSpec, raw: str) -> Finding:
    """Every observation is in the subset that the declared rule says."""
    split = spec.split
    numbers: dict[str, int | float | str] = {"strategy": split.strategy}
    if isinstance(split, LocationSplit):
        expected = location_subset_sql("_file")
    else:
        expected = CONTRACT.subset(spec, quoted(spec.entity if isinstance(split, EntityHashSplit) else split.column))
    found = queries.row(f"SELECT count_if(subset <> {expected}) AS misplaced FROM {raw}")
    problems = [f"{found['misplaced']} observations are in the wrong subset"] if found["misplaced"] else []
    if isinstance(split, EntityHashSplit):
        problems += _shared_entities(queries, spec, raw, numbers)
    if isinstance(split, TimeSplit):
        problems += _time_overlap(queries, spec, split, raw)
    return Finding("no_leakage", tuple(problems), numbers | {"misplaced": found["misplaced"]})


def _shared_entities(queries: Queries, spec: ModelSpec, raw: str, numbers: dict[str, int | float | str]) -> list[str]:
    found = queries.row(f"""
        SELECT count(*) AS entities, count_if(_subsets > 1) AS shared
        FROM (SELECT count(DISTINCT subset) AS _subsets FROM {raw} GROUP BY {quoted(spec.entity)})""")
    numbers |= {"entities": found["entities"], "entities_in_both": found["shared"]}
    return [f"{found['shared']} entities are in both subsets"] if found["shared"] else []


def _time_overlap(queries: Queries, spec: ModelSpec, split: TimeSplit, raw: str) -> list[str]:
    column, cutoff = quoted(split.column), CONTRACT.cutoff(spec, split)
    found = queries.row(f"""
        SELECT max({column}) FILTER (WHERE subset = 'train') >= {cutoff} AS late_train,
            min({column}) FILTER (WHERE subset = 'validation') < {cutoff} AS early_validation FROM {raw}""")
    problems = []
    if found["late_train"]:
        problems.append(f"train has observations at or after the cutoff {split.cutoff}")
    if found["early_validation"]:
        problems.append(f"validation has observations before the cutoff {split.cutoff}")
    return problems


def _well_formed(queries: Queries, spec: ModelSpec, raw: str, source_has_positions: bool) -> Finding:
    """The positions of each history count from 0, and it is in order by them."""
    found = queries.row(_order_query(spec, raw, source_has_positions))
    problems = []
    if found["unordered"]:
        problems.append(f"{found['unordered']} rows are out of order")
    if found["misnumbered"]:
        problems.append(f"{found['misnumbered']} rows have a wrong _position")
    return Finding("well_formed", tuple(problems), {"unordered": found["unordered"], "misnumbered": found["misnumbered"]})


def _order_query(spec: ModelSpec, raw: str, source_has_positions: bool) -> str:
    keys = [quoted(name) for name in spec.order_by if name != spec.entity]
    if source_has_positions:
        keys += ["_file", "_row"]
    history = f"OVER (PARTITION BY subset, {quoted(spec.entity)} ORDER BY _position)"
    before = ", ".join(f"lag({key}) {history} AS _before{number}" for number, key in enumerate(["_position", *keys]))
    # What is equal in all keys is in order only where any order is.
    follows = "true" if spec.ties == "any" and not source_has_positions else "false"
    for number, key in reversed(list(enumerate(keys, start=1))):
        follows = f"({key} > _before{number} OR ({key} = _before{number} AND {follows}))"
    return f"""
        SELECT count_if(_before0 IS NOT NULL AND NOT coalesce({follows}, false)) AS unordered,
            count_if(_position IS NULL OR _position <> coalesce(_before0 + 1, 0)) AS misnumbered
        FROM (SELECT *, {before} FROM {raw})"""
