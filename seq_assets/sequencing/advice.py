"""What a sequence length would give, computed from the lengths of histories alone, before anything is built.

Exact, not estimated: the same numbers that the kernel counts (`sequencing.accounting`), by arithmetic on window kinds.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from seq_assets.models import ColumnType
from seq_assets.sequencing.accounting import SequenceAccounting
from seq_assets.sequencing.plans import SequencePlan
from seq_assets.sequencing.schemas import stored_type
from seq_assets.sequencing.windows import Int64, Sliding

ROUND_LENGTHS: Final = (
    *(1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 400, 500, 750),
    *(1_000, 1_500, 2_000, 3_000, 5_000, 7_500, 10_000),
)
"""Sequence lengths that people choose."""


@dataclass(frozen=True)
class Histories:
    """How many histories have how many items.

    Attributes:
        items: Distinct lengths of histories, ascending, int64.
        entities: How many entities have a history of each of them, int64.
    """

    items: Int64
    entities: Int64

    @classmethod
    def of(cls, counts: Iterable[tuple[int, int]]) -> "Histories":
        """From pairs of a length and the number of entities that have it."""
        pairs = np.array(sorted(counts), np.int64).reshape(-1, 2)
        return cls(pairs[:, 0], pairs[:, 1])

    @classmethod
    def of_positions(cls, parts: Iterable[Int64]) -> "Histories":
        """From the position of each item in its history, history after history, in parts of any size."""
        counted: Counter[int] = Counter()
        before = np.array([-1], np.int64)
        for positions in parts:
            joined = np.concatenate((before, positions))
            lengths, entities = np.unique(joined[:-1][positions == 0] + 1, return_counts=True)
            counted.update(dict(zip(lengths.tolist(), entities.tolist(), strict=True)))
            before = joined[-1:]
        counted[int(before[0]) + 1] += 1
        # Before the first history there was one of nothing.
        del counted[0]
        return cls.of(counted.items())

    @property
    def longest(self) -> int:
        """Items of the longest history; 0 where there is none."""
        return int(self.items.max(initial=0))

    def total(self, values: Int64) -> int:
        """The sum over all entities of a value per length of history."""
        return int((values * self.entities).sum())


@dataclass(frozen=True)
class Advice:
    """What one sequence length gives.

    Attributes:
        sequence_length: The length.
        accounting: Where every observation goes, and the padding.
        mostly_padding: Sequences at least half of whose positions are padding.
        bytes: Of all matrices in memory, uncompressed; texts count 4 bytes a position, as their characters are not known here.
    """

    sequence_length: int
    accounting: SequenceAccounting
    mostly_padding: int
    bytes: int

    @property
    def mostly_padding_ratio(self) -> float:
        """Their share of all sequences; 0 without sequences."""
        return self.mostly_padding / self.accounting.sequences if self.accounting.sequences else 0.0


def advise(plan: SequencePlan, histories: Histories) -> Advice:
    """What the plan would give for histories of these lengths."""
    L, n, window = plan.sequence_length, histories.items, plan.window  # noqa: N806
    windows, items = window.kept(n, L, plan.min_length)
    by_min_length = histories.total(window.dropped_by_min_length(n, L, plan.min_length))
    by_truncation = histories.total(np.where(n < plan.min_length, 0, window.dropped_by_truncation(n, L)))
    observations, sequences = histories.total(n), histories.total(windows)
    accounting = SequenceAccounting(
        observations=observations,
        sequenced=observations - by_min_length - by_truncation,
        dropped_min_length=by_min_length,
        dropped_truncation=by_truncation,
        sequences=sequences,
        positions=sequences * L,
        padding=sequences * L - histories.total(items),
    )
    half_empty = histories.total(window.kept_up_to(L // 2, n, L, plan.min_length))
    return Advice(L, accounting, half_empty, sequences * L * _bytes_per_position(plan))


def advised_lengths(plan: SequencePlan, histories: Histories, declared: Iterable[int]) -> list[int]:
    """The lengths worth comparing: the declared ones, and round ones that the window allows, up to the longest history."""
    smallest = max(plan.min_length, plan.window.stride if isinstance(plan.window, Sliding) else 1)
    longer = [length for length in ROUND_LENGTHS if length >= histories.longest][:1]
    round_ones = [length for length in ROUND_LENGTHS if smallest <= length < histories.longest]
    return sorted({*declared, *round_ones, *(length for length in longer if length >= smallest)})


def longest_within(plan: SequencePlan, histories: Histories, pad_ratio: float) -> int | None:
    """The longest round length below the plan's whose pad ratio is within a bound; None where there is none."""
    candidates = [length for length in advised_lengths(plan, histories, ()) if length < plan.sequence_length]
    for length in reversed(candidates):
        if advise(replace(plan, sequence_length=length), histories).accounting.pad_ratio <= pad_ratio:
            return length
    return None


def _bytes_per_position(plan: SequencePlan) -> int:
    masks = 2 if plan.window.overlaps else 1
    return masks + sum(_width(feature.item_type) for feature in plan.features)


def _width(item_type: ColumnType) -> int:
    return 4 if item_type is ColumnType.STRING else max(stored_type(item_type).bit_width // 8, 1)
