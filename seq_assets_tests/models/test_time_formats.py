"""Formats of times that a model file may name, and what is said of others."""

import pytest

from seq_assets.models.time_formats import FormatToken, parse_time_format


def test_a_format_is_directives_and_the_text_between_them() -> None:
    assert parse_time_format("%d/%m/%Y at %H%%") == (
        FormatToken("%d", "day"),
        FormatToken("/", None),
        FormatToken("%m", "month"),
        FormatToken("/", None),
        FormatToken("%Y", "year"),
        FormatToken(" at ", None),
        FormatToken("%H", "hour"),
        FormatToken("%", None),
    )


@pytest.mark.parametrize(
    ("time_format", "reason"),
    [
        ("%Y-%j", "not %j"),
        ("%Y-%m-%d %-H", "not %-"),
        ("%Y-%m-%d %", "not %"),
        ("%Y-%m-%d %y", "the year stands twice"),
        ("%Y-%m-%b-%d", "the month stands twice"),
        ("%d/%m", "the year is missing"),
        ("%Y-%m", "the day is missing"),
        ("", "the year is missing"),
        ("%Y-%m-%d %M", "the minute has no hour"),
        ("%Y-%m-%d %H:%S", "the second has no minute"),
        ("%Y-%m-%d %H:%M.%f", "the fraction has no second"),
        ("%Y-%m-%d%z", "the zone has no hour"),
        ("%Y-%m-%d %H %p", "the half of the day has no %I"),
        ("%Y-%m-%d %I", "%I has no %p"),
        (" %Y-%m-%d", "the spaces around a value do not count"),
    ],
)
def test_what_is_no_format_is_told_with_all_that_is_allowed(time_format: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"%Y or %y, %m or %b or %B, .*{reason}"):
        parse_time_format(time_format)
