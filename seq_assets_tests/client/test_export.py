"""Exports: what is read back of each format is what the handle has, and a file is there whole or not at all.

Every format is read by what knows nothing of how it was written: pyarrow, numpy, Python's csv and json, and parsers of a few
lines that follow what the programs of others document.
"""

import csv
import io
import json
import os
import re
import resource
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seq_assets
from seq_assets.client.batches import StoredRows
from seq_assets.client.export import FORMATS, Export, ExportFormat, export
from seq_assets.client.texts import csv_texts, json_texts, list_texts
from seq_assets.errors import InputError, NotPublishedError, SettingsError
from seq_assets.models import ColumnType
from seq_assets.sequencing.plans import Dataset
from seq_assets.sequencing.schemas import raw_schema, sequence_schema
from seq_assets.warehouse.cancellation import CanceledError, cancelable
from seq_assets.warehouse.ownership import Process
from seq_assets_tests.client.storing import TEXTS, Made, observations, sequences
from seq_assets_tests.reference import examples
from seq_assets_tests.warehouse.building import Workspace

FEW = settings(max_examples=examples(20))


@contextmanager
def exported(made: Made, format_: ExportFormat, **columns: str) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        out = Path(folder, "out")
        done = export(made.store(Path(folder)), str(out), format_, columns, force=False)
        assert done.bytes == out.stat().st_size
        yield out


def presented(made: Made) -> list[dict[str, Any]]:
    """The rows as a reader gets them, whatever order the file has."""
    table = pa.Table.from_pylist(made.rows, made.schema.stored()).cast(made.schema.presented())
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def real_items(row: dict[str, Any], name: str) -> list[Any]:
    """The items of a feature that are no padding."""
    return [item for item, pad in zip(row[f"{name}_sequence"], row["is_pad_sequence"], strict=True) if not pad]


def own(row: dict[str, Any]) -> list[bool]:
    """Of each real item, whether it stands in no earlier sequence."""
    repeats = row.get("is_repeat_sequence") or [0] * len(row["is_pad_sequence"])
    return [not repeat for repeat, pad in zip(repeats, row["is_pad_sequence"], strict=True) if not pad]


# Formats of all columns


@given(made=sequences() | observations())
@FEW
def test_parquet_has_the_rows_in_their_order_and_types(made: Made) -> None:
    with exported(made, "parquet") as out:
        table = pq.read_table(out)
        assert table.schema.equals(made.schema.presented())
        assert table.to_pylist() == presented(made)


def parsed(text: str, like: Any) -> Any:
    """A text of CSV as a value of the kind that stands there; an empty one is null, or an empty text."""
    if like is None or isinstance(like, str):
        return text or (None if like is None else "")
    if isinstance(like, bool):
        return {"true": True, "false": False}[text]
    if isinstance(like, int | float):
        return type(like)(text)
    return text


def same(found: Any, value: Any) -> bool:
    """Whether a text or a parsed number is a value: of a float32 the shortest text is another float64."""
    if isinstance(value, float):
        return isinstance(found, int | float) and (found == value or np.float32(found) == np.float32(value))
    if isinstance(value, datetime):
        return bool(found == value.replace(tzinfo=None).isoformat(" ", "microseconds") + "Z")
    if isinstance(value, date):
        return bool(found == value.isoformat())
    return type(found) is type(value) and found == value


@given(made=sequences() | observations())
@FEW
def test_csv_has_every_value_as_text(made: Made) -> None:
    with exported(made, "csv") as out, out.open(encoding="utf-8", newline="") as file:
        header, *records = csv.reader(file)
        assert header == list(made.schema.names)
        rows = presented(made)
        assert len(records) == len(rows)
        for record, row in zip(records, rows, strict=True):
            for text, value in zip(record, row.values(), strict=True):
                if isinstance(value, list):
                    [items] = csv.reader(io.StringIO(text, newline=""))
                    assert len(items) == len(value)
                    assert all(same(parsed(item, like), like) for item, like in zip(items, value, strict=True))
                else:
                    assert same(parsed(text, value), value)


@given(made=sequences() | observations())
@FEW
def test_json_lines_have_every_value(made: Made) -> None:
    with exported(made, "jsonl") as out:
        lines = out.read_bytes().decode().split("\n")
        rows = presented(made)
        assert lines.pop() == ""
        for line, row in zip(lines, rows, strict=True):
            found = json.loads(line)
            assert list(found) == list(row)
            for name, value in row.items():
                items, likes = (found[name], value) if isinstance(value, list) else ([found[name]], [value])
                assert all(same(item, like) for item, like in zip(items, likes, strict=True))


