"""DuckDB: positions by a window function, then one ordered list of structs per pupil and window."""

from benchmarks.competitors.duckdb_writing import mask, padded, write
from benchmarks.task import FEATURES, PAD_VALUE, Task


def query(task: Task) -> str:
    """The whole work as one query."""
    length = task.sequence_length
    item = ", ".join(f"{name}: {name}" for name in FEATURES)
    features = ", ".join(
        f"{padded(f'list_transform(items, lambda item: item.{name})', str(PAD_VALUE), task)} AS {name}_sequence"
        for name in FEATURES
    )
    return f"""
        WITH numbered AS (
            SELECT *, row_number() OVER (PARTITION BY pupil ORDER BY timestamp) - 1 AS position FROM observations),
        windows AS (
            SELECT pupil, position // {length} AS number, list({{{item}}} ORDER BY position) AS items
            FROM numbered GROUP BY ALL)
        SELECT pupil, number::INTEGER AS sequence_index, number * {length} AS sequence_start,
            len(items)::INTEGER AS sequence_size, {features}, {mask("len(items)", task)} AS is_pad_sequence
        FROM windows"""


def run(task: Task) -> None:
    """Does the task."""
    write(task, query(task))


if __name__ == "__main__":
    run(Task.of_arguments())
