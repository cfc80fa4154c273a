"""In how many kept windows an item stands, and why it stands in none, as SQL that DuckDB and Athena both understand.

From the definition of each window kind, item by item, independent of how sequences are made: audits count with it.
"""

from dataclasses import dataclass

from seq_assets.sequencing.plans import SequencePlan
from seq_assets.sequencing.windows import Chunk, First, Prefix, Sliding


@dataclass(frozen=True)
class Coverage:
    """SQL about an item at position `_p` of a history of `_n` items.

    Attributes:
        windows: In how many kept windows it stands.
        min_length: If in none: it was dropped because of `min_length` (or has no window at all), not by truncation.
    """

    windows: str
    min_length: str


def coverage_of(plan: SequencePlan) -> Coverage:
    """What the plan's window kind says."""
    L, short = plan.sequence_length, plan.min_length  # noqa: N806
    if isinstance(plan.window, Chunk):
        rest = f"mod(_n, {L})"
        return Coverage(_one_if(f"_p < _n - CASE WHEN {rest} < {short} THEN {rest} ELSE 0 END"), "true")
    if isinstance(plan.window, Sliding):
        s = plan.window.stride
        last = f"CASE WHEN _n <= {L} THEN 0 ELSE {_quotient(f'_n - {L} + {s - 1}', s)} END"
        last_kept = f"{last} - {_one_if(f'_n - {s} * {last} < {short}')}"
        first_with_item = f"CASE WHEN _p < {L} THEN 0 ELSE {_quotient(f'_p - {L}', s)} + 1 END"
        return Coverage(_number(first_with_item, f"least({_quotient('_p', s)}, {last_kept})"), "true")
    if isinstance(plan.window, Prefix):
        # A window is named by the position of its target, the last item.
        first_kept = max(short, 2) - 1
        return Coverage(_number(f"greatest(_p, {first_kept})", f"least(_p + {L - 1}, _n - 1)"), f"_n <= {first_kept}")
    inside = f"_p < {L}" if isinstance(plan.window, First) else f"_p >= _n - {L}"
    return Coverage(_one_if(f"_n >= {short} AND {inside}"), f"_n < {short}")


def _one_if(condition: str) -> str:
    return f"CASE WHEN {condition} THEN 1 ELSE 0 END"


def _quotient(dividend: str, divisor: int) -> str:
    """The whole quotient: the engines agree on division where nothing remains."""
    return f"CAST((({dividend}) - mod({dividend}, {divisor})) / {divisor} AS bigint)"


def _number(first: str, last: str) -> str:
    """How many whole numbers there are from the first to the last."""
    return f"greatest(({last}) - ({first}) + 1, 0)"
