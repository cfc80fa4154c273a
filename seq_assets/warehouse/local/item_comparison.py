"""Whether finished sequences hold the items of the raw observations, value by value, in one pass over both in their order.

Belongs here: finding the rows that each sequence says it holds, and comparing. It takes nothing of the kernel. Not here: which
windows a history should have (`warehouse.coverage`), and what is told of sequences that differ (`audit_sequences`).
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seq_assets.sequencing.plans import SequencePlan

Int64: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
Held: TypeAlias = tuple[int, int, int, int]
"""Of a history: its items, those that its sequences hold for the first time, all that they hold, the sum of their positions."""
_MOST_UNCOUNTED: Final = 1 << 16
"""Histories that have ended."""


def places_of_items(plan: SequencePlan, size: NDArray[np.integer], first: NDArray[np.integer] | None = None) -> Flags:
    """Which positions of sequences should hold an item.

    Args:
        plan: What the sequences should be.
        size: The items of each sequence.
        first: Only so many of its first items are asked for; default: all of them.

    Returns:
        A flag per sequence and position, of shape (sequences, positions).
    """
    L = plan.sequence_length  # noqa: N806
    items, asked = (np.clip(counts, 0, L).astype(np.int16)[:, None] for counts in (size, size if first is None else first))
    position = np.arange(L, dtype=np.int16)
    begin = L - items if plan.padding_side == "left" else np.zeros_like(items)
    is_asked: Flags = (position >= begin) & (position < begin + asked)
    return is_asked


class _Histories:
    """The raw observations from the first row that is still needed, and the histories that they are part of.

    Attributes:
        rows: The entity, then the items.
        first: Number of the first row, counted from the beginning of all.
        end: Number after the last row.
        entities: Whose histories they are.
        starts: Number of each history's first row.
        sums: Per history: new items, items, positions that sequences have held so far, shape (histories, 3).
    """

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self.rows: pa.RecordBatch | None = None
        self.first, self.end = 0, 0
        self.entities: pa.Array | None = None
        self.starts: Int64 = np.empty(0, np.int64)
        self.sums: Int64 = np.empty((0, 3), np.int64)
        self._ended: list[Int64] = []
        self._counted: Counter[Held] = Counter()

    def advance(self) -> bool:
        """Reads on; False at the end."""
        batch = next((batch for batch in self._batches if batch.num_rows), None)
        if batch is None:
            return False
        values = batch.column(0)
        begins = np.ones(len(values), np.bool_)
        begins[1:] = np.asarray(pc.not_equal(values.slice(1), values.slice(0, len(values) - 1)))
        begins[0] = self.entities is None or values[0] != self.entities[-1]
        found = np.flatnonzero(begins)
        entities = values.take(pa.array(found))
        self.entities = entities if self.entities is None else pa.concat_arrays([self.entities, entities])
        self.starts = np.concatenate([self.starts, found + self.end])
        self.sums = np.concatenate([self.sums, np.zeros((len(found), 3), np.int64)])
        self.rows = batch if self.rows is None or not self.rows.num_rows else pa.concat_batches([self.rows, batch])
        self.end += len(values)
        return True

    def leave(self, histories: int, row: int) -> None:
        """Forgets the first histories, which have ended, and all rows before one."""
        if histories:
            self._note(np.diff(self.starts[: histories + 1]), self.sums[:histories])
            self.entities = self.entities and self.entities.slice(histories)
            self.starts, self.sums = self.starts[histories:], self.sums[histories:]
        if self.rows is not None and row > self.first:
            self.rows, self.first = self.rows.slice(row - self.first), row

    def finish(self) -> Counter[Held]:
        """Reads to the end and forgets all; how many histories there were of each kind."""
        self.leave(max(len(self.starts) - 1, 0), self.end)
        while self.advance():
            self.leave(len(self.starts) - 1, self.end)
        self._note(np.diff(np.append(self.starts, self.end)), self.sums)
        self._count()
        return self._counted

    def _note(self, lengths: Int64, sums: Int64) -> None:
        self._ended.append(np.column_stack([lengths, sums]))
        if sum(map(len, self._ended)) > _MOST_UNCOUNTED:
            self._count()

    def _count(self) -> None:
        kinds = pa.table(list(np.concatenate(self._ended).T.copy()), names=["length", "new", "items", "positions"])
        counts = kinds.group_by(kinds.column_names, use_threads=False).aggregate([([], "count_all")])
        *kind, histories = (column.to_pylist() for column in counts.columns)
        self._counted.update(dict(zip(zip(*kind, strict=True), histories, strict=True)))
        self._ended = []


class ItemComparison:
    """Takes sequences batch by batch. It gives up at the first that is not as it should be, or not where it should be."""

    def __init__(self, plan: SequencePlan, observations: Iterator[pa.RecordBatch]) -> None:
        """Begins a pass.

        Args:
            plan: What the sequences should be.
            observations: The entity, then one column per feature of the plan with the items that its values should become, no
                nulls in them; ordered by entity and position.
        """
        self._plan = plan
        self._histories = _Histories(observations)
        self._is_equal = True

    def take(self, sequences: pa.RecordBatch, is_item: Flags) -> None:
        """Compares the next sequences.

        Args:
            sequences: All of their columns.
            is_item: Which of their positions should hold an item, shape (sequences, positions).
        """
        if sequences.num_rows:
            self._is_equal = self._is_equal and np.array_equal(_matrix(sequences, "is_pad_sequence"), ~is_item)
        while self._is_equal and sequences.num_rows:
            compared = self._compare(sequences, is_item)
            sequences, is_item = sequences.slice(compared), is_item[compared:]
            self._is_equal = self._is_equal and (compared > 0 or self._histories.advance())

    def held(self) -> Counter[Held] | None:
        """How many histories there are of each kind; None where a sequence was not as it should be.

        To be asked once, after all sequences were taken.
        """
        if not self._is_equal:
            return None
        return self._histories.finish()

    def _compare(self, sequences: pa.RecordBatch, is_item: Flags) -> int:
        """Compares the first of the sequences, as many as the rows at hand allow; how many they were."""
        histories, entity = self._histories, sequences.column(self._plan.entity[0])
        if histories.entities is None:
            return 0
        start, size = (np.asarray(sequences.column(name)).astype(np.int64) for name in ("sequence_start", "sequence_size"))
        if (start < 0).any() or (size < 0).any() or (size > self._plan.sequence_length).any():
            self._is_equal = False
            return 0
        place = np.asarray(pc.fill_null(pc.index_in(entity, histories.entities), -1))
        source = histories.starts[place] + start
        is_ready = (place >= 0) & (source + size <= histories.end)
        ready = len(is_ready) if is_ready.all() else int(is_ready.argmin())
        if ready:
            self._compare_ready(sequences.slice(0, ready), is_item[:ready], place[:ready], source[:ready], size[:ready])
        # The next sequence decides what is still needed; one whose history is not known yet needs nothing of what is here.
        following = min(ready, len(place) - 1)
        if place[following] >= 0:
            histories.leave(int(place[following]), min(int(source[following]), histories.end))
        else:
            histories.leave(len(histories.starts) - 1, histories.end)
        return ready

    def _compare_ready(self, sequences: pa.RecordBatch, is_item: Flags, place: Int64, source: Int64, size: Int64) -> None:
        histories = self._histories
        ends = np.append(histories.starts[1:], histories.end)
        if (source < histories.first).any() or (source + size > ends[place]).any() or histories.rows is None:
            self._is_equal = False
            return
        cells = np.flatnonzero(is_item)
        rows = _places(source - histories.first, size)
        self._is_equal = len(cells) == int(size.sum()) and all(
            _are_equal(sequences.column(f"{feature.name}_sequence").flatten(), cells, histories.rows.column(number), rows)
            for number, feature in enumerate(self._plan.features, 1)
        )
        new = size
        if self._plan.window.overlaps:
            new = np.count_nonzero(is_item & (_matrix(sequences, "is_repeat_sequence") == 0), axis=1)
        start = source - histories.starts[place]
        np.add.at(histories.sums, place, np.column_stack([new, size, size * start + size * (size - 1) // 2]))


def _places(source: Int64, size: Int64) -> Int64 | slice:
    """The rows that sequences hold, one after the other: from each source on, as many as its size."""
    if np.array_equal(source[1:], source[:-1] + size[:-1]):
        return slice(int(source[0]), int(source[-1] + size[-1]))
    rows: Int64 = np.arange(size.sum()) + np.repeat(source - (np.cumsum(size) - size), size)
    return rows


def _matrix(sequences: pa.RecordBatch, name: str) -> NDArray[np.int8]:
    return np.asarray(sequences.column(name).flatten()).reshape(sequences.num_rows, -1)


def _are_equal(found: pa.Array, cells: Int64, expected: pa.Array, rows: Int64 | slice) -> bool:
    """Whether found[cells] and expected[rows] are the same, floats to the bit."""
    if found.type != expected.type:
        return False
    if pa.types.is_string(found.type) or pa.types.is_boolean(found.type):
        wanted = expected[rows] if isinstance(rows, slice) else expected.take(pa.array(rows))
        return bool(found.take(pa.array(cells)).equals(wanted))
    return bool(np.array_equal(_bits(found)[cells], _bits(expected)[rows]))


def _bits(values: pa.Array) -> NDArray[np.signedinteger]:
    numbers: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return numbers.view(f"i{numbers.itemsize}")
