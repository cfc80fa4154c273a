"""DuckDB: one list per feature and pupil, each ordered by time, then sliced."""

from benchmarks.competitors.duckdb_writing import mask, padded, write
from benchmarks.task import FEATURES, PAD_VALUE, Task


def query(task: Task) -> str:
    """The whole work as one query."""
    length = task.sequence_length
    lists = ", ".join(f"list({name} ORDER BY timestamp) AS {name}s" for name in FEATURES)
    slices = ", ".join(
        f"unnest(list_transform(range(0, size, {length}), lambda start: {name}s[start + 1 : start + {length}])) AS {name}s"
        for name in FEATURES
    )
    features = ", ".join(f"{padded(f'{name}s', str(PAD_VALUE), task)} AS {name}_sequence" for name in FEATURES)
    size = f"len({FEATURES[0]}s)"
    return f"""
        WITH histories AS (SELECT pupil, count(*) AS size, {lists} FROM observations GROUP BY pupil),
        windows AS (SELECT pupil, unnest(range(0, size, {length})) AS sequence_start, {slices} FROM histories)
        SELECT pupil, (sequence_start // {length})::INTEGER AS sequence_index, sequence_start,
            {size}::INTEGER AS sequence_size, {features}, {mask(size, task)} AS is_pad_sequence
        FROM windows"""


def run(task: Task) -> None:
    """Does the task."""
    write(task, query(task))


if __name__ == "__main__":
    run(Task.of_arguments())
