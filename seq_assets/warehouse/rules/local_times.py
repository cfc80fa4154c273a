"""Local times of a time zone as points in time: one table of a zone's offsets, which every engine gets alike as SQL.

The zone databases of the engines differ, and so do their answers for times that a change of clocks skips or repeats. So the
table is made here, of Python's. Belongs here: the table, and the SQL that looks up in it. Not here: what is a local time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from seq_assets.warehouse.rules.value_grammar import FIRST_MICROSECOND, LAST_MICROSECOND, SECOND

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = int((datetime(1800, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
"""Before any zone changed its clocks, in seconds."""
LAST_YEAR: Final = 2100
"""Of a zone that still changes its clocks, later local times are unreadable."""
_END: Final = int((datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
_DAY: Final = 86_400
_STILL: Final = 2 * 365 * _DAY
"""A zone that changed its clocks so shortly before the end changes them still."""


@dataclass(frozen=True)
class Stretch:
    """Local times that have one offset.

    Attributes:
        start: The first of them, in seconds since the epoch as if they were UTC; None of the first stretch.
        offset: What local times are ahead of UTC, in seconds; None where there are no such times, or none that is known.
    """

    start: int | None
    offset: int | None


@lru_cache(maxsize=64)
def stretches(zone: str) -> tuple[Stretch, ...]:
    """The local times of a zone, in order. Times that a change of clocks repeats are the first of the two.

    Args:
        zone: An IANA name.
    """
    info = ZoneInfo(zone)
    found = [Stretch(None, _offset(info, _FIRST))]
    last = None
    for moment in _changes(info):
        before, after = _offset(info, moment - 1), _offset(info, moment)
        if after > before:
            found.append(Stretch(moment + before, None))
        found.append(Stretch(moment + max(before, after), after))
        last = moment
    if last is not None and last > _END - _STILL:
        found.append(Stretch(_END, None))
    return tuple(found)


def _changes(info: ZoneInfo) -> Iterator[int]:
    """The points in time, in seconds, from which on another offset holds."""
    before = _offset(info, _FIRST)
    for day in range(_FIRST, _END, _DAY):
        after = _offset(info, day + _DAY)
        if after != before:
            yield _change(info, day, day + _DAY)
            before = after


def _change(info: ZoneInfo, low: int, high: int) -> int:
    """The first moment after `low` with the offset of `high`."""
    after = _offset(info, high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset(info, middle) == after else (middle, high)
    return high


def _offset(info: ZoneInfo, moment: int) -> int:
    offset = (_EPOCH + timedelta(seconds=moment)).astimezone(info).utcoffset()
    assert offset is not None, "every time of a zone has one"
    return int(offset.total_seconds())


def local_time_sql(local: str, zone: str) -> str:
    """The microseconds since the epoch of a local time: null where a change of clocks skips it, or out of the years 1 to 9999.

    Args:
        local: A short name of the local time's microseconds, as if it were UTC; it stands many times in the expression.
        zone: An IANA name.
    """
    found = stretches(zone)
    first = FIRST_MICROSECOND + (found[0].offset or 0) * SECOND
    last = LAST_MICROSECOND + (found[-1].offset or 0) * SECOND
    return f"IF({local} BETWEEN {first} AND {last},{local} - CAST({SECOND} AS bigint) * {_offset_sql(local, found)},NULL)"


def _offset_sql(local: str, found: Sequence[Stretch]) -> str:
    """A tree of comparisons, because a chain would ask about every change of clocks since the zone began."""
    if len(found) == 1:
        return "NULL" if found[0].offset is None else f"({found[0].offset})" if found[0].offset < 0 else str(found[0].offset)
    middle = len(found) // 2
    start = (found[middle].start or 0) * SECOND
    return f"IF({local}<{start},{_offset_sql(local, found[:middle])},{_offset_sql(local, found[middle:])})"
