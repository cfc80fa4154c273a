"""The blocking conditions on raw observations, verified by Athena from the finished files alone.

That the files have the columns of the contract is not asked here: a table over them shows no others.
"""

from collections.abc import Sequence

from seq_assets.models import ModelSpec
from seq_assets.sequencing.accounting import IngestAccounting
from seq_assets.warehouse.athena.ingest_sql import CONTRACT
from seq_assets.warehouse.athena.sql import quoted
from seq_assets.warehouse.interface import Finding
from seq_assets.warehouse.rules.audit_raw import RawAudit, order_finding
from seq_assets.warehouse.rules.lookups import NO_LOOKUPS, Lookups
from seq_assets.warehouse.rules.questions import Check, Queries, Question, Row


def raw_checks(
    queries: Queries,
    spec: ModelSpec,
    raw: str,
    rejected: str,
    accounting: IngestAccounting,
    source_has_positions: bool,
    lookups: Lookups = NO_LOOKUPS,
) -> list[list[Check]]:
    """How the four conditions are found, in groups that are each asked together.

    The order of all rows is a query of its own: it sorts them, and its memory is that of nothing else.

    Args:
        queries: Answers what is asked about a problem.
        spec: The model.
        raw: Accepted observations, as a table or subquery over the finished files.
        rejected: Rejected observations, likewise.
        accounting: What the ingest counted.
        source_has_positions: Whether each record has a file and a number there; the rows of a table have none.
        lookups: The tables of accepted values, of the columns that have one.
    """
    audit = RawAudit(queries, CONTRACT, spec, raw, rejected, accounting, source_has_positions, lookups=lookups)
    return [audit.checks(), [_well_formed(spec, raw, source_has_positions)]]


def _well_formed(spec: ModelSpec, raw: str, source_has_positions: bool) -> Check:
    """The positions of each history count from 0, and it is in order by them."""

    def judged(rows: Sequence[Row]) -> Finding:
        [found] = rows
        return order_finding(found["unordered"], found["misnumbered"])

    return Check([_order_question(spec, raw, source_has_positions)], judged)


def _order_question(spec: ModelSpec, raw: str, source_has_positions: bool) -> Question:
    keys = [quoted(name) for name in spec.order_by if name != spec.entity]
    if source_has_positions:
        keys += ["_file", "_row"]
    history = f"OVER (PARTITION BY subset, {quoted(spec.entity)} ORDER BY _position)"
    before = ", ".join(f"lag({key}) {history} AS _before{number}" for number, key in enumerate(["_position", *keys]))
    # What is equal in all keys is in order only where any order is.
    follows = "true" if spec.ties == "any" and not source_has_positions else "false"
    for number, key in reversed(list(enumerate(keys, start=1))):
        follows = f"({key} > _before{number} OR ({key} = _before{number} AND {follows}))"
    columns = {
        "unordered": f"count_if(_before0 IS NOT NULL AND NOT coalesce({follows}, false))",
        "misnumbered": "count_if(_position IS NULL OR _position <> coalesce(_before0 + 1, 0))",
    }
    return Question.of("well_formed", columns, f"(SELECT *, {before} FROM {raw})")
