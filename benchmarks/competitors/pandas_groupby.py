"""pandas: sort, then a loop over pupils and windows that pads with numpy; the form of most notebooks."""

from typing import TYPE_CHECKING

from benchmarks.task import CODEC, CODEC_LEVEL, ENTITY, FEATURES, ORDER, PAD_VALUE, Task

if TYPE_CHECKING:
    import pandas as pd


def sequences(task: Task) -> "pd.DataFrame":
    """The sequences, in memory."""
    import numpy as np
    import pandas as pd

    length = task.sequence_length
    observations = pd.read_parquet(task.source).sort_values([ENTITY, ORDER])
    rows = []
    for pupil, history in observations.groupby(ENTITY):
        values = {name: history[name].to_numpy() for name in FEATURES}
        for index, start in enumerate(range(0, len(history), length)):
            size = min(length, len(history) - start)
            padding = (0, length - size)
            row = {ENTITY: pupil, "sequence_index": index, "sequence_start": start, "sequence_size": size}
            for name, items in values.items():
                row[f"{name}_sequence"] = np.pad(items[start : start + size], padding, constant_values=PAD_VALUE)
            row["is_pad_sequence"] = np.pad(np.zeros(size, np.int8), padding, constant_values=1)
            rows.append(row)
    return pd.DataFrame(rows)


def run(task: Task) -> None:
    """Does the task."""
    sequences(task).to_parquet(
        task.target, index=False, compression=CODEC, compression_level=CODEC_LEVEL, row_group_size=task.row_group_rows
    )


if __name__ == "__main__":
    run(Task.of_arguments())
