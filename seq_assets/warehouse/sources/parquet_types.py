"""What a column of a Parquet file is, whatever its reader makes of it: the kind of its values, and whether they arrive whole.

Parquet knows fewer types than those who write it, and DuckDB fewer than Parquet: a duration arrives as a bare integer, a
decimal of 40 digits as a float. So a column is what its writer says, where the writer says it; and where DuckDB reads another
kind of value, none of them is readable. Belongs here: that judgement, from a file's footer. Not here: reading values
(`parquet_format`), nor what a contract's type takes from them (the casts of each warehouse).
"""

import base64
import binascii
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from seq_assets.errors import SourceError
from seq_assets.warehouse.sources.location import SourceFile

ABSENT: Final = '"NULL"'
"""DuckDB's type of a column that a file does not have, or that holds nulls alone."""
UNFIT: Final = '"UNFIT"'
"""Stands for the type of a column whose values DuckDB narrows, or takes for something else; no contract can hold them."""
WITHOUT_ZONE: Final = frozenset({"DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"})
"""DuckDB's types of days and times of no zone."""

_TEXT_EXTENSIONS: Final = ("arrow.json", "arrow.uuid")
"""Extension types whose values are one text each."""


class Form(Enum):
    """How the values of a column reach SQL."""

    PLAIN = auto()
    AS_TEXT = auto()
    """Cast to text, which is what they are."""
    BYTES = auto()
    """Bytes that old writers use for text; where they are no UTF-8, they are unreadable."""
    INT96 = auto()
    """Points in time with nanoseconds, of which DuckDB drops all but microseconds."""
    MILLISECONDS = auto()
    """Points in time, as milliseconds since the epoch, of which DuckDB's microseconds cannot hold all."""
    MICROSECONDS = auto()
    """The same as microseconds: of 64 bits, DuckDB takes all but the smallest number."""


@dataclass(frozen=True)
class ParquetColumn:
    """A column of one or several files.

    Attributes:
        name: Its name for DuckDB, which renames one that differs from another one's in upper and lower case only.
        type: The DuckDB type of the values as they reach SQL, `ABSENT` or `UNFIT`.
        form: How they reach it.
        written: What the column is, for people: its type as the writer says.
        is_ordered: Whether it is a dictionary with an order of its own, which Parquet does not keep.
        name_in_file: Its name in the files; of INT96, which Arrow reads.
    """

    name: str
    type: str
    form: Form = Form.PLAIN
    written: str = ""
    is_ordered: bool = False
    name_in_file: str = ""


ABSENT_COLUMN: Final = ParquetColumn("", ABSENT)


@contextmanager
def broken_file_explained(file: SourceFile) -> Iterator[None]:
    """What Arrow says of a file that is broken becomes an error of the source.

    Raises:
        SourceError: It cannot be read.
    """
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError, binascii.Error) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise SourceError(f"The source file {file.location} cannot be read as Parquet: {reason}; mend or remove it.") from error


class _NothingReadError(Exception):
    """Ends a reader that begins to read."""


