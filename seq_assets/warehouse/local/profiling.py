"""A sample of a source that no model describes yet: which types read all of its values, and the values themselves.

The values are read as a contract would read them, so that the model proposed for them reads them, too. Not here: what is made
of them (`models.proposal`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from seq_assets.errors import SourceError
from seq_assets.models import ColumnSpec, ColumnType, ModelSpec
from seq_assets.models.proposal import SampledColumn, SampledSource
from seq_assets.models.spec import SourceOptions
from seq_assets.warehouse.engine import Engine, connect_in_memory, text_literal
from seq_assets.warehouse.local.casts import null_sql, readable_sql, trimmed_sql
from seq_assets.warehouse.local.sampling import enough_records
from seq_assets.warehouse.sources.location import SourceFile, SourceFiles, find_files, format_by_name
from seq_assets.warehouse.sources.parquet_format import ParquetFiles
from seq_assets.warehouse.sources.reading import read_records
from seq_assets.warehouse.sources.records import (
    FILE,
    MALFORMED,
    ROW,
    UNREADABLE,
    FoundColumns,
    WantedColumn,
    records_schema,
    wanted_columns,
)
from seq_assets.warehouse.sources.sniffing import Appearance, appearance_of

RECORDS: Final = 20_000
"""Of a source, that are looked at."""
NULL_WORDS: Final = ("NA", "N/A", "NULL", "null", "None", "nan", "NaN", "\\N", "-", "?")
"""Texts that mean null in a column that is otherwise of numbers or times."""
LARGE: Final = 1 << 23
_PIECE: Final = 1 << 18
"""Bytes."""
_EVERY_LINE_ENDS_ALIKE: Final = ("utf-8", "cp1252", "latin-1")
_MEMORY_LIMIT: Final = "1024MiB"
_RECORDS: Final = "sampled_records"
_CANDIDATES: Final = (
    ColumnType.INT64,
    ColumnType.BOOL,
    ColumnType.FLOAT64,
    ColumnType.DATE,
    ColumnType.TIMESTAMP,
    ColumnType.STRING,
)
"""The narrowest first."""
_DECLARED: Final = {
    "TINYINT": ColumnType.INT8,
    "SMALLINT": ColumnType.INT16,
    "INTEGER": ColumnType.INT32,
    "UTINYINT": ColumnType.INT16,
    "USMALLINT": ColumnType.INT32,
    "FLOAT": ColumnType.FLOAT32,
}
"""Types of Parquet that a contract has, too, so that no value of the source can be too long for it."""


@dataclass(frozen=True)
class _Field:
    """A column of the table `sampled_records`: its name there, its name in the source, its DuckDB type."""

    key: str
    source: str
    type: str


@dataclass(frozen=True)
class _Sample:
    """Records as they stand in the source.

    Attributes:
        fields: Their columns.
        records: How many there are, those that are malformed included.
        malformed: Those.
    """

    fields: Sequence[_Field]
    records: int
    malformed: int


def sample_source(location: str, folder: str, shown_location: str) -> SampledSource:
    """What a sample of a source shows.

    Args:
        location: A path, folder, glob or address.
        folder: Where a relative one starts.
        shown_location: As the model file shall give it.

    Raises:
        SourceError: It is not there, or cannot be read.
    """
    source = find_files(location, folder, "csv")  # any format: what the files are is found by their content
    chosen = _spread(source)
    looks = _common_appearance(chosen)
    source, chosen = replace(source, format=looks.format), replace(chosen, format=looks.format)
    with connect_in_memory({"memory_limit": _MEMORY_LIMIT}) as connection:
        engine = Engine(connection)
        engine.execute("SET preserve_insertion_order = true")
        options = _options(looks, source.files[0])
        nulls: tuple[str, ...] = ("",)
        if looks.format == "parquet":
            sample = _read_parquet(chosen, engine)
        else:
            sample = _read_text(chosen, looks.columns, _reader_options(options), engine)
            nulls += _null_words(engine, sample)
            if nulls != ("",):
                options["null_values"] = (list(nulls), "texts that mean null, found in columns of numbers or times")
                sample = _read_text(chosen, looks.columns, _reader_options(options), engine)
        if sample.records == 0:
            raise SourceError(f"The source {location!r} has no rows in {len(source.files)} file(s); put some there.")
        columns = [_column(engine, field) for field in sample.fields]
    return SampledSource(
        location=shown_location,
        format=looks.format,
        is_told_by_name=format_by_name(source.files) == looks.format,
        options=options,
        columns=columns,
        records=sample.records,
        malformed=sample.malformed,
        described=_described(sample, source, chosen),
    )


def _spread(source: SourceFiles) -> SourceFiles:
    """The first, the middle and the last file: those of other days may have other values."""
    files = source.files
    numbers = sorted({0, len(files) // 2, len(files) - 1})
    return replace(source, files=tuple(files[number] for number in numbers))


def _common_appearance(chosen: SourceFiles) -> Appearance:
    """What the first file looks like; the others must be of its format."""
    first, *others = map(appearance_of, chosen.files)
    for file, other in zip(chosen.files[1:], others, strict=True):
        if other.format != first.format:
            found = f"{chosen.files[0].name!r} ({first.format}) and {file.name!r} ({other.format})"
            raise SourceError(f"The source {chosen.location!r} has files of several formats: {found}; name those of one.")
    return first


def _described(sample: _Sample, source: SourceFiles, chosen: SourceFiles) -> str:
    files, seen = len(source.files), len(chosen.files)
    of_files = "" if files == 1 else f" of {files} files" if files == seen else f" of {seen} of {files:,} files"
    is_whole = files == seen and sample.records < RECORDS // seen
    is_large = source.format != "parquet" and any(file.size >= LARGE for file in chosen.files)
    where = "all" if is_whole else "from the beginning, the middle and the end," if is_large else "the first"
    return f"{where} {sample.records:,} records{of_files}"


def _options(looks: Appearance, file: SourceFile) -> dict[str, tuple[object, str]]:
    """What `source.options` has to say beyond its defaults."""
    options: dict[str, tuple[object, str]] = {}
    if looks.format == "csv" and looks.delimiter != ("\t" if file.extension == ".tsv" else ","):
        options["delimiter"] = (looks.delimiter, "cuts the first records into equally many fields")
    if looks.encoding != "utf-8":
        options["encoding"] = (looks.encoding, "a guess: the file is not UTF-8")
    if not looks.header:
        options["header"] = (False, "the first record is one of values; columns go by their numbers")
    return options


def _reader_options(options: Mapping[str, tuple[object, str]]) -> SourceOptions:
    return SourceOptions.model_validate({name: value for name, (value, _) in options.items()})


def _read_text(source: SourceFiles, names: Sequence[str], options: SourceOptions, engine: Engine) -> _Sample:
    """The first records of each file, as text."""
    wanted = wanted_columns(_everything(names, source.format))
    table = pa.concat_tables(_first_records(source, wanted, options))
    engine.register(_RECORDS, table)
    malformed = table.num_rows - table.column(MALFORMED).null_count
    fields = [_Field(column.name, column.source, "VARCHAR") for column in wanted]
    return _Sample(fields, table.num_rows, malformed)


def _everything(names: Sequence[str], source_format: str) -> ModelSpec:
    """A model that reads all columns as text; numbered, because a source may name them in any way, or not at all."""
    columns = {f"c{number}": {"type": "string", "from": name, "nullable": True} for number, name in enumerate(names) if name}
    source = {"location": "sampled", "format": source_format}
    return ModelSpec.model_validate({"name": "sampled", "source": source, "entity": "c0", "columns": columns})


def _first_records(source: SourceFiles, wanted: tuple[WantedColumn, ...], options: SourceOptions) -> Iterator[pa.Table]:
    most = RECORDS // len(source.files)
    for file in source.files:
        yield _first_of(source, file, wanted, options, most)
        with TemporaryDirectory() as folder:
            for piece in _pieces(source, file, options, Path(folder)):
                yield _first_of(source, piece, wanted, options, RECORDS)


def _first_of(
    source: SourceFiles, file: SourceFile, wanted: tuple[WantedColumn, ...], options: SourceOptions, most: int
) -> pa.Table:
    batches = read_records(replace(source, files=(file,)), wanted, options, FoundColumns())
    table = pa.Table.from_batches(enough_records(batches, most), records_schema(wanted))
    return table.sort_by([(FILE, "ascending"), (ROW, "ascending")]).slice(0, most)


def _pieces(source: SourceFiles, file: SourceFile, options: SourceOptions, folder: Path) -> Iterator[SourceFile]:
    """Whole lines of the middle and of the end of a large file, each with the file's header, as files of their own.

    Only where each line is a record: not where a quote may hold a line break, or three lines are one block.
    """
    if file.size < LARGE or file.compression or source.format == "dkt" or options.encoding not in _EVERY_LINE_ENDS_ALIKE:
        return
    with file.open() as opened:
        has_header = source.format == "csv" and options.header
        header = opened.read(_PIECE).partition(b"\n")[0] + b"\n" if has_header else b""
        for number, start in enumerate((file.size // 2, file.size - _PIECE)):
            opened.seek(start)
            lines = opened.read(_PIECE).partition(b"\n")[2].rpartition(b"\n")[0]
            if lines and not (source.format == "csv" and b'"' in lines):
                path = folder / f"{number}{file.extension}"
                path.write_bytes(header + lines + b"\n")
                yield replace(file, location=str(path), name=path.name, size=path.stat().st_size)


def _read_parquet(source: SourceFiles, engine: Engine) -> _Sample:
    """The first records of the files whose columns have the types of the first one's."""
    with source.files[0].open() as opened:
        spec = _everything(pq.read_schema(opened).names, source.format)
    files = ParquetFiles(source, engine)
    part = files.parts(spec, FoundColumns())[0]
    with files.explained():
        engine.execute(f"CREATE TABLE {_RECORDS} AS SELECT * FROM {part.records} LIMIT {RECORDS}")
    records = engine.row(f"SELECT count(*) AS records FROM {_RECORDS}")["records"]
    fields = [_Field(column.name, column.source, part.types[column.name]) for column in wanted_columns(spec)]
    return _Sample(fields, records, malformed=0)


