"""Whether two results hold the same sequences, in any order, in whatever way their files keep lists."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.task import ENTITY

_COLUMNS: Final = {
    ENTITY: "BIGINT",
    "sequence_index": "INTEGER",
    "sequence_start": "BIGINT",
    "sequence_size": "INTEGER",
    "exercise_sequence": "INTEGER[]",
    "skill_sequence": "INTEGER[]",
    "correct_sequence": "TINYINT[]",
    "elapsed_sequence": "FLOAT[]",
    "is_pad_sequence": "TINYINT[]",
}
_AS_WRITTEN: Final = "{files}"


def fingerprint(files: Sequence[Path], rows: str = _AS_WRITTEN) -> str:
    """The number of sequences and the sum of a hash of each, over all columns.

    Args:
        files: Parquet files of one result.
        rows: A SQL table expression of the columns, with `{files}` for the files' rows in their order, where the files are of
            another shape.
    """
    import duckdb

    with duckdb.connect() as connection:
        names = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
        source = rows.format(files=f"read_parquet([{names}], file_row_number = true)")
        values = ", ".join(f"{column}::{type_}" for column, type_ in _COLUMNS.items())
        found = connection.execute(f"SELECT count(*), sum(hash({values})::HUGEINT) FROM {source}").fetchone()
    assert found is not None
    return f"{found[0]} sequences, {found[1]}"


def main() -> None:
    """Prints the fingerprint of files."""
    from benchmarks.competitors.pykt_generate_sequences import rows_in_sql

    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--pykt", type=int, help="The files are pyKT's, of this sequence length.")
    asked = parser.parse_args()
    print(fingerprint(asked.files, rows_in_sql(asked.pykt) if asked.pykt else _AS_WRITTEN))


if __name__ == "__main__":
    main()
