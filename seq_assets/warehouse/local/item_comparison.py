"""Whether finished sequences hold the items of the raw observations, value by value, in one pass over both in their order.

Belongs here: finding the rows that each sequence says it holds, and comparing. It takes nothing of the kernel. Not here: which
windows a history should have (`warehouse.coverage`), and what is told of sequences that differ (`audit_sequences`).
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seq_assets.sequencing.plans import SequencePlan

Int64: TypeAlias = NDArray[np.int64]
Held: TypeAlias = tuple[int, int, int, int]
"""Of a history: its items, those that its sequences hold for the first time, all that they hold, the sum of their positions."""


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
        self.left: Counter[Held] = Counter()

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

    def finish(self) -> None:
        """Reads to the end and forgets all."""
        self.leave(max(len(self.starts) - 1, 0), self.end)
        while self.advance():
            self.leave(len(self.starts) - 1, self.end)
        self._note(np.diff(np.append(self.starts, self.end)), self.sums)

    def _note(self, lengths: Int64, sums: Int64) -> None:
        found, counts = np.unique(np.column_stack([lengths, sums]), axis=0, return_counts=True)
        self.left.update({(int(a), int(b), int(c), int(d)): int(n) for (a, b, c, d), n in zip(found, counts, strict=True)})


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

    def take(self, sequences: pa.RecordBatch) -> None:
        """Compares the next sequences."""
        while self._is_equal and sequences.num_rows:
            compared = self._compare(sequences)
            sequences = sequences.slice(compared)
            self._is_equal = self._is_equal and (compared > 0 or self._histories.advance())

    def held(self) -> Counter[Held] | None:
        """How many histories there are of each kind; None where a sequence was not as it should be.

        To be asked once, after all sequences were taken.
        """
        if not self._is_equal:
            return None
        self._histories.finish()
        return self._histories.left

    def _compare(self, sequences: pa.RecordBatch) -> int:
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
            self._compare_ready(sequences.slice(0, ready), place[:ready], source[:ready], size[:ready])
        # The next sequence decides what is still needed; one whose history is not known yet needs nothing of what is here.
        following = min(ready, len(place) - 1)
        if place[following] >= 0:
            histories.leave(int(place[following]), min(int(source[following]), histories.end))
        else:
            histories.leave(len(histories.starts) - 1, histories.end)
        return ready

    def _compare_ready(self, sequences: pa.RecordBatch, place: Int64, source: Int64, size: Int64) -> None:
        histories, is_item = self._histories, _matrix(sequences, "is_pad_sequence") == 0
        ends = np.append(histories.starts[1:], histories.end)
        is_elsewhere = (source < histories.first) | (source + size > ends[place]) | (is_item.sum(axis=1) != size)
        if is_elsewhere.any() or histories.rows is None:
            self._is_equal = False
            return
        cells = np.flatnonzero(is_item)
        rows = np.arange(len(cells)) + np.repeat(source - histories.first - (np.cumsum(size) - size), size)
        self._is_equal = all(
            _are_equal(sequences.column(f"{feature.name}_sequence").flatten(), cells, histories.rows.column(number), rows)
            for number, feature in enumerate(self._plan.features, 1)
        )
        new = size
        if self._plan.window.overlaps:
            new = (is_item & (_matrix(sequences, "is_repeat_sequence") == 0)).sum(axis=1)
        start = source - histories.starts[place]
        np.add.at(histories.sums, place, np.column_stack([new, size, size * start + size * (size - 1) // 2]))


def _matrix(sequences: pa.RecordBatch, name: str) -> NDArray[np.int8]:
    return np.asarray(sequences.column(name).flatten()).reshape(sequences.num_rows, -1)


def _are_equal(found: pa.Array, cells: Int64, expected: pa.Array, rows: Int64) -> bool:
    """Whether found[cells] and expected[rows] are the same, floats to the bit."""
    if found.type != expected.type:
        return False
    if pa.types.is_string(found.type) or pa.types.is_boolean(found.type):
        return bool(found.take(pa.array(cells)).equals(expected.take(pa.array(rows))))
    return bool(np.array_equal(_bits(found)[cells], _bits(expected)[rows]))


def _bits(values: pa.Array) -> NDArray[np.signedinteger]:
    numbers: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return numbers.view(f"i{numbers.itemsize}")