def _null_words(engine: Engine, sample: _Sample) -> tuple[str, ...]:
    """The words for null that keep a column from being one of numbers or times."""
    found: set[str] = set()
    words = ", ".join(map(text_literal, NULL_WORDS))
    for field in sample.fields:
        is_word = f"{field.key} IN ({words})"
        seen = [word for (word,) in engine.rows(f"SELECT DISTINCT {field.key} FROM {_RECORDS} WHERE {is_word}")]
        if not seen or _narrowest(engine, field, "true") is not ColumnType.STRING:
            continue
        rest = f"{field.key} IS NOT NULL AND NOT {is_word}"
        is_any = engine.row(f"SELECT count(*) AS records FROM {_RECORDS} WHERE {rest}")["records"]
        if is_any and _narrowest(engine, field, rest) is not ColumnType.STRING:
            found.update(seen)
    return tuple(word for word in NULL_WORDS if word in found)


def _column(engine: Engine, field: _Field) -> SampledColumn:
    found = _DECLARED.get(field.type) or _narrowest(engine, field, "true")
    if found is None:
        return SampledColumn(field.source, None, ())
    value = _readable(field, found)
    if found is ColumnType.DATE:
        value = f"CAST({value} - DATE '1970-01-01' AS BIGINT)"
    rows = engine.rows(f"SELECT {value} FROM {_RECORDS} WHERE {MALFORMED} IS NULL")
    return SampledColumn(field.source, found, [value for (value,) in rows], is_declared=field.type in _DECLARED)


