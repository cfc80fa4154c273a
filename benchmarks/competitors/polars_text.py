"""Polars, lazy: text in, rows sorted by pupil and time out: the part of an ingest that nobody can do without."""

from benchmarks.competitors.text import TextTask
from benchmarks.task import CODEC, CODEC_LEVEL, ENTITY, ORDER


def ingest(task: TextTask) -> None:
    """Reads, sorts, and writes."""
    import polars as pl

    types = pl.Schema(
        {
            "pupil": pl.Int64,
            ORDER: pl.String,
            "exercise": pl.Int32,
            "skill": pl.Int32,
            "correct": pl.Int8,
            "elapsed": pl.Float32,
        }
    )
    if task.is_csv:
        read = pl.scan_csv(task.source, schema=types)
    else:
        # Of JSON, its reader knows wide types alone.
        wide: dict[pl.DataType, pl.DataType] = {pl.Int32(): pl.Int64(), pl.Int8(): pl.Int64(), pl.Float32(): pl.Float64()}
        schema = pl.Schema({name: wide.get(type_, type_) for name, type_ in types.items()})
        read = pl.scan_ndjson(task.source, schema=schema).cast(types)
    rows = read.with_columns(pl.col(ORDER).str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", time_unit="us"))
    rows.sort(ENTITY, ORDER).sink_parquet(task.target, compression=CODEC, compression_level=CODEC_LEVEL)


if __name__ == "__main__":
    ingest(TextTask.of_arguments())
