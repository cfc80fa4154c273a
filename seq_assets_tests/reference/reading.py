"""From one value of a source to the value of a contract's type, or to the reason why there is none.

The grammar of the types, in plain Python, for text, for JSON and for the values of Parquet files. Belongs here: what one value
means for one type. Not here: files and records (`files`), what a contract makes of a value (`contract`).

Timestamps are microseconds since the epoch, UTC, as they are stored; dates are dates.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo


class NoValue(Enum):
    """Why a source's value is no value of the type."""

    NULL = "null"
    UNREADABLE = "unreadable"


NULL: Final = NoValue.NULL
UNREADABLE: Final = NoValue.UNREADABLE

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DAY: Final = 86_400_000_000
FIRST_MICROSECOND: Final = -62_135_596_800_000_000
LAST_MICROSECOND: Final = 253_402_300_799_999_999
INTEGER_BITS: Final = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
FLOATS: Final = ("float32", "float64")
_PER_UNIT: Final = {"s": Fraction(1_000_000), "ms": Fraction(1_000), "us": Fraction(1), "ns": Fraction(1, 1_000)}


@dataclass(frozen=True)
class Instant:
    """A point in time of a Parquet file, with any precision; a local one where a column has a time zone for it."""

    microseconds: Fraction
    is_local: bool = False


@dataclass(frozen=True)
class Opaque:
    """A value of a Parquet file of a kind that no contract holds: a duration, a time of day, bytes that are no text."""

    value: Any


@dataclass(frozen=True)
class JsonNumber:
    """A number of a JSON text as it is written, or `NaN` or `Infinity`; the writing tells whether it is an integer."""

    text: str

    @property
    def is_integer(self) -> bool:
        """Whether it is written without a fraction and an exponent."""
        return re.fullmatch("-?[0-9]+", self.text) is not None


@dataclass(frozen=True)
class Reading:
    """What a column says about how its values are read, beside its type.

    Attributes:
        unit: Of a timestamp whose numbers are epoch time.
        format: Of a date or timestamp whose text is written in a way of its own.
        timezone: Of a timestamp whose values without a zone are local times.
        decimal: Before the fraction of a number.
        thousands: Between a number's groups of three digits.
    """

    unit: str | None = None
    format: str | None = None
    timezone: str | None = None
    decimal: str = "."
    thousands: str | None = None

    @classmethod
    def of(cls, column: Mapping[str, Any], options: Mapping[str, Any]) -> "Reading":
        """What a column of a model file and the options of its source say."""
        numbers = options.get("decimal", "."), options.get("thousands")
        return cls(column.get("unit"), column.get("format"), column.get("timezone"), *numbers)


PLAIN: Final = Reading()


def read_text(text: str, type_: str, reading: Reading = PLAIN) -> Any:
    """What a text is for a column of the type: a value, `NULL` or `UNREADABLE`."""
    if type_ == "string":
        return text
    text = text.strip(" \t")
    if type_ in INTEGER_BITS or type_ in FLOATS or reading.unit:
        text = _with_a_point(text, reading)
    if type_ in INTEGER_BITS:
        match = re.fullmatch(r"([+-]?[0-9]+)(\.0*)?", text)
        return _in_integer_range(int(match[1]), type_) if match else UNREADABLE
    if type_ in FLOATS:
        if text.lower() == "nan":
            return NULL
        match = re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", text)
        return nearest_float(Fraction(text), type_, text.startswith("-")) if match else UNREADABLE
    if type_ == "bool":
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), UNREADABLE)
    if reading.unit:
        match = re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?", text)
        return _in_time_range(Fraction(text) * _PER_UNIT[reading.unit]) if match else UNREADABLE
    microseconds = _placed(_read_by_format(text, reading.format) if reading.format else _read_timestamp(text), reading.timezone)
    return _midnight(microseconds) if type_ == "date" else microseconds


