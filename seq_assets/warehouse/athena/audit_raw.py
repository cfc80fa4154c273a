"""The blocking conditions on raw observations, verified by Athena from the finished files alone.

That the files have the columns of the contract is not asked here: a table over them shows no others.
"""

from seq_assets.models import ModelSpec
from seq_assets.sequencing.accounting import IngestAccounting
from seq_assets.warehouse.athena.ingest_sql import CONTRACT
from seq_assets.warehouse.athena.sql import quoted
from seq_assets.warehouse.interface import Finding
from seq_assets.warehouse.rules.audit_raw import RawAudit, order_finding
from seq_assets.warehouse.rules.lookups import NO_LOOKUPS, Lookups
from seq_assets.warehouse.rules.metrics import Queries


def raw_findings(
    queries: Queries,
    spec: ModelSpec,
    raw: str,
    rejected: str,
    accounting: IngestAccounting,
    source_has_positions: bool,
    lookups: Lookups = NO_LOOKUPS,
) -> list[Finding]:
    """What the four conditions say.

    Args:
        queries: Runs the queries; rows come by column.
        spec: The model.
        raw: Accepted observations, as a table or subquery over the finished files.
        rejected: Rejected observations, likewise.
        accounting: What the ingest counted.
        source_has_positions: Whether each record has a file and a number there; the rows of a table have none.
        lookups: The tables of accepted values, of the columns that have one.
    """
    audit = RawAudit(queries, CONTRACT, spec, raw, rejected, accounting, source_has_positions, lookups=lookups)
    return [*audit.findings(), _well_formed(queries, spec, raw, source_has_positions)]


def _well_formed(queries: Queries, spec: ModelSpec, raw: str, source_has_positions: bool) -> Finding:
    """The positions of each history count from 0, and it is in order by them."""
    found = queries.row(_order_query(spec, raw, source_has_positions))
    return order_finding(found["unordered"], found["misnumbered"])


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
