"""Polars, eager: sort, then write all values of a feature to their cells at once, as an expert might who knows numpy."""

from typing import TYPE_CHECKING

from benchmarks.competitors.polars_writing import position, sorted_observations
from benchmarks.task import CODEC, CODEC_LEVEL, ENTITY, FEATURES, PAD_VALUE, Task

if TYPE_CHECKING:
    import polars as pl


def sequences(task: Task) -> "pl.DataFrame":
    """The sequences, in memory."""
    import polars as pl

    length = task.sequence_length
    rows = sorted_observations(task).with_columns(position().alias("position")).collect(engine="streaming")
    item = pl.col("position") % length
    starts = rows.select((item == 0).alias("starts"))["starts"]
    number = starts.cum_sum().cast(pl.Int64) - 1
    cells = number * length + rows.select(item.alias("item"))["item"]
    heads = rows.filter(starts)
    matrices = {f"{name}_sequence": _scattered(rows[name], cells, len(heads), length) for name in FEATURES}
    mask = pl.repeat(1, len(heads) * length, dtype=pl.Int8, eager=True).scatter(cells, 0).reshape((-1, length))
    size = number.value_counts().sort(number.name)["count"]
    return pl.DataFrame(
        {
            ENTITY: heads[ENTITY],
            "sequence_index": (heads["position"] // length).cast(pl.Int32),
            "sequence_start": heads["position"],
            "sequence_size": size.cast(pl.Int32),
            **matrices,
            "is_pad_sequence": mask,
        }
    )


def _scattered(values: "pl.Series", cells: "pl.Series", sequences: int, length: int) -> "pl.Series":
    import polars as pl

    filled = pl.repeat(PAD_VALUE, sequences * length, dtype=values.dtype, eager=True)
    return filled.scatter(cells, values).reshape((-1, length))


def run(task: Task) -> None:
    """Does the task."""
    sequences(task).write_parquet(
        task.target, compression=CODEC, compression_level=CODEC_LEVEL, row_group_size=task.row_group_rows
    )


if __name__ == "__main__":
    run(Task.of_arguments())