def read_value(value: Any, type_: str, reading: Reading = PLAIN) -> Any:
    """The same for a value of any source: text, a value of JSON, a value of a Parquet file."""
    if value is None:
        return NULL
    if isinstance(value, bytes):
        return read_text(value.decode(), type_, reading)
    if isinstance(value, str):
        return read_text(value, type_, reading)
    if isinstance(value, JsonNumber):
        return _read_json_number(value, type_, reading)
    if isinstance(value, Decimal):
        return UNREADABLE if type_ == "string" else read_text(f"{value:f}", type_, reading)
    if isinstance(value, bool):
        return {"bool": value, "string": str(value).lower()}.get(type_, UNREADABLE)
    if isinstance(value, int):
        return _read_integer(value, type_, reading)
    if isinstance(value, float):
        return _read_float(value, type_, reading)
    if isinstance(value, date):
        if type_ == "timestamp":
            return _placed((datetime(value.year, value.month, value.day), None), reading.timezone)
        return value if type_ == "date" else UNREADABLE
    if isinstance(value, Instant):
        microseconds = _in_time_range(value.microseconds)
        if value.is_local and microseconds is not UNREADABLE:
            local = (EPOCH + timedelta(microseconds=microseconds)).replace(tzinfo=None)
            microseconds = _placed((local, None), reading.timezone)
        return {"timestamp": microseconds, "date": _midnight(microseconds)}.get(type_, UNREADABLE)
    return UNREADABLE  # nested, or opaque


def as_text(value: Any) -> str:
    """An integer, bool, date or string as the text that reads back as it."""
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date) else str(value)


def nearest_float(exact: Fraction, type_: str, negative: bool) -> Any:
    """The nearest value of the width, ties to even; overflow is unreadable."""
    digits, lowest = (24, -149) if type_ == "float32" else (53, -1074)
    magnitude = abs(exact)
    exponent = lowest
    if magnitude:
        exponent = max(math.floor(math.log2(magnitude.numerator) - math.log2(magnitude.denominator)) - digits, lowest)
        while round(magnitude / Fraction(2) ** exponent) >= 2**digits:
            exponent += 1
    steps = round(magnitude / Fraction(2) ** exponent)
    largest = (2**24 - 1) * 2**104 if type_ == "float32" else (2**53 - 1) * 2**971
    result = steps * Fraction(2) ** exponent
    return math.copysign(float(result), -1 if negative else 1) if result <= largest else UNREADABLE


def _read_json_number(number: JsonNumber, type_: str, reading: Reading) -> Any:
    """What its digits say; only an integer is a text."""
    return UNREADABLE if type_ == "string" and not number.is_integer else read_text(number.text, type_, reading)


def _read_integer(value: int, type_: str, reading: Reading) -> Any:
    if type_ in INTEGER_BITS:
        return _in_integer_range(value, type_)
    if type_ in FLOATS:
        nearest = nearest_float(Fraction(value), type_, negative=value < 0)
        return nearest if nearest == value else UNREADABLE
    if type_ == "bool":
        return {0: False, 1: True}.get(value, UNREADABLE)
    if type_ == "string":
        return str(value)
    return _in_time_range(value * _PER_UNIT[reading.unit]) if reading.unit else UNREADABLE


def _read_float(value: float, type_: str, reading: Reading) -> Any:
    if math.isnan(value):
        return NULL
    if not math.isfinite(value):
        return UNREADABLE
    if type_ in INTEGER_BITS:
        return _in_integer_range(int(value), type_) if value == int(value) else UNREADABLE
    if type_ in FLOATS:
        return nearest_float(Fraction(value), type_, negative=math.copysign(1, value) < 0)
    if reading.unit == "s":
        return _in_time_range(_nearest_microsecond(value))
    return _in_time_range(Fraction(value) * _PER_UNIT[reading.unit]) if reading.unit else UNREADABLE


def _nearest_microsecond(seconds: float) -> Fraction:
    """A float holds seconds only approximately; half a microsecond goes away from the epoch."""
    whole = math.trunc(seconds)
    # The fraction is exact, and so is all but the last bit of its microseconds.
    rest = (seconds - whole) * 1_000_000
    return Fraction(whole * 1_000_000 + math.trunc(rest + math.copysign(0.5, rest)))


