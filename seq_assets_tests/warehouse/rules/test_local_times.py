"""The table of a zone's local times: what stands in it, and that a query holds it."""

from datetime import UTC, datetime

import pytest

from seq_assets.warehouse.rules.local_times import Stretch, local_time_sql, stretches

LONGEST_EXPRESSION = 20_000


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_a_zone_without_changes_is_one_stretch() -> None:
    assert stretches("UTC") == (Stretch(None, 0),)
    assert stretches("Etc/GMT-14") == (Stretch(None, 14 * 3600),)


def test_skipped_local_times_are_a_stretch_of_their_own_and_repeated_ones_belong_to_the_first() -> None:
    found = [stretch for stretch in stretches("Europe/Amsterdam") if (stretch.start or 0) > seconds("2023-01-01")][:3]
    assert found == [
        Stretch(seconds("2023-03-26 02:00"), None),
        Stretch(seconds("2023-03-26 03:00"), 7200),
        Stretch(seconds("2023-10-29 03:00"), 3600),
    ]


def test_before_a_zone_changed_its_clocks_it_had_the_time_of_its_sun() -> None:
    first = stretches("Europe/Amsterdam")[0]
    assert first.start is None
    assert first.offset in (1050, 1172)  # of Brussels or of Amsterdam, by the edition of the database


def test_what_lies_too_far_ahead_is_unknown_where_clocks_change_still() -> None:
    for zone in ("Europe/Amsterdam", "America/New_York"):
        assert stretches(zone)[-1] == Stretch(seconds("2101-01-01 00:00"), None)
    assert stretches("Asia/Kolkata")[-1].offset == 19_800


@pytest.mark.parametrize("zone", ["Europe/Amsterdam", "America/New_York", "America/St_Johns", "Europe/London"])
def test_a_zone_is_short_enough_for_a_dozen_columns(zone: str) -> None:
    assert len(local_time_sql("_l99", zone)) < LONGEST_EXPRESSION
