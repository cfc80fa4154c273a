"""Files of all columns of a version: Parquet, CSV, JSON lines, and numpy's archive of arrays.

Belongs here: how the rows are written, in bounded memory. Not here: files of chosen columns for other programs
(`exported_peers`), and where a file is put (`export`).
"""

import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seq_assets.client.batches import StoredRows, ordered_batches
from seq_assets.client.texts import content_of, csv_texts, joined_texts, json_texts, list_texts
from seq_assets.errors import InputError
from seq_assets.models import ColumnType
from seq_assets.warehouse.cancellation import raise_if_canceled
from seq_assets.warehouse.storage.parquet_files import row_groups

if TYPE_CHECKING:
    import numpy as np

    from seq_assets.sequencing.schemas import TableColumn

_COPIED_AT_ONCE: Final = 1 << 22
_FIRST_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""Of the members of an archive, so that the same version always gives the same bytes."""


def write_parquet(stored: StoredRows, sink: IO[bytes]) -> int:
    """Writes Parquet, zstd: lists of a fixed size, timestamps of microseconds, UTC. Returns the rows."""
    schema = stored.version.schema.presented()
    cells = max(column.length or 1 for column in stored.columns)
    rows = 0
    with pq.ParquetWriter(sink, schema, compression="zstd", compression_level=1) as writer:
        for group in row_groups(cancelable(ordered_batches(stored)), schema, cells):
            writer.write_table(group, row_group_size=group.num_rows)
            rows += group.num_rows
    return rows


def write_csv(stored: StoredRows, sink: IO[bytes]) -> int:
    """Writes CSV with a header; a list is one field, the record of its items in CSV. Returns the rows."""
    names = pa.array(stored.version.schema.names, pa.string())
    sink.write(content_of(list_texts(csv_texts(names), [len(names)])))

    def lines(batch: pa.RecordBatch) -> pa.Array:
        fields = [_csv_field(values) for values in batch.columns]
        return joined_texts([part for field in fields for part in (",", field)][1:])

    return write_lines(sink, cancelable(ordered_batches(stored)), lines)


def _csv_field(values: pa.Array) -> pa.Array:
    if not pa.types.is_fixed_size_list(values.type):
        return csv_texts(values)
    return csv_texts(list_texts(csv_texts(values.flatten()), [values.type.list_size] * len(values)))


def write_json_lines(stored: StoredRows, sink: IO[bytes]) -> int:
    """Writes a JSON object per row; a list is an array. Returns the rows."""
    keys = json_texts(pa.array(stored.version.schema.names, pa.string())).to_pylist()

    def lines(batch: pa.RecordBatch) -> pa.Array:
        fields = (part for key, values in zip(keys, batch.columns, strict=True) for part in (f", {key}: ", _json_value(values)))
        parts = list(fields)
        return joined_texts([f"{{{parts[0].removeprefix(', ')}", *parts[1:], "}"])

    return write_lines(sink, cancelable(ordered_batches(stored)), lines)


def _json_value(values: pa.Array) -> pa.Array:
    if not pa.types.is_fixed_size_list(values.type):
        return json_texts(values)
    return joined_texts(["[", list_texts(json_texts(values.flatten()), [values.type.list_size] * len(values), ", "), "]"])


def write_lines(sink: IO[bytes], batches: Iterable[Any], lines: Callable[[Any], pa.Array]) -> int:
    """Writes the lines that are made of batches; returns how many there are."""
    count = 0
    for batch in batches:
        made = lines(batch)
        sink.write(content_of(made))
        count += len(made)
    return count


def cancelable(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches; can be canceled between two of them."""
    for batch in batches:
        raise_if_canceled()
        yield batch


def write_npz(stored: StoredRows, sink: IO[bytes]) -> int:
    """Writes numpy's archive, which `np.load` reads without pickle: an array per column, as `to_numpy()` has them.

    Texts are arrays of a fixed width. Every column is first written to a file of its own in a temporary folder, because a
    member of an archive cannot be begun before the one before it has ended. Returns the rows.
    """
    dtypes = _archived_dtypes(stored)
    with TemporaryDirectory() as folder, ExitStack() as opened:
        spools = {name: opened.enter_context((Path(folder) / str(n)).open("w+b")) for n, name in enumerate(dtypes)}
        rows = 0
        for batch in cancelable(ordered_batches(stored)):
            for column in stored.columns:
                spools[column.name].write(_array(batch.column(column.name), dtypes[column.name]).tobytes())
            rows += batch.num_rows
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for column in stored.columns:
                shape = (rows,) if column.length is None else (rows, column.length)
                _add_member(archive, column.name, dtypes[column.name], shape, spools[column.name])
    return rows


def _add_member(
    archive: zipfile.ZipFile, name: str, dtype: "np.dtype[Any]", shape: tuple[int, ...], content: IO[bytes]
) -> None:
    import numpy as np

    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    content.seek(0)
    with archive.open(zipfile.ZipInfo(f"{name}.npy", _FIRST_DATE), "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        shutil.copyfileobj(content, member, _COPIED_AT_ONCE)


def _array(values: pa.Array, dtype: "np.dtype[Any]") -> "np.ndarray":
    """The values, lists end to end."""
    flat = values.flatten() if pa.types.is_fixed_size_list(values.type) else values
    array: np.ndarray = flat.to_numpy(zero_copy_only=False).astype(dtype)
    return array


def _archived_dtypes(stored: StoredRows) -> "dict[str, np.dtype[Any]]":
    """The type of each column's array; reads all texts once, for the longest of each column."""
    import numpy as np

    from seq_assets.sequencing.schemas import stored_type

    texts = [column for column in stored.columns if column.type is ColumnType.STRING]
    longest = _longest_texts(stored, texts) if texts else {}
    return {
        column.name: np.dtype(f"<U{max(longest[column.name], 1)}")
        if column.name in longest
        else np.dtype(stored_type(column.type).to_pandas_dtype())
        for column in stored.columns
    }


def _longest_texts(stored: StoredRows, columns: "list[TableColumn]") -> dict[str, int]:
    """Characters of the longest text of each column.

    Raises:
        InputError: A text ends with a NUL, which numpy would take for the filling behind it.
    """
    longest = {column.name: 0 for column in columns}
    names = list(longest)
    for group in stored.row_groups:
        for batch in cancelable(stored.read(group, stored.rows_at_once, names)):
            for column in columns:
                values = batch.column(column.name)
                texts = values if column.length is None else values.flatten()
                longest[column.name] = max(longest[column.name], pc.max(pc.utf8_length(texts)).as_py() or 0)
                if pc.any(pc.ends_with(texts, "\0")).as_py():
                    raise InputError(
                        f"{column.name}: found a text that ends with a NUL; arrays of text hold none. Allowed: another format, "
                        "such as parquet."
                    )
    return longest