def _narrowest(engine: Engine, field: _Field, condition: str) -> ColumnType | None:
    """The first of the candidates that reads all values of the records that meet a condition; None where none does."""
    unread = (
        f"count(*) FILTER (WHERE {_readable(field, type_)} IS NULL AND NOT {_is_null(field, type_)})" for type_ in _CANDIDATES
    )
    nested = f"count(*) FILTER (WHERE {_is_nested(field)})"
    [(is_nested, has_null, *counts)] = engine.rows(
        f"SELECT {nested}, count(*) FILTER (WHERE {_is_null(field, ColumnType.FLOAT64)}), {', '.join(unread)} "
        f"FROM {_RECORDS} WHERE {MALFORMED} IS NULL AND {condition}"
    )
    if is_nested:
        return None
    # Whole numbers are stored as floats where there are nulls among them; without nulls, floats were meant.
    skipped = ColumnType.INT64 if field.type == "DOUBLE" and not has_null else None
    readable = (type_ for type_, count in zip(_CANDIDATES, counts, strict=True) if count == 0 and type_ is not skipped)
    return next(readable, None)


def _readable(field: _Field, column_type: ColumnType) -> str:
    column = ColumnSpec(type=column_type)
    return readable_sql(trimmed_sql(field.key, field.type, column), field.type, column)


def _is_null(field: _Field, column_type: ColumnType) -> str:
    column = ColumnSpec(type=column_type)
    return null_sql(trimmed_sql(field.key, field.type, column), field.type, column)


def _is_nested(field: _Field) -> str:
    """Whether a value of JSON is an object or an array: the reader has its text, too, and says that it is no string."""
    if field.type != "VARCHAR":
        return "false"
    marked = f"list_contains(string_split(coalesce({UNREADABLE}, ''), ','), '{field.key}')"
    return f"{marked} AND left({field.key}, 1) IN ('{{', '[')"
