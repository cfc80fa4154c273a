"""What all forms in Polars share: how a lazy frame becomes Parquet, and the positions of sorted rows."""

from typing import TYPE_CHECKING

from benchmarks.task import CODEC, CODEC_LEVEL, ENTITY, ORDER, Task

if TYPE_CHECKING:
    import polars as pl


def write(task: Task, frame: "pl.LazyFrame") -> None:
    """Runs a lazy frame on the streaming engine and writes its rows as the platform writes its own."""
    frame.sink_parquet(
        task.target,
        compression=CODEC,
        compression_level=CODEC_LEVEL,
        row_group_size=task.row_group_rows,
        maintain_order=False,
        engine="streaming",
    )


def sorted_observations(task: Task) -> "pl.LazyFrame":
    """The observations, clustered by pupil, in time order."""
    import polars as pl

    return pl.scan_parquet(task.source).sort(ENTITY, ORDER)


def position() -> "pl.Expr":
    """Of sorted rows: the place in the pupil's history, without a window function, which is slower."""
    import polars as pl

    row = pl.int_range(pl.len(), dtype=pl.Int64)
    starts = pl.col(ENTITY) != pl.col(ENTITY).shift(1)
    return row - pl.when(starts.fill_null(True)).then(row).forward_fill()
