"""How hard skills are: the team's model, in plain numpy. It knows neither Dagster nor where data come from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

Batch = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Difficulty:
    """The chance of a right answer.

    Attributes:
        rates: By skill.
        overall: Of a skill that was never seen.
    """

    rates: Mapping[int, float]
    overall: float

    @classmethod
    def learn(cls, batches: Iterable[Batch], smoothing: float) -> "Difficulty":
        """Counts right answers per skill; a rare skill is pulled towards all others by as many answers as `smoothing` says."""
        asked, right = np.zeros(0), np.zeros(0)
        for batch in batches:
            skills, correct = _items(batch)
            size = max(len(asked), int(skills.max(initial=-1)) + 1)
            asked = _grown(asked, size) + np.bincount(skills, minlength=size)
            right = _grown(right, size) + np.bincount(skills, correct, minlength=size)
        overall = float(right.sum() / max(asked.sum(), 1))
        rates = (right + smoothing * overall) / (asked + smoothing)
        return cls({int(skill): float(rates[skill]) for skill in np.flatnonzero(asked)}, overall)

    def loss(self, batches: Iterable[Batch]) -> float:
        """The mean log loss over all answers; 0.69 is what tossing a coin gives."""
        total, answers = 0.0, 0
        for batch in batches:
            skills, correct = _items(batch)
            chances = np.array([self.rates.get(int(skill), self.overall) for skill in skills])
            chances = np.clip(np.where(correct == 1, chances, 1 - chances), 1e-6, 1)
            total, answers = total - float(np.log(chances).sum()), answers + len(chances)
        return total / max(answers, 1)


def _items(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Skills and answers without the padding."""
    real = batch["is_pad_sequence"] == 0
    return batch["skillid_sequence"][real], batch["correct_sequence"][real]


def _grown(counts: np.ndarray, size: int) -> np.ndarray:
    return np.pad(counts, (0, size - len(counts)))