@given(made=sequences())
@FEW
def test_npz_has_the_arrays_of_the_handle_without_pickle(made: Made) -> None:
    with exported(made, "npz") as out, np.load(out, allow_pickle=False) as archive:
        assert archive.files == list(made.schema.names)
        for column in made.schema.columns:
            values = [row[column.name] for row in made.rows]
            shape = (len(values),) if column.length is None else (len(values), column.length)
            found = archive[column.name]
            assert found.shape == shape
            expected = np.array(values, dtype=found.dtype).reshape(shape)
            np.testing.assert_array_equal(found, expected)
            assert found.dtype.kind == ("U" if column.type.value == "string" else expected.dtype.kind)


@pytest.mark.usefixtures("bundled_home")
def test_the_arrays_of_npz_have_the_types_of_to_numpy() -> None:
    ds = seq_assets.load("dkt", sequence_length=50, subset="validation")
    done = ds.export("out.npz", "npz")
    assert done == Export("out.npz", "npz", "dkt_sequenced_validation_50", ds.version, len(ds), Path("out.npz").stat().st_size)
    with np.load("out.npz") as archive:
        for name, array in ds.to_numpy().items():
            assert archive[name].dtype == array.dtype
            np.testing.assert_array_equal(archive[name], array)


@pytest.mark.usefixtures("bundled_home")
def test_the_same_version_gives_the_same_bytes() -> None:
    ds = seq_assets.load("dkt", sequence_length=100, subset="validation")
    roles = {"dkt": {"skill": "skillid", "answer": "correct"}, "recbole": {"item_id": "skillid"}}
    roles["pykt"] = {"concepts": "skillid", "responses": "correct"}
    for format_ in FORMATS:
        for name in ("a", "b"):
            ds.export(name, format_, columns=roles.get(format_), force=True)
        assert Path("a").read_bytes() == Path("b").read_bytes()


@given(items=st.lists(st.lists(TEXTS, min_size=1, max_size=4), max_size=4), delimiter=st.sampled_from(",;\t"))
@FEW
def test_a_list_is_a_record_of_its_items(items: list[list[str]], delimiter: str) -> None:
    flat = csv_texts(pa.array([item for row in items for item in row], pa.string()), delimiter)
    fields = list_texts(flat, [len(row) for row in items], delimiter).to_pylist()
    assert [next(csv.reader(io.StringIO(field, newline=""), delimiter=delimiter)) for field in fields] == items


@given(values=st.lists(st.none() | st.text(max_size=3)))
@FEW
def test_texts_are_json(values: list[str | None]) -> None:
    assert [json.loads(text) for text in json_texts(pa.array(values, pa.string())).to_pylist()] == values


def test_an_empty_text_and_a_null_stay_different_in_csv() -> None:
    assert csv_texts(pa.array(["", None, '"'])).to_pylist() == ['""', "", '""""']


def test_a_negative_zero_stays_one() -> None:
    assert json_texts(pa.array([-0.0, 0.0])).to_pylist() == ["-0.0", "0"]


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_a_model_reads_back_the_observations_that_were_exported(workspace: Workspace, format_: ExportFormat) -> None:
    columns: dict[str, dict[str, Any]] = {
        "pupil": {"type": "string"},
        "time": {"type": "timestamp"},
        "day": {"type": "date", "nullable": True},
        "count": {"type": "int64", "nullable": True},
        "ratio": {"type": "float32", "nullable": True},
        "sure": {"type": "bool", "nullable": True},
        "note": {"type": "string", "nullable": True},
    }
    header = ",".join(columns)
    workspace.write(
        "source.csv",
        f'{header}\nzoé,1969-12-31 23:59:59.999999,2024-02-29,9007199254740993,0.1,true,"a ""b"",\nc"\n'
        'zoé,2024-01-01,,,,,\nadam,2024-01-01,1969-12-31,-1,-0.0,false,""\nadam,2025-01-01,,,1e30,,""\n',
    )
    workspace.ingest(workspace.model(columns=columns))
    done = seq_assets.load_observations("plain").export(workspace.folder / f"again.{format_}", format_)
    assert done.records == 4
    again = workspace.model(name="again", source={"location": f"again.{format_}"}, columns=columns)
    workspace.ingest(again)
    tables = [seq_assets.load_observations(name).to_arrow().drop_columns(["_file", "_row"]) for name in ("plain", "again")]
    assert tables[0].equals(tables[1])
    assert "" in tables[0]["note"].to_pylist()


