"""Reading what is published: handles of versions in every form, and DuckDB over all tables."""

import re
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import seq_assets
from seq_assets.client.datasets import dataset_of
from seq_assets.environments import current_environment
from seq_assets.errors import InputError, LostFilesError, NotPublishedError
from seq_assets.models import ModelSpec, Subset
from seq_assets.sequencing.plans import Dataset
from seq_assets.sequencing.schemas import REJECTED_SCHEMA, VOCABULARY_SCHEMA, TableSchema
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets_tests.warehouse.building import PLAIN_COLUMNS, Workspace, overwrite

EVERY_TYPE = {
    "pupil": {"type": "string"},
    "time": {"type": "timestamp"},
    "day": {"type": "date", "nullable": True},
    "seen": {"type": "timestamp", "nullable": True},
    "small": {"type": "int8"},
    "count": {"type": "int64", "nullable": True},
    "ratio": {"type": "float32", "nullable": True},
    "score": {"type": "float64"},
    "right": {"type": "bool"},
    "sure": {"type": "bool", "nullable": True},
    "note": {"type": "string", "nullable": True},
}
EVERY_ROW = """\
pupil,time,day,seen,small,count,ratio,score,right,sure,note
zoé,2024-01-01 00:00:00.000001,2024-02-29,2024-03-01 12:00,-1,9007199254740993,0.5,0.1,true,true,"a ""b"", c"
zoé,2024-01-01 00:00:01,,,2,,,0.2,false,,
adam,1969-12-31 23:59:59.999999,1969-12-31,1969-12-31,3,3,1.5,0.3,true,false,x
"""
EVERY_FEATURE = {
    "time": {"pad_value": -1},
    "day": {"pad_value": -2, "fill_null": 1},
    "small": {"pad_value": 7},
    "ratio": {"pad_value": -0.5, "fill_null": 9},
    "right": {"pad_value": False},
    "note": {"pad_value": "<pad>", "fill_null": "<null>"},
}


