"""What values that a column's type does not read look like, and which field of the model file reads them.

Belongs here: pure functions from values as they stood to a sentence; a value that looks like nothing in particular gets none.
Not here: which values are readable (`value_grammar` and the engines).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from seq_assets.models import ColumnSpec, ColumnType, ModelSpec
from seq_assets.models.columns import integer_range
from seq_assets.models.spec import SourceSpec
from seq_assets.warehouse.rules.value_grammar import FLOAT, INT, TIMESTAMP

_LONGEST_SHOWN: Final = 40
_LONGEST_TOLD: Final = 1_000
"""Characters of a value that looks like anything; of text without end not even a number can be made."""
_NULL_WORDS: Final = ("na", "n/a", "null", "none", "nil", "nan", "\\n", "-", "--", "?", "")
_TYPED_NAME: Final = re.compile(r".*\.(parquet|pq|json|jsonl|ndjson)(\.gz|\.zstd?)?/*")
_WIDER: Final = (ColumnType.INT16, ColumnType.INT32, ColumnType.INT64)
_EPOCH_UNITS: Final = (("s", 10**11), ("ms", 10**14), ("us", 10**17), ("ns", 10**20))
"""Below which size a number is a time in the unit: each begins in 1973 and ends after the year 5000."""
_SMALLEST_EPOCH: Final = 10**8
_YEAR_FIRST_DIGITS: Final = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_DECIMAL_COMMA: Final = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+")
_THOUSANDS_COMMA: Final = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_FINER_TIMESTAMP: Final = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d{6}0*[1-9]\d*( ?(Z|UTC|[+-]\d\d(:?\d\d)?))?")
_DATE: Final = re.compile(
    r"(?P<one>\d{1,2}|\d{4})(?P<sign>[/.-])(?P<two>\d{1,2})(?P=sign)(?P<three>\d{1,2}|\d{4})"
    r"((?P<between>[ T])\d{1,2}:\d{2}(?P<seconds>:\d{2})?(?P<half> ?[AP]M)?)?"
)


def value_remedies(spec: ModelSpec, name: str, values: Iterable[str]) -> list[str]:
    """The remedies for values that a column could not be read from, each said once, by the longest value that needs it.

    Args:
        spec: The model.
        name: The column.
        values: As they stood in the source.
    """
    found: dict[str, str] = {}
    # Of numbers that do not fit, the longest needs the widest type.
    for value in sorted(values, key=len):
        remedy = _remedy(spec.columns[name], name, value, spec.source)
        if remedy is not None and not (remedy.is_unsure and remedy.kind in found):
            found[remedy.kind] = f"{_shown(value)} {remedy.says}"
    return list(found.values())


@dataclass(frozen=True)
class _Remedy:
    """What a value looks like, with the field that reads it, what kind of remedy that is, and whether others may tell more."""

    kind: str
    says: str
    is_unsure: bool = False


def _remedy(column: ColumnSpec, name: str, value: str, source: SourceSpec) -> _Remedy | None:
    text = value.strip(" \t")
    if len(text) > _LONGEST_TOLD:
        return None
    for look in (_null_word, _number, _time):
        remedy = look(column, f"columns.{name}", text, source)
        if remedy is not None:
            return remedy
    return None


def has_text_options(source: SourceSpec) -> bool:
    """Whether words for null and signs of numbers can be told: JSON and Parquet have nulls and numbers of their own."""
    locations = source.location.values() if isinstance(source.location, dict) else [source.location]
    if source.format == "auto":
        return not any(_TYPED_NAME.fullmatch(location.lower()) for location in locations)
    return source.format in ("csv", "dkt")


def _null_word(column: ColumnSpec, path: str, text: str, source: SourceSpec) -> _Remedy | None:
    if column.type is ColumnType.STRING or text.lower() not in _NULL_WORDS or not has_text_options(source):
        return None
    nulls = source.options.null_values
    nullable = "" if column.nullable else f", with {path}.nullable: true"
    if text in nulls:
        return _Remedy("quoted null", f"stands in quotes, so that it is no null: source.options.quoted_nulls: true{nullable}")
    words = ", ".join(f'"{word}"' for word in (*nulls, text.replace("\\", "\\\\")))
    return _Remedy(f"null {text}", f"looks like a null: source.options.null_values: [{words}]{nullable}")


def _number(column: ColumnSpec, path: str, text: str, source: SourceSpec) -> _Remedy | None:
    if not column.type.is_number:
        return None
    if column.type.is_integer and re.fullmatch(INT, text):
        return _out_of_range(column, path, int(text.partition(".")[0]))
    is_csv = has_text_options(source)
    if is_csv and _THOUSANDS_COMMA.fullmatch(text):
        either = (
            ', or, where it is the decimal sign, source.options.decimal: ","'
            if text.count(",") == 1 and "." not in text
            else ""
        )
        return _Remedy("thousands", f'has commas between thousands: source.options.thousands: ","{either}')
    if is_csv and _DECIMAL_COMMA.fullmatch(text):
        thousands = ' and source.options.thousands: "."' if "." in text else ""
        return _Remedy("decimal", f'has a decimal comma: source.options.decimal: ","{thousands}')
    if column.type.is_integer and re.fullmatch(FLOAT, text):
        return _Remedy("fraction", f"is no whole number: {path}.type: float64")
    if column.type is ColumnType.FLOAT32 and re.fullmatch(FLOAT, text):
        return _Remedy("overflow", f"does not fit float32: {path}.type: float64")
    if re.fullmatch(TIMESTAMP, text):
        return _Remedy("time", f"is a point in time: {path}.type: timestamp")
    return None


def _out_of_range(column: ColumnSpec, path: str, number: int) -> _Remedy | None:
    low, high = integer_range(column.type)
    wider = next((type_ for type_ in _WIDER if integer_range(type_)[0] <= number <= integer_range(type_)[1]), ColumnType.STRING)
    if low <= number <= high:
        return None  # Its type in the source is another one: what it looks like is readable.
    return _Remedy("range", f"does not fit {column.type}, {low} to {high}: {path}.type: {wider}")


def _time(column: ColumnSpec, path: str, text: str, source: SourceSpec) -> _Remedy | None:
    if column.type not in (ColumnType.TIMESTAMP, ColumnType.DATE):
        return None
    if re.fullmatch(r"[+-]?\d+(\.\d*)?", text):
        return _number_as_time(column, path, text)
    if re.fullmatch(TIMESTAMP, text):
        if column.unit:
            return _Remedy("text", f"is a written time, not a number of {column.unit}: leave {path}.unit out")
        if column.type is ColumnType.DATE:
            return _Remedy("time of day", f"has a time of day: {path}.type: timestamp")
        return None
    if _FINER_TIMESTAMP.fullmatch(text):
        return _Remedy("finer", "has parts of a microsecond, which no time here holds: round it in the source, where it may be")
    match = _DATE.fullmatch(text)
    return _other_order(column, path, match) if match else None


def _number_as_time(column: ColumnSpec, path: str, text: str) -> _Remedy | None:
    if _YEAR_FIRST_DIGITS.fullmatch(text) and not column.unit:
        return _Remedy("format", f'looks like a year, month and day: {path}.format: "%Y%m%d"')
    size = abs(int(text.partition(".")[0]))
    unit = next((unit for unit, end in _EPOCH_UNITS if _SMALLEST_EPOCH <= size < end), None)
    if unit is None or unit == column.unit:
        return None
    timestamp = "" if column.type is ColumnType.TIMESTAMP else f"{path}.type: timestamp and "
    return _Remedy("unit", f"looks like an epoch time in {unit}: {timestamp}{path}.unit: {unit}")


def _other_order(column: ColumnSpec, path: str, match: re.Match[str]) -> _Remedy | None:
    sign, one, two, three = match["sign"], match["one"], match["two"], match["three"]
    day_first, month_first = f"%d{sign}%m{sign}%Y", f"%m{sign}%d{sign}%Y"
    if len(one) == 4 and len(three) < 4:
        orders = [f"%Y{sign}%m{sign}%d"]
    elif len(one) == 4 or len(three) < 4:
        return None
    elif int(one) > 12 or sign == ".":
        orders = [day_first]
    else:
        orders = [month_first] if int(two) > 12 else [day_first, month_first]
    fitting = [f"{order}{_time_format(match)}" for order in orders]
    if column.format in fitting:
        return _local_time(column, path)
    formats = [f'{path}.format: "{format_}"' for format_ in fitting]
    return _Remedy("format", f"looks like a date in another form: {' or '.join(formats)}", is_unsure=len(formats) > 1)


def _local_time(column: ColumnSpec, path: str) -> _Remedy:
    """Of a value in the column's own format, which therefore is no time that there was."""
    skipped = f", or a local time that a change of clocks skips: look at {path}.timezone, now {column.timezone}"
    return _Remedy("no time", f"is in the form of {path}.format, but no time that there is{skipped if column.timezone else ''}")


def _time_format(match: re.Match[str]) -> str:
    if match["between"] is None:
        return ""
    hour, half = ("%I", " %p" if match["half"].startswith(" ") else "%p") if match["half"] else ("%H", "")
    return f"{match['between']}{hour}:%M{':%S' if match['seconds'] else ''}{half}"


def _shown(value: str) -> str:
    return repr(value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}…")