# Formats of chosen columns


@given(made=sequences(texts=st.text("ab é/", max_size=3).map(lambda text: f"x{text}x")))
@FEW
def test_three_lines_are_a_sequence_without_its_padding(made: Made) -> None:
    with exported(made, "dkt", skill="word", answer="right") as out:
        lines = out.read_text(encoding="utf-8").split("\n")
        assert lines.pop() == ""
        found = [lines[start : start + 3] for start in range(0, len(lines), 3)]
        assert found == [
            [
                str(row["sequence_size"]),
                ",".join(real_items(row, "word")),
                ",".join(str(+it) for it in real_items(row, "right")),
            ]
            for row in made.rows
        ]


@pytest.mark.usefixtures("bundled_home")
def test_the_platform_reads_three_lines_of_observations_back(workspace: Workspace) -> None:
    history = seq_assets.load_observations("irt", subset="validation")
    done = history.export(workspace.folder / "irt.txt", "dkt", columns={"skill": "exerciseid", "answer": "correct"})
    original = history.to_pandas()
    assert done.records == original["pupilid"].nunique()
    columns = {
        "entity": {"type": "string"},
        "position": {"type": "int64"},
        "skill": {"type": "int32"},
        "answer": {"type": "int8"},
    }
    spec = workspace.model(
        name="three", source={"location": "irt.txt", "format": "dkt"}, columns=columns, entity="entity", order_by=["position"]
    )
    workspace.ingest(spec)
    again = pd.DataFrame(workspace.raw_rows(spec)).sort_values("_row")
    assert again["skill"].tolist() == original["exerciseid"].tolist()
    assert again["answer"].tolist() == original["correct"].tolist()
    assert again["_position"].tolist() == original["_position"].tolist()


@given(made=observations())
@FEW
def test_a_history_is_whole_wherever_row_groups_end(made: Made) -> None:
    with exported(made, "dkt", skill="int8", answer="bool") as out:
        lines = out.read_text().splitlines()
        histories: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for row in made.rows:
            histories.setdefault((row["subset"], row["pupil"]), []).append(row)
        assert lines == [
            line
            for rows in histories.values()
            for line in (
                str(len(rows)),
                ",".join(str(row["int8"]) for row in rows),
                ",".join(str(+row["bool"]) for row in rows),
            )
        ]


@given(made=sequences())
@FEW
def test_pykt_s_sequences_have_their_padding_behind_them(made: Made) -> None:
    """Read as pyKT's loader does: pandas, then integers between commas; where a concept is -1, there is padding."""
    concepts = [item for row in made.rows for item in real_items(row, "skill")]
    if -1 in concepts:
        with (
            pytest.raises(InputError, match="found -1 on an item"),
            exported(made, "pykt", concepts="skill", responses="right"),
        ):
            pass
        return
    with exported(made, "pykt", concepts="skill", responses="right", timestamps="time") as out:
        frame = pd.read_csv(out, dtype=str, keep_default_na=False)
    assert list(frame) == ["fold", "uid", "concepts", "responses", "timestamps", "selectmasks"]
    assert (frame["fold"] == ("0" if made.dataset.kind == "sequenced_train" else "1")).all()
    assert frame["uid"].tolist() == [str(row["pupil"]) for row in made.rows]
    for (_, record), row in zip(frame.iterrows(), made.rows, strict=True):
        padding = [-1] * (len(row["is_pad_sequence"]) - row["sequence_size"])
        lists = {name: [int(item) for item in record[name].split(",")] for name in list(frame)[2:]}
        assert lists["concepts"] == real_items(row, "skill") + padding
        assert lists["responses"] == [int(item) for item in real_items(row, "right")] + padding
        assert lists["timestamps"] == real_items(row, "time") + padding
        assert lists["selectmasks"] == [1 if is_own else -1 for is_own in own(row)] + padding