def _with_a_point(text: str, reading: Reading) -> str:
    """A number with a decimal point and without groups; nothing where it is not of the source's form."""
    if (reading.decimal, reading.thousands) == (".", None) or text.lower() == "nan":
        return text
    mantissa, letter, exponent = text, "", ""
    for e in "eE":
        if e in text:
            mantissa, letter, exponent = text.partition(e)
    whole, point, fraction = mantissa.partition(reading.decimal)
    sign = whole[:1] if whole[:1] in ("+", "-") else ""
    groups = whole.removeprefix(sign).split(reading.thousands) if reading.thousands else [whole.removeprefix(sign)]
    is_grouped = len(groups) == 1 or (0 < len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:]))
    is_digits = all(re.fullmatch("[0-9]*", part) for part in [*groups, fraction])
    return f"{sign}{''.join(groups)}{'.' * len(point)}{fraction}{letter}{exponent}" if is_grouped and is_digits else ""


_LocalTime: TypeAlias = tuple[datetime, timedelta | None]
"""A time as it stands there, and what it is ahead of UTC where it says so."""


def _read_timestamp(text: str) -> _LocalTime | None:
    time = r"[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6})0*)?)?(Z| UTC|[+-][0-9]{2}(?::?[0-9]{2})?)?"
    match = re.fullmatch(rf"([0-9]{{4}})-([0-9]{{2}})-([0-9]{{2}})(?:{time})?", text)
    if match is None:
        return None
    *numbers, fraction, zone = match.groups()
    year, month, day, hour, minute, second = (int(number or 0) for number in numbers)
    microsecond = int((fraction or "0").ljust(6, "0"))
    try:
        local = datetime(year, month, day, hour, minute, second, microsecond)
    except ValueError:
        return None
    if not zone:
        return local, None
    if zone[0] not in "+-":
        return local, timedelta()
    hours, minutes = int(zone[1:3]), int(zone[3:].removeprefix(":") or 0)
    if hours > 23 or minutes > 59:
        return None
    return local, timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)


def _read_by_format(text: str, time_format: str) -> _LocalTime | None:
    """As Python reads it, but for digits, spaces, offsets and other cases of the format's letters that only Python reads."""
    if not text.isascii() or re.search(r"[^ -~\t]", text) or re.search(r"[+-]\d\d:?\d\d:?\d\d(\.\d+)?$", text):
        return None
    if not all(word in text for word in re.findall("[A-Za-z]+", re.sub("%.", " ", time_format))):
        return None
    try:
        found = datetime.strptime(text, time_format)
    except ValueError:
        return None
    return found.replace(tzinfo=None), found.utcoffset()


def _placed(found: _LocalTime | None, timezone: str | None) -> Any:
    """The microseconds of a time: by its own offset, or in the column's zone, or as UTC."""
    if found is None:
        return UNREADABLE
    local, offset = found
    as_utc = (local.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    if offset is None and timezone:
        offset = local_offset(local, timezone)
        if offset is None:
            return UNREADABLE
    return _in_time_range(Fraction(as_utc - (offset or timedelta()) // timedelta(microseconds=1)))


def local_offset(local: datetime, timezone: str) -> timedelta | None:
    """What a local time is ahead of UTC: of two possible ones the first; None where there is none, or none that is known."""
    zone = ZoneInfo(timezone)
    offset = local.replace(tzinfo=zone, fold=0).utcoffset()
    assert offset is not None
    if not datetime(3, 1, 1) < local < datetime(9997, 1, 1):
        return None if _still_changes(zone) and local.year > 2100 else offset
    point = (local - offset).replace(tzinfo=UTC)
    if point.astimezone(zone).replace(tzinfo=None) != local:
        return None
    return None if _still_changes(zone) and point >= datetime(2101, 1, 1, tzinfo=UTC) else offset


def _still_changes(zone: ZoneInfo) -> bool:
    days = (datetime(2099, 6, 1, tzinfo=UTC) + timedelta(days=number) for number in range(500))
    return len({day.astimezone(zone).utcoffset() for day in days}) > 1


def _in_integer_range(value: int, type_: str) -> Any:
    half = 2 ** (INTEGER_BITS[type_] - 1)
    return value if -half <= value < half else UNREADABLE


def _in_time_range(microseconds: Fraction) -> Any:
    is_whole = microseconds.denominator == 1
    return int(microseconds) if is_whole and FIRST_MICROSECOND <= microseconds <= LAST_MICROSECOND else UNREADABLE


def _midnight(microseconds: Any) -> Any:
    if microseconds is UNREADABLE or microseconds % DAY:
        return UNREADABLE
    return EPOCH.date() + timedelta(days=microseconds // DAY)
