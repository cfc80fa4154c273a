"""The blocking conditions on sequences, verified from the finished files and the raw observations they were made from.

Written independently of the kernel: the items are compared with the raw rows one by one, in one pass over both files, and which
items should be there, and how often, is said once more, in SQL, from the definition of each window kind. Where something is
wrong, or only in another order, queries that count and hash per entity say what.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seq_assets.models import ColumnType, ModelSpec
from seq_assets.sequencing.accounting import SequenceAccounting
from seq_assets.sequencing.plans import FeaturePlan, SequencePlan, TimeSincePrevious
from seq_assets.sequencing.schemas import stored_type
from seq_assets.sequencing.windows import First, Prefix, Sliding
from seq_assets.warehouse.cancellation import raise_if_canceled
from seq_assets.warehouse.engine import Engine, parquet, quoted, text_literal
from seq_assets.warehouse.interface import Finding
from seq_assets.warehouse.local.casts import DUCKDB_TYPES, literal_sql
from seq_assets.warehouse.local.ingest_sql import CONTRACT
from seq_assets.warehouse.local.item_comparison import Flags, Held, ItemComparison, places_of_items
from seq_assets.warehouse.local.ranges import HistoryRows
from seq_assets.warehouse.rules.audit_sequences import form_finding, leakage_check
from seq_assets.warehouse.rules.coverage import coverage_of
from seq_assets.warehouse.rules.questions import findings
from seq_assets.warehouse.side_by_side import side_by_side
from seq_assets.warehouse.storage.parquet_files import ROW_GROUP_CELLS, read_batches, read_schema
from seq_assets.warehouse.storage.storage import Storage

_UNKNOWN: Final = 1
_CELLS_AT_ONCE: Final = 250_000
"""Positions per feature that are looked at, and held, at a time; by each worker."""
_MAY_BE_WRONG: Final = ("order", "start", "size", "is_pad", "is_repeat", "pad_value")
_BLOCK: Final = 1 << 16
"""Items of a history that a query makes at a time."""


@dataclass(frozen=True)
class _Piece:
    """One finished file, and the raw rows of the histories that it should hold.

    Attributes:
        file: The file; None where no file has a row.
        previous: The last row of the file before it, without its lists; None of the first file.
        start: Number of the first raw row.
        end: Number after the last one.
    """

    file: str | None
    previous: pa.RecordBatch | None
    start: int
    end: int


@dataclass(frozen=True)
class _Seen:
    """What was seen of a piece.

    Attributes:
        sequences: How many there are.
        wrong: How many of them are wrong, by what is.
        held: How many histories there are of each kind; None where a sequence was not as it should be.
    """

    sequences: int
    wrong: Counter[str]
    held: Counter[Held] | None


def sequence_findings(
    engine: Engine,
    plan: SequencePlan,
    spec: ModelSpec,
    storage: Storage,
    raw: Sequence[str],
    files: Sequence[str],
    accounting: SequenceAccounting,
    vocabulary: Sequence[str] = (),
    workers: int = 1,
) -> list[Finding]:
    """What the three conditions say.

    Args:
        engine: Runs the queries.
        plan: What the files should be.
        spec: The model, as it was when the raw observations were made.
        storage: Where the files are.
        raw: The raw observations' files of the plan's subset.
        files: The finished files.
        accounting: What the kernel counted.
        vocabulary: The file of the raw version's vocabulary; needed where a feature of the plan is encoded.
        workers: How many files are read at a time.
    """
    schema = plan.schema.stored()
    held: Counter[Held] | None = None
    if any(not read_schema(storage, file).equals(schema) for file in files):
        names = ", ".join(PurePosixPath(file).name for file in files)
        well_formed = Finding("well_formed", (f"{names}: other columns than {', '.join(schema.names)}",), {})
    else:
        seen = _look(plan, storage, raw, files, vocabulary, workers)
        well_formed = form_finding(seen.sequences, {name: seen.wrong[name] for name in _MAY_BE_WRONG})
        held = seen.held
    counted = None if held is None else _counts(engine, plan, held)
    if counted is None:
        nothing_lost = _losses(engine, plan, _with_ids(plan, _with_derived(plan, parquet(raw)), vocabulary), files, accounting)
    else:
        nothing_lost = Finding("nothing_lost", tuple(_miscounts(accounting, counted)), counted)
    [no_leakage] = findings(engine, [leakage_check(CONTRACT, plan, spec, parquet(files))])
    return [nothing_lost, no_leakage, well_formed]


def _look(
    plan: SequencePlan, storage: Storage, raw: Sequence[str], files: Sequence[str], vocabulary: Sequence[str], workers: int
) -> _Seen:
    """Reads all files once, side by side, each beside the raw rows of its histories; every raw row is read once, too."""
    rows = HistoryRows(storage, raw, plan.entity[0])
    items = _RawItems(plan, storage, vocabulary)

    def look(piece: _Piece) -> _Seen:
        return _look_at(piece, plan, storage, items.of(rows.read(piece.start, piece.end, items.columns)))

    pieces = _pieces(plan, storage, rows, files)
    every = list(side_by_side(look, pieces, workers))
    held = [seen.held for seen in every if seen.held is not None]
    return _Seen(
        sequences=sum(seen.sequences for seen in every),
        wrong=sum((seen.wrong for seen in every), Counter()),
        held=sum(held, Counter()) if len(held) == len(every) else None,
    )


def _pieces(plan: SequencePlan, storage: Storage, rows: HistoryRows, files: Sequence[str]) -> list[_Piece]:
    """The files that have rows, and all raw rows, parted where the first history of a file begins."""
    if len(files) == 1:
        return [_Piece(files[0], None, 0, rows.count)]
    edges = [(file, edge) for file in files if (edge := _edge(plan, storage, file))]
    if not edges:
        return [_Piece(None, None, 0, rows.count)]
    found = (rows.first_row_of(first[plan.entity[0]][0]) or 0 for _, (first, _) in edges[1:])
    starts = list(accumulate(found, max, initial=0))  # of files in another order, every raw row is still read once
    ends = [*starts[1:], rows.count]
    before = [None, *(last for _, (_, last) in edges[:-1])]
    return [_Piece(file, *around) for (file, _), *around in zip(edges, before, starts, ends, strict=True)]


def _edge(plan: SequencePlan, storage: Storage, file: str) -> tuple[pa.RecordBatch, pa.RecordBatch] | None:
    """The first and the last row of a file, without their lists; None where it has no row."""
    with storage.open_input(file) as opened, pq.ParquetFile(opened, pre_buffer=False) as parquet_file:
        if not parquet_file.metadata.num_rows:
            return None
        groups = (0, parquet_file.num_row_groups - 1)
        first, last = (
            list(parquet_file.iter_batches(ROW_GROUP_CELLS, [group], _places(plan), use_threads=False)) for group in groups
        )
    return first[0].slice(0, 1), last[-1].slice(last[-1].num_rows - 1)


def _look_at(piece: _Piece, plan: SequencePlan, storage: Storage, items: Iterator[pa.RecordBatch]) -> _Seen:
    """Columns, order, ordinals, starts, sizes, masks and pad values are as documented, and items are those of the raw rows."""
    comparison = ItemComparison(plan, items)
    wrong: Counter[str] = Counter()
    sequences, previous = 0, piece.previous
    files = [] if piece.file is None else [piece.file]
    rows = max(_CELLS_AT_ONCE // plan.sequence_length, 1)
    for batch in read_batches(storage, files, plan.schema.stored().names, rows, use_threads=False):
        raise_if_canceled()
        sequences += batch.num_rows
        is_item = places_of_items(plan, np.asarray(batch.column("sequence_size")))
        comparison.take(batch, is_item)
        places = batch.select(_places(plan))
        wrong["order"] += _wrong_order(previous, places, plan.entity[0])
        wrong["start"] += _wrong_start(plan, places)
        if plan.window.overlaps:
            wrong["is_repeat"] += _wrong_repeat(plan, previous, batch)
        wrong.update(_wrong_cells(plan, batch, is_item))
        previous = places.slice(batch.num_rows - 1)
    return _Seen(sequences, wrong, comparison.held())


def _places(plan: SequencePlan) -> list[str]:
    """The columns that say which window of which history a sequence is."""
    return [plan.entity[0], "sequence_index", "sequence_start", "sequence_size"]


class _RawItems:
    """What raw values should have become. In words of its own, as the kernel may be wrong."""

    def __init__(self, plan: SequencePlan, storage: Storage, vocabulary: Sequence[str]) -> None:
        """Reads the ids of encoded features from the file of the vocabulary."""
        self._plan = plan
        self._known = {feature.name: _known_ids(storage, vocabulary, feature) for feature in plan.features if feature.encoded}
        self.columns = list(dict.fromkeys([plan.entity[0], *(feature.source[0] for feature in plan.features)]))

    def of(self, rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Of rows with these columns: the entity, then the item of each feature."""
        names = ["entity", *(f"item{number}" for number in range(len(self._plan.features)))]
        before: pa.RecordBatch | None = None
        for batch in rows:
            if not batch.num_rows:
                continue
            with_before = batch if before is None else pa.concat_batches([before, batch])
            items = [
                self._since_previous(with_before, feature.derivation).slice(with_before.num_rows - batch.num_rows)
                if feature.derivation
                else self._items(batch.column(feature.name), feature)
                for feature in self._plan.features
            ]
            before = batch.slice(batch.num_rows - 1)
            yield pa.RecordBatch.from_arrays([batch.column(self._plan.entity[0]), *items], names)

    def _since_previous(self, rows: pa.RecordBatch, how: TimeSincePrevious) -> pa.Array:
        """Of rows in their order, the first of which follows no other: the time from the one before in whole units."""
        times, entities = rows.column(how.column), rows.column(self._plan.entity[0])
        first = pa.array([how.first], pa.int64())
        later = pc.divide(pc.subtract(times.slice(1), times.slice(0, len(times) - 1)), how.unit)
        goes_on = pc.equal(entities.slice(1), entities.slice(0, len(entities) - 1))
        return pa.concat_arrays([first, pc.if_else(goes_on, later, first[0])])

    def _items(self, values: pa.Array, feature: FeaturePlan) -> pa.Array:
        item_type = stored_type(feature.item_type)
        if feature.encoded:
            labels = values if feature.fill_value is None else pc.coalesce(values, pa.scalar(feature.fill_value, values.type))
            known, ids = self._known[feature.name]
            return pc.coalesce(ids.take(pc.index_in(labels.cast(pa.string()), known)), pa.scalar(_UNKNOWN, item_type))
        if feature.type is ColumnType.TIMESTAMP:
            is_before = pc.less(pc.subtract(values, pc.multiply(pc.divide(values, 1000), 1000)), 0)
            values = pc.subtract(pc.divide(values, 1000), is_before.cast(pa.int64()))
        elif feature.type is ColumnType.DATE:
            values = values.cast(pa.int32())
        return values if feature.fill_value is None else pc.coalesce(values, pa.scalar(feature.fill_value, item_type))


