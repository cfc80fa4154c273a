"""DuckDB: one list of structs per pupil, ordered by time, then sliced."""

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
        WITH histories AS (
            SELECT pupil, list({{{item}}} ORDER BY timestamp) AS history FROM observations GROUP BY pupil),
        windows AS (
            SELECT pupil, unnest(range(0, len(history), {length})) AS sequence_start,
                unnest(list_transform(range(0, len(history), {length}), lambda start: history[start + 1 : start + {length}]))
                    AS items
            FROM histories)
        SELECT pupil, (sequence_start // {length})::INTEGER AS sequence_index, sequence_start,
            len(items)::INTEGER AS sequence_size, {features}, {mask("len(items)", task)} AS is_pad_sequence
        FROM windows"""


def run(task: Task) -> None:
    """Does the task."""
    write(task, query(task))


if __name__ == "__main__":
    run(Task.of_arguments())
