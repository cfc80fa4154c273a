"""What text, number and point in time a contract's type accepts, whatever engine reads it.

Belongs here: patterns that the whole text must match, and limits. Not here: how an engine casts what they accept.
"""

from typing import Final

from seq_assets.models import ColumnType

INT: Final = r"[+-]?[0-9]+(\.0*)?"
FLOAT: Final = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
EPOCH_TIME: Final = r"[+-]?[0-9]+(\.[0-9]{0,9}0*)?"
_DATE: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME: Final = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6}0*)?)?"
_ZONE: Final = "(Z| UTC|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)"
TIMESTAMP: Final = f"{_DATE}([ T]{_TIME}{_ZONE}?)?"
ZONED_TIMESTAMP: Final = f"{_DATE}[ T]{_TIME}{_ZONE}"

FIRST_MICROSECOND: Final = -62_135_596_800_000_000
"""Of the year 1, since the epoch."""
LAST_MICROSECOND: Final = 253_402_300_799_999_999
"""Of the year 9999."""
SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
PER_UNIT: Final = {"s": SECOND, "ms": 1_000, "us": 1}
"""The microseconds of one unit of epoch time; nanoseconds are whole microseconds where `NANOSECONDS` divides them."""
NANOSECONDS: Final = 1_000
"""Of a microsecond."""
MOST_SECONDS: Final = 10**12
"""Of a float's epoch time, in either direction: far beyond the years 1 to 9999, and far from where 64 bits end."""
EXACT_INTEGERS: Final = {ColumnType.FLOAT32: 2**24, ColumnType.FLOAT64: 2**53}
"""Up to which the floats hold every integer."""
