"""What the sample school promises, to whoever tries the platform with it and to the tests that use it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from seq_assets.sample import SAMPLES, school_path
from seq_assets.sample.generate import SCHEMA, School, count_earlier, generate_school, main

IDS_AND_ANSWERS = ["pupilid", "timestamp", "exerciseid", "skillid", "correct"]


@pytest.fixture(scope="module")
def school() -> pa.Table:
    return pq.ParquetFile(school_path()).read()


@pytest.fixture(scope="module")
def generated() -> pa.Table:
    return generate_school(School())


def values(table: pa.Table, column: str) -> npt.NDArray[np.int64]:
    numbers: npt.NDArray[np.int64] = table[column].cast(pa.int64()).to_numpy()
    return numbers


def attempts(table: pa.Table) -> npt.NDArray[np.int64]:
    return count_earlier(values(table, "pupilid") * 1000 + values(table, "skillid"))


def assert_same(one: pa.Table, other: pa.Table) -> None:
    assert one.select(IDS_AND_ANSWERS).equals(other.select(IDS_AND_ANSWERS))
    np.testing.assert_allclose(one["elapsed"].to_numpy(), other["elapsed"].to_numpy(), rtol=0, atol=1e-4)


def test_the_sample_is_found_by_its_name() -> None:
    assert SAMPLES["school"] == school_path()
    assert school_path().is_file()


def test_the_bundled_file_is_small() -> None:
    assert school_path().stat().st_size < 900_000


def test_the_bundled_file_has_the_schema(school: pa.Table) -> None:
    expected = {
        "pupilid": pa.int64(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "exerciseid": pa.int32(),
        "skillid": pa.int32(),
        "correct": pa.int8(),
        "elapsed": pa.float32(),
    }
    assert list(zip(school.schema.names, school.schema.types, strict=True)) == list(expected.items())


def test_the_generated_table_has_the_declared_schema(generated: pa.Table) -> None:
    assert generated.schema == SCHEMA


def test_there_are_about_50_000_observations_of_500_pupils(school: pa.Table) -> None:
    assert school.num_rows == pytest.approx(50_000, rel=0.01)
    assert set(school["pupilid"].to_pylist()) == set(range(1, 501))


def test_there_are_20_skills_with_10_exercises_each(school: pa.Table) -> None:
    pairs = set(zip(school["exerciseid"].to_pylist(), school["skillid"].to_pylist(), strict=True))
    assert {exercise for exercise, _ in pairs} == set(range(1, 201))
    assert sorted(skill for _, skill in pairs) == sorted(list(range(1, 21)) * 10)


def test_the_number_of_rows_hardly_depends_on_the_seed() -> None:
    assert generate_school(School(seed=1)).num_rows == pytest.approx(50_000, rel=0.01)


def test_some_histories_are_very_short_and_some_are_long(school: pa.Table) -> None:
    lengths = np.bincount(values(school, "pupilid"))[1:]
    assert 2 <= np.sum(lengths <= 3) <= 20
    assert 5 <= np.sum(lengths > 400) <= 50
    assert np.median(lengths) < np.mean(lengths)


def test_rows_are_in_global_time_order_with_pupils_interleaved(school: pa.Table) -> None:
    timestamp, pupil = values(school, "timestamp"), values(school, "pupilid")
    assert np.all(np.diff(timestamp) >= 0)
    assert np.mean(np.diff(pupil) != 0) > 0.5


def test_some_answers_of_a_pupil_share_a_timestamp_and_none_is_a_repetition(school: pa.Table) -> None:
    moments = school.group_by(["pupilid", "timestamp"]).aggregate([]).num_rows
    observations = school.group_by(["pupilid", "timestamp", "exerciseid"]).aggregate([]).num_rows
    assert 0.95 * school.num_rows < moments < 0.99 * school.num_rows
    assert observations == school.num_rows


def test_timestamps_are_finer_than_a_millisecond(school: pa.Table) -> None:
    assert np.mean(values(school, "timestamp") % 1000 != 0) > 0.9


def test_only_answer_times_are_missing_and_about_3_percent_of_them(school: pa.Table) -> None:
    assert {name for name in school.column_names if school[name].null_count} == {"elapsed"}
    assert school["elapsed"].null_count / school.num_rows == pytest.approx(0.03, abs=0.005)


def test_answers_and_answer_times_are_in_range(school: pa.Table) -> None:
    assert set(school["correct"].to_pylist()) == {0, 1}
    assert pc.min(school["elapsed"]).as_py() >= 0
    assert pc.max(school["elapsed"]).as_py() <= 3600


def test_generating_twice_gives_the_same_table(generated: pa.Table) -> None:
    assert generate_school(School()).equals(generated)


def test_another_seed_gives_another_table(generated: pa.Table) -> None:
    assert not generate_school(School(seed=1)).equals(generated)


def test_the_bundled_file_is_what_the_generator_makes(school: pa.Table, generated: pa.Table) -> None:
    assert_same(school, generated)


def test_the_command_writes_the_bundled_file(school: pa.Table, tmp_path: Path) -> None:
    main([str(tmp_path / "school.parquet")])
    assert_same(school, pq.ParquetFile(tmp_path / "school.parquet").read())


def test_practice_helps(school: pa.Table) -> None:
    pairs = values(school, "pupilid") * 1000 + values(school, "skillid")
    attempt, correct = attempts(school), values(school, "correct")
    # Only who came to a sixth attempt, so that the same pupils and skills are compared.
    practised = np.isin(pairs, pairs[attempt == 5])
    assert correct[practised & (attempt >= 5)].mean() > correct[practised & (attempt == 0)].mean() + 0.1


def test_ability_matters(school: pa.Table) -> None:
    pupil, correct = values(school, "pupilid"), values(school, "correct")
    lengths = np.bincount(pupil)
    enough = lengths >= 20
    means = np.bincount(pupil, weights=correct)[enough] / lengths[enough]
    by_chance = np.mean(correct.mean() * (1 - correct.mean()) / lengths[enough])
    assert means.var() > 3 * by_chance


def test_difficulty_matters(school: pa.Table) -> None:
    exercise, correct = values(school, "exerciseid"), values(school, "correct")
    counts = np.bincount(exercise)[1:]
    means = np.bincount(exercise, weights=correct)[1:] / counts
    by_chance = np.mean(correct.mean() * (1 - correct.mean()) / counts)
    assert means.var() > 3 * by_chance


def test_answers_that_are_likely_correct_take_less_time(school: pa.Table) -> None:
    known = school.filter(pc.is_valid(school["elapsed"]))
    elapsed, correct = known["elapsed"].to_numpy(), values(known, "correct")
    assert np.median(elapsed[correct == 1]) < 0.9 * np.median(elapsed[correct == 0])
