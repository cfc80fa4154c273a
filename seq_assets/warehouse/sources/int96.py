"""Points in time of the Parquet type INT96, of which Spark, Hive and Impala write nanoseconds and DuckDB reads microseconds.

Belongs here: which values have more than microseconds hold, so that they can be refused. DuckDB's microseconds are exact for
all others, in any year.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seq_assets.warehouse.cancellation import raise_if_canceled
from seq_assets.warehouse.engine import Engine
from seq_assets.warehouse.sources.location import SourceFile
from seq_assets.warehouse.sources.parquet_types import broken_file_explained

REMAINDERS: Final = "int96_remainders"
"""The table of the values that are no whole microseconds: `file`, `row`, `name`, `nanoseconds` beyond the microsecond."""
_NOTED: Final = "int96_noted"
_SCHEMA: Final = pa.schema([("file", pa.int32()), ("row", pa.int64()), ("name", pa.string()), ("nanoseconds", pa.int16())])


def note_remainders(engine: Engine, files: Mapping[int, SourceFile], columns: Mapping[str, str]) -> list[str]:
    """Adds to the table `REMAINDERS` what the files have.

    Args:
        engine: Where the table is.
        files: By their index.
        columns: By their name in the contract: the name of each column of INT96 in the files.

    Returns:
        The names, in the contract, of the columns that have any.

    Raises:
        SourceError: A file cannot be read.
    """
    engine.register(_NOTED, _SCHEMA.empty_table())
    engine.execute(f"CREATE TEMP TABLE IF NOT EXISTS {REMAINDERS} AS FROM {_NOTED}")
    finer = set()
    for index, file in files.items():
        for batch in _remainders(file, index, columns):
            raise_if_canceled()
            if batch.num_rows:
                finer.add(batch.column("name")[0].as_py())
                engine.register(_NOTED, pa.Table.from_batches([batch]))
                engine.execute(f"INSERT INTO {REMAINDERS} FROM {_NOTED}")
    return [name for name in columns if name in finer]


def _remainders(file: SourceFile, index: int, columns: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    """The same of one file, each batch of one column."""
    with broken_file_explained(file), file.open() as in_microseconds, file.open() as in_nanoseconds:
        readers = [
            pq.ParquetFile(opened, coerce_int96_timestamp_unit=unit).iter_batches(columns=list(columns.values()))
            for opened, unit in ((in_microseconds, "us"), (in_nanoseconds, "ns"))
        ]
        row = 1
        for coarse, fine in zip(*readers, strict=True):
            for name, source in columns.items():
                rest = _nanoseconds(coarse.column(source), fine.column(source))
                (rows,) = np.nonzero(rest)
                yield pa.RecordBatch.from_arrays(
                    [
                        pa.repeat(pa.scalar(index, pa.int32()), len(rows)),
                        pa.array(rows + row),
                        pa.repeat(name, len(rows)),
                        pa.array(rest[rows].astype(np.int16)),
                    ],
                    schema=_SCHEMA,
                )
            row += coarse.num_rows


def _nanoseconds(microseconds: pa.Array, nanoseconds: pa.Array) -> np.ndarray:
    """What the microseconds lack. Years that 64 bits of nanoseconds cannot hold wrap around, and so does the difference."""
    coarse, fine = (pc.fill_null(values.cast(pa.int64()), 0).to_numpy() for values in (microseconds, nanoseconds))
    difference: np.ndarray = fine - coarse * 1_000
    return difference
