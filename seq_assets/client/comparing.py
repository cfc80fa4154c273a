"""Two versions of one table, entity by entity: which entities came, went and changed, and in which columns.

Both are read once, side by side, in the table's order. In memory are a few batches of each, or the rows of one entity where
they are more. Values are compared as they are, and not by a hash.

Belongs here: the merge, and the comparison of rows. Not here: which versions and columns are compared (`diff`).
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seq_assets.client.batches import StoredRows, ordered_batches
from seq_assets.warehouse.cancellation import raise_if_canceled
from seq_assets.warehouse.storage.prefetching import prefetched

if TYPE_CHECKING:
    from collections.abc import Generator

MOST_NAMED: Final = 5
"""Entities of each kind that are named."""


@dataclass
class Compared:
    """What was found so far.

    Attributes:
        before: Entities of the one version.
        after: Entities of the other.
        added: Of the other alone.
        removed: Of the one alone.
        altered: Of both, with other rows.
        first_added: The first few of them; the two below likewise.
        columns: Altered entities by column whose values differ.
    """

    before: int = 0
    after: int = 0
    added: int = 0
    removed: int = 0
    altered: int = 0
    first_added: list[Any] = field(default_factory=list)
    first_removed: list[Any] = field(default_factory=list)
    first_altered: list[Any] = field(default_factory=list)
    columns: dict[str, int] = field(default_factory=dict)


def compare(before: StoredRows, after: StoredRows, entity: str, columns: Sequence[str]) -> Compared:
    """Compares the rows of each entity, in their order.

    Args:
        before: Rows of one version.
        after: Rows of another one, with columns of the same names and types.
        entity: The column by which both are ordered.
        columns: Those whose values are compared.
    """
    found = Compared(columns=dict.fromkeys(columns, 0))
    names = [entity, *(name for name in columns if name != entity)]
    with (
        closing(prefetched(ordered_batches(before, names))) as first,
        closing(prefetched(ordered_batches(after, names))) as second,
    ):
        for one, other in _aligned(_Stream(first, entity), _Stream(second, entity)):
            raise_if_canceled()
            _compare_rows(found, one, other, columns)
    return found


@dataclass(frozen=True)
class _Runs:
    """Rows of whole entities, in order.

    Attributes:
        rows: The rows; None where there are none.
        entities: The entities, each once.
        starts: The place of the first row of each, and behind the last row.
    """

    rows: pa.Table | None
    entities: pa.Array
    starts: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Rows of each entity."""
        sizes: np.ndarray = np.diff(self.starts)
        return sizes


