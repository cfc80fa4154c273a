"""Polars, lazy: sort, group by pupil and window, append the padding to each list."""

from typing import TYPE_CHECKING

from benchmarks.competitors.polars_writing import position, sorted_observations, write
from benchmarks.task import ENTITY, FEATURES, PAD_VALUE, Task

if TYPE_CHECKING:
    import polars as pl


def sequences(task: Task) -> "pl.LazyFrame":
    """The whole work as one lazy frame."""
    import polars as pl

    length = task.sequence_length
    numbered = sorted_observations(task).with_columns((position() // length).alias("window"))
    windows = numbered.group_by(ENTITY, "window").agg(*FEATURES, pl.len().cast(pl.Int64).alias("size"))
    schema = pl.scan_parquet(task.source).collect_schema()
    missing = length - pl.col("size")

    def padded(name: str) -> pl.Expr:
        pad = pl.lit(PAD_VALUE, dtype=schema[name]).repeat_by(missing)
        return pl.concat_list(name, pad).list.to_array(length).alias(f"{name}_sequence")

    zero, one = (pl.lit(value, dtype=pl.Int8) for value in (0, 1))
    mask = pl.concat_list(zero.repeat_by("size"), one.repeat_by(missing)).list.to_array(length)
    return windows.select(
        ENTITY,
        pl.col("window").cast(pl.Int32).alias("sequence_index"),
        (pl.col("window") * length).alias("sequence_start"),
        pl.col("size").cast(pl.Int32).alias("sequence_size"),
        *(padded(name) for name in FEATURES),
        mask.alias("is_pad_sequence"),
    )


def run(task: Task) -> None:
    """Does the task."""
    write(task, sequences(task))


if __name__ == "__main__":
    run(Task.of_arguments())
