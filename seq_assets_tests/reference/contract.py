"""From one record to an accepted row, or to the reasons why not; and what is said of all accepted rows together.

Belongs here: a model file's contract, its validations of rows and of the table, metrics. Not here: what a value means for a
type (`reading`), which subset a row belongs to (`split`).
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, TypeAlias

from seq_assets_tests.reference.files import Record
from seq_assets_tests.reference.reading import (
    FIRST_MICROSECOND,
    FLOATS,
    INTEGER_BITS,
    LAST_MICROSECOND,
    NULL,
    UNREADABLE,
    Instant,
    JsonNumber,
    Opaque,
    Reading,
    as_text,
    nearest_float,
    read_text,
    read_value,
)
from seq_assets_tests.reference.windows import Row

Model: TypeAlias = Mapping[str, Any]
"""What a model file says, as YAML reads it."""

REASONS: Final = (
    "malformed",
    "too_long",
    "unreadable",
    "null",
    "is_in",
    "is_greater_than",
    "is_greater_than_or_equal",
    "is_lower_than",
    "is_lower_than_or_equal",
    "is_between",
    "split_value",
    "forgotten",
)
MOST_LABELS: Final = 50
LONGEST_SHOWN: Final = 1_000
"""Characters that are kept of a malformed record, and of a value that is too long."""
MOST_VALUE_BYTES: Final = 1 << 20
"""Of a value, where the model file says nothing else."""


@dataclass(frozen=True)
class Failure:
    """What is wrong with one column of a record, or with all of it: the column, its value as it stood, reason and detail."""

    column: str | None
    value: Any
    reason: str
    detail: str | None = None


def contract_value(value: Any, type_: str) -> Any:
    """A value of the model file (a bound, a member of `is_in`, a value of the split) as a value of the column's type."""
    if type_ == "float32":
        return nearest_float(Fraction(value), type_, negative=value < 0)
    if type_ == "float64":
        return float(value)
    if type_ == "timestamp":
        return read_text(value, type_)
    if type_ == "date":
        return date.fromisoformat(value)
    return value


def check(record: Record, model: Model, file: str, forgotten: Iterable[Any] = ()) -> Row | list[Failure]:
    """The values of a file's accepted record by the contract's columns, or what is wrong with it, in the contract's order."""
    if record.malformed is not None:
        what = "too_long" if record.is_too_long else "malformed"
        return [Failure(None, record.malformed[:LONGEST_SHOWN], what, record.detail)]
    options = model.get("source", {}).get("options", {})
    row: dict[str, Any] = {}
    failures = []
    for name, column in model["columns"].items():
        source = column.get("from", name)
        stood = _part_of(file, source["path"]) if isinstance(source, dict) else record.values.get(source)
        if not isinstance(source, dict) and _size(stood) > options.get("max_value_bytes", MOST_VALUE_BYTES):
            failures.append(Failure(name, _beginning(stood), "too_long"))
            continue
        value = read_value(stood, column["type"], Reading.of(column, options))
        row[name] = None if value is NULL else value
        reason = _reason(value, name, column, model)
        if reason is None and name == model["entity"] and value in list(forgotten):
            reason = "forgotten"
        if reason:
            failures.append(Failure(name, stood, reason))
    return failures or row


def _size(stood: Any) -> int:
    """The bytes of a value that is a text in its source, as all of JSON is; of another one there is no end to mind."""
    if isinstance(stood, Opaque):
        return _size(stood.value) if isinstance(stood.value, bytes) else 0
    if isinstance(stood, bytes):
        return len(stood)
    if isinstance(stood, JsonNumber | list | dict):
        return len(_without_blanks(stood).encode())
    return len(stood.encode()) if isinstance(stood, str) else 0


def _without_blanks(value: Any) -> str:
    """A value of JSON as its text, without blanks between its parts."""
    if isinstance(value, JsonNumber):
        return value.text
    if isinstance(value, list):
        return f"[{','.join(map(_without_blanks, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{_without_blanks(name)}:{_without_blanks(part)}' for name, part in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def _beginning(stood: Any) -> Any:
    """What is kept of a value that is too long."""
    if isinstance(stood, JsonNumber):
        return stood.text[:LONGEST_SHOWN]
    return stood[:LONGEST_SHOWN] if isinstance(stood, str) else stood


def _part_of(path: str, pattern: str) -> str | None:
    found = re.search(pattern, path)
    return found[1] if found else None