class _Stream:
    """Rows that are read, and not compared yet."""

    def __init__(self, batches: "Generator[pa.RecordBatch]", entity: str) -> None:
        self._batches = batches
        self._entity = entity
        self._pending: list[pa.RecordBatch] = []
        self.is_at_end = False

    @property
    def last(self) -> Any:
        """The entity of the last row that is read, which may go on."""
        return self._pending[-1].column(self._entity)[-1].as_py()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is read that is not compared."""
        return not self._pending

    def read(self) -> None:
        """Reads some more rows, if there are any."""
        batch = next((batch for batch in self._batches if batch.num_rows), None)
        if batch is None:
            self.is_at_end = True
        else:
            self._pending.append(batch)

    def take(self, limit: "_Limit") -> _Runs:
        """The rows of the entities before a limit, which are not pending any more."""
        whole = []
        while self._pending and limit.is_behind(self._pending[0].column(self._entity)[-1].as_py()):
            whole.append(self._pending.pop(0))
        if self._pending:
            batch = self._pending[0]
            runs = pc.run_end_encode(batch.column(self._entity))
            before = sum(1 for value in runs.values.to_pylist() if limit.is_behind(value))
            if before:
                end = runs.run_ends[before - 1].as_py()
                whole.append(batch.slice(0, end))
                self._pending[0] = batch.slice(end)
        return _runs(whole, self._entity)


class _Limit(Protocol):
    """Up to where rows are whole."""

    def is_behind(self, entity: Any) -> bool:
        """Whether an entity stands before it."""


@dataclass(frozen=True)
class _Before:
    """Before an entity."""

    entity: Any

    def is_behind(self, entity: Any) -> bool:
        # Texts are ordered by code points as they are by the bytes of UTF-8.
        return bool(entity < self.entity)


@dataclass(frozen=True)
class _End:
    """Behind all rows."""

    def is_behind(self, _: Any) -> bool:
        return True


def _runs(batches: list[pa.RecordBatch], entity: str) -> _Runs:
    if not batches:
        return _Runs(None, pa.array([]), np.zeros(1, np.int64))
    rows = pa.Table.from_batches(batches).combine_chunks()
    runs = pc.run_end_encode(rows[entity].chunk(0))
    return _Runs(rows, runs.values, np.concatenate([[0], runs.run_ends.to_numpy()]).astype(np.int64))


def _aligned(first: _Stream, second: _Stream) -> Iterator[tuple[_Runs, _Runs]]:
    """Rows of both up to the same entity, again and again; each entity is in one pair, whole."""
    while True:
        for stream in (first, second):
            if stream.is_empty and not stream.is_at_end:
                stream.read()
        unfinished = [stream for stream in (first, second) if not stream.is_at_end]
        if not unfinished:
            yield first.take(_End()), second.take(_End())
            return
        lowest = min(stream.last for stream in unfinished)
        yield first.take(_Before(lowest)), second.take(_Before(lowest))
        for stream in unfinished:
            # Of whoever is behind, more rows let both go on.
            if stream.last == lowest:
                stream.read()


def _compare_rows(found: Compared, before: _Runs, after: _Runs, columns: Sequence[str]) -> None:
    found.before += len(before.entities)
    found.after += len(after.entities)
    places = _places(before.entities, after.entities)
    is_removed = np.isin(np.arange(len(before.entities)), places[places >= 0], invert=True)
    found.added += _noted(found.first_added, after.entities, places < 0)
    found.removed += _noted(found.first_removed, before.entities, is_removed)
    both = np.flatnonzero(places >= 0)
    if not len(both):
        return
    assert before.rows is not None, "entities of it were found"
    assert after.rows is not None, "entities of it were found"
    is_altered = np.zeros(len(both), bool)
    as_long = before.sizes[places[both]] == after.sizes[both]
    sizes = after.sizes[both[as_long]]
    one = _rows_of(before, places[both[as_long]])
    other = _rows_of(after, both[as_long])
    for name in columns:
        differs = np.ones(len(both), bool)
        differs[as_long] = _differing(one[name], other[name], sizes)
        found.columns[name] += int(differs.sum())
        is_altered |= differs
    found.altered += _noted(found.first_altered, after.entities.take(pa.array(both)), is_altered)


def _places(entities: pa.Array, wanted: pa.Array) -> np.ndarray:
    """Where each of the wanted is among the entities; -1 where it is not."""
    if not len(entities) or not len(wanted):
        return np.full(len(wanted), -1)
    places: np.ndarray = pc.fill_null(pc.index_in(wanted, value_set=entities), -1).to_numpy()
    return places


def _noted(first: list[Any], entities: pa.Array, chosen: np.ndarray) -> int:
    """Names the chosen entities, until enough are named; how many are chosen."""
    numbers = np.flatnonzero(chosen)
    first += entities.take(pa.array(numbers[: MOST_NAMED - len(first)])).to_pylist()
    return len(numbers)


def _rows_of(runs: _Runs, numbers: np.ndarray) -> pa.Table:
    """The rows of some entities, by their numbers, ascending."""
    assert runs.rows is not None, "there are entities"
    if len(numbers) == len(runs.entities):
        return runs.rows
    chosen = np.zeros(len(runs.entities), bool)
    chosen[numbers] = True
    return runs.rows.filter(pa.array(np.repeat(chosen, runs.sizes))).combine_chunks()


def _differing(before: pa.ChunkedArray, after: pa.ChunkedArray, sizes: np.ndarray) -> np.ndarray:
    """Of entities with as many rows in both, whether a value differs."""
    if not len(sizes) or before.equals(after):
        return np.zeros(len(sizes), bool)
    one, other = before.combine_chunks(), after.combine_chunks()
    length = 1
    if pa.types.is_fixed_size_list(one.type):
        length = one.type.list_size
        one, other = one.flatten(), other.flatten()
    differs = pc.not_equal(one, other)
    if differs.null_count:
        differs = pc.if_else(pc.is_null(differs), pc.xor(pc.is_null(one), pc.is_null(other)), differs)
    starts = (np.cumsum(sizes) - sizes) * length
    by_entity: np.ndarray = np.logical_or.reduceat(differs.to_numpy(zero_copy_only=False), starts)
    return by_entity
