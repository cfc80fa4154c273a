"""Strategies for whole sources: a model file with the files that it reads, and their records as the reference reads them.

What shapes a source (how many files, how many rows, which dirt) is drawn by Hypothesis, so that it shrinks; the choice of each
cell comes from one drawn seed, because drawing thousands of cells takes longer than a test.

Belongs here: how files are written. Not here: what they mean; the records of text files are what `reference.files` reads in
them.
"""

import gzip
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import assume
from hypothesis import strategies as st

from seq_assets_tests.reference.files import Record, csv_records, decoded, json_records, three_line_records
from seq_assets_tests.reference.reading import (
    DAY,
    EPOCH,
    FLOATS,
    INTEGER_BITS,
    Instant,
    JsonNumber,
    NoValue,
    Opaque,
    Reading,
    nearest_float,
    read_text,
)
from seq_assets_tests.reference_cases.contracts import Cells, Contract, column, contracts, pick, sequence_parts

NAMES: Final = ("9", "10", "Z", "a", "é", "ａ", "😀", "sub/a", "sub-1/a", "a b", "it's", "x[1]", "x*", "q?", "50%", "{a,b}")
"""Their order by bytes is neither that of the alphabet, nor of numbers, nor of folders; some look like patterns."""
BAD_BYTE: Final = "\udcff"
"""Becomes a byte that is no UTF-8."""


@dataclass(frozen=True)
class Source:
    """A model file without its name and location, and the files at its location.

    Attributes:
        model: What the model file says.
        files: Writes each file, by its name below the location.
        records: The records of each file, as the reference reads them.
        decoys: Files that are no part of the source.
    """

    model: dict[str, Any]
    files: Mapping[str, Callable[[Path, random.Random], object]]
    records: Mapping[str, Sequence[Record]]
    decoys: Sequence[str] = ()

    def write(self, folder: Path, generator: random.Random) -> None:
        """Writes all files, in any order."""
        names = [*self.files, *self.decoys]
        generator.shuffle(names)
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name in self.files:
                self.files[name](path, generator)
            else:
                path.write_text("no part of the source")


@dataclass(frozen=True)
class Shape:
    """What all formats have: a model, the files' names and numbers of rows, the share of dirty cells, the seed of the rest."""

    contract: Contract
    rows: Mapping[str, int]
    dirt: float
    generator: random.Random = field(repr=False)

    @property
    def columns(self) -> Mapping[str, Mapping[str, Any]]:
        """The contract's columns."""
        columns: Mapping[str, Mapping[str, Any]] = self.contract.content["columns"]
        return columns

    def text(self, name: str) -> str:
        """The text of one cell of a column."""
        return pick(self.generator, self.contract.cells[name], self.dirt)

    def present_columns(self) -> list[str]:
        """The columns that a file has, in any order: one that may be null may be missing."""
        present = [n for n, c in self.columns.items() if not c.get("nullable") or self.generator.random() < 0.8]
        self.generator.shuffle(present)
        return present

    def source(self, name: str) -> str:
        """What a file calls a column."""
        return str(self.columns[name].get("from", name))


@st.composite
def shapes(draw: st.DrawFn, contract_strategy: st.SearchStrategy[Contract], extension: str) -> Shape:
    """Any shape of a source."""
    contract = draw(contract_strategy)
    if contract.content["split"]["strategy"] == "location":
        # Only the first folder counts.
        below = ["a", "validation/b", "train/c"]
        names = [f"train/{name}" for name in draw(_names(1, 2, below))]
        names += [f"validation/{name}" for name in draw(_names(0, 2, below))]
    else:
        names = draw(_names(1, 4, NAMES))
    sizes = draw(st.lists(st.sampled_from([20, 7, 40, 1, 0]), min_size=len(names), max_size=len(names)))
    rows = dict(zip([f"{name}{extension}" for name in names], sizes, strict=True))
    # A source without any record is an error.
    rows[next(iter(rows))] += 1
    dirt = draw(st.sampled_from([0.0, 0.01, 0.08]))
    contract.content["checks"] = {"rejected_ratio": {"max": draw(st.sampled_from([1.0, 1.0, 1.0, 0.5]))}}
    return Shape(contract, rows, dirt, random.Random(draw(st.integers(0, 2**32))))