def _known_ids(storage: Storage, vocabulary: Sequence[str], feature: FeaturePlan) -> tuple[pa.Array, pa.Array]:
    """The values of a feature, as text, and their ids."""
    schema = pa.schema([("feature", pa.string()), ("value", pa.string()), ("id", pa.int32())])
    batches = (batch.cast(schema) for batch in read_batches(storage, vocabulary, schema.names, ROW_GROUP_CELLS))
    known = pa.Table.from_batches(batches, schema).filter(pc.field("feature") == feature.name)
    return known["value"].combine_chunks(), known["id"].combine_chunks()


def _counts(engine: Engine, plan: SequencePlan, held: Counter[Held]) -> dict[str, int] | None:
    """Where the observations went, if each history is held as its length and the window kind say; else None."""
    rule = coverage_of(plan)
    lengths = ", ".join(str(length) for length in {length for length, *_ in held})
    expected = engine.rows(f"""
        WITH lengths AS (SELECT unnest([{lengths}]::BIGINT[]) AS _n),
        blocks AS (SELECT _n, unnest(range((_n + {_BLOCK - 1}) // {_BLOCK})) AS _block FROM lengths),
        items AS (
            SELECT _n, unnest(range(_block * {_BLOCK}, least(_n, (_block + 1) * {_BLOCK}))) AS _p FROM blocks),
        covered AS (SELECT _n, _p, {rule.windows} AS _windows, {rule.min_length} AS _is_short FROM items)
        SELECT _n, count(*) FILTER (_windows > 0), sum(_windows)::BIGINT, sum(_windows * _p)::BIGINT,
            count(*) FILTER (_windows = 0 AND _is_short), count(*) FILTER (_windows = 0 AND NOT _is_short)
        FROM covered GROUP BY 1""")
    by_length = {length: numbers for length, *numbers in expected}
    counts = dict.fromkeys(("observations", "sequenced", "dropped_min_length", "dropped_truncation"), 0)
    for (length, *found), histories in held.items():
        *wanted, short, truncated = by_length[length]
        if found != wanted:
            return None
        for name, items in zip(counts, (length, wanted[0], short, truncated), strict=True):
            counts[name] += items * histories
    return counts


