"""pandas: sort, number the rows of each pupil, then write all values of a feature to their cells at once with numpy."""

from typing import TYPE_CHECKING

from benchmarks.task import CODEC, CODEC_LEVEL, ENTITY, FEATURES, ORDER, PAD_VALUE, Task

if TYPE_CHECKING:
    import pyarrow as pa


def sequences(task: Task) -> "pa.Table":
    """The sequences, in memory."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    length = task.sequence_length
    rows = pd.read_parquet(task.source).sort_values([ENTITY, ORDER], ignore_index=True)
    position = rows.groupby(ENTITY, sort=False).cumcount().to_numpy()
    starts = np.flatnonzero(position % length == 0)
    number = np.cumsum(position % length == 0) - 1
    cells = number * length + position % length

    def matrix(values: "np.typing.NDArray[np.generic]", pad: int) -> pa.FixedSizeListArray:
        filled = np.full(len(starts) * length, pad, values.dtype)
        filled[cells] = values
        return pa.FixedSizeListArray.from_arrays(pa.array(filled), length)

    columns = {
        ENTITY: rows[ENTITY].to_numpy()[starts],
        "sequence_index": (position[starts] // length).astype(np.int32),
        "sequence_start": position[starts],
        "sequence_size": np.diff(np.append(starts, len(rows))).astype(np.int32),
    }
    columns |= {f"{name}_sequence": matrix(rows[name].to_numpy(), PAD_VALUE) for name in FEATURES}
    return pa.table(columns | {"is_pad_sequence": matrix(np.zeros(len(rows), np.int8), 1)})


def run(task: Task) -> None:
    """Does the task."""
    import pyarrow.parquet as pq

    layout = {"compression": CODEC, "compression_level": CODEC_LEVEL, "row_group_size": task.row_group_rows}
    pq.write_table(sequences(task), task.target, **layout)


if __name__ == "__main__":
    run(Task.of_arguments())
