"""Athena's SQL, as far as it is not Trino's: one statement, its kind, and the parts of those that Trino does not know.

Belongs here: reading a query's text, without any engine. Not here: running it. What Trino understands as it stands is not
parsed; Athena's DDL is Hive's, and of it there is what a client of a data platform needs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from seq_assets_tests.athena.errors import QueryFailedError, RequestRefusedError

MAXIMUM_QUERY_BYTES = 262_144
# Athena's name for "no compression", and its default for Parquet.
_CODECS = {"NONE": "NONE", "SNAPPY": "SNAPPY", "GZIP": "GZIP", "ZSTD": "ZSTD"}
_DEFAULT_CODEC = "GZIP"
_HIVE_NUMBERS = frozenset({"tinyint", "smallint", "int", "bigint", "float", "double", "decimal"})
_HIVE_TYPES = _HIVE_NUMBERS | {"boolean", "string", "char", "varchar", "binary", "date", "timestamp", "array", "map", "struct"}


@dataclass(frozen=True)
class Query:
    """A statement that Trino runs as it stands, and whose rows are the result: SELECT, WITH, VALUES, EXPLAIN."""

    sql: str
    kind: str = "SELECT"


@dataclass(frozen=True)
class Change:
    """A statement that Trino runs as it stands, and that writes rows: INSERT, DELETE, UPDATE, MERGE."""

    sql: str
    kind: str


@dataclass(frozen=True)
class Unload:
    """UNLOAD: a query whose rows become files below a location."""

    query: str
    location: str
    codec: str
    kind: str = "UNLOAD"


@dataclass(frozen=True)
class CreateExternalTable:
    """CREATE EXTERNAL TABLE over Parquet files; types are Hive's."""

    database: str | None
    name: str
    columns: tuple[tuple[str, str], ...]
    partitions: tuple[tuple[str, str], ...]
    location: str
    properties: dict[str, str] = field(default_factory=dict)
    if_not_exists: bool = False
    kind: str = "CREATE_TABLE"


@dataclass(frozen=True)
class DropTable:
    """DROP TABLE."""

    database: str | None
    name: str
    if_exists: bool
    kind: str = "DROP_TABLE"


@dataclass(frozen=True)
class Unsupported:
    """A statement that Athena knows and this stack does not: it fails, and says so."""

    reason: str
    kind: str = "UNSUPPORTED"


Statement = Query | Change | Unload | CreateExternalTable | DropTable | Unsupported


def statement_of(text: str) -> Statement:
    """The one statement of a query's text; what Athena refuses when a query is started is refused here."""
    if len(text.encode()) > MAXIMUM_QUERY_BYTES:
        raise RequestRefusedError(
            "1 validation error detected: Value at 'queryString' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAXIMUM_QUERY_BYTES}"
        )
    tokens = list(_tokens(text))
    end = next((index for index, token in enumerate(tokens) if token.text == ";"), len(tokens))
    if any(token.text != ";" for token in tokens[end:]):
        raise RequestRefusedError(f"Only one sql statement is allowed. Got: {text}", AthenaErrorCode="MALFORMED_QUERY")
    sql = text[: tokens[end].start] if end < len(tokens) else text
    return _classified(_Reader(sql, tokens[:end]))


class _Token(NamedTuple):
    kind: Literal["string", "double_quoted", "back_quoted", "word", "symbol"]
    text: str
    start: int
    end: int

    @property
    def value(self) -> str:
        """What a literal or an identifier means, without its quotes."""
        quote = {"string": "'", "double_quoted": '"', "back_quoted": "`"}.get(self.kind)
        return self.text if quote is None else self.text[1:-1].replace(quote * 2, quote)


