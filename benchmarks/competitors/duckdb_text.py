"""DuckDB: text in, rows sorted by pupil and time out: the part of an ingest that nobody can do without."""

from benchmarks.competitors.text import TextTask
from benchmarks.task import CODEC, CODEC_LEVEL, ENTITY, ORDER

_COLUMNS = (
    "{pupil: 'BIGINT', timestamp: 'TIMESTAMPTZ', exercise: 'INTEGER', skill: 'INTEGER', correct: 'TINYINT', elapsed: 'FLOAT'}"
)


def ingest(task: TextTask) -> None:
    """Reads, sorts, and writes."""
    import duckdb

    read = (
        f"read_csv('{task.source}', columns={_COLUMNS})" if task.is_csv else f"read_json('{task.source}', columns={_COLUMNS})"
    )
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET temp_directory = '{task.target.parent / 'spilled'}'")
        connection.execute(f"""
            COPY (FROM {read} ORDER BY {ENTITY}, "{ORDER}") TO '{task.target}'
            (FORMAT parquet, COMPRESSION {CODEC}, COMPRESSION_LEVEL {CODEC_LEVEL})""")


if __name__ == "__main__":
    ingest(TextTask.of_arguments())
