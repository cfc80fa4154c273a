"""What the platform means, in the slowest and most obvious way: plain Python, one record, column, history and window at a time.

Every engine is compared with it, so it is written from the words of the documentation and shares no code with any. A model is
what its file says, as YAML reads it. From a file to a sequence: `files`, `reading`, `contract`, `split`, `vocabulary`,
`windows`; `pipeline` puts them together. Not here: strategies that make up models and files (`reference_cases`).
"""

import os

from seq_assets_tests.reference.windows import (
    Definition,
    Feature,
    Row,
    accounting,
    histories,
    in_order,
    item_of,
    sequences,
    windows,
)

__all__ = ["Definition", "Feature", "Row", "accounting", "examples", "histories", "in_order", "item_of", "sequences", "windows"]


def examples(count: int) -> int:
    """How many examples a property test tries: `count`, times SEQ_ASSETS_TEST_EXAMPLES for a long run."""
    return count * int(os.environ.get("SEQ_ASSETS_TEST_EXAMPLES", "1"))
