"""The contract of one column: its type, its validations, and the values that its type can hold.

Belongs here: what a type means on its own (ranges, literals of a model file). Not here: how an engine or Arrow represents it
(`sequencing.schemas`), nor how text is read (the warehouses).
"""

import difflib
import math
import re
import zoneinfo
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from seq_assets.models.time_formats import parse_time_format

Scalar: TypeAlias = int | float | bool | str

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ColumnType(StrEnum):
    """The types that a contract may ask for."""

    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BOOL = "bool"
    STRING = "string"
    DATE = "date"
    TIMESTAMP = "timestamp"

    @property
    def is_integer(self) -> bool:
        """Whether the type is one of the four integer types."""
        return self in _INTEGER_BITS

    @property
    def is_float(self) -> bool:
        """Whether the type is one of the two floating-point types."""
        return self in _LARGEST_FLOAT

    @property
    def is_number(self) -> bool:
        """Whether arithmetic metrics (mean, variance) make sense."""
        return self.is_integer or self.is_float

    @property
    def is_label(self) -> bool:
        """Whether values can be told apart by their text, so that a vocabulary can number them."""
        return self.is_integer or self in (ColumnType.BOOL, ColumnType.STRING, ColumnType.DATE)

    @property
    def is_ordered(self) -> bool:
        """Whether greater-than validations make sense."""
        return self is not ColumnType.BOOL

    @property
    def as_feature(self) -> "ColumnType":
        """The type of the column's `<name>_sequence`: timestamps become int64 milliseconds, dates int32 days."""
        return {ColumnType.TIMESTAMP: ColumnType.INT64, ColumnType.DATE: ColumnType.INT32}.get(self, self)


_INTEGER_BITS: Final = {ColumnType.INT8: 8, ColumnType.INT16: 16, ColumnType.INT32: 32, ColumnType.INT64: 64}
_LARGEST_FLOAT: Final = {ColumnType.FLOAT32: (2 - 2**-23) * 2.0**127, ColumnType.FLOAT64: math.inf}


def integer_range(column_type: ColumnType) -> tuple[int, int]:
    """Smallest and largest value of an integer type."""
    bits = _INTEGER_BITS[column_type]
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def describe_type(column_type: ColumnType) -> str:
    """What a value of the type looks like in a model file, for error messages."""
    if column_type.is_integer:
        low, high = integer_range(column_type)
        return f"an integer from {low} to {high} ({column_type})"
    return {
        ColumnType.FLOAT32: "a finite number that float32 can hold",
        ColumnType.FLOAT64: "a finite number",
        ColumnType.BOOL: "true or false",
        ColumnType.STRING: "text (quote it if YAML reads it as something else)",
        ColumnType.DATE: "a date, YYYY-MM-DD",
        ColumnType.TIMESTAMP: "a timestamp, YYYY-MM-DD HH:MM:SS, UTC unless it names its offset",
    }[column_type]


def literal(value: Any, column_type: ColumnType) -> Scalar:
    """The value of a model file as the type's plain Python value.

    Dates become days and timestamps microseconds since the epoch (UTC), both ints.

    Raises:
        ValueError: The type cannot hold the value; the message says what it can hold.
    """
    converted = _convert(value, column_type)
    if converted is None:
        raise ValueError(describe_type(column_type))
    return converted


def _convert(value: Any, column_type: ColumnType) -> Scalar | None:
    if column_type is ColumnType.BOOL:
        return value if isinstance(value, bool) else None
    if column_type is ColumnType.STRING:
        return value if isinstance(value, str) else None
    if column_type is ColumnType.DATE:
        return _days(value)
    if column_type is ColumnType.TIMESTAMP:
        return timestamp_microseconds(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if column_type.is_integer:
        low, high = integer_range(column_type)
        return value if isinstance(value, int) and low <= value <= high else None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and abs(number) <= _LARGEST_FLOAT[column_type] else None


def _days(value: Any) -> int | None:
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, date) or isinstance(value, datetime):
        return None
    return (value - EPOCH.date()).days


