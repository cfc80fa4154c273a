"""Derived features: columns that observations do not have, made from those that they have while they stream by.

Belongs here: what an item's value follows from, over its whole history. Not here: windows, which do not change it (`kernel`).
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seq_assets.sequencing.plans import SequencePlan, TimeSincePrevious
from seq_assets.sequencing.windows import Int64


def with_derived(observations: Iterable[pa.RecordBatch], plan: SequencePlan) -> Iterator[pa.RecordBatch]:
    """Observations with an int64 column for each derived feature of a plan, by the feature's name.

    Args:
        observations: Batches of rows, all rows of an entity together and in order; batches may end anywhere.
        plan: Its entity and what its derived features are made from are columns of theirs.
    """
    derived = {feature.name: feature.derivation for feature in plan.features if feature.derivation}
    if not derived:
        yield from observations
        return
    before: pa.RecordBatch | None = None
    for batch in observations:
        if batch.num_rows == 0:
            continue
        begins = _begins(before, batch, plan.entity[0])
        yield pa.RecordBatch.from_arrays(
            [*batch.columns, *(pa.array(_elapsed(before, batch, begins, how)) for how in derived.values())],
            [*batch.schema.names, *derived],
        )
        before = batch.slice(batch.num_rows - 1)


def _begins(before: pa.RecordBatch | None, batch: pa.RecordBatch, entity: str) -> NDArray[np.bool_]:
    """Whether each row is the first of its history."""
    values = batch.column(entity)
    begins = np.ones(len(values), np.bool_)
    begins[1:] = pc.not_equal(values.slice(1), values.slice(0, len(values) - 1)).to_numpy(zero_copy_only=False)
    begins[0] = before is None or before.column(entity)[0] != values[0]
    return begins


def _elapsed(before: pa.RecordBatch | None, batch: pa.RecordBatch, begins: NDArray[np.bool_], how: TimeSincePrevious) -> Int64:
    times = batch.column(how.column).to_numpy()
    earlier = times[:1] if before is None else before.column(how.column).to_numpy()
    elapsed: Int64 = np.where(begins, how.first, np.diff(times, prepend=earlier) // how.unit)
    return elapsed