def _miscounts(accounting: SequenceAccounting, counted: dict[str, int]) -> list[str]:
    return accounting.problems + [
        f"{name}: the raw observations say {count}, the kernel counted {getattr(accounting, name)}"
        for name, count in counted.items()
        if getattr(accounting, name) != count
    ]


def _losses(engine: Engine, plan: SequencePlan, raw: str, files: Sequence[str], accounting: SequenceAccounting) -> Finding:
    """Whose items are not what they should be, whatever order the sequences are in."""
    entity = quoted(plan.entity[0])
    engine.execute(f"CREATE OR REPLACE TEMP TABLE expected AS {_expected_query(plan, raw)}")
    engine.execute(f"CREATE OR REPLACE TEMP TABLE found AS {_unpadded_query(plan, parquet(files))}")
    found = engine.row("""
        SELECT coalesce(sum(_observations), 0)::BIGINT AS observations, coalesce(sum(_items), 0)::BIGINT AS sequenced,
            coalesce(sum(_dropped_min_length), 0)::BIGINT AS dropped_min_length,
            coalesce(sum(_dropped_truncation), 0)::BIGINT AS dropped_truncation
        FROM expected""")
    different = engine.rows(f"""
        SELECT coalesce(expected.{entity}, found.{entity}) AS _entity, coalesce(expected._items, 0), coalesce(found._items, 0)
        FROM (SELECT * FROM expected WHERE _items > 0) AS expected FULL JOIN found USING ({entity})
        WHERE expected._items IS DISTINCT FROM found._items OR expected._content IS DISTINCT FROM found._content
        ORDER BY 1 LIMIT 5""")
    problems = _miscounts(accounting, found) + [
        f"{plan.entity[0]} {value!r}: un-padding gives {got} items, or another content or order than the {wanted} raw ones"
        for value, wanted, got in different
    ]
    return Finding("nothing_lost", tuple(problems), found)


