"""Formats of dates and timestamps, as `columns.<name>.format` gives them: a part of what Python's `strptime` knows.

Belongs here: which formats a model file may name, and of what they consist. Not here: how an engine reads a text by one.
"""

import re
from dataclasses import dataclass
from typing import Final

PARTS: Final = {
    "%Y": "year",
    "%y": "year",
    "%m": "month",
    "%b": "month",
    "%B": "month",
    "%d": "day",
    "%H": "hour",
    "%I": "hour",
    "%p": "half of the day",
    "%M": "minute",
    "%S": "second",
    "%f": "fraction",
    "%z": "zone",
}
"""By directive: which part of a point in time it is."""
_LITERAL_PERCENT: Final = "%%"
_NEEDS: Final = {
    "half of the day": "%I",
    "minute": "hour",
    "second": "minute",
    "fraction": "second",
    "zone": "hour",
}
"""A part that says nothing without another one, or without the directive that it completes."""
_ALLOWED: Final = (
    "a format of %Y or %y, %m or %b or %B, %d and perhaps %H or %I with %p, %M, %S, %f, %z, each part once; "
    "%% is a percent sign"
)
_TOKEN: Final = re.compile(r"%.?|[^%]+", re.DOTALL)


@dataclass(frozen=True)
class FormatToken:
    """One directive of a format, or text that stands between them.

    Attributes:
        text: `%Y`, or the text.
        part: The part of a point in time that a directive is; None of text.
    """

    text: str
    part: str | None


def parse_time_format(time_format: str) -> tuple[FormatToken, ...]:
    """What a format consists of, in its order.

    Raises:
        ValueError: It is none; the message says what is allowed and why it is not that.
    """
    tokens = []
    for text in _TOKEN.findall(time_format):
        if text == _LITERAL_PERCENT:
            tokens.append(FormatToken("%", None))
        elif text.startswith("%") and text not in PARTS:
            raise ValueError(f"{_ALLOWED}; not {text}")
        else:
            tokens.append(FormatToken(text, PARTS.get(text)))
    reason = _mistake(time_format, tokens)
    if reason:
        raise ValueError(f"{_ALLOWED}; {reason}")
    return tuple(tokens)


def _mistake(time_format: str, tokens: list[FormatToken]) -> str | None:
    parts = [token.part for token in tokens if token.part]
    for part in parts:
        if parts.count(part) > 1:
            return f"here the {part} stands twice"
    for part in ("year", "month", "day"):
        if part not in parts:
            return f"here the {part} is missing"
    present = {*parts, *(token.text for token in tokens if token.part)}
    for part, needed in _NEEDS.items():
        if part in present and needed not in present:
            return f"here the {part} has no {needed}"
    if "%I" in present and "half of the day" not in present:
        return "here %I has no %p"
    if time_format.strip(" \t") != time_format:
        return "the spaces around a value do not count, so a format has none"
    return None
