"""Generated observations are the same everywhere, and like EdNet's."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.generating import HISTORIES, Histories, Observations


def table_of(observations: Observations) -> pa.Table:
    return pa.Table.from_batches(observations.batches())


def test_they_are_the_same_each_time() -> None:
    assert table_of(Observations(5_000)).equals(table_of(Observations(5_000)))


@pytest.mark.parametrize("histories", HISTORIES)
def test_there_are_as_many_rows_as_asked_for(histories: Histories) -> None:
    table = table_of(Observations(12_345, histories))
    assert table.num_rows == 12_345
    found = np.unique(table["pupil"].to_numpy(), return_counts=True)[1]
    assert sorted(found) == sorted(Observations(12_345, histories).history_lengths())


def test_histories_are_log_normal_with_the_mean_of_ednet() -> None:
    lengths = Observations(17_000_000).history_lengths()
    assert lengths.mean() == pytest.approx(167, abs=0.1)
    assert np.median(lengths) == pytest.approx(54, abs=3)
    assert np.log(lengths).std() == pytest.approx(1.5, abs=0.1)


def test_equal_histories_differ_by_one_row_at_most() -> None:
    lengths = Observations(100_000, "equal").history_lengths()
    assert lengths.max() - lengths.min() <= 1


def test_one_pupil_can_have_half_of_all_rows() -> None:
    assert Observations(100_000, "one-half").history_lengths().max() == 50_000


def test_rows_are_in_time_order_and_no_two_have_one_timestamp() -> None:
    timestamps = table_of(Observations(5_000))["timestamp"].cast(pa.int64()).to_numpy()
    assert (np.diff(timestamps) > 0).all()


def test_pupils_are_interleaved() -> None:
    pupils = table_of(Observations(50_000))["pupil"].to_numpy()
    assert (pupils[1:] != pupils[:-1]).mean() > 0.9


def test_columns_have_the_types_of_the_task() -> None:
    assert table_of(Observations(1_000)).schema == pa.schema(
        {
            "pupil": pa.int64(),
            "timestamp": pa.timestamp("us", "UTC"),
            "exercise": pa.int32(),
            "skill": pa.int32(),
            "correct": pa.int8(),
            "elapsed": pa.float32(),
        }
    )


def test_a_file_is_written_once(tmp_path: Path) -> None:
    file = Observations(1_000).file_in(tmp_path)
    before = file.stat()
    assert Observations(1_000).file_in(tmp_path) == file
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert [found.name for found in tmp_path.iterdir()] == [file.name]