def _with_derived(plan: SequencePlan, rows: str) -> str:
    """Raw rows with a column `_since<number>` per derived feature."""
    entity = quoted(plan.entity[0])
    columns = []
    for number, feature in enumerate(plan.features):
        if how := feature.derivation:
            time = quoted(how.column)
            before = f"lag({time}) OVER (PARTITION BY {entity} ORDER BY _position)"
            columns.append(f"coalesce(({time} - {before}) // {how.unit}, {how.first}) AS _since{number}")
    return f"(SELECT *, {', '.join(columns)} FROM {rows})" if columns else rows


def _with_ids(plan: SequencePlan, rows: str, vocabulary: Sequence[str]) -> str:
    """Raw rows with a column `_id<number>` per encoded feature: what the vocabulary gives its value."""
    if not plan.encoded:
        return rows
    joins, ids = [], []
    for number, feature in enumerate(plan.features):
        if feature.encoded:
            label = CONTRACT.label(f"_raw.{quoted(feature.name)}", feature.type, feature.fill_value)
            values = f"(SELECT value, id FROM {parquet(vocabulary)} WHERE feature = {text_literal(feature.name)})"
            joins.append(f"LEFT JOIN {values} AS _v{number} ON CAST({label} AS VARCHAR) = _v{number}.value")
            ids.append(f"coalesce(_v{number}.id, 1) AS _id{number}")
    return f"(SELECT _raw.*, {', '.join(ids)} FROM {rows} AS _raw {' '.join(joins)})"


