"""Where every observation went. Each term is counted on its own, none as a remainder, so that the sums can prove something."""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field


@dataclass(frozen=True)
class IngestAccounting:
    """Of one ingest: records read = accepted + rejected; accepted = train + validation.

    Attributes:
        read: Records that the source holds.
        accepted: Records that met the contract.
        rejected: Records that did not.
        train: Accepted records of the train subset.
        validation: Accepted records of the validation subset.
        rejected_by_reason: Rejected records by the reason of their first failed column, in contract order.
    """

    read: int
    accepted: int
    rejected: int
    train: int
    validation: int
    rejected_by_reason: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """Both sums and the reasons, as people read them in a log."""
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.rejected_by_reason.items())
        rejected = f"{self.rejected:,} ({reasons})" if reasons else f"{self.rejected:,}"
        return (
            f"read {self.read:,} = accepted {self.accepted:,} + rejected {rejected}; "
            f"accepted = train {self.train:,} + validation {self.validation:,}"
        )

    @property
    def rejected_ratio(self) -> float:
        """Rejected / read; 0 where nothing was read."""
        return self.rejected / self.read if self.read else 0.0

    @property
    def problems(self) -> list[str]:
        """The sums that do not hold; empty where nothing was lost."""
        checks = {
            f"read {self.read} = accepted {self.accepted} + rejected {self.rejected}": self.read
            == self.accepted + self.rejected,
            f"accepted {self.accepted} = train {self.train} + validation {self.validation}": self.accepted
            == self.train + self.validation,
            f"rejected {self.rejected} = the sum of {dict(self.rejected_by_reason)}": self.rejected
            == sum(self.rejected_by_reason.values()),
        }
        return [f"{sentence} does not hold" for sentence, holds in checks.items() if not holds]


@dataclass(frozen=True)
class SequenceAccounting:
    """Of one subset at one length: observations = sequenced + dropped.

    Attributes:
        observations: Observations of the subset.
        sequenced: Those in at least one kept window.
        dropped_min_length: Those only in windows shorter than `min_length`, or in a history without a window.
        dropped_truncation: Those that no window reaches (`first`, `last`).
        sequences: Kept windows.
        positions: Positions of all sequences: sequences times length.
        padding: Positions that hold no item.
    """

    observations: int = 0
    sequenced: int = 0
    dropped_min_length: int = 0
    dropped_truncation: int = 0
    sequences: int = 0
    positions: int = 0
    padding: int = 0

    @classmethod
    def total(cls, parts: "Iterable[SequenceAccounting]") -> "SequenceAccounting":
        """Of parts of a subset that share no entity, all together."""
        return cls(*map(sum, zip(*map(astuple, [cls(), *parts]), strict=True)))

    def __str__(self) -> str:
        """The sum and what was made, as people read it in a log."""
        return (
            f"observations {self.observations:,} = sequenced {self.sequenced:,} + dropped by min_length "
            f"{self.dropped_min_length:,} + dropped by truncation {self.dropped_truncation:,}; {self.sequences:,} sequences, "
            f"pad ratio {self.pad_ratio:.4f}"
        )

    @property
    def pad_ratio(self) -> float:
        """Padding positions / all positions; 0 without sequences."""
        return self.padding / self.positions if self.positions else 0.0

    @property
    def problems(self) -> list[str]:
        """The sums that do not hold; empty where nothing was lost."""
        if self.observations == self.sequenced + self.dropped_min_length + self.dropped_truncation:
            return []
        return [
            f"observations {self.observations} = sequenced {self.sequenced} + dropped by min_length "
            f"{self.dropped_min_length} + dropped by truncation {self.dropped_truncation} does not hold"
        ]
