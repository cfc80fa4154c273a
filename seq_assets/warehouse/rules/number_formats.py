"""Numbers of CSV with a decimal comma or with groups of thousands, as the standard text that every engine reads.

Belongs here: the pattern of such a number, and the SQL that makes standard text of it, which both engines understand. Not here:
what a number is for a type (`value_grammar`).
"""

import re
from dataclasses import dataclass

from seq_assets.models import ColumnSpec
from seq_assets.models.spec import SourceOptions


@dataclass(frozen=True)
class NumberFormat:
    """How the numbers of a source are written.

    Attributes:
        decimal: What stands before the fraction.
        thousands: What stands between groups of three digits; None where nothing may.
    """

    decimal: str
    thousands: str | None

    @property
    def pattern(self) -> str:
        """The pattern of a whole number, grouped all through or not at all."""
        digits = "[0-9]*"
        if self.thousands:
            digits = f"(?:[0-9]{{1,3}}(?:{re.escape(self.thousands)}[0-9]{{3}})+|{digits})"
        return f"[+-]?{digits}(?:{re.escape(self.decimal)}[0-9]*)?(?:[eE][+-]?[0-9]+)?"


def number_format(options: SourceOptions, source_format: str) -> NumberFormat | None:
    """How the numbers of a source's files are written; None where that is the standard."""
    is_standard = options.decimal == "." and options.thousands is None
    return None if is_standard or source_format != "csv" else NumberFormat(options.decimal, options.thousands)


def is_number(column: ColumnSpec) -> bool:
    """Whether the text of a column is a number: of a number's type, or of an epoch time."""
    return column.type.is_number or column.unit is not None


def standard_number(value: str, matches: str, numbers: NumberFormat) -> str:
    """SQL of the standard text of a number, or of an empty text, which no type reads.

    Args:
        value: SQL of a text without spaces around it.
        matches: SQL of whether it has the format's pattern.
        numbers: The format.
    """
    ungrouped = f"replace({value}, {_literal(numbers.thousands)}, '')" if numbers.thousands else value
    standard = f"replace({ungrouped}, {_literal(numbers.decimal)}, '.')"
    return f"CASE WHEN {matches} THEN {standard} WHEN lower({value}) = 'nan' THEN {value} WHEN {value} IS NOT NULL THEN '' END"


def _literal(character: str) -> str:
    return "''''" if character == "'" else f"'{character}'"