def _names(smallest: int, largest: int, names: Sequence[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=smallest, max_size=largest, unique=True)


def _source(shape: Shape, source: Mapping[str, Any], files: Any, records: Any, decoys: Sequence[str] = ()) -> Source:
    content = dict(shape.contract.content)
    if shape.generator.random() < 0.3:
        pattern = shape.generator.choice(["(.)", "([^/]+)$", "([0-9]+)", "(sub.*)?/", "^(x*)"])
        of_path = {"type": "string", "from": {"path": pattern}, "nullable": True}
        content["columns"] = {**content["columns"], "of_path": of_path}
    if shape.generator.random() < 0.2:
        most = shape.generator.choice([8, 20, 40])
        # A longer number of JSON may come in its shortest writing, which only the engine knows.
        if _longest_number(records) <= most:
            source = {**source, "options": {**source.get("options", {}), "max_value_bytes": most}}
    return Source({"source": source, **content}, files, records, decoys)


def _longest_number(records: Mapping[str, Sequence[Record]]) -> int:
    values = (value for some in records.values() for record in some for value in (record.values or {}).values())
    return max((len(value.text) for value in values if isinstance(value, JsonNumber)), default=0)


def _compressed(content: bytes, extension: str) -> bytes:
    if extension == ".gz":
        return gzip.compress(content, 1)
    return pa.Codec("zstd").compress(content, asbytes=True) if extension else content


def _writer(content: bytes) -> Callable[[Path, random.Random], object]:
    return lambda path, _: path.write_bytes(content)


def _encodable(text: str, encoding: str) -> str:
    """The text as the encoding can say it."""
    return text if encoding.startswith("utf") else text.encode(encoding, "replace").decode(encoding)


# CSV


@dataclass(frozen=True)
class Dialect:
    """How CSV files are written."""

    delimiter: str
    null_values: tuple[str, ...]
    encoding: str
    header: bool
    line_end: str
    quoting: str
    decimal: str = "."
    thousands: str | None = None

    def number(self, text: str, generator: random.Random) -> str:
        """A number as this dialect writes it, now and then without its groups or wrongly grouped; any other text as it is."""
        match = re.fullmatch(r"([ \t]*[+-]?)([0-9]*)(\.?)(.*)", text, re.DOTALL)
        assert match is not None
        start, whole, point, rest = match.groups()
        if self.thousands and generator.random() < 0.7:
            size = 3 if generator.random() < 0.9 else 2
            places = range(len(whole) % size, len(whole) + 1, size)
            groups = [whole[max(place - size, 0) : place] for place in places]
            whole = self.thousands.join(group for group in groups if group)
        return f"{start}{whole}{self.decimal if point and generator.random() < 0.9 else point}{rest}"

    def field(self, text: str | None, generator: random.Random) -> str:
        """A field; None is written as a null value, or as nothing where there is no other way."""
        if text is None:
            text = generator.choice(self.null_values or ("",))
            return text if not self._needs_quotes(text) else ""
        if self.quoting == "none":
            return self.unquoted(text)
        if self._needs_quotes(text) or generator.random() < 0.2:
            return '"' + text.replace('"', '""') + '"'
        return text

    def unquoted(self, text: str) -> str:
        """What of a text can be written without quotes."""
        return "".join(character for character in text if character not in f"{self.delimiter}\r\n")

    def _needs_quotes(self, text: str) -> bool:
        return any(character in text for character in (*self.delimiter, '"', "\r", "\n", BAD_BYTE))


@st.composite
def csv_sources(draw: st.DrawFn) -> Source:
    """CSV in any dialect, with blank lines, ragged records, broken quotes, bytes that are no text, and columns nobody reads."""
    compression = draw(st.sampled_from(["", "", ".gz", ".zst"]))
    extension = draw(st.sampled_from([".csv", ".csv", ".tsv", ".CSV"]))
    shape = draw(shapes(contracts(), extension + compression))
    delimiter = draw(st.sampled_from([None, None, ";", "|", ":", "\x01", " ", "0", "::", "||"]))
    marks = [(".", None)] * 3 + [(",", None), (",", "."), (".", ","), (",", " "), (",", "'"), (";", "\u00a0")]
    decimal, thousands = draw(st.sampled_from([pair for pair in marks if delimiter not in pair or delimiter is None]))
    dialect = Dialect(
        delimiter=delimiter or ("\t" if extension == ".tsv" else ","),
        null_values=draw(st.sampled_from([("",), ("",), ("", "NA"), ("NA", "\\N", "-"), ("nan", ""), ()])),
        encoding=draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16"])),
        header=draw(st.booleans()),
        line_end=draw(st.sampled_from(["\n", "\n", "\r\n", "\r"])),
        quoting=draw(st.sampled_from(["standard", "standard", "none"])),
        decimal=decimal,
        thousands=thousands,
    )
    quoted_nulls = draw(st.booleans())
    skipped = draw(st.sampled_from([[], [], ['by "a tool', ""]]))
    malformed = draw(st.sampled_from([0.0, 0.0, 0.05]))
    blank = draw(st.sampled_from([0.0, 0.1]))
    order = list(shape.columns)
    shape.generator.shuffle(order)
    if not dialect.header:
        for name, item in shape.columns.items():
            item["from"] = str(order.index(name) + 2)  # type: ignore[index]
    elif dialect.quoting == "none":
        for number, (name, item) in enumerate(shape.columns.items()):
            written = dialect.unquoted(shape.source(name))
            if written != shape.source(name):
                # A letter, because without its delimiters a name may be another's, or nothing.
                item["from"] = f"{written}-{chr(ord('a') + number)}"  # type: ignore[index]
    options: dict[str, Any] = {"null_values": list(dialect.null_values), "encoding": dialect.encoding, "header": dialect.header}
    options |= {"quoting": dialect.quoting, "quoted_nulls": quoted_nulls, "skip_rows": len(skipped)}
    options |= {"decimal": decimal} if decimal != "." else {}
    options |= {"thousands": thousands} if thousands else {}
    files, records = {}, {}
    for name, rows in shape.rows.items():
        # Without a header the first record says how many columns there are, so that a file needs one.
        text = _csv_text(shape, dialect, order, max(rows, 1 - dialect.header), malformed, blank)
        content = dialect.line_end.join([*skipped, text]).encode(dialect.encoding, "surrogateescape")
        wanted = [shape.source(column) for column in shape.columns]
        files[name] = _writer(_compressed(content, compression))
        records[name] = csv_records(
            text,
            wanted,
            dialect.delimiter,
            dialect.null_values,
            dialect.header,
            dialect.quoting,
            quoted_nulls,
            encoding=dialect.encoding,
        )
    decoys = draw(st.sampled_from([[], [".hidden.csv", "_temporary/x.csv", "sub/_SUCCESS"]]))
    source = {"format": "csv", "options": options | ({"delimiter": delimiter} if delimiter else {})}
    return _source(shape, source, files, records, decoys)


def _csv_text(shape: Shape, dialect: Dialect, order: list[str], rows: int, malformed: float, blank: float) -> str:
    generator = shape.generator
    present = shape.present_columns() if dialect.header else order
    names = ["ignored", *(shape.source(name) for name in present)]
    lines = []
    if dialect.header:
        written = [dialect.field(_encodable(name, dialect.encoding), generator) for name in names]
        lines.append(dialect.delimiter.join(written))
    for number in range(rows):
        cells = ["x", *(_encodable(_cell(shape, dialect, name), dialect.encoding) for name in present)]
        fields = [dialect.field(None if generator.random() < shape.dirt else cell, generator) for cell in cells]
        if (number or dialect.header) and generator.random() < malformed:
            fields = _spoilt(fields, dialect, generator)
        lines.append(dialect.delimiter.join(fields))
        lines += [""] * (generator.random() < blank)
    return dialect.line_end.join(lines) + dialect.line_end * generator.randrange(3)


def _cell(shape: Shape, dialect: Dialect, name: str) -> str:
    text, column = shape.text(name), shape.columns[name]
    is_number = column["type"] in INTEGER_BITS or column["type"] in FLOATS or column.get("unit")
    return dialect.number(text, shape.generator) if is_number else text


def _spoilt(fields: list[str], dialect: Dialect, generator: random.Random) -> list[str]:
    """A field more or less, broken quotes, or, in UTF-8, a byte that is no text."""
    place = generator.randrange(len(fields))
    if generator.random() < 0.3:
        return [*fields[:place], generator.choice(['"x"y', '"', '"x', 'x"y', '"x""']), *fields[place + 1 :]]
    if dialect.encoding == "utf-8" and generator.random() < 0.5:
        return [*fields[:place], f"{BAD_BYTE}x", *fields[place + 1 :]]
    return [*fields, "more"] if generator.random() < 0.5 else fields[:-1]


# JSON lines

_NO_OBJECTS: Final = (
    "[]",
    "7",
    "no json",
    '{"a": 1',
    "null",
    '"text"',
    "{'a': 1}",
    '{"a": 1}, {"a": 2}',
    '{"a": 1, "b": 2, "\\u0061": 1}',
)
_NESTED: Final = ("[1,2]", '{"a":1}', "[]", "{}", '[{"b":null}]', '["é"]')


@st.composite
def json_sources(draw: st.DrawFn) -> Source:
    """JSON lines with values in several writings, missing keys, nested values, lines that are no objects."""
    compression = draw(st.sampled_from(["", "", ".gz", ".zst"]))
    shape = draw(shapes(contracts(), draw(st.sampled_from([".json", ".jsonl", ".ndjson"])) + compression))
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"]))
    malformed = draw(st.sampled_from([0.0, 0.0, 0.05]))
    line_end = draw(st.sampled_from(["\n", "\n\n", "\r\n"]))
    files, records = {}, {}
    for name, rows in shape.rows.items():
        lines = [
            shape.generator.choice(_NO_OBJECTS) if shape.generator.random() < malformed else _json_line(shape, encoding)
            for _ in range(rows)
        ]
        # Blank lines alone are a file without records.
        content = (line_end.join(lines) + "\n").encode(encoding)
        files[name] = _writer(_compressed(content, compression))
        records[name] = json_records(decoded(content, encoding), encoding)
    return _source(shape, {"options": {"encoding": encoding}}, files, records)


def _json_line(shape: Shape, encoding: str) -> str:
    generator = shape.generator
    present = shape.present_columns()
    members = [f"{json.dumps(shape.source(name))}:{_json_value(shape, name, encoding)}" for name in present]
    return "{" + generator.choice([",", ", ", " ,\t"]).join([*members, '"ignored": [1, {"x": null}]']) + "}"


def _json_value(shape: Shape, name: str, encoding: str) -> str:
    """A cell: as text, or as the number or bool that it is; dirt is null and nested values too."""
    generator = shape.generator
    if generator.random() < shape.dirt / 2:
        return generator.choice((*_NESTED, "null"))
    text, type_, unit = shape.text(name), shape.columns[name]["type"], shape.columns[name].get("unit")
    value = read_text(text, type_, Reading.of(shape.columns[name], {}))
    if not isinstance(value, NoValue) and generator.random() < 0.5:
        if type_ == "bool":
            return generator.choice(["true", "1"] if value else ["false", "0"])
        if type_ in INTEGER_BITS:
            return generator.choice([str(value), f"{value}.0", f"{value}.{'0' * 20}"])
        # JSON has no numbers that begin with a point, end with one, or have a sign +, as these texts may.
        if type_ in FLOATS:
            return repr(value) if generator.random() < 0.5 else format(Decimal(value), "f")
        if unit and "." not in text:
            return str(int(text))
    if type_ == "string" and generator.random() < shape.dirt:
        return generator.choice(["7", "-1", "true", "1.5", "18446744073709551615", "-98765432109876543210", "1e3", "1.50"])
    return json.dumps(text, ensure_ascii=not encoding.startswith("utf") or generator.random() < 0.5)


# Three-line text


@st.composite
def three_line_contracts(draw: st.DrawFn) -> Contract:
    """Contracts on the four columns of the format."""
    numbers = Cells(draw(st.lists(st.integers(-2, 300).map(str), min_size=1, max_size=5)), ["x", "", "1.5", "128", " 7"])
    answers = Cells(["0", "1", "1"], ["2", "", "true", "NA"])
    columns: dict[str, Any] = {"entity": {"type": "string"}}
    cells = {"entity": Cells(["x"], ["x"]), "position": Cells(["0", "1", "2"], ["3"]), "skill": numbers, "answer": answers}
    columns["position"], _ = draw(
        column(st.sampled_from([*INTEGER_BITS, "float64"]), may_be_null=False, fixed=cells["position"])
    )
    columns["skill"], _ = draw(column(st.sampled_from([*INTEGER_BITS, "float32", "string"]), fixed=numbers))
    columns["answer"], _ = draw(column(st.sampled_from(["int8", "bool", "string"]), fixed=answers))
    columns = {name: columns[name] for name in draw(st.permutations(list(columns)))}
    order_by = draw(st.sampled_from([[], ["position"]]))
    parts = draw(sequence_parts(columns))
    fraction = draw(st.sampled_from([0.5, 0.0]))
    split = {"strategy": "entity_hash", "validation_fraction": fraction, "seed": draw(st.integers(0, 9))}
    return Contract({"entity": "entity", "order_by": order_by, "columns": columns, "split": split, **parts}, cells)


@st.composite
def three_line_sources(draw: st.DrawFn) -> Source:
    """Blocks of three lines with blank lines between them, trailing commas, and counts that disagree."""
    shape = draw(shapes(three_line_contracts(), draw(st.sampled_from([".dkt", ".dkt.gz"]))))
    malformed = draw(st.sampled_from([0.0, 0.1]))
    null_values = draw(st.sampled_from([("",), ("", "NA"), ()]))
    line_end = draw(st.sampled_from(["\n", "\r\n"]))
    files, records = {}, {}
    for name, rows in shape.rows.items():
        blocks = [_block(shape, malformed) for _ in range(rows // 3 + 1)]
        content = (line_end * draw(st.integers(0, 1)) + line_end.join(line for block in blocks for line in block)).encode()
        files[name] = _writer(_compressed(content, ".gz" if name.endswith(".gz") else ""))
        records[name] = three_line_records(name, decoded(content, "utf-8"), null_values)
    # A source without any record is an error.
    assume(any(records.values()))
    return _source(shape, {"options": {"null_values": list(null_values)}}, files, records)


def _block(shape: Shape, malformed: float) -> list[str]:
    generator = shape.generator
    items = generator.randrange(10)
    lists = [[shape.text(name) for _ in range(items)] for name in ("skill", "answer")]
    count = str(items)
    if generator.random() < malformed:
        count = generator.choice([str(items + 1), "x", "-1"])
    elif generator.random() < malformed:
        generator.choice(lists).append("7")
    # A list that is one empty field needs the comma, or it would be an empty list.
    ends = ["," if fields and (fields[-1].strip() == "" or generator.random() < 0.5) else "" for fields in lists]
    return [count, *(",".join(fields) + end for fields, end in zip(lists, ends, strict=True)), *[""] * generator.randrange(2)]


# Parquet


@st.composite
def parquet_sources(draw: st.DrawFn) -> Source:
    """Parquet files that differ in the columns' types, in their order and in the sizes of their row groups."""
    return _parquet_source(draw(shapes(contracts(), draw(st.sampled_from([".parquet", ".pq"])))))


@st.composite
def parquet_versions(draw: st.DrawFn) -> tuple[Source, Source]:
    """What one model reads at two times: values come and go. Its entity and perhaps other features are encoded."""
    contract = draw(contracts(with_location_split=False))
    content = contract.content
    content["features"][content["entity"]] = {"encode": "vocabulary"}
    # Conditions on the whole table would let one of the two fail.
    content["columns"] = {
        name: {key: value for key, value in item.items() if not key.startswith("has_")}
        for name, item in content["columns"].items()
    }
    sources = []
    for part in (slice(0, 4), slice(2, None)):
        cells = {name: Cells(all_.clean[part] or all_.clean, all_.dirty) for name, all_ in contract.cells.items()}
        source = _parquet_source(draw(shapes(st.just(Contract(content, cells)), ".parquet")))
        sources.append(replace(source, model={**source.model, "checks": {"rejected_ratio": {"max": 1.0}}}))
    first, second = sources
    return first, second


def _parquet_source(shape: Shape) -> Source:
    files, records = {}, {}
    for name, rows in shape.rows.items():
        table, values = _table(shape, rows)
        # INT96 is UTC, whatever the column's zone, so that a table of local times is written without.
        may_be_int96 = not any(column.get("timezone") for column in shape.columns.values())
        files[name] = _parquet_writer(table, may_be_int96)
        records[name] = [
            Record(row + 1, {source: column[row] for source, column in values.items()}) for row in range(table.num_rows)
        ]
    return _source(shape, {}, files, records)


def _parquet_writer(table: pa.Table, may_be_int96: bool) -> Callable[[Path, random.Random], object]:
    def write(path: Path, generator: random.Random) -> None:
        size, compression = generator.choice([1, 3, 7, 1000]), generator.choice(["snappy", "zstd", "none"])
        int96, integers = may_be_int96 and generator.random() < 0.5, generator.random() < 0.5
        forms = {"use_deprecated_int96_timestamps": int96, "store_decimal_as_integer": integers}
        pq.write_table(table, path, row_group_size=size, compression=compression, **forms)

    return write


def _table(shape: Shape, rows: int) -> tuple[pa.Table, dict[str, list[Any]]]:
    """A table, and its values by the file's columns, as the reference takes them."""
    arrays: dict[str, pa.Array] = {"ignored": pa.array(range(rows))}
    values: dict[str, list[Any]] = {}
    for name in shape.present_columns():
        array, found = _array(shape, name, rows)
        arrays[shape.source(name)], values[shape.source(name)] = array, found
    return pa.table(arrays), values


def _array(shape: Shape, name: str, rows: int) -> tuple[pa.Array, list[Any]]:
    """A column in one of the types that a file may have for it, and its values."""
    generator = shape.generator
    type_, unit = shape.columns[name]["type"], shape.columns[name].get("unit")
    texts = [None if generator.random() < shape.dirt else shape.text(name) for _ in range(rows)]
    if generator.random() < shape.dirt / 2:
        return generator.choice([_other_array, _opaque_array])(type_, unit, rows, generator)
    if generator.random() < 0.3:
        return _text_array(texts, generator)
    read = [None if text is None else read_text(text, type_, Reading.of(shape.columns[name], {})) for text in texts]
    values = [None if isinstance(value, NoValue) else value for value in read]
    return generator.choice([_moments, _ticks] if unit else _MAKERS[type_])(values, type_, unit, generator)


def _text_array(texts: list[str | None], generator: random.Random) -> tuple[pa.Array, list[Any]]:
    array = pa.array(texts, pa.string())
    kind = generator.choice(["string", "large", "dictionary", "binary"])
    if kind == "binary":
        return array.cast(pa.binary()), texts
    return {"string": array, "large": array.cast(pa.large_string()), "dictionary": array.dictionary_encode()}[kind], texts


def _other_array(type_: str, unit: str | None, rows: int, generator: random.Random) -> tuple[pa.Array, list[Any]]:
    """Values of a type that the column's type may not be able to hold."""
    choices: list[tuple[pa.DataType, list[Any]]] = [
        (pa.null(), [None]),
        (pa.int64(), [0, 1, -1, 2**53 + 1, 2**63 - 1, 19_000]),
        (pa.uint64(), [0, 1, 255, 2**63, 2**64 - 1]),
        (pa.list_(pa.int64()), [[1, 2], []]),
        (pa.struct([("a", pa.int64())]), [{"a": 1}]),
        (pa.date32(), [date(1, 1, 1), date(1970, 1, 1), date(9999, 12, 31)]),
        (pa.string(), ["x", "1", ""]),
    ]
    if type_ != "bool" and not unit:
        choices += [
            (pa.float64(), [0.5, -0.0, 7.0, 1e300, float("inf"), float("nan"), 2.0**63]),
            (pa.float32(), [0.5, 0.10000000149011612, float("-inf"), float("nan"), 16_777_216.0]),
            (pa.decimal128(9, 2), [Decimal("1.00"), Decimal("1.25"), Decimal("-0.10")]),
        ]
    if not unit:
        choices.append((pa.bool_(), [True, False]))
    arrow_type, values = generator.choice(choices)
    found = [generator.choice([*values, None]) for _ in range(rows)]
    return pa.array(found, arrow_type), found


def _opaque_array(type_: str, unit: str | None, rows: int, generator: random.Random) -> tuple[pa.Array, list[Any]]:
    """Values of a kind that no contract holds; among bytes some are texts."""
    if generator.random() < 0.2:
        found = [generator.choice([b"1", b"\xff", b"x\xc0\x80", None]) for _ in range(rows)]
        is_text = {b"1": "1", None: None}
        array = pa.array(found, generator.choice([pa.binary(), pa.large_binary()]))
        return array, [is_text.get(value, Opaque(value)) for value in found]
    arrow_type = generator.choice(
        [
            *(pa.duration(size) for size in ("s", "ms", "us", "ns")),
            *(pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
            *(pa.decimal256(39, 0), pa.decimal256(76, 10)),
        ]
    )
    numbers = [generator.choice([0, 1, 7, None]) for _ in range(rows)]
    return pa.array(numbers, arrow_type), [None if number is None else Opaque(number) for number in numbers]


def _integers(values: list[Any], type_: str, unit: str | None, generator: random.Random) -> tuple[pa.Array, list[Any]]:
    known = [int(value) for value in values if value is not None]
    fitting = [
        candidate
        for candidate in (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
        if all(_fits(value, candidate) for value in known)
    ]
    return pa.array(values, generator.choice(fitting)), values


def _fits(value: int, type_: pa.DataType) -> bool:
    bits, is_signed = int(type_.bit_width), pa.types.is_signed_integer(type_)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if is_signed else (0, 2**bits)
    return bool(low <= value < high)


def _whole_floats(values: list[Any], type_: str, unit: str | None, generator: random.Random) -> tuple[pa.Array, list[Any]]:
    """Integers as floats; those that a float64 cannot hold become null."""
    floats = [None if value is None or abs(value) > 2**53 else float(value) for value in values]
    return pa.array(floats, pa.float64()), floats


def _decimals(values: list[Any], type_: str, unit: str | None, generator: random.Random) -> tuple[pa.Array, list[Any]]:
    decimals = [None if value is None else Decimal(value).quantize(Decimal("1.00")) for value in values]
    return pa.array(decimals, pa.decimal128(38, 2)), decimals


def _floats(values: list[Any], type_: str, unit: str | None, generator: random.Random) -> tuple[pa.Array, list[Any]]:
    return pa.array(values, pa.float32() if type_ == "float32" and generator.random() < 0.5 else pa.float64()), values


def _narrow_floats(values: list[Any], type_: str, unit: str | None, generator: random.Random) -> tuple[pa.Array, list[Any]]:
    """Floats of 32 bits, and of 16 where they are small."""
    nearest = [None if value is None else nearest_float(Fraction(value), "float32", value < 0) for value in values]
    found = [value if isinstance(value, float) else None for value in nearest]
    if all(value is None or (abs(value) < 2**11 and value == int(value)) for value in found):
        return pa.array([None if value is None else np.float16(value) for value in found], pa.float16()), found
    return pa.array(found, pa.float32()), found


def _bools(values: list[Any], type_: str, unit: str | None, generator: random.Random) -> tuple[pa.Array, list[Any]]:
    if generator.random() < 0.5:
        return pa.array(values, pa.bool_()), values
    numbers = [None if value is None else int(value) for value in values]
    return pa.array(numbers, generator.choice([pa.int8(), pa.uint16(), pa.int64()])), numbers


def _strings(values: list[Any], type_: str, unit: str | None, generator: random.Random) -> tuple[pa.Array, list[Any]]:
    return _text_array(values, generator)


def _dates(values: list[Any], type_: str, unit: str | None, generator: random.Random) -> tuple[pa.Array, list[Any]]:
    if type_ == "timestamp":
        values = [None if value is None or value % DAY else EPOCH.date() + timedelta(microseconds=value) for value in values]
    return pa.array(values, pa.date32()), values


def _moments(values: list[Any], type_: str, unit: str | None, generator: random.Random) -> tuple[pa.Array, list[Any]]:
    """Timestamps of any unit that holds them all, in any zone."""
    if type_ == "date":
        values = [None if value is None else (value - EPOCH.date()).days * DAY for value in values]
    known = [value for value in values if value is not None]
    per_unit = {"us": Fraction(1), "ns": Fraction(1, 1000), "ms": Fraction(1000), "s": Fraction(1_000_000)}
    units = [name for name, size in per_unit.items() if all(value % size == 0 and abs(value / size) < 2**63 for value in known)]
    chosen = generator.choice(units)
    ticks = [None if value is None else int(value / per_unit[chosen]) for value in values]
    zone = generator.choice([None, "UTC", "Europe/Berlin"])
    return pa.array(ticks, pa.timestamp(chosen, zone)), [
        None if value is None else Instant(Fraction(value), is_local=zone is None) for value in values
    ]


def _ticks(values: list[Any], type_: str, unit: str | None, generator: random.Random) -> tuple[pa.Array, list[Any]]:
    """Numbers of the column's unit; what is no whole number of it becomes null."""
    assert unit is not None
    size = {"s": Fraction(1_000_000), "ms": Fraction(1_000), "us": Fraction(1), "ns": Fraction(1, 1_000)}[unit]
    ticks = [None if value is None or value % size or abs(value / size) >= 2**63 else int(value / size) for value in values]
    return _integers(ticks, type_, unit, generator)


_MAKERS: Final[dict[str, list[Callable[..., tuple[pa.Array, list[Any]]]]]] = {
    **{type_: [_integers, _integers, _whole_floats, _decimals] for type_ in INTEGER_BITS},
    "float32": [_floats, _narrow_floats],
    "float64": [_floats, _narrow_floats],
    "bool": [_bools],
    "string": [_strings],
    "date": [_dates, _moments],
    "timestamp": [_moments, _dates],
}


def typed_array(values: list[Any], type_: str, generator: random.Random) -> tuple[pa.Array, list[Any]]:
    """Values of a column in one of the types that files have for it and that holds them all, as the reference takes them."""
    for maker in generator.sample(_MAKERS[type_], len(_MAKERS[type_])):
        array, found = maker(values, type_, None, generator)
        if array.null_count == sum(value is None for value in values):
            return array, found
    raise AssertionError(f"no type of a file holds {values} of {type_}")
