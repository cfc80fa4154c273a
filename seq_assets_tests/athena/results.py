"""Results of a query as Athena shows them: every value a text, pages of rows, and one CSV file.

Belongs here: how values, columns and pages look. Not here: where they come from and who asks for them.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from seq_assets_tests.athena.errors import RequestRefusedError

MAXIMUM_PAGE = 1000
# Digits that a value of the type can have, as Athena tells them; other types have none.
_PRECISIONS = {
    "bigint": 19,
    "integer": 10,
    "smallint": 5,
    "tinyint": 3,
    "double": 17,
    "float": 17,
    "timestamp": 3,
    "timestamp with time zone": 3,
    "varbinary": 1073741824,
    "varchar": 2147483647,
}
_WITH_CASE = frozenset({"varchar", "char"})


@dataclass(frozen=True)
class Column:
    """A column of a result: its name, its type without arguments in Athena's words, and how its values look as text."""

    name: str
    type: str
    precision: int
    scale: int
    text: Callable[[Any], str | None]

    @classmethod
    def of(cls, name: str, signature: dict[str, Any]) -> "Column":
        """The column that Trino describes."""
        raw = signature["rawType"]
        athena_type = "float" if raw == "real" else raw
        numbers = [argument["value"] for argument in signature["arguments"] if argument["kind"] == "LONG"]
        precision = _PRECISIONS.get(athena_type, 0)
        scale = 0
        if raw == "decimal":
            precision, scale = numbers
        elif raw in _WITH_CASE and numbers:
            precision = numbers[0]
        return cls(name, athena_type, precision, scale, _top_level(signature))

    def info(self) -> dict[str, Any]:
        """The column as `ResultSetMetadata` has it."""
        return {
            "CatalogName": "hive",
            "SchemaName": "",
            "TableName": "",
            "Name": self.name,
            "Label": self.name,
            "Type": self.type,
            "Precision": self.precision,
            "Scale": self.scale,
            "Nullable": "UNKNOWN",
            "CaseSensitive": self.type in _WITH_CASE,
        }


Row = Sequence[str | None]


@dataclass(frozen=True)
class Result:
    """What a finished query has to show: columns, rows of texts, and how many rows it wrote if it wrote any."""

    columns: tuple[Column, ...] = ()
    rows: tuple[Row, ...] = ()
    written_rows: int | None = None
    has_header: bool = False

    @classmethod
    def of_query(cls, columns: Sequence[Column], values: Sequence[Sequence[Any]]) -> "Result":
        """The result of a query; its first row shows the names of the columns."""
        header = tuple(column.name for column in columns)
        rows = (tuple(column.text(value) for column, value in zip(columns, row, strict=True)) for row in values)
        return cls(tuple(columns), (header, *rows), has_header=True)

    @classmethod
    def of_change(cls, rows: int) -> "Result":
        """The result of a statement that wrote rows: their number."""
        return cls((Column.of("rows", {"rawType": "bigint", "arguments": []}),), written_rows=rows)

    def csv(self) -> bytes:
        """The result's file: all values in quotes, a null is nothing at all."""
        lines = (",".join("" if value is None else '"' + value.replace('"', '""') + '"' for value in row) for row in self.rows)
        return "".join(line + "\n" for line in lines).encode()

    def page(self, token: str | None, limit: int) -> dict[str, Any]:
        """GetQueryResults' answer: the rows from where the token says, at most so many, and the token of the rest."""
        if not 1 <= limit <= MAXIMUM_PAGE:
            raise RequestRefusedError(
                f"MaxResults is more than maximum allowed length {MAXIMUM_PAGE}."
                if limit > MAXIMUM_PAGE
                else "MaxResults must be at least 1.",
                AthenaErrorCode="INVALID_INPUT",
            )
        start = self._start(token)
        rows = self.rows[start : start + limit]
        answer: dict[str, Any] = {
            "UpdateCount": self.written_rows or 0,
            "ResultSet": {
                "Rows": [{"Data": [{} if text is None else {"VarCharValue": text} for text in row]} for row in rows],
                "ResultSetMetadata": {"ColumnInfo": [column.info() for column in self.columns]},
            },
        }
        if start + limit < len(self.rows):
            answer["NextToken"] = f"row-{start + limit}"
        return answer

    def _start(self, token: str | None) -> int:
        if token is None:
            return 0
        number = token.removeprefix("row-")
        if number == token or not number.isdecimal() or int(number) >= len(self.rows):
            raise RequestRefusedError("Invalid token.", AthenaErrorCode="INVALID_INPUT")
        return int(number)


def _top_level(signature: dict[str, Any]) -> Callable[[Any], str | None]:
    text = _text_of(signature)
    return lambda value: None if value is None else text(value)


def _text_of(signature: dict[str, Any]) -> Callable[[Any], str]:
    """How non-null values of a type look as text."""
    raw = signature["rawType"]
    if raw in {"array", "map"}:
        inner = [_inside(argument["value"]) for argument in signature["arguments"]]
        if raw == "array":
            return lambda values: "[" + ", ".join(inner[0](value) for value in values) + "]"
        return lambda entries: "{" + ", ".join(f"{key}={inner[1](value)}" for key, value in entries.items()) + "}"
    if raw == "row":
        fields = [(_field_name(argument["value"], at), argument["value"]) for at, argument in enumerate(signature["arguments"])]
        texts = [(name, _inside(field["typeSignature"])) for name, field in fields]
        return lambda row: (
            "{" + ", ".join(f"{name}={text(value)}" for (name, text), value in zip(texts, row, strict=True)) + "}"
        )
    return _PRIMITIVES.get(raw, str)


def _inside(signature: dict[str, Any]) -> Callable[[Any], str]:
    text = _text_of(signature)
    return lambda value: "null" if value is None else text(value)


def _field_name(argument: dict[str, Any], position: int) -> str:
    name = argument.get("fieldName")
    return name["name"] if name else f"field{position}"


def _hexadecimal(value: str) -> str:
    return base64.b64decode(value).hex(" ")


def floating_text(value: float | str) -> str:
    """A number with a fraction as Java writes it: plain from a thousandth to ten million, else with an exponent."""
    number = float(value)
    if not abs(number) < float("inf"):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[repr(number)]
    if number == 0:
        return repr(number)
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    assert isinstance(exponent, int), "the number is finite"
    text = "".join(map(str, digits))
    if 1e-3 <= abs(number) < 1e7:
        plain = format(Decimal((sign, digits, exponent)), "f")
        return plain if "." in plain else plain + ".0"
    return f"{'-' if sign else ''}{text[0]}.{text[1:] or '0'}E{exponent + len(digits) - 1}"


_PRIMITIVES: dict[str, Callable[[Any], str]] = {
    "boolean": lambda value: "true" if value else "false",
    "double": floating_text,
    "real": floating_text,
    "varbinary": _hexadecimal,
}