class _Unread(io.RawIOBase):
    """A file of which nothing can be read."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1) -> bytes:
        raise _NothingReadError


def check_chunks(footer: pq.FileMetaData, size: int) -> None:
    """Raises what Arrow says of a footer whose columns' chunks are broken.

    Asked for such a chunk itself (`row_group(…).column(…)`), Arrow ends the process. A reader asks for all of them before it
    reads anything, and raises.

    Args:
        footer: The file's.
        size: The file's bytes.
    """
    with suppress(_NothingReadError):
        next(pq.ParquetFile(_Unread(size), metadata=footer, pre_buffer=True).iter_batches(batch_size=1), None)


def written_fields(footer: pq.FileMetaData) -> list[pa.Field]:
    """The top-level columns as their writer says: Arrow's own types where it left them, else what Parquet's types mean."""
    found = list(footer.schema.to_arrow_schema())
    encoded = (footer.metadata or {}).get(b"ARROW:schema")
    if encoded is None:
        return found
    written = list(pa.ipc.read_schema(pa.py_buffer(base64.b64decode(encoded))))
    is_same = [field.name for field in written] == [field.name for field in found]
    return written if is_same else found


def int96_columns(footer: pq.FileMetaData) -> set[str]:
    """The top-level columns of the type INT96."""
    columns = (footer.schema.column(index) for index in range(len(footer.schema)))
    return {column.path for column in columns if column.physical_type == "INT96"}


def parquet_column(name: str, duckdb_type: str, written: pa.Field, is_int96: bool) -> ParquetColumn:
    """What a column is.

    Args:
        name: Its name for DuckDB.
        duckdb_type: The type in which DuckDB reads it, bytes as they are.
        written: What its writer says.
        is_int96: Whether its physical type is INT96.
    """
    if duckdb_type == ABSENT:
        return ABSENT_COLUMN
    extension = _extension(written)
    type_ = written.type.storage_type if isinstance(written.type, pa.BaseExtensionType) else written.type
    is_ordered = pa.types.is_dictionary(type_) and type_.ordered
    values = type_.value_type if pa.types.is_dictionary(type_) else type_
    shown = _shown(values, extension)
    kind = duckdb_type.split("(", maxsplit=1)[0]
    if extension not in (None, *_TEXT_EXTENSIONS) or not _is_same(values, duckdb_type, extension):
        return ParquetColumn(name, UNFIT, written=shown)
    if kind in ("JSON", "UUID"):
        return ParquetColumn(name, "VARCHAR", Form.AS_TEXT, shown, is_ordered)
    if kind == "BLOB":
        return ParquetColumn(name, "VARCHAR", Form.BYTES, shown, is_ordered)
    if is_int96:
        return ParquetColumn(name, "TIMESTAMP WITH TIME ZONE", Form.INT96, "INT96", is_ordered, written.name)
    return ParquetColumn(name, duckdb_type, written=shown, is_ordered=is_ordered)


def _extension(field: pa.Field) -> str | None:
    """The name of the field's extension type, whether or not Arrow knows it."""
    if isinstance(field.type, pa.BaseExtensionType):
        return str(field.type.extension_name)
    name = (field.metadata or {}).get(b"ARROW:extension:name")
    return None if name is None else name.decode()


def _shown(type_: pa.DataType, extension: str | None) -> str:
    if extension is not None:
        return f"the extension type {extension}"
    if "list" in _families(type_):
        return f"a list of {type_.value_type}"
    return str(type_)


_FAMILIES: Final[Mapping[str, frozenset[str]]] = {
    "integer": frozenset(f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG"))
    | {"INTEGER", "UINTEGER"},
    "float": frozenset({"FLOAT", "DOUBLE"}),
    "bool": frozenset({"BOOLEAN"}),
    "decimal": frozenset({"DECIMAL"}),
    # Whether bytes are text is seen value by value.
    "text": frozenset({"VARCHAR", "BLOB", "JSON", "ENUM", "UUID"}),
    "date": frozenset({"DATE"}),
    "time": frozenset({"TIME", "TIME_NS", "TIME WITH TIME ZONE"}),
    "timestamp": frozenset({"TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMPTZ_NS", "TIMESTAMP WITH TIME ZONE"}),
    "list": frozenset({"LIST"}),
    "struct": frozenset({"STRUCT"}),
    "map": frozenset({"MAP"}),
}
"""The types in which DuckDB reads each family of Arrow's types as what they are."""


def _is_same(type_: pa.DataType, duckdb_type: str, extension: str | None) -> bool:
    """Whether DuckDB reads the values as what they are."""
    kind = "LIST" if duckdb_type.endswith("]") else duckdb_type.split("(", maxsplit=1)[0]
    if extension == "arrow.uuid":
        return kind == "UUID"
    return any(kind in _FAMILIES[family] for family in _families(type_))


def _families(type_: pa.DataType) -> Iterator[str]:
    """The family of an Arrow type; none where no type of DuckDB holds all of its values."""
    types = pa.types
    tests = {
        "integer": types.is_integer,
        "float": types.is_floating,
        "bool": types.is_boolean,
        "decimal": types.is_decimal,
        "date": types.is_date,
        "time": types.is_time,
        "timestamp": types.is_timestamp,
        "struct": types.is_struct,
        "map": types.is_map,
    }
    yield from (family for family, is_of in tests.items() if is_of(type_))
    texts = (types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_large_binary)
    if any(is_of(type_) for is_of in (*texts, types.is_binary_view, types.is_fixed_size_binary)):
        yield "text"
    lists = (types.is_list, types.is_large_list, types.is_list_view, types.is_large_list_view, types.is_fixed_size_list)
    if any(is_of(type_) for is_of in lists):
        yield "list"