_TOKEN = re.compile(
    r"""(?P<skipped>\s+|--[^\n]*|/\*.*?\*/)
      | (?P<string>'(?:[^']|'')*')
      | (?P<double_quoted>"(?:[^"]|"")*")
      | (?P<back_quoted>`(?:[^`]|``)*`)
      | (?P<word>[^\W\d]\w*)
      | (?P<symbol>.)""",
    re.VERBOSE | re.DOTALL,
)


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "skipped":
            yield _Token(match.lastgroup, match.group(), match.start(), match.end())  # type: ignore[arg-type]


class _Reader:
    """The tokens of one statement, read from left to right."""

    def __init__(self, sql: str, tokens: list[_Token]) -> None:
        self.sql = sql
        self._tokens = tokens
        self._next = 0

    def peek(self) -> str:
        """The next token, in capitals where it is a word; empty at the end."""
        if self._next == len(self._tokens):
            return ""
        token = self._tokens[self._next]
        return token.text.upper() if token.kind == "word" else token.text

    def take(self) -> _Token:
        """The next token, which must be there."""
        if self._next == len(self._tokens):
            raise self.refusal()
        self._next += 1
        return self._tokens[self._next - 1]

    def accept(self, *words: str) -> bool:
        """Whether these tokens come next; they are taken then."""
        found = self._tokens[self._next : self._next + len(words)]
        if [token.text.upper() for token in found] != list(words):
            return False
        self._next += len(words)
        return True

    def expect(self, *words: str) -> None:
        """These tokens must come next."""
        if not self.accept(*words):
            raise self.refusal()

    def string(self) -> str:
        """A string literal must come next."""
        token = self.take()
        if token.kind != "string":
            raise self.refusal(token)
        return token.value

    def hive_identifier(self) -> str:
        """A name as Hive's grammar has it must come next: bare, or in back quotes, never in double quotes."""
        token = self.take()
        if token.kind not in {"word", "back_quoted"}:
            raise self.refusal(token)
        return token.value.lower()

    def hive_table(self) -> tuple[str | None, str]:
        """The database, if there is one, and the name of a table."""
        name = self.hive_identifier()
        return (name, self.hive_identifier()) if self.accept(".") else (None, name)

    def enclosed(self, opening: str = "(", closing: str = ")") -> list[_Token]:
        """What is between the bracket that must come next and the one that closes it."""
        self.expect(opening)
        start, depth = self._next, 1
        while depth:
            text = self.take().text
            depth += (text == opening) - (text == closing)
        return self._tokens[start : self._next - 1]

    def end(self) -> None:
        """Nothing may follow."""
        if self._next < len(self._tokens):
            raise self.refusal(self._tokens[self._next])

    def refusal(self, token: _Token | None = None) -> RequestRefusedError:
        """Athena's answer to what its grammar does not know."""
        if token is None and self._next < len(self._tokens):
            token = self._tokens[self._next]
        start, found = (token.start, token.text) if token else (len(self.sql), "<EOF>")
        line = self.sql.count("\n", 0, start) + 1
        column = start - (self.sql.rfind("\n", 0, start) + 1) + 1
        return RequestRefusedError(f"line {line}:{column}: mismatched input '{found}'", AthenaErrorCode="MALFORMED_QUERY")


def _classified(reader: _Reader) -> Statement:
    sql = reader.sql.strip()
    match reader.peek():
        case "":
            raise reader.refusal()
        case "SELECT" | "WITH" | "VALUES" | "TABLE" | "(":
            return Query(sql)
        case "EXPLAIN":
            return Query(sql, "EXPLAIN")
        case "INSERT" | "DELETE" | "UPDATE" | "MERGE" as kind:
            return Change(sql, kind)
        case "UNLOAD":
            return _unload(reader)
        case _ if reader.accept("CREATE", "EXTERNAL", "TABLE"):
            return _create_external_table(reader)
        case _ if reader.accept("DROP", "TABLE"):
            return _drop_table(reader)
        case "ALTER" | "CREATE" | "DESCRIBE" | "DROP" | "EXECUTE" | "MSCK" | "OPTIMIZE" | "PREPARE" | "SHOW" | "VACUUM" as word:
            return Unsupported(f"NOT_SUPPORTED: this stack does not know this form of {word}")
        case _:
            raise reader.refusal()


