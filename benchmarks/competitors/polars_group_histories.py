"""Polars, lazy: group by pupil, sort within each group, fill each history up to whole windows, reshape."""

from typing import TYPE_CHECKING

from benchmarks.competitors.polars_writing import write
from benchmarks.task import ENTITY, FEATURES, ORDER, PAD_VALUE, Task

if TYPE_CHECKING:
    import polars as pl


def sequences(task: Task) -> "pl.LazyFrame":
    """The whole work as one lazy frame."""
    import polars as pl

    length = task.sequence_length
    observations = pl.scan_parquet(task.source)
    schema = observations.collect_schema()
    histories = (
        observations.group_by(ENTITY)
        .agg(pl.col(FEATURES).sort_by(ORDER), pl.len().cast(pl.Int64).alias("size"))
        .with_columns((-pl.col("size") % length).alias("missing"))
    )
    windows = (pl.col("size") + pl.col("missing")) // length

    def reshaped(items: pl.Expr, pad: pl.Expr, name: str) -> pl.Expr:
        filled = pl.concat_list(items, pad.repeat_by("missing"))
        return filled.explode().reshape((-1, length)).alias(f"{name}_sequence")

    index = pl.int_ranges(0, windows).explode()
    zero, one = (pl.lit(value, dtype=pl.Int8) for value in (0, 1))
    rest = pl.col("size").repeat_by(windows).explode() - index * length
    return histories.select(
        pl.col(ENTITY).repeat_by(windows).explode(),
        index.cast(pl.Int32).alias("sequence_index"),
        (index * length).alias("sequence_start"),
        rest.clip(upper_bound=length).cast(pl.Int32).alias("sequence_size"),
        *(reshaped(pl.col(name), pl.lit(PAD_VALUE, dtype=schema[name]), name) for name in FEATURES),
        reshaped(zero.repeat_by("size"), one, "is_pad"),
    )


def run(task: Task) -> None:
    """Does the task."""
    write(task, sequences(task))


if __name__ == "__main__":
    run(Task.of_arguments())
