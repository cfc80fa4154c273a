"""The blocking conditions on a vocabulary, verified from its finished file, the train observations and the version before.

Written independently of `sequencing.vocabulary`: what it numbers is counted and ordered once more, in SQL.
"""

from collections.abc import Iterator, Sequence

from seq_assets.models import ModelSpec
from seq_assets.warehouse.interface import Finding
from seq_assets.warehouse.local.engine import Engine, parquet, quoted, text_literal
from seq_assets.warehouse.local.ingest_sql import label_counts_query


def vocabulary_findings(
    engine: Engine, spec: ModelSpec, train: Sequence[str], vocabulary: Sequence[str], previous: Sequence[str]
) -> list[Finding]:
    """What `no_leakage` and `well_formed` say of a vocabulary.

    Args:
        engine: Runs the queries.
        spec: The model.
        train: Finished files of accepted train observations.
        vocabulary: The finished file.
        previous: The file of the version before; empty for the first one.
    """
    engine.execute(f"CREATE OR REPLACE TEMP TABLE vocabulary AS SELECT * FROM {parquet(vocabulary)}")
    before = parquet(previous) if previous else "vocabulary WHERE false"
    engine.execute(f"CREATE OR REPLACE TEMP TABLE before AS SELECT * FROM {before}")
    leaks, flaws = [], list(_changed_ids(engine))
    for feature in spec.encoded:
        counts = label_counts_query(spec, feature, parquet(train))
        engine.execute(f"CREATE OR REPLACE TEMP TABLE expected AS {counts}")
        found = engine.row(_comparison(feature))
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


def _comparison(feature: str) -> str:
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
                (SELECT coalesce(max(id), 1) FROM before WHERE feature = {name}) AS last
            FROM numbered
        )
        SELECT count(*) FILTER (before IS NULL AND expected = 0) AS leaked,
            count(*) FILTER (id IS NULL) AS {quoted("have no id")},
            count(*) FILTER (count <> expected) AS {quoted("have a wrong count")},
            count(*) FILTER (before IS NULL AND id <> last + rank) AS {quoted("are numbered in another order")},
            count(text) - count(DISTINCT text) AS {quoted("stand more than once")}
        FROM ranked"""
