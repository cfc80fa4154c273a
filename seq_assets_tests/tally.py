"""What tests that break things count, for the table of `docs/reliability.md`.

Belongs here: how the figures of a long form are shown. Not here: how anything is broken, which stands beside what it breaks.
"""

from collections.abc import Mapping
from typing import Final

from seq_assets_tests.athena.fixtures import SHOWN_AT_THE_END

CLEAN: Final = ("torn", "lost", "unreadable", "raw exceptions")
"""What is counted of each kind of fault; each count is to be 0."""


def tally(what: str, tried: int, counted: Mapping[str, int]) -> tuple[str, str]:
    """A line of the table, to be given to pytest's `record_property`, which shows it at the end.

    Args:
        what: What was broken.
        tried: How many times.
        counted: How often something of `CLEAN` came of it, for those that the test can see.
    """
    unknown = counted.keys() - set(CLEAN)
    assert not unknown, f"{unknown}: allowed are {CLEAN}"
    figures = [str(counted.get(name, "–")) for name in CLEAN]
    return SHOWN_AT_THE_END, f"| {what} | {tried:,} | {' | '.join(figures)} |"
