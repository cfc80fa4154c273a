"""The blocking conditions on a vocabulary, verified from its rows, the train observations and the version before.

Written independently of `sequencing.vocabulary`: what it numbers is ordered once more, in SQL.
"""

from collections.abc import Iterator, Mapping

import pyarrow as pa

from seq_assets.sequencing.schemas import VOCABULARY_SCHEMA
from seq_assets.warehouse.engine import Engine, quoted, text_literal
from seq_assets.warehouse.interface import Finding


def vocabulary_findings(
    engine: Engine,
    counts: Mapping[str, pa.Table],
    vocabulary: pa.Table,
    previous: pa.Table | None,
    ids_from: int = 2,
    min_counts: Mapping[str, int] = {},
) -> list[Finding]:
    """What `no_leakage` and `well_formed` say of a vocabulary.

    Args:
        engine: Runs the queries.
        counts: By encoded feature: `value` and `count`, counted in the finished files of accepted train observations.
        vocabulary: The rows of the finished file.
        previous: The rows of the version before; None for the first one.
        ids_from: The smallest id of new values.
        min_counts: By encoded feature: how often a value must occur to get an id; once where nothing is said.
    """
    engine.register("vocabulary", vocabulary)
    engine.register("before", VOCABULARY_SCHEMA.stored().empty_table() if previous is None else previous)
    leaks, flaws = [], list(_changed_ids(engine))
    for feature, expected in counts.items():
        engine.register("expected", expected)
        found = engine.row(_comparison(feature, min_counts.get(feature, 1), ids_from))
        if found.pop("leaked"):
            leaks.append(f"vocabulary of {feature}: values have an id that no train observation has, or had")
        flaws += [f"vocabulary of {feature}: {count} values {flaw}" for flaw, count in found.items() if count]
    return [Finding("no_leakage", tuple(leaks), {}), Finding("well_formed", tuple(flaws), {})]


def _changed_ids(engine: Engine) -> Iterator[str]:
    found = engine.row("""
        SELECT count(*) AS changed FROM before LEFT JOIN vocabulary USING (feature, value)
        WHERE before.id IS DISTINCT FROM vocabulary.id""")
    if found["changed"]:
        yield f"{found['changed']} ids of the vocabulary before are lost or changed"


def _comparison(feature: str, min_count: int, ids_from: int) -> str:
    """Counts what is wrong with the ids of one feature; each column but the first is a flaw in words."""
    name = text_literal(feature)
    return f"""
        WITH numbered AS (
            SELECT vocabulary.value AS text, vocabulary.id, vocabulary.count, before.id AS before, expected.value AS value,
                coalesce(expected.count, 0) AS expected
            FROM (SELECT * FROM vocabulary WHERE feature = {name}) AS vocabulary
            FULL JOIN expected ON vocabulary.value = CAST(expected.value AS VARCHAR)
            LEFT JOIN before ON before.feature = {name} AND before.value = vocabulary.value
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY before IS NULL ORDER BY expected DESC, value) AS rank,
                (SELECT greatest(coalesce(max(id), 1), {ids_from} - 1) FROM before WHERE feature = {name}) AS last
            FROM numbered
        )
        SELECT count(*) FILTER (before IS NULL AND expected = 0) AS leaked,
            count(*) FILTER (id IS NULL AND expected >= {min_count}) AS {quoted("have no id")},
            count(*) FILTER (id IS NOT NULL AND before IS NULL AND expected < {min_count})
                AS {quoted("are too rare for an id")},
            count(*) FILTER (count <> expected) AS {quoted("have a wrong count")},
            count(*) FILTER (before IS NULL AND id <> last + rank) AS {quoted("are numbered in another order")},
            count(text) - count(DISTINCT text) AS {quoted("stand more than once")}
        FROM ranked"""