@pytest.fixture(scope="session")
def _home_of_every_type(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("every_type")
    workspace = Workspace(folder, LocalWarehouse(folder / "home"))
    workspace.write("every.csv", EVERY_ROW)
    spec = workspace.model(
        name="every",
        source={"location": "every.csv"},
        columns=EVERY_TYPE,
        features=EVERY_FEATURE,
        sequence_lengths=[2],
    )
    workspace.ingest(spec)
    workspace.sequence(spec)
    workspace.sequence(spec, "validation")
    return folder / "home"


@pytest.fixture
def every_type(_home_of_every_type: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home has a model with every type, `every`, and its sequences of length 2; validation is empty. For reading only."""
    monkeypatch.setenv("SEQ_ASSETS_HOME", str(_home_of_every_type))


def plain_source(workspace: Workspace, items: list[int]) -> None:
    """Writes the plain model's source: one pupil who had these items."""
    rows = "".join(f"1,{time},{item}\n" for time, item in enumerate(items))
    workspace.write("source.csv", f"pupil,time,item\n{rows}")


def build(workspace: Workspace, items: list[int], *subsets: Subset, sequence_length: int = 4) -> ModelSpec:
    """Publishes the plain model's raw observations, and the given subsets' sequences of them."""
    plain_source(workspace, items)
    spec = workspace.sequence_model(sequence_lengths=[2, 4])
    workspace.ingest(spec)
    for subset in subsets:
        workspace.sequence(spec, subset, sequence_length)
    return spec


# Handles


@pytest.mark.usefixtures("bundled_home")
def test_a_handle_says_what_it_is_of() -> None:
    ds = seq_assets.load("dkt", sequence_length=100)
    assert (ds.model, ds.sequence_length, ds.subset) == ("dkt", 100, "train")
    assert ds.version == seq_assets.versions("dkt", sequence_length=100)[0].id
    assert ds.metadata["rows"] == len(ds) == ds.metadata["accounting"]["sequences"]
    assert ds.metadata["raw_version"] == seq_assets.versions("dkt")[0].id
    assert ds.metadata["committed_at"].tzinfo is UTC


@pytest.mark.usefixtures("bundled_home")
def test_numbers_are_the_same_in_every_form_of_a_real_data_set() -> None:
    ds = seq_assets.load("dkt", sequence_length=50)
    arrays, table, frame, polars = ds.to_numpy(), ds.to_arrow(), ds.to_pandas(), ds.to_polars()
    assert list(arrays) == table.column_names == list(frame.columns) == polars.columns
    assert list(arrays) == [
        "pupilid",
        "sequence_index",
        "sequence_start",
        "sequence_size",
        "pupilid_sequence",
        "skillid_sequence",
        "correct_sequence",
        "elapsed_sequence",
        "is_pad_sequence",
    ]
    for name, array in arrays.items():
        is_matrix = name.endswith("_sequence")
        assert array.shape == ((len(ds), 50) if is_matrix else (len(ds),)), name
        values = table[name].combine_chunks()
        flat = (values.flatten() if is_matrix else values).to_numpy().reshape(array.shape)
        np.testing.assert_array_equal(array, flat)
        np.testing.assert_array_equal(array, np.stack(frame[name].to_list()))
        np.testing.assert_array_equal(array, polars[name].to_numpy())
        assert array.dtype == flat.dtype == polars[name].to_numpy().dtype, name
    assert {name: str(array.dtype) for name, array in arrays.items()} == {
        "pupilid": "int64",
        "sequence_index": "int32",
        "sequence_start": "int64",
        "sequence_size": "int32",
        "pupilid_sequence": "int64",
        "skillid_sequence": "int32",
        "correct_sequence": "int8",
        "elapsed_sequence": "float32",
        "is_pad_sequence": "int8",
    }


@pytest.mark.usefixtures("bundled_home")
def test_padding_is_where_the_sizes_say() -> None:
    arrays = seq_assets.load("dkt", sequence_length=100, subset="validation").to_numpy()
    expected = np.arange(100) >= arrays["sequence_size"][:, None]
    np.testing.assert_array_equal(arrays["is_pad_sequence"], expected)
    assert (arrays["pupilid_sequence"][expected] == -1).all()


@pytest.mark.usefixtures("bundled_home")
def test_raw_observations_are_loaded_whole_or_by_subset() -> None:
    both = seq_assets.load_observations("irt")
    train = seq_assets.load_observations("irt", subset="train")
    validation = seq_assets.load_observations("irt", subset="validation")
    assert (both.model, both.subset, train.subset, validation.subset) == ("irt", None, "train", "validation")
    assert len(both) == len(train) + len(validation) == both.metadata["accounting"]["accepted"]
    assert set(train.to_numpy()["subset"]) == {"train"}
    assert set(validation.to_numpy()["subset"]) == {"validation"}
    for name, array in both.to_numpy().items():
        np.testing.assert_array_equal(array, np.concatenate([train.to_numpy()[name], validation.to_numpy()[name]]))


@pytest.mark.usefixtures("every_type")
def test_sequences_of_every_type_become_matrices() -> None:
    arrays = seq_assets.load("every", sequence_length=2).to_numpy()
    assert arrays["pupil"].tolist() == ["adam", "zoé"]
    expected = {
        "time_sequence": ("int64", [[-1, -1], [1704067200000, 1704067201000]]),
        "day_sequence": ("int32", [[-1, -2], [19782, 1]]),
        "small_sequence": ("int8", [[3, 7], [-1, 2]]),
        "ratio_sequence": ("float32", [[1.5, -0.5], [0.5, 9.0]]),
        "right_sequence": ("bool", [[True, False], [True, False]]),
        "note_sequence": ("object", [["x", "<pad>"], ['a "b", c', "<null>"]]),
        "is_pad_sequence": ("int8", [[0, 1], [0, 0]]),
    }
    for name, (dtype, values) in expected.items():
        assert (str(arrays[name].dtype), arrays[name].tolist()) == (dtype, values), name
    table = seq_assets.load("every", sequence_length=2).to_arrow()
    assert {name: table[name].to_pylist() for name in expected} == {name: values for name, (_, values) in expected.items()}
    for name in expected:
        assert pa.types.is_fixed_size_list(table.schema.field(name).type)
        assert table.schema.field(name).type.list_size == 2


@pytest.mark.usefixtures("every_type")
def test_observations_of_every_type_become_arrays() -> None:
    arrays = seq_assets.load_observations("every").to_numpy()
    assert {name: str(array.dtype) for name, array in arrays.items()} == {
        "pupil": "object",
        "time": "datetime64[us]",
        "day": "datetime64[D]",
        "seen": "datetime64[us]",
        "small": "int8",
        "count": "object",
        "ratio": "float32",
        "score": "float64",
        "right": "bool",
        "sure": "object",
        "note": "object",
        "subset": "object",
        "_file": "object",
        "_row": "object",
        "_position": "int64",
    }
    assert arrays["pupil"].tolist() == ["adam", "zoé", "zoé"]
    assert arrays["time"].tolist() == [
        datetime(1969, 12, 31, 23, 59, 59, 999999),
        datetime(2024, 1, 1, 0, 0, 0, 1),
        datetime(2024, 1, 1, 0, 0, 1),
    ]
    assert arrays["day"].tolist() == [date(1969, 12, 31), date(2024, 2, 29), None]
    assert np.isnat(arrays["seen"]).tolist() == [False, False, True]
    # As a float, this number would be another one.
    assert arrays["count"].tolist() == [3, 9007199254740993, None]
    assert np.isnan(arrays["ratio"]).tolist() == [False, False, True]
    assert arrays["right"].tolist() == [True, True, False]
    assert arrays["sure"].tolist() == [False, True, None]
    assert arrays["note"].tolist() == ["x", 'a "b", c', None]
    assert arrays["_row"].tolist() == [3, 1, 2]


@pytest.mark.usefixtures("every_type")
def test_timestamps_are_presented_in_utc() -> None:
    ds = seq_assets.load_observations("every")
    table = ds.to_arrow()
    assert table.schema.field("time").type == pa.timestamp("us", tz="UTC")
    assert table["time"].to_pylist()[1] == datetime(2024, 1, 1, 0, 0, 0, 1, UTC)
    assert str(ds.to_pandas()["time"].dtype) == "datetime64[us, UTC]"
    assert ds.to_polars()["time"].to_list() == table["time"].to_pylist()
    assert ds.to_polars()["day"].to_list() == [date(1969, 12, 31), date(2024, 2, 29), None]


@pytest.mark.usefixtures("every_type")
def test_an_empty_data_set_keeps_its_shape_and_types() -> None:
    ds = seq_assets.load("every", sequence_length=2, subset="validation")
    full = seq_assets.load("every", sequence_length=2)
    assert len(ds) == 0
    assert {name: (array.shape, array.dtype) for name, array in ds.to_numpy().items()} == {
        name: ((0, *array.shape[1:]), array.dtype) for name, array in full.to_numpy().items()
    }
    assert ds.to_arrow().schema == full.to_arrow().schema
    assert ds.to_arrow().num_rows == len(ds.to_pandas()) == len(ds.to_polars()) == 0
    assert seq_assets.load_observations("every", subset="validation").to_arrow().num_rows == 0


@pytest.mark.usefixtures("every_type")
def test_torch_gets_the_numeric_columns_as_they_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def from_numpy(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        assert array.dtype.kind in "biuf", "torch refuses others"
        assert array.flags.writeable, "torch warns of others"
        return array

    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(from_numpy=from_numpy))
    tensors = seq_assets.load("every", sequence_length=2).to_torch()
    arrays = seq_assets.load("every", sequence_length=2).to_numpy()
    assert set(tensors) == set(arrays) - {"pupil", "note_sequence"}
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, arrays[name])


@pytest.mark.usefixtures("bundled_home")
@pytest.mark.parametrize("package", ["torch", "polars"])
def test_a_missing_package_is_named_with_the_extra_that_brings_it(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    ds = seq_assets.load("dkt", sequence_length=100)
    with pytest.raises(InputError, match=rf"to_{package}\(\) needs the package {package}; install seq-assets\[{package}\]"):
        getattr(ds, f"to_{package}")()


# Versions


@pytest.mark.usefixtures("home_with_history")
def test_versions_are_listed_newest_first() -> None:
    raw, train = seq_assets.versions("plain"), seq_assets.versions("plain", sequence_length=4)
    assert [version.rows for version in raw] == [3, 1]
    assert [version.raw_version for version in train] == [version.id for version in raw]
    assert raw[0].committed_at >= raw[1].committed_at
    assert [version.dataset.table for version in seq_assets.versions("plain", sequence_length=4, subset="validation")] == [
        "plain_sequenced_validation_4",
        "plain_sequenced_validation_4",
    ]
    assert seq_assets.versions("plain", sequence_length=3) == []


def test_rejected_observations_of_an_old_version_are_loaded_without_the_detail_that_they_lack(workspace: Workspace) -> None:
    assert isinstance(workspace.warehouse, LocalWarehouse)
    build(workspace, [1, 2, 3], "train")
    columns = tuple(column for column in REJECTED_SCHEMA.columns if column.name != "detail")
    dataset, before = Dataset.rejected("plain"), TableSchema(columns)
    row = {"file": "source.csv", "row": 1, "column": None, "value": "1,2", "reason": "malformed"}
    file = f"{workspace.warehouse.tables.location(dataset)}/before.parquet"
    pq.write_table(pa.Table.from_pylist([row], before.stored()), file)
    old = workspace.warehouse.tables.publish(dataset, before, [file], 1, {"identity": "before"})
    spec = workspace.sequence_model(checks={"rejected_ratio": {"max": 1}})
    workspace.write("source.csv", "pupil,time,item\n1,0,1\n1,2\n")
    workspace.ingest(spec)
    found = [
        dataset_of(workspace.warehouse, version).to_arrow().to_pylist() for version in workspace.warehouse.versions(dataset)
    ]
    assert found[1] == [row]
    assert found[0] == [{**row, "row": 2, "detail": "3 fields expected, 2 found"}]
    assert dataset_of(workspace.warehouse, old).to_arrow().column_names == [column.name for column in columns]


def test_an_old_version_is_loaded_with_the_schema_that_it_was_published_with(workspace: Workspace) -> None:
    build(workspace, [1, 2, 3], "train")
    old_raw, old = seq_assets.versions("plain")[0].id, seq_assets.versions("plain", sequence_length=4)[0].id
    workspace.write("source.csv", "pupil,time,item,note\n1,0,a,x\n1,1,b,y\n")
    columns = {"pupil": {"type": "int64"}, "time": {"type": "int64"}, "item": {"type": "string"}, "note": {"type": "string"}}
    features = {"note": {"pad_value": ""}, "item": {"pad_value": "?"}}
    spec = workspace.sequence_model(columns=columns, features=features)
    workspace.ingest(spec)
    workspace.sequence(spec)

    new = seq_assets.load("plain", sequence_length=4)
    assert new.to_numpy()["item_sequence"].tolist() == [["a", "b", "?", "?"]]
    assert new.to_numpy()["note_sequence"].tolist() == [["x", "y", "", ""]]
    before = seq_assets.load("plain", sequence_length=4, version=old)
    assert before.version == old
    assert before.to_numpy()["item_sequence"].tolist() == [[1, 2, 3, -1]]
    assert before.to_numpy()["item_sequence"].dtype == np.int32
    assert "note_sequence" not in before.to_arrow().column_names
    raw = seq_assets.load_observations("plain", version=old_raw)
    assert raw.to_arrow()["item"].to_pylist() == [1, 2, 3]
    assert "note" not in raw.to_arrow().column_names


@pytest.mark.usefixtures("home_with_history")
def test_versions_show_themselves_as_a_table() -> None:
    found = seq_assets.versions("plain", sequence_length=4)
    header, *lines = repr(found).splitlines()
    assert header.split() == ["table", "version", "committed_at", "rows", "pad_ratio", "raw_version", "source_fingerprint"]
    assert [line.split()[1] for line in lines] == [str(version.id) for version in found]
    assert [line.split()[3:5] for line in lines] == [["1", "0.2500"], ["1", "0.7500"]]
    assert {line.index("1", line.index("+00:00")) for line in lines} == {header.index("rows") + 3}
    raw = repr(seq_assets.versions("plain")).splitlines()[1]
    assert raw.split()[4:6] == ["-", "-"]
    assert repr(seq_assets.versions("plain", sequence_length=3)) == "no versions"


@pytest.mark.usefixtures("home_with_history")
def test_loading_one_subset_warns_when_the_other_is_of_other_raw_observations() -> None:
    with pytest.warns(UserWarning, match=r"plain_sequenced_train_4 .* plain_sequenced_validation_4 .*load_split") as caught:
        newest = seq_assets.load("plain", sequence_length=4)
    assert caught[0].filename == __file__, "the warning shows the line of the caller"
    with pytest.warns(UserWarning, match=rf"plain_sequenced_train_4 from {newest.metadata['raw_version']};"):
        seq_assets.load("plain", sequence_length=4, subset="validation")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert seq_assets.load("plain", sequence_length=4, version=newest.version).version == newest.version


@pytest.mark.usefixtures("bundled_home")
def test_loading_one_subset_is_silent_when_both_are_of_the_same_raw_observations() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        subsets: tuple[Subset, Subset] = ("train", "validation")
        loaded = [seq_assets.load("dkt", sequence_length=50, subset=subset) for subset in subsets]
    pair = seq_assets.load_split("dkt", sequence_length=50)
    assert [(ds.subset, ds.version) for ds in pair] == [(ds.subset, ds.version) for ds in loaded]


@pytest.mark.usefixtures("home_with_history")
def test_a_split_is_the_newest_pair_of_one_raw_version() -> None:
    train, validation = seq_assets.load_split("plain", sequence_length=4)
    assert (train.subset, validation.subset) == ("train", "validation")
    assert train.version == seq_assets.versions("plain", sequence_length=4)[1].id
    assert validation.version == seq_assets.versions("plain", sequence_length=4, subset="validation")[0].id
    assert train.metadata["raw_version"] == validation.metadata["raw_version"] == seq_assets.versions("plain")[1].id
    assert train.to_numpy()["item_sequence"].tolist() == [[7, -1, -1, -1]]


@pytest.mark.usefixtures("home_with_history")
def test_a_split_without_a_pair_is_an_error() -> None:
    with pytest.raises(NotPublishedError, match="no version from the same raw observations; materialize both"):
        seq_assets.load_split("plain", sequence_length=2)


# Errors


@pytest.mark.usefixtures("bundled_home")
def test_a_length_that_is_not_published_names_those_that_are() -> None:
    with pytest.raises(NotPublishedError, match=r"dkt_sequenced_train_7 has no published version.*lengths of dkt: 50, 100\."):
        seq_assets.load("dkt", sequence_length=7)


@pytest.mark.usefixtures("bundled_home")
def test_what_is_not_published_is_an_error() -> None:
    with pytest.raises(NotPublishedError, match=r"sakt_sequenced_train_50 has no .*lengths of sakt: none"):
        seq_assets.load("sakt", sequence_length=50)
    with pytest.raises(NotPublishedError, match="sakt_raw_observations has no published version; materialize it first"):
        seq_assets.load_observations("sakt")
    newest = seq_assets.versions("irt")[0].id
    with pytest.raises(NotPublishedError, match=rf"irt_raw_observations has no version 42; its newest are {newest}"):
        seq_assets.load_observations("irt", version=42)
    with pytest.raises(NotPublishedError, match="has no version 42"):
        seq_assets.load("dkt", sequence_length=50, version=42)
    assert seq_assets.versions("sakt") == []


ASKED: Final[Mapping[str, Callable[[str], Any]]] = {
    "load": lambda model: seq_assets.load(model, sequence_length=50),
    "load without a length": seq_assets.load,
    "load_split": lambda model: seq_assets.load_split(model, sequence_length=50),
    "load_observations": seq_assets.load_observations,
    "versions": seq_assets.versions,
    "versions of a length": lambda model: seq_assets.versions(model, sequence_length=50),
}


@pytest.mark.usefixtures("bundled_home")
@pytest.mark.parametrize("ask", ASKED.values(), ids=list(ASKED))
def test_a_model_that_is_none_gets_the_nearest_word(ask: Callable[[str], Any]) -> None:
    message = re.escape("No model 'dktt'; allowed: dkt, irt, recommender, sakt; did you mean 'dkt'?")
    with pytest.raises(NotPublishedError, match=message):
        ask("dktt")


@pytest.mark.usefixtures("bundled_home")
@pytest.mark.parametrize("with_files", [True, False], ids=["with model files", "without model files"])
@pytest.mark.parametrize("name", ["load", "load without a length", "load_split", "versions of a length"])
def test_sequences_of_a_raw_model_are_refused_with_what_to_load(
    name: str, with_files: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not with_files:
        monkeypatch.setenv("SEQ_ASSETS_MODELS", str(tmp_path / "nowhere"))
    message = re.escape(
        "irt is a raw model, without sequences; its observations are loaded by seq_assets.load_observations('irt')."
    )
    with pytest.raises(NotPublishedError, match=message):
        ASKED[name]("irt")


@pytest.mark.usefixtures("bundled_home")
@pytest.mark.parametrize("ask", [seq_assets.load, seq_assets.load_split])
def test_without_a_length_the_published_ones_are_named(ask: Callable[[str], Any]) -> None:
    with pytest.raises(InputError, match=r"^sequence_length: found none; name one\. Published lengths of dkt: 50, 100\.$"):
        ask("dkt")


@pytest.mark.usefixtures("bundled_home")
def test_where_there_are_no_model_files_the_published_models_are_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQ_ASSETS_MODELS", str(tmp_path / "nowhere"))
    with pytest.raises(NotPublishedError, match=r"No model 'dktt'; allowed: dkt, irt; did you mean 'dkt'\?"):
        seq_assets.load("dktt", sequence_length=50)
    monkeypatch.setenv("SEQ_ASSETS_HOME", str(tmp_path / "empty"))
    with pytest.raises(NotPublishedError, match="No model 'dkt'; allowed: none, as no model has a file or a table"):
        seq_assets.load("dkt", sequence_length=50)


@pytest.mark.usefixtures("bundled_home")
def test_an_unknown_subset_names_the_allowed_ones() -> None:
    subset: Any = "test"
    message = "subset: found 'test'; allowed: 'train' or 'validation'"
    with pytest.raises(InputError, match=message):
        seq_assets.load("dkt", sequence_length=100, subset=subset)
    with pytest.raises(InputError, match=message):
        seq_assets.load_observations("irt", subset=subset)
    with pytest.raises(InputError, match=message):
        seq_assets.versions("dkt", sequence_length=100, subset=subset)


# Vocabularies


def build_encoded(workspace: Workspace, items: str, *subsets: Subset) -> ModelSpec:
    """Publishes observations of one pupil, one character each, and the given subsets' sequences, items encoded."""
    workspace.write("source.csv", "pupil,time,item\n" + "".join(f"1,{time},{item}\n" for time, item in enumerate(items)))
    columns = {**PLAIN_COLUMNS, "item": {"type": "string"}}
    spec = workspace.sequence_model(columns=columns, features={"item": {"encode": "vocabulary"}})
    workspace.ingest(spec)
    for subset in subsets:
        workspace.sequence(spec, subset)
    return spec


def test_a_handle_has_the_vocabulary_of_its_own_version(workspace: Workspace) -> None:
    build_encoded(workspace, "aab", "train")
    old = seq_assets.load("plain", sequence_length=4)
    build_encoded(workspace, "cccb", "train")
    new = seq_assets.load("plain", sequence_length=4)
    again = seq_assets.load("plain", sequence_length=4, version=old.version)
    assert new.to_numpy()["item_sequence"].tolist() == [[4, 4, 4, 3]]
    for handle in (old, again):
        assert handle.to_numpy()["item_sequence"].tolist() == [[2, 2, 3, 0]]
        assert handle.vocabulary().to_pydict() == {
            "feature": ["item", "item"],
            "value": ["a", "b"],
            "id": [2, 3],
            "count": [2, 1],
        }
    assert new.vocabulary().to_pydict()["count"] == [0, 1, 3]
    assert new.metadata["vocabulary_version"] != old.metadata["vocabulary_version"]
    observations = seq_assets.load_observations("plain")
    assert observations.vocabulary().equals(new.vocabulary())


def test_a_split_has_one_vocabulary(workspace: Workspace) -> None:
    build_encoded(workspace, "aab", "train", "validation")
    train, validation = seq_assets.load_split("plain", sequence_length=4)
    assert train.metadata["vocabulary_version"] == validation.metadata["vocabulary_version"]


@pytest.mark.usefixtures("home_with_history")
def test_without_an_encoded_feature_there_is_no_vocabulary() -> None:
    with pytest.raises(InputError, match="plain_raw_observations: found no feature with encode: vocabulary"):
        seq_assets.load_observations("plain").vocabulary()


# DuckDB


@pytest.mark.usefixtures("bundled_home")
def test_a_connection_has_a_view_per_table() -> None:
    with seq_assets.connect() as connection:
        views = {name for (name,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}
        assert views == {
            "dkt_raw_observations",
            "dkt_rejected_observations",
            "dkt_sequenced_train_100",
            "dkt_sequenced_train_50",
            "dkt_sequenced_validation_100",
            "dkt_sequenced_validation_50",
            "irt_raw_observations",
            "irt_rejected_observations",
        }
        for view, ds in {
            "irt_raw_observations": seq_assets.load_observations("irt"),
            "dkt_sequenced_train_100": seq_assets.load("dkt", sequence_length=100),
        }.items():
            assert connection.execute(f"SELECT count(*) FROM {view}").fetchall() == [(len(ds),)]


@pytest.mark.usefixtures("every_type")
def test_a_view_shows_timestamps_with_time_zone() -> None:
    with seq_assets.connect() as connection:
        assert connection.execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]
        described = connection.execute("DESCRIBE every_raw_observations").fetchall()
        types = {row[0]: row[1] for row in described}
        assert (types["time"], types["seen"], types["day"]) == ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE", "DATE")
        rows = connection.execute("SELECT time::VARCHAR, epoch_us(time), seen IS NULL FROM every_raw_observations").fetchall()
        assert rows == [
            ("1969-12-31 23:59:59.999999+00", -1, False),
            ("2024-01-01 00:00:00.000001+00", 1704067200000001, False),
            ("2024-01-01 00:00:01+00", 1704067201000000, True),
        ]
        assert connection.execute("SELECT time_sequence[2] FROM every_sequenced_train_2").fetchall() == [
            (-1,),
            (1704067201000,),
        ]
        assert connection.execute("SELECT count(*) FROM every_sequenced_validation_2").fetchall() == [(0,)]


@pytest.mark.usefixtures("home_with_history")
def test_a_view_shows_the_newest_version() -> None:
    with seq_assets.connect(current_environment()) as connection:
        assert connection.execute("SELECT item_sequence FROM plain_sequenced_train_4").fetchall() == [([7, 8, 9, -1],)]


@pytest.mark.usefixtures("home_with_history")
def test_a_connection_has_the_metrics_of_every_version() -> None:
    older, newer = sorted(seq_assets.versions("plain"), key=lambda version: version.committed_at)
    with seq_assets.connect() as connection:
        found = connection.execute(
            'SELECT version, "count", min, max, mean, variance, labels FROM metrics '
            "WHERE model = 'plain' AND column_name = 'item' ORDER BY committed_at"
        ).fetchall()
    assert found == [
        (older.id, 1, "7", "7", 7.0, None, {"7": 1}),
        (newer.id, 3, "7", "9", 8.0, 1.0, {"7": 1, "8": 1, "9": 1}),
    ]


def test_views_show_what_the_newest_raw_observations_were_published_with(workspace: Workspace) -> None:
    spec = build_encoded(workspace, "aab", "train")
    orphan = Dataset.vocabulary(spec.name)
    named = workspace.warehouse.find(orphan)
    assert isinstance(workspace.warehouse, LocalWarehouse)
    tables = workspace.warehouse.tables
    tables.publish(orphan, VOCABULARY_SCHEMA, [], 0, dict(named.metadata))
    with seq_assets.connect() as connection:
        assert connection.execute("SELECT value, id FROM plain_vocabulary").fetchall() == [("a", 2), ("b", 3)]


def test_without_tables_a_connection_has_no_views() -> None:
    with seq_assets.connect() as connection:
        assert connection.execute("FROM metrics").fetchall() == []
        assert connection.execute("SELECT * FROM duckdb_views() WHERE NOT internal").fetchall() == []


# Files that are gone


@pytest.fixture
def damaged(home_with_history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A home in which the newest train sequences of length 4 have lost their file: the file, and how the sentence begins."""
    home = shutil.copytree(home_with_history, tmp_path / "damaged")
    monkeypatch.setenv("SEQ_ASSETS_HOME", str(home))
    newest, before = seq_assets.versions("plain", sequence_length=4)
    [file] = newest.files
    return file, (
        f"plain_sequenced_train_4, version {newest.id}, cannot be read: {file!r} is not there. Bring the files back from a "
        f"backup, or load another version ({before.id}), or run seq-assets materialize plain"
    )


@pytest.mark.filterwarnings("ignore:plain_sequenced")
def test_a_version_whose_files_are_gone_is_not_loaded_and_another_one_is_named(damaged: tuple[str, str]) -> None:
    file, sentence = damaged
    late = seq_assets.load("plain", sequence_length=4)
    Path(file).unlink()
    with pytest.raises(LostFilesError, match=f"^{re.escape(sentence)}"):
        seq_assets.load("plain", sequence_length=4)
    _, before = seq_assets.versions("plain", sequence_length=4)
    assert len(seq_assets.load("plain", sequence_length=4, version=before.id).to_arrow()) == before.rows
    reads: list[Callable[[], Any]] = [late.to_arrow, late.to_numpy, lambda: next(iter(late.batches(2)))]
    for read in reads:
        with pytest.raises(LostFilesError, match=f"^{re.escape(sentence)}"):
            read()


@pytest.mark.filterwarnings("ignore:plain_sequenced")
def test_what_reads_a_file_that_was_overwritten_names_it(damaged: tuple[str, str]) -> None:
    file, _ = damaged
    overwrite(current_environment().warehouse(), file)
    loaded = seq_assets.load("plain", sequence_length=4)
    sentence = rf"^plain_sequenced_train_4, .*: {re.escape(repr(file))} has its size and another content \(.*--force"
    reads: list[Callable[[], Any]] = [loaded.to_arrow, loaded.to_numpy, lambda: next(iter(loaded.batches(2)))]
    for read in reads:
        with pytest.raises(LostFilesError, match=sentence):
            read()


def test_observations_whose_files_are_gone_are_not_loaded(damaged: tuple[str, str]) -> None:
    raw = seq_assets.versions("plain")[0]
    Path(raw.files[0]).unlink()
    subsets: list[Subset | None] = [None, "train"]
    for subset in subsets:
        with pytest.raises(LostFilesError, match=f"^plain_raw_observations, version {raw.id}, cannot be read"):
            seq_assets.load_observations("plain", subset=subset)


def test_a_connection_warns_of_a_version_whose_files_are_gone_and_has_the_others(damaged: tuple[str, str]) -> None:
    file, sentence = damaged
    Path(file).unlink()
    with pytest.warns(UserWarning, match=re.escape(f"There is no view of it: {sentence}")):
        connection = seq_assets.connect()
    views = {name for (name,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}
    assert "plain_sequenced_train_4" not in views
    assert "plain_sequenced_validation_4" in views


@pytest.mark.usefixtures("home_with_history")
def test_data_of_a_removed_model_file_stays_readable() -> None:
    assert "plain" not in current_environment().registry()
    newest = seq_assets.versions("plain", sequence_length=4)[0].id
    sequences = seq_assets.load("plain", sequence_length=4, version=newest)
    assert sequences.to_numpy()["item_sequence"].tolist() == [[7, 8, 9, -1]]
    assert seq_assets.load_observations("plain").to_numpy()["item"].tolist() == [7, 8, 9]
    assert seq_assets.connect().execute("SELECT count(*) FROM plain_raw_observations").fetchall() == [(3,)]


@pytest.mark.parametrize(
    "name",
    [
        'it\'s 50% of "a&b;c", schön',
        "[a]*#1 a%20b",
        "a?b=c",
    ],
)
def test_any_name_of_the_home_folder_is_fine(
    name: str, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / name / "warehouse"
    monkeypatch.setenv("SEQ_ASSETS_HOME", str(home))
    there = Workspace(workspace.folder, LocalWarehouse(home))
    spec = build(there, [1, 2, 3], "train")
    there.sequence(spec, force=True)
    assert seq_assets.load("plain", sequence_length=2).to_numpy()["item_sequence"].tolist() == [[1, 2], [3, -1]]
    assert len(seq_assets.versions("plain", sequence_length=4)) == 1
    assert seq_assets.connect().execute("SELECT sum(item) FROM plain_raw_observations").fetchall() == [(6,)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "models"])
