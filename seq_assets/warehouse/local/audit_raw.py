"""The blocking conditions on raw observations, verified by DuckDB and Arrow from the finished files alone."""

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seq_assets.models import ModelSpec
from seq_assets.sequencing.accounting import IngestAccounting
from seq_assets.sequencing.schemas import raw_schema
from seq_assets.warehouse.engine import BATCH_ROWS, Engine, parquet
from seq_assets.warehouse.interface import Finding
from seq_assets.warehouse.local.ingest_sql import CONTRACT, lookups, register_lookups
from seq_assets.warehouse.local.record_set import RecordSet
from seq_assets.warehouse.rules.audit_raw import RawAudit, order_finding
from seq_assets.warehouse.storage.parquet_files import read_batches, read_schema
from seq_assets.warehouse.storage.prefetching import prefetched
from seq_assets.warehouse.storage.storage import Storage


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
    register_lookups(engine, spec)
    records = RecordSet(accounting.read)
    well_formed = _well_formed(spec, storage, raw, records)
    audit = RawAudit(
        engine,
        CONTRACT,
        spec,
        parquet(raw),
        parquet(rejected),
        accounting,
        source_has_positions=True,
        # Files that are not well formed were not read for it.
        records=len(records) or None,
        lookups=lookups(spec),
    )
    return [*audit.findings(), well_formed]


def _well_formed(spec: ModelSpec, storage: Storage, raw: Sequence[str], records: RecordSet) -> Finding:
    """The files have the contract's types and are clustered by entity and order, with positions that count from 0.

    Adds the records that their rows are to the set.
    """
    schema = raw_schema((name, column.type, column.nullable) for name, column in spec.columns.items()).stored()
    others = [file for file in raw if not read_schema(storage, file).equals(schema)]
    problems = tuple(f"{PurePosixPath(file).name} has other columns than the contract" for file in others)
    unordered = misnumbered = 0
    keys = list(dict.fromkeys([spec.entity, *spec.order_by]))
    for file in raw if not problems else ():
        previous: pa.Table | None = None
        columns = [*keys, "_file", "_row", "_position"]
        for batch in prefetched(read_batches(storage, [file], columns, BATCH_ROWS, encoded=["_file"])):
            records.add(batch.column("_file"), batch.column("_row"))
            table = pa.Table.from_batches([batch])
            joined = table if previous is None else pa.concat_tables([previous, table])
            unordered += _descents(_with_ranks(joined, "_file"), [*keys, "_file", "_row"])
            misnumbered += _wrong_positions(joined, spec.entity, starts=previous is None)
            previous = table.slice(table.num_rows - 1)
    return order_finding(unordered, misnumbered, problems)


def _with_ranks(table: pa.Table, name: str) -> pa.Table:
    """The table with a column of texts replaced by the place of each among those of its dictionary, by UTF-8 bytes."""
    texts = table.column(name).unify_dictionaries().combine_chunks()
    ranks = np.argsort(pc.sort_indices(texts.dictionary))
    return table.set_column(table.schema.get_field_index(name), name, pa.array(ranks[np.asarray(texts.indices)]))


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