def _unpadded_query(plan: SequencePlan, rows: str) -> str:
    """Per entity: how many items its sequences hold, each counted once, and a hash of all positions and values that they hold.

    Names made up here begin with `_`, which no column of a contract does.
    """
    entity, L = quoted(plan.entity[0]), plan.sequence_length  # noqa: N806
    lists = ", ".join(
        f"unnest({quoted(f'{feature.name}_sequence')}) AS {quoted(f'_f{i}')}" for i, feature in enumerate(plan.features)
    )
    repeat = "unnest(is_repeat_sequence)" if plan.window.overlaps else "0"
    first = f"({L} - sequence_size)" if plan.padding_side == "left" else "0"
    values = ", ".join(f"{quoted(f'_f{i}')}::{_item_type(feature)}" for i, feature in enumerate(plan.features))
    return f"""
        SELECT {entity}, count(*) FILTER (_is_repeat = 0) AS _items, sum(hash(_position, {values})::HUGEINT) AS _content
        FROM (
            SELECT {entity}, sequence_start + unnest(range({L})) - {first} AS _position, {lists},
                unnest(is_pad_sequence) AS _is_pad, {repeat} AS _is_repeat
            FROM {rows})
        WHERE _is_pad = 0 GROUP BY 1"""


def _expected_query(plan: SequencePlan, rows: str) -> str:
    """Per entity: the items that its sequences should hold, by the definition of the window kind, and their hash."""
    entity = quoted(plan.entity[0])
    values = ", ".join(_raw_item(number, feature) for number, feature in enumerate(plan.features))
    rule = coverage_of(plan)
    return f"""
        WITH histories AS (SELECT {entity}, count(*) AS _n FROM {rows} GROUP BY 1),
        items AS (
            SELECT {entity}, {rule.windows} AS _windows, {rule.min_length} AS _is_short,
                hash(_position, {values})::HUGEINT AS _content
            FROM (SELECT *, _position AS _p FROM {rows}) JOIN histories USING ({entity}))
        SELECT {entity}, count(*) AS _observations, count(*) FILTER (_windows > 0) AS _items,
            sum(_content * _windows) AS _content,
            count(*) FILTER (_windows = 0 AND _is_short) AS _dropped_min_length,
            count(*) FILTER (_windows = 0 AND NOT _is_short) AS _dropped_truncation
        FROM items GROUP BY 1"""


def _item_type(feature: FeaturePlan) -> str:
    return DUCKDB_TYPES[feature.item_type]