@given(made=sequences())
@FEW
def test_recbole_has_every_item_once(made: Made) -> None:
    """Read as RecBole does: names and types in the first line, then pandas with a tab between fields."""
    with exported(made, "recbole", item_id="word", rating="lag", label="right") as out:
        with out.open(encoding="utf-8") as file:
            types = dict(field.split(":") for field in file.readline()[:-1].split("\t"))
        assert types == {"user_id": "token", "item_id": "token", "timestamp": "float", "rating": "float", "label": "float"}
        read = {name: str if type_ == "token" else np.float64 for name, type_ in types.items()}
        frame = pd.read_csv(out, sep="\t", header=0, names=list(types), dtype=read, keep_default_na=False, engine="python")
    expected = [
        (str(row["pupil"]), item, float(row["sequence_start"] + place), np.float32(lag), float(right))
        for row in made.rows
        for place, (item, lag, right, is_own) in enumerate(
            zip(real_items(row, "word"), real_items(row, "lag"), real_items(row, "right"), own(row), strict=True)
        )
        if is_own
    ]
    found = [(user, item, time, np.float32(lag), right) for user, item, time, lag, right in frame.itertuples(index=False)]
    assert found == expected


@pytest.mark.usefixtures("bundled_home")
def test_recbole_of_observations_may_have_their_times() -> None:
    history = seq_assets.load_observations("irt")
    history.export("irt.inter", "recbole", columns={"item_id": "exerciseid", "timestamp": "timestamp", "label": "correct"})
    frame = pd.read_csv("irt.inter", sep="\t")
    arrays = history.to_numpy()
    assert frame["user_id:token"].tolist() == arrays["pupilid"].tolist()
    assert frame["item_id:token"].tolist() == arrays["exerciseid"].tolist()
    assert frame["timestamp:float"].tolist() == arrays["timestamp"].astype(np.int64).tolist()
    assert frame["label:float"].tolist() == arrays["correct"].tolist()


@pytest.mark.parametrize(
    ("format_", "columns", "message"),
    [
        ("xml", {}, "format: found 'xml'; allowed: parquet, csv, jsonl, npz, dkt, pykt, recbole"),
        ("csv", {"skill": "skillid"}, "columns: found skill; format csv holds all columns"),
        (
            "dkt",
            {"skill": "skillid"},
            r"found no column for answer; name one with --column answer=COLUMN .* Allowed: pupilid, ",
        ),
        (
            "dkt",
            {"skill": "skill", "answer": "correct"},
            "skill: found no column 'skill'; allowed: pupilid, skillid, correct, ",
        ),
        ("dkt", {"skill": "skillid", "right": "correct"}, "found the role 'right' in columns; allowed: skill, answer"),
        (
            "pykt",
            {"concepts": "elapsed", "responses": "correct"},
            r"concepts: found elapsed \(float32\); allowed are integers: ",
        ),
    ],
)
@pytest.mark.usefixtures("bundled_home")
def test_columns_that_do_not_fit_are_refused_before_anything_is_written(
    format_: Any, columns: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        seq_assets.load("dkt", sequence_length=50).export("new/out", format_, columns=columns)
    assert not Path("new").exists()


@pytest.mark.parametrize("format_", ["npz", "pykt"])
@pytest.mark.usefixtures("bundled_home")
def test_observations_without_sequences_are_refused_where_those_are_needed(format_: ExportFormat) -> None:
    with pytest.raises(
        InputError, match="irt_raw_observations, which has no sequences; allowed: parquet, csv, jsonl, dkt, recbole"
    ):
        seq_assets.load_observations("irt").export("out", format_)


def one_text(folder: Path, text: str | None) -> StoredRows:
    """Observations whose only item is a text."""
    schema = raw_schema([("pupil", ColumnType.INT64, False), ("item", ColumnType.STRING, True)])
    row = {"pupil": 1, "item": text, "subset": "train", "_file": "a.csv", "_row": 1, "_position": 0}
    return Made([row], schema, Dataset.raw("made"), None).store(folder)


@pytest.mark.parametrize("text", ["", "a,b", "a\nb", " a", "a\t"])
def test_a_text_that_three_lines_cannot_hold_is_refused_and_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=f"item: found {re.escape(repr(text))}; three-line text holds no text that is empty"):
        export(one_text(tmp_path, text), "out", "dkt", {"skill": "item", "answer": "pupil"}, force=False)
    assert not Path("out").exists()


def test_a_null_that_three_lines_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="item: found a null, which three-line text has no way to hold"):
        export(one_text(tmp_path, None), "out", "dkt", {"skill": "item", "answer": "pupil"}, force=False)