def _unload(reader: _Reader) -> Statement:
    reader.expect("UNLOAD")
    query = reader.enclosed()
    reader.expect("TO")
    location = reader.string()
    reader.expect("WITH")
    properties = _properties(_Reader(reader.sql, reader.enclosed()))
    reader.end()
    if not query:
        raise reader.refusal()
    if unknown := sorted(set(properties) - {"format", "compression"}):
        return Unsupported(f"NOT_SUPPORTED: this stack does not know UNLOAD's {', '.join(unknown)}")
    if properties.get("format", "").upper() != "PARQUET":
        return Unsupported("NOT_SUPPORTED: this stack unloads format = 'PARQUET' only")
    codec = _CODECS.get(properties.get("compression", _DEFAULT_CODEC).upper())
    if codec is None:
        return Unsupported(f"NOT_SUPPORTED: this stack does not know compression = '{properties['compression']}'")
    return Unload(reader.sql[query[0].start : query[-1].end], location, codec)


def _properties(reader: _Reader) -> dict[str, str]:
    """`name = 'value'` pairs; Hive writes the names as strings."""
    properties: dict[str, str] = {}
    while reader.peek():
        name = reader.take().value
        reader.expect("=")
        properties[name] = reader.take().value
        if not reader.accept(","):
            reader.end()
    return properties


def _create_external_table(reader: _Reader) -> Statement:
    if_not_exists = reader.accept("IF", "NOT", "EXISTS")
    database, name = reader.hive_table()
    columns = _columns(_Reader(reader.sql, reader.enclosed()))
    if reader.accept("COMMENT"):
        reader.string()
    partitions = _columns(_Reader(reader.sql, reader.enclosed())) if reader.accept("PARTITIONED", "BY") else ()
    if not reader.accept("STORED", "AS", "PARQUET"):
        return Unsupported("NOT_SUPPORTED: this stack knows external tables STORED AS PARQUET only")
    reader.expect("LOCATION")
    location = reader.string()
    properties = _properties(_Reader(reader.sql, reader.enclosed())) if reader.accept("TBLPROPERTIES") else {}
    reader.end()
    return CreateExternalTable(database, name, columns, partitions, location, properties, if_not_exists)


def _columns(reader: _Reader) -> tuple[tuple[str, str], ...]:
    columns = []
    while reader.peek():
        name = reader.hive_identifier()
        columns.append((name, _hive_type(reader)))
        if reader.accept("COMMENT"):
            reader.string()
        if not reader.accept(","):
            reader.end()
    return tuple(columns)


def _hive_type(reader: _Reader) -> str:
    base = reader.take()
    if base.value.lower() not in _HIVE_TYPES:
        raise reader.refusal(base)
    text = base.value.lower()
    for opening, closing in ("()", "<>"):
        if reader.peek() == opening:
            inner = reader.enclosed(opening, closing)
            text += opening + "".join(token.value.lower() for token in inner) + closing
    return text


def _drop_table(reader: _Reader) -> Statement:
    if_exists = reader.accept("IF", "EXISTS")
    database, name = reader.hive_table()
    reader.end()
    return DropTable(database, name, if_exists)


def quoted(name: str) -> str:
    """An identifier as Trino reads it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string as Trino reads it."""
    return "'" + text.replace("'", "''") + "'"


def bucket_and_key(location: str) -> tuple[str, str]:
    """The two parts of `s3://bucket/key`."""
    match = re.fullmatch(r"s3://([^/]+)(?:/(.*))?", location, re.DOTALL)
    if match is None:
        raise QueryFailedError(f"INVALID_TABLE_PROPERTY: not a location on S3: {location}")
    return match[1], match[2] or ""