def _reason(value: Any, name: str, column: Mapping[str, Any], model: Model) -> str | None:
    """The first reason that applies."""
    if value is UNREADABLE:
        return "unreadable"
    if value is NULL and not column.get("nullable", False):
        return "null"
    if value is not NULL:
        for validation in REASONS:
            if validation in column and not _meets(value, validation, column[validation], column["type"]):
                return validation
    split = model["split"]
    if split["strategy"] == "column" and split["column"] == name:
        known = [contract_value(item, column["type"]) for item in [*split["train"], *split["validation"]]]
        if value not in known:
            return "split_value"
    return None


def _meets(value: Any, validation: str, asked: Any, type_: str) -> bool:
    if validation == "is_in":
        return value in [contract_value(item, type_) for item in asked]
    if validation == "is_between":
        low, high = asked
        return bool(contract_value(low, type_) <= value <= contract_value(high, type_))
    bound = contract_value(asked, type_)
    if validation == "is_greater_than":
        return bool(value > bound)
    if validation == "is_greater_than_or_equal":
        return bool(value >= bound)
    if validation == "is_lower_than":
        return bool(value < bound)
    assert validation == "is_lower_than_or_equal"
    return bool(value <= bound)


def table_failures(rows: Sequence[Row], read: int, model: Model) -> set[str]:
    """Which conditions on the whole table fail, by their paths in the model file."""
    failed = set()
    if read - len(rows) > model.get("checks", {}).get("rejected_ratio", {}).get("max", 0.0) * read:
        failed.add("checks.rejected_ratio.max")
    for name, column in model["columns"].items():
        values = [row[name] for row in rows]
        known = [value for value in values if value is not None]
        if column.get("has_unique_values") and len(set(known)) < len(known):
            failed.add(f"columns.{name}.has_unique_values")
        largest = column.get("has_acceptable_percentage_of_nulls")
        if largest is not None and rows and (len(values) - len(known)) / len(values) > largest:
            failed.add(f"columns.{name}.has_acceptable_percentage_of_nulls")
    return failed


def metrics(rows: Iterable[Row], name: str, type_: str) -> dict[str, Any]:
    """What is measured of a column of the accepted rows; the moments are exact fractions, a variance of one value is None."""
    values = [row[name] for row in rows if row[name] is not None]
    counts: dict[Any, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    found: dict[str, Any] = {
        "count": len(values),
        "unique": len(counts),
        "min": min(values, default=None),
        "max": max(values, default=None),
    }
    if values and (type_ in INTEGER_BITS or type_ in FLOATS):
        exact = [Fraction(value) for value in values]
        mean = sum(exact) / len(exact)
        squares = sum((value - mean) ** 2 for value in exact)
        found |= {"mean": mean, "variance": squares / (len(exact) - 1) if len(exact) > 1 else None}
    if len(counts) <= MOST_LABELS:
        found["labels"] = counts
    return found


def stands_for(text: str | None, value: Any) -> bool:
    """Whether the text of a rejected value says how it stood: texts as they were, other values in a form that reads back."""
    if text is None or value is None:
        return text is None and value is None
    if isinstance(value, bytes):
        return text == value.decode()
    if isinstance(value, Opaque):
        return True  # in whatever form
    if isinstance(value, float):
        # A float32 is shown by fewer digits than it needs as a float64.
        shown = float(text)
        as_float32 = nearest_float(Fraction(text), "float32", shown < 0) if math.isfinite(shown) else shown
        return repr(value) in (repr(shown), repr(as_float32))
    if isinstance(value, Decimal):
        return Decimal(text) == value
    if isinstance(value, JsonNumber):
        return float(text) == float(value.text) if not value.is_integer else int(text) == int(value.text)
    if isinstance(value, Instant):
        return _is_instant(text, value)
    if isinstance(value, dict | list):
        # Every format writes nested values in its own way; what they hold, in its order, is the same.
        return re.findall(r"\w+", text.lower()) == re.findall(r"\w+", _nested_text(value))
    return text == as_text(value)


def _is_instant(text: str, value: Instant) -> bool:
    """Whether a text shows a point in time; one outside of the years that have four digits may be shown in any way."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d+)?(\+00)?", text)
    if match is None:
        return not FIRST_MICROSECOND <= value.microseconds <= LAST_MICROSECOND
    microseconds = read_text(match[1], "timestamp") + Fraction(match[2] or 0) * 1_000_000
    return bool(microseconds == value.microseconds)


def _nested_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=lambda number: number.text)
