"""What the platform means, in the slowest and most obvious way: plain Python, one record, column, history and window at a time.

Every engine is compared with it, so it is written from the words of the documentation and shares no code with any. A model is
what its file says, as YAML reads it. From a file to a sequence: `files`, `reading`, `contract`, `split`, `vocabulary`,
`windows`; `pipeline` puts them together. Not here: strategies that make up models and files (`reference_cases`).
"""

import os
from typing import Final

from seq_assets_tests.reference.windows import (
    Definition,
    Feature,
    Row,
    Since,
    accounting,
    histories,
    in_order,
    item_of,
    sequences,
    windows,
)

FEWEST: Final = 3
"""Examples of the quick form: the first is always the simplest one."""

__all__ = [
    "Definition",
    "Feature",
    "Row",
    "Since",
    "accounting",
    "examples",
    "histories",
    "in_order",
    "item_of",
    "sequences",
    "windows",
]


def examples(count: int) -> int:
    """How many examples a property test tries: `count` in its long form, in the quick one a fifth, or as many as show a break.

    SEQ_ASSETS_TEST_EXAMPLES makes it the long form, so many times.
    """
    times = int(os.environ.get("SEQ_ASSETS_TEST_EXAMPLES", "0"))
    return count * times or min(count, max(FEWEST, count // 5))
