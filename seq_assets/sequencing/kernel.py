"""The streaming kernel: observations clustered by entity in, sequences out, in one linear pass of bounded memory.

It works on index arrays: for every item that a sequence holds, `source` says where it stands in the buffered rows and
`destination` where it goes in the flat (sequences x positions) output, which is filled with padding beforehand. There is no
loop over rows, entities or windows. Of an entity that goes on in the next batch only the rows that later windows need are
carried over.
"""

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seq_assets.models import ColumnType
from seq_assets.sequencing.accounting import SequenceAccounting
from seq_assets.sequencing.derived import with_derived
from seq_assets.sequencing.plans import FeaturePlan, SequencePlan
from seq_assets.sequencing.schemas import stored_type
from seq_assets.sequencing.vocabulary import Encoder, values_of
from seq_assets.sequencing.windows import Int64

Flags: TypeAlias = NDArray[np.bool_]

CELLS_PER_BATCH: Final = 250_000
"""Positions per feature of one output batch, at most (but always at least one sequence)."""


def feature_items(values: pa.Array, feature: FeaturePlan, encoder: Encoder | None) -> pa.Array:
    """A raw column as the feature's items, without nulls: ids where the feature is encoded, else plain values.

    Plain timestamps become int64 milliseconds (floored), dates int32 days.
    """
    if encoder is not None:
        return encoder.ids(values)
    if feature.fill_value is not None and feature.type not in (ColumnType.TIMESTAMP, ColumnType.DATE):
        values = pc.fill_null(values, pa.scalar(feature.fill_value, stored_type(feature.type)))
    if feature.type is ColumnType.DATE:
        values = values.view(pa.int32())
    elif feature.type is ColumnType.TIMESTAMP:
        milliseconds = np.floor_divide(pc.fill_null(values, 0).to_numpy(zero_copy_only=False), 1000)
        values = pa.array(milliseconds, mask=values.is_null().to_numpy(zero_copy_only=False))
    if values.null_count and feature.fill_value is not None:
        values = pc.fill_null(values, pa.scalar(feature.fill_value, values.type))
    return values


@dataclass
class _Carry:
    """The entity that the next batch may go on with.

    Attributes:
        entity: Its value; None before the first batch.
        rows: Its rows that later windows may need.
        length: The number of its items so far.
        windows: The number of its windows so far, dropped ones included.
    """

    entity: pa.Scalar | None
    rows: pa.RecordBatch
    length: int = 0
    windows: int = 0


@dataclass(frozen=True)
class _Segments:
    """The entities of a buffer, one value per entity, in order.

    Attributes:
        start: Index of its first row in the buffer.
        length: Its items so far, those before the buffer included.
        offset: The position, in its history, of its first row in the buffer.
        windows: Its windows before this buffer.
        ended: Whether its history ends in the buffer.
    """

    start: Int64
    length: Int64
    offset: Int64
    windows: Int64
    ended: Flags


@dataclass(frozen=True)
class _Windows:
    """Windows to write, one value per window, in order.

    Attributes:
        source: Index, in the buffer, of its first item.
        start: Position of its first item in the history.
        size: Its items.
        index: Its ordinal among the entity's kept windows.
        repeated: How many of its first items stand in an earlier kept window too.
    """

    source: Int64
    start: Int64
    size: Int64
    index: Int64
    repeated: Int64

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, rows: slice) -> "_Windows":
        return _Windows(self.source[rows], self.start[rows], self.size[rows], self.index[rows], self.repeated[rows])


