"""A sample of a source that no model describes yet: which types read all of its values, and the values themselves.

The values are read as a contract would read them, so that the model proposed for them reads them, too. Not here: what is made
of them (`models.proposal`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pyarrow.parquet as pq

from seq_assets.errors import SourceError
from seq_assets.models import ColumnType, ModelSpec, Scalar
from seq_assets.models.proposal import SampledColumn, SampledSource
from seq_assets.models.spec import SourceOptions
from seq_assets.warehouse.engine import Engine, connect_in_memory
from seq_assets.warehouse.local.sampling import stage_first_records
from seq_assets.warehouse.sources.location import SourceFile, SourceFiles, find_files, format_by_name
from seq_assets.warehouse.sources.parquet_format import ParquetFiles
from seq_assets.warehouse.sources.parquet_types import broken_file_explained
from seq_assets.warehouse.sources.records import SourceFindings
from seq_assets.warehouse.sources.sniffing import Appearance, appearance_of

RECORDS: Final = 20_000
"""Of a source, that are looked at."""
NULL_WORDS: Final = ("NA", "N/A", "NULL", "null", "None", "nan", "NaN", "\\N", "-", "?")
"""Texts that mean null in a column that is otherwise of numbers or times."""
LARGE: Final = 1 << 23
_PIECE: Final = 1 << 19
"""Bytes."""
_PIECE_LINES: Final = 2_000
"""Of the end: fewer than the records that are looked at, so that the last ones are among them."""
_EVERY_LINE_ENDS_ALIKE: Final = ("utf-8", "cp1252", "latin-1")
_MEMORY_LIMIT: Final = "1024MiB"
_STAGE: Final = "sampled"
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
class _Looked:
    """What a look with one model saw.

    Attributes:
        unreadable: The columns with a value that the model's type does not read.
        malformed: The records that are none.
        columns: The values of each column, over the others.
    """

    unreadable: frozenset[str]
    malformed: int
    columns: Mapping[str, Sequence[Scalar | None]]


class _Sample:
    """The first records of some files, read by one model after another."""

    def __init__(self, parts: Sequence[SourceFiles], names: Sequence[str], engine: Engine) -> None:
        """The files one by one, and the names of their columns; one without a name is not read."""
        self._parts = parts
        self._engine = engine
        self.names = {f"c{number}": name for number, name in enumerate(names) if name}

    def look(self, types: Mapping[str, ColumnType], options: SourceOptions) -> _Looked:
        """The records by a model that reads columns as these types, exactly as an ingest does."""
        spec = self._model(types, options)
        for number, part in enumerate(self._parts):
            statement = f"CREATE OR REPLACE TABLE {_STAGE} AS" if not number else f"INSERT INTO {_STAGE}"
            stage_first_records(statement, spec, part, self._engine, SourceFindings(), RECORDS // len(self._parts))
        failed = f"SELECT unnest(_rejections) AS failed FROM {_STAGE} WHERE _rejections IS NOT NULL"
        counts = dict(self._engine.rows(f'SELECT failed."column", count(*) FROM ({failed}) GROUP BY 1'))
        malformed = counts.pop(None, 0)
        values = ", ".join(map(_plain, types, types.values()))
        is_record = '_rejections IS NULL OR _rejections[1]."column" IS NOT NULL'
        rows = self._engine.rows(f"SELECT {values} FROM {_STAGE} WHERE {is_record} ORDER BY rowid")
        columns = {key: [row[number] for row in rows] for number, key in enumerate(types)}
        return _Looked(frozenset(counts), malformed, columns)

    def stored_types(self) -> Mapping[str, str]:
        """Of Parquet: the DuckDB type of each column of the first file."""
        spec = self._model(dict.fromkeys(self.names, ColumnType.STRING), SourceOptions())
        return ParquetFiles(self._parts[0], self._engine).parts(spec, SourceFindings())[0].types

    def _model(self, types: Mapping[str, ColumnType], options: SourceOptions) -> ModelSpec:
        """Columns are numbered, because a source may name them in any way."""
        columns = {key: {"type": type_, "from": self.names[key], "nullable": True} for key, type_ in types.items()}
        source = {"location": "sampled", "format": self._parts[0].format, "options": options}
        return ModelSpec.model_validate({"name": "sampled", "source": source, "entity": "c0", "columns": columns})


def _plain(key: str, column_type: ColumnType) -> str:
    return f"CAST({key} - DATE '1970-01-01' AS BIGINT)" if column_type is ColumnType.DATE else key


def sample_source(location: str, folder: str, shown_location: str) -> SampledSource:
    """What a sample of a source shows.

    Args:
        location: A path, folder, glob or address.
        folder: Where a relative one starts.
        shown_location: As the model file shall give it.

    Raises:
        SourceError: It is not there, cannot be read, or looks like nothing that is read here.
    """
    source = find_files(location, folder, "csv")  # any format: what the files are is found by their content
    chosen = _spread(source)
    looks = _common_appearance(chosen)
    chosen = replace(chosen, format=looks.format)
    options = _options(looks, source.files[0])
    with connect_in_memory({"memory_limit": _MEMORY_LIMIT}) as connection, TemporaryDirectory() as scratch:
        engine = Engine(connection)
        engine.execute("SET preserve_insertion_order = true")
        parts = list(_parts(chosen, looks, Path(scratch)))
        sample = _Sample(parts, looks.columns or _parquet_columns(chosen.files[0]), engine)
        stored = sample.stored_types() if looks.format == "parquet" else {}
        if looks.format == "csv":
            words = _null_words(sample, _reader_options(options))
            if words:
                options["null_values"] = (["", *words], "texts that mean null, found in columns of numbers or times")
        types = _narrowest(sample, _reader_options(options), stored)
        readable = {key: type_ for key, type_ in types.items() if type_ is not None}
        looked = sample.look(readable or dict.fromkeys(types, ColumnType.STRING), _reader_options(options))
    records = looked.malformed + len(next(iter(looked.columns.values()), ()))
    if records == 0:
        raise source.without_rows()
    if 2 * looked.malformed > records:
        raise SourceError(
            f"Of {records:,} sampled records of the source {location!r}, {looked.malformed:,} are malformed when it is read as "
            f"{looks.format}{f' with the delimiter {looks.delimiter!r}' if looks.format == 'csv' else ''}: it looks like "
            "something else. Mend it, or write its model file by hand, with what it is in source.format and source.options."
        )
    return SampledSource(
        location=shown_location,
        format=looks.format,
        is_told_by_name=format_by_name(source.files) == looks.format,
        options=options,
        columns=[
            SampledColumn(name, types[key], looked.columns[key] if types[key] else (), is_declared=stored.get(key) in _DECLARED)
            for key, name in sample.names.items()
        ],
        records=records,
        malformed=looked.malformed,
        described=_described(records, source, chosen),
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


def _described(records: int, source: SourceFiles, chosen: SourceFiles) -> str:
    files, seen = len(source.files), len(chosen.files)
    of_files = "" if files == 1 else f" of {files} files" if files == seen else f" of {seen} of {files:,} files"
    is_whole = files == seen and records < RECORDS // seen
    is_large = chosen.format in ("csv", "json") and any(file.size >= LARGE for file in chosen.files)
    where = "from the beginning, the middle and the end," if is_large else "all" if is_whole else "the first"
    return f"{where} {records:,} records{of_files}"


def _options(looks: Appearance, file: SourceFile) -> dict[str, tuple[object, str]]:
    """What `source.options` has to say beyond its defaults."""
    options: dict[str, tuple[object, str]] = {}
    if looks.format == "csv" and looks.delimiter != ("\t" if file.extension == ".tsv" else ","):
        options["delimiter"] = (looks.delimiter, "cuts the first records into equally many fields")
    if looks.encoding != "utf-8":
        options["encoding"] = (looks.encoding, "a guess: the file is not UTF-8")
    if looks.skip_rows:
        options["skip_rows"] = (
            looks.skip_rows,
            "lines before the first of the table, or names of columns that are not all different",
        )
    if not looks.header:
        options["header"] = (False, "the first record is one of values; columns go by their numbers")
    return options


def _reader_options(options: Mapping[str, tuple[object, str]]) -> SourceOptions:
    return SourceOptions.model_validate({name: value for name, (value, _) in options.items()})


def _parquet_columns(file: SourceFile) -> Sequence[str]:
    with file.open() as opened, broken_file_explained(file):
        names: list[str] = pq.read_schema(opened).names
    return names


def _parts(source: SourceFiles, looks: Appearance, folder: Path) -> Iterator[SourceFiles]:
    """Each file as a source of its own; of a large one pieces, as far as it can be cut."""
    for number, file in enumerate(source.files):
        pieces = {start: piece for start, piece in _pieces(file, looks, folder / str(number)) if piece}
        for part in (pieces.pop(0, file), *pieces.values()):
            yield replace(source, files=(part,))


def _pieces(file: SourceFile, looks: Appearance, folder: Path) -> Iterator[tuple[int, SourceFile | None]]:
    """Where the beginning, the middle and the end of a large file start, and their whole lines, with its header, as files.

    Only where each line is a record: not where a quote may hold a line break, or three lines are one block.
    """
    is_lines = looks.format in ("csv", "json") and not looks.skip_rows and looks.encoding in _EVERY_LINE_ENDS_ALIKE
    if file.size < LARGE or file.compression or not is_lines:
        return
    folder.mkdir()
    with file.open() as opened:
        has_header = looks.format == "csv" and looks.header
        header = opened.read(_PIECE).partition(b"\n")[0] + b"\n" if has_header else b""
        for start in (0, file.size // 2, file.size - _PIECE):
            opened.seek(start)
            lines = opened.read(_PIECE).rpartition(b"\n")[0]
            if start or has_header:
                lines = lines.partition(b"\n")[2]
            if start + _PIECE == file.size:
                lines = b"\n".join(lines.split(b"\n")[-_PIECE_LINES:])
            if not lines or (looks.format == "csv" and b'"' in lines):
                yield start, None
                continue
            path = folder / f"{start}{file.extension}"
            path.write_bytes(header + lines + b"\n")
            yield start, replace(file, location=str(path), name=path.name, size=path.stat().st_size)


def _null_words(sample: _Sample, options: SourceOptions) -> tuple[str, ...]:
    """The words for null that keep a column from being one of numbers or times."""
    texts = sample.look(dict.fromkeys(sample.names, ColumnType.STRING), options).columns
    seen = {key: [word for word in NULL_WORDS if word in set(texts[key])] for key in texts}
    doubtful = {key: ColumnType.STRING for key in texts if seen[key] and set(texts[key]) - {None, *NULL_WORDS}}
    before = _narrowest(sample, options, {}, doubtful)
    without = options.model_copy(update={"null_values": ("", *NULL_WORDS)})
    after = _narrowest(sample, without, {}, doubtful)
    found = {
        word
        for key in doubtful
        if before[key] is ColumnType.STRING and after[key] is not ColumnType.STRING
        for word in seen[key]
    }
    return tuple(word for word in NULL_WORDS if word in found)


def _narrowest(
    sample: _Sample, options: SourceOptions, stored: Mapping[str, str], keys: Iterable[str] | None = None
) -> dict[str, ColumnType | None]:
    """Of each column the first of the candidates that reads all of its values; None where none does."""
    found: dict[str, ColumnType | None] = {}
    for key in sample.names if keys is None else keys:
        found[key] = _DECLARED.get(stored.get(key, ""))
    for candidate in _CANDIDATES:
        remaining = {key: candidate for key, type_ in found.items() if type_ is None}
        if not remaining:
            break
        looked = sample.look(remaining, options)
        for key in remaining.keys() - looked.unreadable:
            # Whole numbers are stored as floats where there are nulls among them; without nulls, floats were meant.
            if candidate is not ColumnType.INT64 or stored.get(key) != "DOUBLE" or None in looked.columns[key]:
                found[key] = candidate
    return found
