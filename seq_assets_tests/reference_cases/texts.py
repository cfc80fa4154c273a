"""Texts that are, or are almost, values of each type."""

from datetime import datetime

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