def _raw_item(number: int, feature: FeaturePlan) -> str:
    """The item that a raw value should have become."""
    if feature.encoded or feature.derivation:
        return f"{'_id' if feature.encoded else '_since'}{number}::{_item_type(feature)}"
    value = quoted(feature.name)
    if feature.type is ColumnType.TIMESTAMP:
        value = f"({value} // 1000 - CAST({value} % 1000 < 0 AS BIGINT))"
    elif feature.type is ColumnType.DATE:
        value = f"date_diff('day', DATE '1970-01-01', {value})"
    if feature.fill_value is not None:
        value = f"coalesce({value}, {literal_sql(feature.fill_value, feature.type.as_feature)})"
    return f"{value}::{_item_type(feature)}"


def _wrong_order(previous: pa.RecordBatch | None, batch: pa.RecordBatch, entity: str) -> int:
    """Sequences that do not follow the one before: entities ascend, and ordinals count from 0 within one."""
    if previous is not None:
        batch = pa.concat_batches([previous, batch])
    entities, index = batch.column(entity), np.asarray(batch.column("sequence_index"))
    later, earlier = entities.slice(1), entities.slice(0, batch.num_rows - 1)
    same, ascends = np.asarray(pc.equal(later, earlier)), np.asarray(pc.greater(later, earlier))
    follows = np.where(same, index[1:] == index[:-1] + 1, ascends & (index[1:] == 0))
    return int((~follows).sum()) + int(previous is None and index[0] != 0)


def _wrong_start(plan: SequencePlan, batch: pa.RecordBatch) -> int:
    """Sequences that do not start where their ordinal says. Of `last`, which has one only, `nothing_lost` knows the start."""
    L = plan.sequence_length  # noqa: N806
    index, start = np.asarray(batch.column("sequence_index")).astype(np.int64), np.asarray(batch.column("sequence_start"))
    if isinstance(plan.window, Sliding):  # chunks slide too
        wrong = start != index * plan.window.step(L)
    elif isinstance(plan.window, Prefix):
        wrong = start != np.maximum(index + max(plan.min_length, 2) - L, 0)
    else:
        wrong = (index != 0) | ((start != 0) & isinstance(plan.window, First))
    return int(wrong.sum())


def _wrong_repeat(plan: SequencePlan, previous: pa.RecordBatch | None, batch: pa.RecordBatch) -> int:
    """Sequences whose flags are not on the items that the sequence before has too; as windows advance, those are all."""
    places = batch.select(_places(plan))
    joined = places if previous is None else pa.concat_batches([previous, places])
    entities = joined.column(plan.entity[0])
    start = np.asarray(joined.column("sequence_start"))
    end = start + np.asarray(joined.column("sequence_size"))
    same = np.asarray(pc.equal(entities.slice(1), entities.slice(0, joined.num_rows - 1)))
    shared = np.where(same, end[:-1] - start[1:], 0)
    if previous is None:
        shared = np.concatenate([[0], shared])
    size = np.asarray(batch.column("sequence_size"))
    expected = places_of_items(plan, size, np.minimum(shared, size))
    return int((_matrix(batch, "is_repeat_sequence", plan.sequence_length) != expected).any(axis=1).sum())


def _wrong_cells(plan: SequencePlan, batch: pa.RecordBatch, is_item: Flags) -> dict[str, int]:
    size = np.asarray(batch.column("sequence_size"))
    is_pad = _matrix(batch, "is_pad_sequence", plan.sequence_length)
    padding = np.flatnonzero(~is_item)
    differs = np.zeros(len(padding), np.bool_)
    for feature in plan.features:
        values = batch.column(f"{feature.name}_sequence").flatten().take(pa.array(padding))
        differs |= np.asarray(pc.not_equal(values, pa.scalar(feature.pad_value, values.type)))
    return {
        "size": int(((size < plan.min_length) | (size > plan.sequence_length)).sum()),
        "is_pad": int((is_pad != ~is_item).any(axis=1).sum()),
        "pad_value": len(np.unique(padding[differs] // plan.sequence_length)),
    }


def _matrix(batch: pa.RecordBatch, name: str, length: int) -> NDArray[Any]:
    matrix: NDArray[Any] = np.asarray(batch.column(name).flatten()).reshape(-1, length)
    return matrix
