"""DuckDB: positions by a window function, then one ordered list per feature, pupil and window."""

from benchmarks.competitors.duckdb_writing import mask, padded, write
from benchmarks.task import FEATURES, PAD_VALUE, Task


def query(task: Task) -> str:
    """The whole work as one query."""
    length = task.sequence_length
    lists = ", ".join(f"list({name} ORDER BY position) AS {name}s" for name in FEATURES)
    features = ", ".join(f"{padded(f'{name}s', str(PAD_VALUE), task)} AS {name}_sequence" for name in FEATURES)
    return f"""
        WITH numbered AS (
            SELECT *, row_number() OVER (PARTITION BY pupil ORDER BY timestamp) - 1 AS position FROM observations),
        windows AS (SELECT pupil, position // {length} AS number, count(*) AS size, {lists} FROM numbered GROUP BY ALL)
        SELECT pupil, number::INTEGER AS sequence_index, number * {length} AS sequence_start,
            size::INTEGER AS sequence_size, {features}, {mask("size", task)} AS is_pad_sequence
        FROM windows"""


def run(task: Task) -> None:
    """Does the task."""
    write(task, query(task))


if __name__ == "__main__":
    run(Task.of_arguments())
