"""Text in a column's own format of time, as the standard text that every engine reads: patterns and SQL that both understand.

Belongs here: from a format to one pattern with a group per directive, and from the groups to the standard text. Not here: which
formats there are (`models.time_formats`), nor how an engine finds groups.
"""

from collections.abc import Sequence
from typing import Final

from seq_assets.models.time_formats import FormatToken

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_SPECIAL: Final = frozenset(r"\.^$*+?{}[]()|")


def _in_any_case(words: Sequence[str]) -> str:
    """Each letter in both cases: a pattern that is told to ignore case takes other letters of Unicode, too."""
    return "|".join("".join(f"[{letter.upper()}{letter.lower()}]" for letter in word) for word in words)


_PATTERNS: Final = {
    "%Y": "[0-9]{4}",
    "%y": "[0-9]{2}",
    "%m": "1[0-2]|0[1-9]|[1-9]",
    "%b": _in_any_case([month[:3] for month in _MONTHS]),
    # The longest first: May is also how no other month begins.
    "%B": _in_any_case(sorted(_MONTHS, key=len, reverse=True)),
    "%d": "3[0-1]|[1-2][0-9]|0[1-9]|[1-9]",
    "%H": "2[0-3]|[0-1][0-9]|[0-9]",
    "%I": "1[0-2]|0[1-9]|[1-9]",
    "%p": _in_any_case(["am", "pm"]),
    "%M": "[0-5][0-9]|[0-9]",
    "%S": "[0-5][0-9]|[0-9]",
    "%f": "[0-9]{1,6}",
    "%z": "Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9]",
}


def format_pattern(tokens: Sequence[FormatToken]) -> str:
    """The pattern of a whole text, with one group per directive, in their order; spaces stand for any spaces and tabs."""
    found = "".join(f"({_PATTERNS[token.text]})" if token.part else _literal_pattern(token.text) for token in tokens)
    return rf"\A{found}\z"


def _literal_pattern(text: str) -> str:
    pattern = ""
    for character in text:
        if character in " \t":
            pattern = pattern if pattern.endswith("[ \t]+") else f"{pattern}[ \t]+"
        else:
            pattern += f"\\{character}" if character in _SPECIAL else character
    return pattern


def standard_text(tokens: Sequence[FormatToken], groups: Sequence[str]) -> str:
    """SQL of the standard text.

    Args:
        tokens: The format.
        groups: SQL of the text of each of the pattern's groups.
    """
    directives = [token for token in tokens if token.part]
    found = {token.text: group for token, group in zip(directives, groups, strict=True)}
    date = f"{_year(found)} || '-' || {_month(found)} || '-' || {_two_digits(found['%d'])}"
    if not any(token.part == "hour" for token in directives):
        return date
    minute = _two_digits(found["%M"]) if "%M" in found else "'00'"
    time = f"{_hour(found)} || ':' || {minute}"
    if "%S" in found:
        time += f" || ':' || {_two_digits(found['%S'])}"
    if "%f" in found:
        time += f" || '.' || {found['%f']}"
    zone = f" || {found['%z']}" if "%z" in found else ""
    return f"{date} || ' ' || {time}{zone}"


def _two_digits(number: str) -> str:
    return f"lpad({number}, 2, '0')"


def _year(found: dict[str, str]) -> str:
    if "%Y" in found:
        return found["%Y"]
    # As POSIX says: 69 to 99 are of the last century.
    return f"CASE WHEN {found['%y']} >= '69' THEN '19' ELSE '20' END || {found['%y']}"


def _month(found: dict[str, str]) -> str:
    if "%m" in found:
        return _two_digits(found["%m"])
    name = found["%b"] if "%b" in found else found["%B"]
    return _looked_up(f"lower(substr({name}, 1, 3))", [month[:3].lower() for month in _MONTHS], first=1)


def _hour(found: dict[str, str]) -> str:
    if "%H" in found:
        return _two_digits(found["%H"])
    hours = [f"{hour or 12:02d}{half}" for half in ("am", "pm") for hour in range(12)]
    return _looked_up(f"{_two_digits(found['%I'])} || lower({found['%p']})", hours, first=0)


def _looked_up(key: str, keys: Sequence[str], first: int) -> str:
    """Two digits: a key's place among keys of one length, from `first` on, without arithmetic, which fails on no key."""
    width = len(keys[0])
    places = "".join(f"{place:02d}".ljust(width) for place in range(first, first + len(keys)))
    return f"substr('{places}', strpos('{''.join(keys)}', {key}), 2)"
