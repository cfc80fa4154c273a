"""Answers of pupils for the tour, and what must come out of them, computed without the package."""

import hashlib
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

SKILLS: Final = 12
MOST_ANSWERS: Final = 60
VALIDATION_FRACTION: Final = 0.2


def write_answers(file: Path, pupils: Iterable[int], wrong_answers: int = 0) -> list[int]:
    """Writes a history of answers for each pupil, whose first ones break the contract of `correct` if asked for.

    Returns:
        How many answers each pupil gave: few gave many.
    """
    chance = random.Random(file.name)
    histories: list[int] = []
    lines: list[str] = []
    for pupil in pupils:
        answers = min(MOST_ANSWERS, round(chance.lognormvariate(2.3, 0.9)) + 1)
        histories.append(answers)
        for time in range(answers):
            correct = 2 if len(lines) < wrong_answers else chance.randrange(2)
            lines.append(f"{pupil},{time},{chance.randrange(SKILLS)},{correct}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(["pupil,time,skill,correct", *lines]) + "\n", encoding="utf-8")
    return histories


def is_train(pupil: int) -> bool:
    """Whether a pupil is in the subset `train`, of a model with the seed 0."""
    return int(hashlib.md5(f"0:{pupil}".encode()).hexdigest()[:8], 16) / 2**32 >= VALIDATION_FRACTION


def pad_ratio(histories: Sequence[int], sequence_length: int) -> float:
    """The share of padding where histories are cut into chunks."""
    sequences = sum(-(-items // sequence_length) for items in histories)
    return 1 - sum(histories) / (sequences * sequence_length)
