"""A handle as people meet it: what it says of itself, its rows by their places, what completes, and how it travels."""

import doctest
import pickle
import re
import shutil
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seq_assets
from seq_assets.client import datasets
from seq_assets.client.batches import StoredRows, permutation
from seq_assets.client.catalog import BuiltModel
from seq_assets.client.datasets import SequenceDataset, dataset_of
from seq_assets.environments import current_environment
from seq_assets.sequencing.plans import Dataset
from seq_assets_tests.client.files import dataset, in_groups
from seq_assets_tests.reference import examples
from seq_assets_tests.warehouse.building import Workspace

# What it says of itself


@pytest.mark.usefixtures("bundled_home")
def test_a_handle_shows_what_it_is_in_a_few_lines() -> None:
    ds = seq_assets.load("dkt", sequence_length=100)
    assert repr(ds).splitlines() == [
        f"SequenceDataset: dkt, train, length 100, version {ds.version}",
        f"  677 sequences of 100 positions, 36.0% padding, published {ds.metadata['committed_at']:%Y-%m-%d %H:%M} UTC",
        "  features: pupilid (int64), skillid (int32), correct (int8), elapsed (float32)",
        "  arrays: to_numpy(), to_torch(), batches(256), ds[0]; tables: to_pandas(), to_polars(), to_arrow(), head()",
    ]
    title, rows, columns, _ = repr(seq_assets.load_observations("irt")).splitlines()
    assert re.fullmatch(r"ObservationDataset: irt, all subsets, version [0-9]+", title)
    assert re.fullmatch(r"  50,010 rows, published .* UTC", rows)
    assert columns.startswith("  columns: pupilid (int64), timestamp (datetime64[us]), exerciseid (int32), correct (int8), ")


@pytest.mark.usefixtures("bundled_home")
def test_a_notebook_shows_the_first_rows_too() -> None:
    ds = seq_assets.load("dkt", sequence_length=100)
    shown = ds._repr_html_()
    for line in repr(ds).splitlines()[1:3]:
        assert line.strip() in shown
    assert shown.count("<tr>") == 1 + 3, "the names, and three sequences"
    first = ds[0]
    assert f"<td>{first['pupilid']}</td>" in shown
    assert f"<td>[{', '.join(map(str, first['elapsed_sequence'][:8]))}, …]</td>" in shown
    assert shown.count("<th>") == len(ds.columns)