def test_a_text_that_arrays_would_shorten_is_refused(tmp_path: Path) -> None:
    schema = sequence_schema(("pupil", ColumnType.STRING), [], 1, False)
    row = {"pupil": "a\0", "sequence_index": 0, "sequence_start": 0, "sequence_size": 1, "is_pad_sequence": [0]}
    stored = Made([row], schema, Dataset.sequenced("made", "train", 1), None).store(tmp_path)
    with pytest.raises(InputError, match="pupil: found a text that ends with a NUL"):
        export(stored, "out", "npz", {}, force=False)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_version_without_rows_is_a_file_without_records(tmp_path: Path, format_: ExportFormat) -> None:
    schema = sequence_schema(("pupil", ColumnType.INT64), [("item", ColumnType.INT32)], 2, False)
    stored = Made([], schema, Dataset.sequenced("made", "train", 2), None).store(tmp_path)
    roles = {"dkt": {"skill": "item", "answer": "item"}, "recbole": {"item_id": "item"}}
    roles["pykt"] = {"concepts": "item", "responses": "item"}
    assert export(stored, str(tmp_path / "out"), format_, roles.get(format_, {}), force=False).records == 0
    if format_ == "npz":
        assert np.load(tmp_path / "out")["item_sequence"].shape == (0, 2)


# Places


@pytest.fixture
def ds(bundled_home: Path) -> seq_assets.SequenceDataset:
    return seq_assets.load("dkt", sequence_length=100, subset="validation")


def test_folders_are_made_and_a_link_stays_one(ds: seq_assets.SequenceDataset, tmp_path: Path) -> None:
    ds.export("a/b/out.csv", "csv")
    Path("link").symlink_to(tmp_path / "a" / "b" / "out.csv")
    ds.export("link", "jsonl", force=True)
    assert Path("link").is_symlink()
    assert Path("a/b/out.csv").read_text().startswith("{")
    assert [path.name for path in Path("a/b").iterdir()] == ["out.csv"]


def test_what_is_there_is_refused_unless_it_is_to_be_replaced(ds: seq_assets.SequenceDataset) -> None:
    Path("out").write_text("mine")
    with pytest.raises(SettingsError, match="'out' is there already; choose another place, or replace it with --force"):
        ds.export("out")
    assert Path("out").read_text() == "mine"
    ds.export("out", force=True)
    assert pq.read_metadata("out").num_rows == len(ds)


@pytest.mark.parametrize("force", [False, True])
def test_a_place_that_can_be_no_file_is_refused(ds: seq_assets.SequenceDataset, force: bool) -> None:
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("file").write_text("")
    for place, message in {
        "folder": "'folder' is a folder; name a file in it",
        "new/": "'new/' is a folder; name a file in it",
        "pipe": "'pipe' is there already and is no ordinary file",
        "file/out": r"file.* cannot be used: (Not a directory|File exists)",
    }.items():
        with pytest.raises(SettingsError, match=message):
            ds.export(place, force=force)
    assert not Path("new").exists()
    assert list(Path("folder").iterdir()) == []


@pytest.mark.parametrize("format_", ["parquet", "csv", "npz"])
def test_where_no_more_can_be_written_the_place_is_named_and_what_stood_there_stands(
    ds: seq_assets.SequenceDataset, format_: ExportFormat
) -> None:
    Path("out").write_text("mine")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    try:
        with pytest.raises(SettingsError, match=r"cannot be used: File too large; make room there, or choose another place"):
            ds.export("out", format_, force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert Path("out").read_text() == "mine"
    assert not list(Path().glob(".seq_assets*"))


def test_an_export_that_is_told_to_stop_leaves_nothing(ds: seq_assets.SequenceDataset) -> None:
    with cancelable() as cancel:
        cancel()
        with pytest.raises(CanceledError):
            ds.export("new/out")
    assert not Path("new").exists()


def test_what_a_killed_export_left_is_removed_by_the_next_one(ds: seq_assets.SequenceDataset) -> None:
    dead = replace(Process.current(), pid=2**22 - 1, started="1")
    left, other = Path(f".seq_assets_export_{dead.to_text()}.0"), Path(".seq_assets_export_of_mine")
    for folder in (left, other):
        folder.mkdir()
    ds.export("out")
    assert (left.exists(), other.exists()) == (False, True)


def test_an_archive_is_stored_as_numpy_writes_one(ds: seq_assets.SequenceDataset) -> None:
    ds.export("out.npz", "npz")
    with zipfile.ZipFile("out.npz") as archive:
        assert archive.testzip() is None
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}


def test_a_version_that_is_not_there_is_an_error(ds: seq_assets.SequenceDataset) -> None:
    with pytest.raises(NotPublishedError, match=f"has no version 5; its newest are {ds.version}"):
        seq_assets.load("dkt", sequence_length=100, subset="validation", version=5)
