"""What differs from case to case, which values go together, and the pairs of values that a run has compared.

Belongs here: the dimensions, in one place, the choice of cases that covers all pairs of their values, and the table that is
printed of it. Not here: what a value means for a model file or a source (`generating`).
"""

import itertools
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from seq_assets_tests.reference_cases.contracts import ENCODABLE, TYPES, WINDOWS

Values: TypeAlias = Mapping[str, str]
"""The value of each dimension, or of some."""
Pair: TypeAlias = tuple[tuple[str, str], tuple[str, str]]

SOURCE_DIMENSIONS: Final[Mapping[str, Sequence[str]]] = {
    "format": ("csv", "json", "parquet", "dkt"),
    "split": ("entity_hash", "column", "time", "location"),
    "dirt": ("none", "cells", "validations", "records", "all"),
    "entity": ("small integer", "int64", "string"),
    "order": ("rows", "one key with ties", "two keys with ties", "one key"),
    "lag": ("no", "yes"),
}
"""What one ingest decides for all cases on it."""
CASE_DIMENSIONS: Final[Mapping[str, Sequence[str]]] = {
    "type": TYPES,
    "vocabulary": ("no", "no, filled", "yes", "yes, filled", "yes, frequent"),
    "window": WINDOWS,
    "side": ("right", "left"),
    "stride": ("none", "1", "some", "the length"),
    "length": ("1", "2 to 4", "5 to 9", "longer"),
    "min_length": ("1", "some", "the length"),
    "subset": ("train", "validation"),
}
"""What each case decides for itself; type and vocabulary are of its first feature."""
DIMENSIONS: Final = {**SOURCE_DIMENSIONS, **CASE_DIMENSIONS}

_STRIDES: Final = [("stride", value) for value in CASE_DIMENSIONS["stride"] if value != "none"]
INCOMPATIBLE: Final[frozenset[Pair]] = frozenset(
    itertools.chain(
        # Only sliding windows have a stride.
        [(("window", "sliding"), ("stride", "none"))],
        ((("window", window), stride) for window in WINDOWS if window != "sliding" for stride in _STRIDES),
        # What has no whole values cannot be encoded.
        (
            (("type", type_), ("vocabulary", value))
            for type_ in TYPES
            if type_ not in ENCODABLE
            for value in CASE_DIMENSIONS["vocabulary"]
            if value.startswith("yes")
        ),
        # Three-line text has an entity and a position of its own, and neither times nor a column to split by.
        ((("format", "dkt"), ("split", value)) for value in ("column", "time")),
        ((("format", "dkt"), ("entity", value)) for value in ("small integer", "int64")),
        ((("format", "dkt"), ("order", value)) for value in ("one key with ties", "two keys with ties")),
        # The time since the item before goes by a timestamp.
        ((("lag", "yes"), other) for other in (("format", "dkt"), ("order", "rows"))),
        # Every row of a Parquet file is a record.
        [(("format", "parquet"), ("dirt", "records"))],
        # A sequence of one item has one stride and one smallest length, which are its length.
        ((("stride", value), ("length", "1")) for value in ("1", "some")),
        ((("length", "1"), ("min_length", value)) for value in ("some", "the length")),
    )
)
_TRIES: Final = 40


def goes(value: tuple[str, str], values: Values) -> bool:
    """Whether a value of a dimension goes with those of others."""
    return not any((value, other) in INCOMPATIBLE or (other, value) in INCOMPATIBLE for other in values.items())


def all_pairs(dimensions: Mapping[str, Sequence[str]] = DIMENSIONS) -> set[Pair]:
    """The pairs of values of two dimensions that go together."""
    return {
        ((one, first), (other, second))
        for (one, firsts), (other, seconds) in itertools.combinations(dimensions.items(), 2)
        for first, second in itertools.product(firsts, seconds)
        if goes((one, first), {other: second})
    }


def pairs_of(values: Values) -> set[Pair]:
    """The pairs of a case's values, in the order of the dimensions."""
    return set(itertools.combinations([(name, values[name]) for name in DIMENSIONS if name in values], 2))


def covering_values(
    bases: Sequence[Values], free: Mapping[str, Sequence[str]], missing: set[Pair], generator: random.Random
) -> dict[str, str]:
    """A value of each free dimension beside one of the bases, which together cover many of the missing pairs.

    One of them is covered for certain, where any can be.
    """
    possible = [(base, pair) for base in bases for pair in sorted(missing) if _can_have(pair, base, free)]
    if not possible:
        return _random_values(generator.choice(bases), free, generator)
    tried = (generator.choice(possible) for _ in range(_TRIES))
    candidates = [_random_values({**base, **dict(pair)}, free, generator) for base, pair in tried]
    return max(candidates, key=lambda values: len(pairs_of(values) & missing))


def _can_have(pair: Pair, base: Values, free: Mapping[str, Sequence[str]]) -> bool:
    return all(base.get(name) == value or (name in free and goes((name, value), base)) for name, value in pair)


def _random_values(fixed: Values, free: Mapping[str, Sequence[str]], generator: random.Random) -> dict[str, str]:
    """A value of each free dimension that is not fixed; all go together."""
    while True:
        values = dict(fixed)
        for name in generator.sample(sorted(free), len(free)):
            fitting = [value for value in free[name] if name in values or goes((name, value), values)]
            if not fitting:
                break
            values.setdefault(name, generator.choice(fitting))
        else:
            return values


@dataclass
class Coverage:
    """What a run has compared in three ways.

    Attributes:
        pairs: How often each pair of values has occurred.
        cases: The cases.
        hard: Those with ties, a history longer than the sequence length and dirt.
    """

    pairs: Counter[Pair] = field(default_factory=Counter)
    cases: int = 0
    hard: int = 0

    def note(self, values: Values, is_hard: bool) -> None:
        """One more case was compared."""
        self.pairs.update(pairs_of(values))
        self.cases += 1
        self.hard += is_hard

    @property
    def missing(self) -> set[Pair]:
        """The pairs that have not occurred."""
        return all_pairs() - set(self.pairs)

    def table(self) -> str:
        """A row per value of a dimension: the cases with it, the rarest pair that it is part of, the pairs covered."""
        width = max(len(f"{name} = {value}") for name, values in DIMENSIONS.items() for value in values)
        lines = [f"{'value':{width}}  pairs covered  rarest pair"]
        for name, values in DIMENSIONS.items():
            for value in values:
                mine = [pair for pair in all_pairs() if (name, value) in pair]
                covered = [pair for pair in mine if pair in self.pairs]
                rarest = min(mine, key=lambda pair: (self.pairs[pair], pair))
                other = rarest[0] if rarest[1] == (name, value) else rarest[1]
                shown = f"{self.pairs[rarest]} x with {other[0]} = {other[1]}"
                lines.append(f"{f'{name} = {value}':{width}}  {len(covered):>3} of {len(mine):<6}  {shown}")
        share = self.hard / self.cases if self.cases else 0
        lines.append(f"{self.cases} cases, {len(self.pairs)} of {len(all_pairs())} pairs;")
        lines.append(f"{self.hard} cases ({share:.0%}) with ties, histories longer than L and dirt")
        return "\n".join(lines)