class Kernel:
    """One pass of one plan. Consume `batches` to its end, then read `accounting`."""

    def __init__(self, plan: SequencePlan, vocabulary: pa.Table | None = None) -> None:
        """Prepares a pass; it holds no data yet.

        Args:
            plan: What to compute.
            vocabulary: Rows of the vocabulary table; needed where a feature of the plan is encoded.
        """
        self._plan = plan
        self._encoders = {
            feature.name: Encoder(values_of(vocabulary, feature.name), feature.fill_value)
            for feature in plan.features
            if feature.encoded
        }
        self._schema = plan.schema.stored()
        self._counts = _no_counts()

    def another(self) -> "Kernel":
        """Another pass of the same plan, over other entities, which shares what was made of the vocabulary."""
        kernel = copy(self)
        kernel._counts = _no_counts()
        return kernel

    @property
    def input_columns(self) -> list[str]:
        """The raw columns that the pass reads."""
        return list(dict.fromkeys([self._plan.entity[0], *(feature.source[0] for feature in self._plan.features)]))

    @property
    def accounting(self) -> SequenceAccounting:
        """Where every observation consumed so far went; complete after the last batch."""
        return SequenceAccounting(positions=self._counts["sequences"] * self._plan.sequence_length, **self._counts)

    def batches(self, observations: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Sequences of the plan.

        Args:
            observations: Batches with `input_columns` in their stored types, all rows of an entity together and in order;
                batches may end anywhere.

        Yields:
            Batches of the plan's stored schema, of at most `CELLS_PER_BATCH` positions per feature.
        """
        carry: _Carry | None = None
        columns = list(dict.fromkeys([self._plan.entity[0], *(feature.name for feature in self._plan.features)]))
        for unselected in with_derived(observations, self._plan):
            if unselected.num_rows == 0:
                continue
            batch = unselected.select(columns)
            self._counts["observations"] += batch.num_rows
            buffer, segments = _segments(carry, batch, self._plan.entity[0])
            yield from self._sequences(buffer, segments)
            carry = self._carry(buffer, segments)
        if carry is not None:
            yield from self._sequences(carry.rows, _last_segment(carry))

    def _carry(self, buffer: pa.RecordBatch, segments: _Segments) -> _Carry:
        """What of the buffer's last entity, which has not ended, the next batch needs."""
        plan = self._plan
        length = int(segments.length[-1])
        windows = max(int(plan.window.ready(segments.length[-1:], plan.sequence_length)[0]), int(segments.windows[-1]))
        needed = max(plan.window.needed_from(windows, length, plan.sequence_length), int(segments.offset[-1]))
        rows = buffer.slice(int(segments.start[-1]) + needed - int(segments.offset[-1]))
        return _Carry(buffer.column(plan.entity[0])[-1], rows, length, windows)

    def _sequences(self, buffer: pa.RecordBatch, segments: _Segments) -> Iterator[pa.RecordBatch]:
        windows = self._windows(segments)
        if not len(windows):
            return
        entity = buffer.column(self._plan.entity[0])
        items = [
            feature_items(buffer.column(feature.name), feature, self._encoders.get(feature.name))
            for feature in self._plan.features
        ]
        rows = max(CELLS_PER_BATCH // self._plan.sequence_length, 1)
        for first in range(0, len(windows), rows):
            yield self._write(entity, items, windows[first : first + rows])

    def _windows(self, segments: _Segments) -> _Windows:
        """The kept windows that became final with this buffer; counts what is kept and what is dropped."""
        plan, L = self._plan, self._plan.sequence_length  # noqa: N806
        final = np.where(segments.ended, plan.window.count(segments.length, L), plan.window.ready(segments.length, L))
        number = final - segments.windows
        segment = np.repeat(np.arange(len(number)), number)
        k = np.arange(len(segment)) - np.repeat(np.cumsum(number) - number, number) + segments.windows[segment]
        start, size = plan.window.bounds(k, segments.length[segment], L)
        kept = size >= plan.min_length
        repeated = plan.window.repeated(k, size, L, plan.min_length)
        source = segments.start[segment] + start - segments.offset[segment]
        self._count(segments.length[segments.ended], size, kept, repeated)
        index = k - plan.window.first_kept(plan.min_length)
        return _Windows(source[kept], start[kept], size[kept], index[kept], repeated[kept])

    def _count(self, ended: Int64, size: Int64, kept: Flags, repeated: Int64) -> None:
        plan, counts = self._plan, self._counts
        counts["sequenced"] += int((size - repeated)[kept].sum())
        counts["dropped_min_length"] += int(
            plan.window.dropped_by_min_length(ended, plan.sequence_length, plan.min_length).sum()
        )
        counts["dropped_truncation"] += int(plan.window.dropped_by_truncation(ended, plan.sequence_length).sum())
        counts["sequences"] += int(kept.sum())
        counts["padding"] += int(kept.sum() * plan.sequence_length - size[kept].sum())

    def _write(self, entity: pa.Array, items: list[pa.Array], windows: _Windows) -> pa.RecordBatch:
        """One output batch: every item copied to its destination, the rest padding."""
        plan, L, rows = self._plan, self._plan.sequence_length, len(windows)  # noqa: N806
        within = np.arange(windows.size.sum()) - np.repeat(np.cumsum(windows.size) - windows.size, windows.size)
        source = np.repeat(windows.source, windows.size) + within
        first_cell = np.arange(rows) * L + (L - windows.size if plan.padding_side == "left" else 0)
        destination = np.repeat(first_cell, windows.size) + within
        columns: list[pa.Array] = [
            entity.take(pa.array(windows.source)),
            pa.array(windows.index, pa.int32()),
            pa.array(windows.start),
            pa.array(windows.size, pa.int32()),
        ]
        cells = [
            _scatter(values, source, destination, rows * L, feature)
            for values, feature in zip(items, plan.features, strict=True)
        ]
        is_pad = np.ones(rows * L, np.int8)
        is_pad[destination] = 0
        cells.append(pa.array(is_pad))
        if plan.window.overlaps:
            is_repeat = np.zeros(rows * L, np.int8)
            is_repeat[destination] = within < np.repeat(windows.repeated, windows.size)
            cells.append(pa.array(is_repeat))
        lists = self._schema.types[len(columns) :]
        columns += [pa.FixedSizeListArray.from_arrays(cell, type=type_) for cell, type_ in zip(cells, lists, strict=True)]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)


def _no_counts() -> dict[str, int]:
    return dict.fromkeys(("observations", "sequenced", "dropped_min_length", "dropped_truncation", "sequences", "padding"), 0)


def _scatter(values: pa.Array, source: Int64, destination: Int64, cells: int, feature: FeaturePlan) -> pa.Array:
    """A flat array of `cells` pad values, with values[source] at destination."""
    if not (pa.types.is_string(values.type) or pa.types.is_boolean(values.type)):
        numbers = values.to_numpy(zero_copy_only=False)
        filled = np.full(cells, feature.pad_value, numbers.dtype)
        filled[destination] = numbers[source]
        return pa.array(filled)
    pad = pa.array([feature.pad_value], values.type)
    index = np.full(cells, len(values), np.int64)
    index[destination] = source
    return pa.concat_arrays([values, pad]).take(pa.array(index))


def _segments(carry: _Carry | None, batch: pa.RecordBatch, entity: str) -> tuple[pa.RecordBatch, _Segments]:
    """The carried rows and the batch as one buffer, and the entities in it; all but the last have ended."""
    values = batch.column(entity)
    change = pc.not_equal(values.slice(1), values.slice(0, len(values) - 1)).to_numpy(zero_copy_only=False)
    start = np.concatenate([[0], np.flatnonzero(change) + 1]).astype(np.int64)
    rows = np.diff(np.append(start, len(values)))
    offset, windows = np.zeros_like(start), np.zeros_like(start)
    if carry is not None:
        carried = carry.rows.num_rows
        start += carried
        if values[0] == carry.entity:
            start[0], rows[0] = 0, rows[0] + carried
        else:
            start, rows = np.insert(start, 0, 0), np.insert(rows, 0, carried)
            offset, windows = np.insert(offset, 0, 0), np.insert(windows, 0, 0)
        offset[0], windows[0] = carry.length - carried, carry.windows
        if carried:
            batch = pa.concat_batches([carry.rows, batch])
    ended = np.ones(len(start), np.bool_)
    ended[-1] = False
    return batch, _Segments(start, offset + rows, offset, windows, ended)


def _last_segment(carry: _Carry) -> _Segments:
    """The carried entity, ended."""
    return _Segments(
        start=np.zeros(1, np.int64),
        length=np.array([carry.length]),
        offset=np.array([carry.length - carry.rows.num_rows]),
        windows=np.array([carry.windows]),
        ended=np.ones(1, np.bool_),
    )
