"""Make the sample school: pupils who answer exercises, and learn by doing so.

    python -m seq_assets.sample.generate OUT.parquet

The chance of a correct answer follows the item-response model of Rasch (1960), *Probabilistic Models for Some
Intelligence and Attainment Tests*: it depends only on ability minus difficulty. A term for earlier practice on the
same skill is added to it, as in the additive factors model of Cen, Koedinger and Junker (2006), *Learning Factors
Analysis*, but logarithmic, so that each further attempt helps less. The sum, ability plus practice minus difficulty,
is called the advantage. The answer times are log-normal, after van der Linden (2006), *A Lognormal Model for Response
Times on Test Items*.

Inside this module, pupils, skills and exercises are counted from 0 and answers are kept pupil by pupil; `to_table`
turns them into ids from 1 and one global time order. The same parameters always give the same table.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MICROSECONDS_PER_SECOND = 1_000_000
MICROSECONDS_PER_DAY = 86_400 * MICROSECONDS_PER_SECOND

SCHEMA = pa.schema(
    [
        ("pupilid", pa.int64()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("exerciseid", pa.int32()),
        ("skillid", pa.int32()),
        ("correct", pa.int8()),
        ("elapsed", pa.float32()),
    ]
)


@dataclass(frozen=True)
class School:
    """The parameters of a school. Abilities, difficulties and learning are in logits, the unit of the Rasch model.

    Attributes:
        seed: Seed of the random numbers.
        pupils: Number of pupils.
        skills: Number of skills.
        exercises_per_skill: Number of exercises of each skill; an exercise belongs to one skill.
        mean_answers: Mean number of answers of a pupil.
        answers_spread: Standard deviation of the logarithm of that number.
        ability_spread: Standard deviation of the pupils' abilities, around 0.
        skill_spread: Standard deviation of the skills' difficulties, around 0.
        exercise_spread: Standard deviation of the exercises' difficulties around the one of their skill.
        learning: Gain for each factor of e in 1 + the number of earlier attempts on the skill.
        skill_change: Probability that a pupil draws a skill anew before an answer, rather than stay with the last one.
        median_elapsed: Median answer time, in seconds, where ability and practice just match the difficulty.
        elapsed_spread: Standard deviation of the logarithm of the answer time.
        elapsed_slope: Decrease of the logarithm of the answer time per logit of advantage.
        max_elapsed: Longest answer time, in seconds; longer ones are cut to it.
        missing_elapsed: Probability that no answer time was recorded.
        handed_in_together: Probability that an answer has the same timestamp as the pupil's answer before.
        session_break: Probability that a pupil stops for at least a day before an answer.
        max_pause: Longest pause between two answers of a session, in seconds.
        max_break: Longest break between two sessions, in days.
        first_lesson: When the school year begins.
        enrolment: Number of days, from the first, on which pupils begin.
    """

    seed: int = 0
    pupils: int = 500
    skills: int = 20
    exercises_per_skill: int = 10
    mean_answers: float = 100.0
    answers_spread: float = 1.1
    ability_spread: float = 1.0
    skill_spread: float = 0.7
    exercise_spread: float = 0.7
    learning: float = 0.6
    skill_change: float = 0.2
    median_elapsed: float = 20.0
    elapsed_spread: float = 0.8
    elapsed_slope: float = 0.25
    max_elapsed: float = 3600.0
    missing_elapsed: float = 0.03
    handed_in_together: float = 0.03
    session_break: float = 0.07
    max_pause: float = 10.0
    max_break: int = 3
    first_lesson: datetime = datetime(2023, 9, 4, 7, tzinfo=UTC)
    enrolment: int = 30


@dataclass(frozen=True)
class Answers:
    """The answers of a school, pupil by pupil and in the order of time within each; every array has shape (answers,).

    Attributes:
        pupil: The pupil who answered, from 0.
        timestamp: When, in microseconds since 1970 UTC.
        exercise: The exercise answered, from 0.
        skill: The skill of that exercise, from 0.
        correct: Whether the answer was correct.
        elapsed: The time that the answer took, in seconds.
        has_elapsed: Whether that time was recorded.
    """

    pupil: Integers
    timestamp: Integers
    exercise: Integers
    skill: Integers
    correct: Booleans
    elapsed: Floats
    has_elapsed: Booleans


def generate_school(school: School) -> pa.Table:
    """Make a school.

    Args:
        school: Its parameters.

    Returns:
        One row per answer in global time order, with the columns of `SCHEMA`; `elapsed` is in seconds.
    """
    return to_table(draw_answers(np.random.Generator(np.random.PCG64(school.seed)), school))


def draw_answers(random: np.random.Generator, school: School) -> Answers:
    """Draw every answer of the school."""
    pupil = draw_pupils(random, school)
    skill = draw_skills(random, school, pupil)
    attempts = count_earlier(pupil * school.skills + skill)
    exercise = draw_exercises(random, school, pupil, skill, attempts)
    advantage = draw_abilities(random, school)[pupil] - draw_difficulties(random, school)[exercise]
    advantage += school.learning * np.log1p(attempts)
    elapsed = draw_elapsed(random, school, advantage)
    return Answers(
        pupil=pupil,
        timestamp=draw_timestamps(random, school, pupil, elapsed),
        exercise=exercise,
        skill=skill,
        correct=random.random(len(pupil)) < probability_correct(advantage),
        elapsed=elapsed,
        has_elapsed=random.random(len(pupil)) >= school.missing_elapsed,
    )


def draw_pupils(random: np.random.Generator, school: School) -> Integers:
    """Draw how often each pupil answers, log-normally, and return the pupil of every answer, shape (answers,).

    The numbers are scaled to the mean asked for, so that the size of the school does not depend on the seed.
    """
    weights = np.exp(school.answers_spread * random.standard_normal(school.pupils))
    lengths = to_integers(np.maximum(1, np.rint(school.mean_answers * weights / weights.mean())))
    return np.repeat(np.arange(school.pupils), lengths)


def draw_skills(random: np.random.Generator, school: School, pupil: Integers) -> Integers:
    """Draw the skill of every answer, shape (answers,): pupils stay with a skill for some answers, then change."""
    changes = starts_group(pupil) | (random.random(len(pupil)) < school.skill_change)
    candidates = to_integers(school.skills * random.random(len(pupil)))
    latest_change = np.maximum.accumulate(np.where(changes, np.arange(len(pupil)), 0))
    return candidates[latest_change]


def draw_exercises(
    random: np.random.Generator, school: School, pupil: Integers, skill: Integers, attempts: Integers
) -> Integers:
    """Draw the exercise of every answer, shape (answers,).

    A pupil takes the exercises of a skill in turn, beginning anywhere. So none comes again before all others have
    been answered, and which exercise it is says nothing about how much the pupil has practised.
    """
    starts = to_integers(school.exercises_per_skill * random.random((school.pupils, school.skills)))
    return skill * school.exercises_per_skill + (starts[pupil, skill] + attempts) % school.exercises_per_skill


def draw_abilities(random: np.random.Generator, school: School) -> Floats:
    """Draw the ability of every pupil, in logits, shape (pupils,)."""
    return school.ability_spread * random.standard_normal(school.pupils)


def draw_difficulties(random: np.random.Generator, school: School) -> Floats:
    """Draw the difficulty of every exercise, in logits, shape (exercises,); exercises of one skill are alike."""
    of_skills = school.skill_spread * random.standard_normal(school.skills)
    of_exercises = school.exercise_spread * random.standard_normal(school.skills * school.exercises_per_skill)
    return np.repeat(of_skills, school.exercises_per_skill) + of_exercises


def draw_elapsed(random: np.random.Generator, school: School, advantage: Floats) -> Floats:
    """Draw the time that every answer took, in seconds to one decimal, shape (answers,); an advantage shortens it."""
    logarithm = school.elapsed_spread * random.standard_normal(len(advantage)) - school.elapsed_slope * advantage
    return np.minimum(school.max_elapsed, np.round(school.median_elapsed * np.exp(logarithm), 1))


def draw_timestamps(random: np.random.Generator, school: School, pupil: Integers, elapsed: Floats) -> Integers:
    """Draw when every answer was given, in microseconds since 1970 UTC, shape (answers,).

    Breaks last whole days, so that pupils work in the same hours and their answers interleave.
    """
    first = starts_group(pupil)
    chance, pauses, stays = random.random((3, len(pupil)))
    seconds = np.where(chance < 1 - school.handed_in_together, elapsed + school.max_pause * pauses, 0)
    days = np.where(chance < school.session_break, 1 + np.floor(school.max_break * stays), 0)
    days[first] = np.floor(school.enrolment * stays[first])
    # Whole numbers before they are summed: sums of floats could differ in the last microsecond between machines.
    gaps = to_integers(MICROSECONDS_PER_DAY * days) + to_integers(np.rint(MICROSECONDS_PER_SECOND * seconds))
    total: Integers = np.cumsum(gaps)
    total_before_pupil: Integers = (total - gaps)[first]
    return int(school.first_lesson.timestamp()) * MICROSECONDS_PER_SECOND + total - total_before_pupil[pupil]


def to_integers(numbers: Floats) -> Integers:
    """Cut numbers to integers, the shape is kept."""
    return numbers.astype(np.int64)


def probability_correct(advantage: Floats) -> Floats:
    """Return the Rasch probability of a correct answer; the advantage is in logits, the shape is kept."""
    probability: Floats = 1 / (1 + np.exp(-advantage))
    return probability


def starts_group(groups: Integers) -> Booleans:
    """Tell which items are the first of a run of equal numbers (none below 0), shape (items,)."""
    starts: Booleans = np.diff(groups, prepend=-1) != 0
    return starts


def count_earlier(groups: Integers) -> Integers:
    """Count for every item how many items of the same group stand before it, shape (items,)."""
    order = np.argsort(groups, kind="stable")
    positions = np.arange(len(groups))
    group_starts = np.maximum.accumulate(np.where(starts_group(groups[order]), positions, 0))
    counts = np.empty_like(positions)
    counts[order] = positions - group_starts
    return counts


def to_table(answers: Answers) -> pa.Table:
    """Put the answers into global time order and into the columns of `SCHEMA`, with ids from 1."""
    order = np.argsort(answers.timestamp, kind="stable")
    return pa.Table.from_arrays(
        [
            pa.array(answers.pupil[order] + 1, pa.int64()),
            pa.array(answers.timestamp[order], pa.timestamp("us", tz="UTC")),
            pa.array(answers.exercise[order] + 1, pa.int32()),
            pa.array(answers.skill[order] + 1, pa.int32()),
            pa.array(answers.correct[order].astype(np.int8), pa.int8()),
            pa.array(answers.elapsed[order].astype(np.float32), pa.float32(), mask=~answers.has_elapsed[order]),
        ],
        schema=SCHEMA,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the sample school to the Parquet file named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m seq_assets.sample.generate", description="Make the sample school.")
    parser.add_argument("output", type=Path, metavar="OUT.parquet", help="the file to write")
    output: Path = parser.parse_args(arguments).output
    pq.write_table(generate_school(School()), output, compression="zstd")


if __name__ == "__main__":
    main()
