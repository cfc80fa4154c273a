"""Texts that are, or are almost, values of each type."""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import strategies as st


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts that consist of one of each part."""
    return st.builds(lambda *texts: "".join(texts), *parts)


SPACES = st.text(" \t", max_size=2)
SIGNS = st.sampled_from(["", "", "-", "+", "--", "+-"])
DIGITS = st.text("0123456789", max_size=6) | st.text("0123456789", min_size=15, max_size=25) | st.text("09", max_size=6)
NEAR_LIMITS = st.sampled_from([2**bits for bits in (7, 8, 15, 16, 24, 31, 32, 53, 63, 64)]).flatmap(
    lambda limit: st.integers(limit - 3, limit + 3).map(str)
)
EXPONENTS = st.sampled_from(["", "", "", "e", "E"]).flatmap(
    lambda letter: (
        st.builds(lambda sign, number: f"{letter}{sign}{number}", SIGNS, st.integers(0, 330)) if letter else st.just("")
    )
)
NOISE = st.text("0123456789+-.eE_xnaNifTtruelsZ: \t\n", max_size=10) | st.text(max_size=5)
FRACTIONS = st.sampled_from(["", "", ".", ".0", ".000", ".5", ".25", ".123456", ".1234567", ".000001", ".999999"]) | DIGITS.map(
    ".{}".format
)


INTEGERS = joined(SPACES, SIGNS, DIGITS | NEAR_LIMITS, FRACTIONS, SPACES)
FLOATS = (
    joined(SPACES, SIGNS, DIGITS | NEAR_LIMITS, FRACTIONS, EXPONENTS, SPACES)
    | st.floats().map(repr)
    | st.floats(width=32).map(repr)
)
BOOLS = joined(SPACES, st.sampled_from(["true", "false", "True", "FALSE", "tRuE", "1", "0", "t", "yes", "2", "1.0"]), SPACES)
DATES = st.builds(
    "{:04d}-{:02d}-{:02d}".format, st.integers(0, 10_000), st.integers(0, 13), st.integers(0, 32)
) | st.dates().map(str)
ZONES = st.sampled_from(["", "", "Z", "z", " Z", " UTC", "UTC", " utc", "+1", "+01:", "+010", "+01 "]) | st.builds(
    "{}{:02d}{}{}".format,
    st.sampled_from(["+", "-", "+", "-", " +"]),
    st.integers(0, 25),
    st.sampled_from(["", ":"]),
    st.just("") | st.integers(0, 61).map("{:02d}".format),
)
SECONDS = st.just("") | joined(st.integers(0, 61).map(":{:02d}".format), FRACTIONS)
TIMES = joined(
    st.sampled_from("TTT  t_"), st.builds("{:02d}:{:02d}".format, st.integers(0, 25), st.integers(0, 61)), SECONDS, ZONES
)
TIMESTAMPS = (
    joined(SPACES, DATES, st.just("") | TIMES, SPACES) | st.datetimes().map(str) | st.datetimes().map(datetime.isoformat)
)
MIDNIGHTS = joined(DATES, st.sampled_from(["", " 00:00", "T00:00:00", "T00:00:00.000Z", " 01:00+01:00", " 00:00:01"]))
EPOCHS = joined(SPACES, SIGNS, st.text("0123456789", min_size=1, max_size=22), FRACTIONS, SPACES)


def texts_of(time_format: str) -> st.SearchStrategy[str]:
    """Texts of a format: as Python writes them, or with fewer digits, other spaces, other cases, something more or less."""
    zones = st.builds(timezone, st.integers(-1439, 1439).map(lambda minutes: timedelta(minutes=minutes)))
    moments = st.datetimes(datetime(1000, 1, 1), timezones=zones) | st.datetimes(
        datetime(1969, 1, 1), datetime(2068, 12, 31), timezones=zones
    )
    changes = st.sampled_from(
        [
            *[lambda text: text] * 4,
            lambda text: re.sub(r"(?<![0-9])0(?=[0-9])", "", text),
            lambda text: text.replace(" ", " \t "),
            lambda text: re.sub(
                "(?i)jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|am|pm", lambda name: name[0].upper(), text
            ),
            lambda text: f"{text}0",
            lambda text: text[:-1],
            lambda text: text.replace("1", "9"),
        ]
    )
    return st.builds(lambda moment, change: change(moment.strftime(time_format)), moments, changes)


@cache
def local_times(zone: str) -> st.SearchStrategy[str]:
    """Local times, most of them where the clocks of a zone change."""
    info = ZoneInfo(zone)
    days = [datetime(1850, 1, 1, tzinfo=UTC) + timedelta(days=number) for number in range(92_000)]
    offsets = [day.astimezone(info).utcoffset() for day in days]
    changing = [day for day, (before, after) in zip(days, pairwise(offsets), strict=False) if before != after]
    near = st.builds(
        lambda day, minutes: (day + timedelta(minutes=minutes)).replace(tzinfo=None),
        st.sampled_from(changing or days[:1]),
        st.integers(-1500, 3000) | st.integers(-50, 100).map(lambda halves: halves * 30),
    )
    return (near | st.datetimes()).map(str)


def localised(numbers: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Numbers with other characters for a decimal point, and with such characters between digits."""
    marks = st.sampled_from([",", ".", " ", "'", "\u00a0"])

    def marked(text: str, decimal: str, thousands: str, size: int) -> str:
        whole, point, rest = text.partition(".")
        digits = re.sub(rf"(?<=[0-9])(?=(?:[0-9]{{{size}}})+$)", thousands, whole)
        return f"{digits}{decimal if point else ''}{rest}"

    return st.builds(marked, numbers, marks, st.just("") | marks, st.sampled_from([3, 3, 3, 2]))