def test_what_a_notebook_shows_is_text_and_no_markup(tmp_path: Path, workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil,time,item\n<b>&,0,1\n")
    spec = workspace.model(columns={"pupil": {"type": "string"}, "time": {"type": "int64"}, "item": {"type": "int32"}})
    published = workspace.ingest(spec).version
    shown = dataset_of(workspace.warehouse, published)._repr_html_()
    assert "<td>&lt;b&gt;&amp;</td>" in shown
    assert "<b>" not in shown


def test_of_many_columns_the_first_are_named(workspace: Workspace) -> None:
    columns = {f"column_{number}": {"type": "int64"} for number in range(20)}
    workspace.write("source.csv", f"{','.join(columns)}\n{','.join('1' * 20)}\n")
    spec = workspace.model(columns=columns, entity="column_0", order_by=["column_1"])
    observations = dataset_of(workspace.warehouse, workspace.ingest(spec).version)
    assert repr(observations).splitlines()[2].endswith("column_11 (int64) and 12 more")
    assert observations._repr_html_().count("<th>") == 12


@pytest.mark.usefixtures("bundled_home")
def test_a_notebook_shows_why_rows_cannot_be_read(tmp_path: Path, bundled_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = shutil.copytree(bundled_home, tmp_path / "copy")
    monkeypatch.setenv("SEQ_ASSETS_HOME", str(home))
    ds = seq_assets.load("dkt", sequence_length=100)
    [file] = seq_assets.versions("dkt", sequence_length=100)[0].files
    Path(file).unlink()
    assert f"version {ds.version}, cannot be read" in ds._repr_html_()
    assert "677 sequences" in repr(ds)


@pytest.mark.usefixtures("bundled_home")
def test_features_and_columns_are_named_with_the_types_of_arrays() -> None:
    ds, observations = seq_assets.load("dkt", sequence_length=50), seq_assets.load_observations("irt")
    for handle in (ds, observations):
        assert dict(handle.columns) == {name: array.dtype for name, array in handle.to_numpy().items()}
        assert list(handle.columns) == list(handle.to_numpy())
    assert list(ds.features) == list(current_environment().registry()["dkt"].features)
    assert all(ds.columns[f"{name}_sequence"] == dtype for name, dtype in ds.features.items())


@pytest.mark.usefixtures("bundled_home")
def test_completion_offers_what_people_use_and_nothing_private() -> None:
    common = {
        *("model", "subset", "version", "metadata", "columns"),
        *("batches", "head", "to_arrow", "to_numpy", "to_pandas", "to_polars", "to_torch", "vocabulary"),
    }
    offered = dir(seq_assets.load("dkt", sequence_length=50))
    assert common | {"sequence_length", "features", "pad_ratio", "score_mask"} <= set(offered)
    assert common <= set(dir(seq_assets.load_observations("irt")))
    assert [name for name in offered if name.startswith("_")] == []


# Examples


def documented() -> list[Any]:
    """What `help()` is asked for: what is public of the client."""
    named = [*(getattr(seq_assets, name) for name in seq_assets.__all__), BuiltModel]
    return [each for each in named if is_of_the_client(each)]


def is_of_the_client(each: Any) -> bool:
    return str(each.__module__).startswith("seq_assets.client.")


@pytest.mark.usefixtures("bundled_home")
@pytest.mark.parametrize("documented", documented(), ids=lambda each: each.__name__)
def test_the_examples_of_help_run_and_show_what_they_say(documented: Any) -> None:
    names = {"seq_assets": seq_assets, "ds": seq_assets.load("dkt", sequence_length=100)}
    inherited = [base for base in getattr(documented, "__mro__", ()) if is_of_the_client(base)]
    found = [test for each in inherited or [documented] for test in doctest.DocTestFinder().find(each, globs=names)]
    assert documented is datasets.RejectedDataset or any(test.examples for test in found), "there is an example"
    told: list[str] = []
    for test in found:
        doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=told.append)
    assert not told, "".join(told)


# Rows


@pytest.mark.usefixtures("bundled_home")
@pytest.mark.parametrize("place", [0, 5, 174, -1, -175, np.int64(3)])
def test_a_row_has_the_values_of_its_place(place: int) -> None:
    for ds in (
        seq_assets.load("dkt", sequence_length=50, subset="validation"),
        seq_assets.load_observations("irt", subset="validation"),
    ):
        row, whole = ds[place], ds.to_numpy()
        assert list(row) == list(whole)
        for name, array in whole.items():
            np.testing.assert_array_equal(row[name], array[place])
            assert getattr(row[name], "dtype", None) == getattr(array[place], "dtype", None)


@settings(max_examples=examples(40))
@given(
    sizes=st.lists(st.integers(0, 6), max_size=5),
    start=st.none() | st.integers(-30, 30),
    stop=st.none() | st.integers(-30, 30),
    step=st.none() | st.integers(-4, 4).filter(bool),
    ordered=st.booleans(),
)
def test_a_slice_has_the_rows_that_a_slice_of_the_arrays_has(
    sizes: list[int], start: int | None, stop: int | None, step: int | None, ordered: bool
) -> None:
    mixed = permutation(sum(sizes), "any").tolist()
    pupils = list(range(len(mixed))) if ordered else mixed
    ends = np.cumsum([0, *sizes]).tolist()
    groups = [pupils[begin:end] for begin, end in pairwise(ends)]
    with TemporaryDirectory() as folder:
        ds = dataset(Path(folder), [groups[:2], groups[2:]], ordered=ordered)
        found, whole = ds[start:stop:step], ds.to_numpy()
        assert ds.head(4).equals(ds.to_pandas().head(4))
        rows = list(ds)
    assert list(found) == list(whole)
    for name, array in whole.items():
        np.testing.assert_array_equal(found[name], array[start:stop:step])
        assert (found[name].dtype, found[name].ndim) == (array.dtype, array.ndim)
    assert [row["pupil"] for row in rows] == sorted(pupils)
    assert all(row["item_sequence"].tolist() == [row["pupil"], row["pupil"], -1] for row in rows)


@pytest.mark.parametrize("ordered", [True, False])
def test_one_row_reads_its_row_group_alone(ordered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ds = dataset(tmp_path, [in_groups(100, 10), [list(range(100, 200))]], ordered=ordered)
    assert ds[0]["pupil"] == 0, "which finds the order of rows, where the files have none"
    read: list[tuple[int, tuple[str, ...]]] = []
    original = StoredRows.read

    def noted(stored: StoredRows, group: Any, rows: int, columns: Any = ()) -> Any:
        read.append((group.number, tuple(columns)))
        return original(stored, group, rows, columns)

    monkeypatch.setattr(StoredRows, "read", noted)
    assert ds[37]["pupil"] == 37
    assert read == [(3, ())]
    assert ds.head(1)["pupil"].tolist() == [0]
    assert ds[8:21]["pupil"].tolist() == list(range(8, 21))
    assert [group for group, _ in read] == [3, 0, 0, 1, 2]


def test_of_a_large_row_group_no_more_is_decoded_than_comes_before_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StoredRows, "rows_at_once", 10)
    decoded: list[pa.RecordBatch] = []
    original = StoredRows.read

    def noted(*arguments: Any) -> Any:
        for batch in original(*arguments):
            decoded.append(batch)
            yield batch

    monkeypatch.setattr(StoredRows, "read", noted)
    ds = dataset(tmp_path, [[list(range(100))]])
    assert ds[12]["pupil"] == 12
    assert [batch.num_rows for batch in decoded] == [10, 10]


@pytest.mark.parametrize("place", [3, -4, 10**30])
def test_a_row_that_is_not_there_is_an_index_error(place: int, tmp_path: Path) -> None:
    ds = dataset(tmp_path, [[[0, 1, 2]]])
    with pytest.raises(IndexError, match=rf"^row {place}: there is none among 3 rows"):
        ds[place]


@pytest.mark.parametrize("key", ["pupil", 1.0, None, [0, 1]])
def test_what_is_no_place_is_refused(key: Any, tmp_path: Path) -> None:
    ds = dataset(tmp_path, [[[0, 1, 2]]])
    with pytest.raises(TypeError, match=rf"^found {type(key).__name__} in the brackets; allowed: an integer, or a slice"):
        ds[key]


# Scores


def test_each_sequenced_item_counts_once_whatever_overlaps(workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil,time,item\n" + "".join(f"{time % 3},{time},{time}\n" for time in range(40)))
    for name, window in {"chunks": {"mode": "chunk"}, "slides": {"mode": "sliding", "stride": 2}}.items():
        spec = workspace.sequence_model(name=name, window=window, min_length=2)
        workspace.ingest(spec)
        ds = dataset_of(workspace.warehouse, workspace.sequence(spec).version)
        assert isinstance(ds, SequenceDataset)
        mask, arrays = ds.score_mask(), ds.to_numpy()
        assert (mask.shape, mask.dtype.kind) == ((len(ds), 4), "b")
        assert mask.sum() == ds.metadata["accounting"]["sequenced"]
        items = arrays["item_sequence"][mask].tolist()
        assert len(set(items)) == len(items), "none counts twice"
        assert not (mask & (arrays["is_pad_sequence"] == 1)).any()
        np.testing.assert_array_equal(np.concatenate([ds.score_mask(batch) for batch in ds.batches(3)]), mask)
        np.testing.assert_array_equal(ds.score_mask(ds[2:5]), mask[2:5])


def test_context_does_not_count(tmp_path: Path) -> None:
    ds = dataset(tmp_path, [[[1]]], masks={"is_repeat_sequence": [0, 0, 0], "is_context_sequence": [1, 0, 0]})
    assert ds.score_mask().tolist() == [[False, True, False]]


@pytest.mark.usefixtures("bundled_home")
def test_the_pad_ratio_is_that_of_the_rows() -> None:
    ds = seq_assets.load("dkt", sequence_length=50)
    assert ds.pad_ratio == ds.to_numpy()["is_pad_sequence"].mean()


# Travelling


@pytest.mark.usefixtures("bundled_home")
def test_a_handle_that_was_pickled_is_the_same_and_small() -> None:
    for ds in (seq_assets.load("dkt", sequence_length=50), seq_assets.load_observations("irt", subset="train")):
        whole = ds.to_numpy()
        pickled = pickle.dumps(ds)
        found = pickle.loads(pickled)
        assert found == ds
        assert hash(found) == hash(ds)
        assert len(pickled) < 20_000, "nothing that was read or opened travels"
        assert repr(found) == repr(ds)
        for name, array in found.to_numpy().items():
            np.testing.assert_array_equal(array, whole[name])
        assert found._warehouse.versions(Dataset.raw(ds.model))[0].id


@pytest.mark.usefixtures("bundled_home")
def test_handles_of_other_rows_are_others() -> None:
    ds = seq_assets.load("dkt", sequence_length=50)
    assert ds == seq_assets.load("dkt", sequence_length=50, version=ds.version)
    assert ds != seq_assets.load("dkt", sequence_length=50, subset="validation")
    assert ds != seq_assets.load("dkt", sequence_length=100)
    train, both = seq_assets.load_observations("irt", subset="train"), seq_assets.load_observations("irt")
    assert train != both
