"""What all forms in DuckDB share: the connection, and how a query's rows become Parquet."""

from benchmarks.task import CODEC, CODEC_LEVEL, Task


def write(task: Task, query: str) -> None:
    """Runs a query over `observations` and writes its rows, in any order, as the platform writes its own."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"SET temp_directory = '{task.target.parent / 'spilled'}'")
        connection.execute(f"CREATE VIEW observations AS FROM read_parquet('{task.source}')")
        connection.execute(f"""
            COPY ({query}) TO '{task.target}'
            (FORMAT parquet, COMPRESSION {CODEC}, COMPRESSION_LEVEL {CODEC_LEVEL}, ROW_GROUP_SIZE {task.row_group_rows})""")


def padded(items: str, pad: str, task: Task) -> str:
    """A list of items, filled up to the sequence length."""
    return f"list_resize({items}, {task.sequence_length}, {pad})"


def mask(size: str, task: Task) -> str:
    """The list that says which positions are padding."""
    return f"list_resize(list_resize([]::TINYINT[], {size}, 0::TINYINT), {task.sequence_length}, 1::TINYINT)"