def timestamp_microseconds(value: Any) -> int | None:
    """Microseconds since the epoch of a date, datetime or ISO text (no zone is UTC); None if it is none of these."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        return None
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    delta = aware - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


class Validation(StrEnum):
    """The validations that reject a row, in the order in which they apply; their names are the reasons."""

    IS_IN = "is_in"
    IS_GREATER_THAN = "is_greater_than"
    IS_GREATER_THAN_OR_EQUAL = "is_greater_than_or_equal"
    IS_LOWER_THAN = "is_lower_than"
    IS_LOWER_THAN_OR_EQUAL = "is_lower_than_or_equal"
    IS_BETWEEN = "is_between"


Share = Annotated[float, Field(ge=0, le=1)]


class PathPart(BaseModel):
    """A part of the path of the file that a record stands in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(
        description="A regular expression with one group, searched in the file's path below the source's location; "
        "where it is not found, the value is null."
    )

    def of(self, path: str) -> str | None:
        """What the group holds in a path; None where the expression is not found."""
        found = re.search(self.path, path)
        return found[1] if found else None


def _column_source(value: Any) -> Any:
    """A name of a column of the source, or a part of the file's path; checked here, so that mistakes name this field."""
    if isinstance(value, dict) and set(value) == {"path"} and isinstance(value["path"], str):
        try:
            groups = re.compile(value["path"]).groups
        except re.error as error:
            raise ValueError(f"a regular expression with one group; this is none: {error}") from error
        if groups != 1:
            raise ValueError(f"a regular expression with one group; this has {groups}")
    elif not (value is None or isinstance(value, PathPart) or (isinstance(value, str) and value)):
        raise ValueError("a name of at least 1 character, or {path: a regular expression with one group}")
    return value


class ColumnSpec(BaseModel):
    """One column of the contract.

    `is_*` validations reject a row; `has_unique_values` and `has_acceptable_percentage_of_nulls` judge the whole table.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: ColumnType = Field(description="The type that every value must have; reading is lossless or refused.")
    description: str | None = Field(
        None, min_length=1, max_length=500, description="What it means, for people: decides nothing, shown in the UI."
    )
    from_: Annotated[str | PathPart | None, BeforeValidator(_column_source)] = Field(
        None, alias="from", description="The source's name, where it differs; or a part of the file's path."
    )
    unit: Literal["s", "ms", "us", "ns"] | None = Field(
        None, description="Of a timestamp: its numbers are seconds, milliseconds, microseconds or nanoseconds since the epoch."
    )
    format: str | None = Field(
        None, description="Of a date or timestamp: how its text is written, in strptime's directives, such as %d/%m/%Y %H:%M."
    )
    timezone: str | None = Field(
        None, description="Of a timestamp: the IANA name of the zone of values that name none, such as Europe/Amsterdam."
    )
    nullable: bool = Field(False, strict=True, description="Whether null is accepted.")
    is_in: tuple[Any, ...] | None = Field(None, min_length=1, description="The values that are accepted.")
    is_greater_than: Any = Field(None, description="Accepted above this value.")
    is_greater_than_or_equal: Any = Field(None, description="Accepted from this value on.")
    is_lower_than: Any = Field(None, description="Accepted below this value.")
    is_lower_than_or_equal: Any = Field(None, description="Accepted up to this value.")
    is_between: tuple[Any, Any] | None = Field(None, description="Accepted from the first to the second, both included.")
    has_no_null_values: bool | None = Field(None, strict=True, description="The same as nullable: false.")
    has_unique_values: bool = Field(False, strict=True, description="No accepted value stands twice.")
    has_acceptable_percentage_of_nulls: Share | None = Field(
        None, description="The largest share of nulls, from 0 to 1, among accepted rows."
    )

    @field_validator("format")
    @classmethod
    def _known_format(cls, value: str | None) -> str | None:
        if value is not None:
            parse_time_format(value)
        return value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str | None) -> str | None:
        if value is not None and value not in zoneinfo.available_timezones():
            close = difflib.get_close_matches(value, zoneinfo.available_timezones(), n=1)
            suggestion = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"the IANA name of a time zone, such as Europe/Amsterdam{suggestion}")
        return value

    def validations(self) -> list[tuple[Validation, tuple[Scalar, ...]]]:
        """The validations that this column asks for, in order, with their values as plain Python values.

        Raises:
            ValueError: A value does not fit the column's type (found when the model file is read).
        """
        found: list[tuple[Validation, tuple[Scalar, ...]]] = []
        for validation in Validation:
            value = getattr(self, validation.value)
            if value is not None:
                values = value if isinstance(value, tuple) else (value,)
                found.append((validation, tuple(literal(item, self.type) for item in values)))
        return found
