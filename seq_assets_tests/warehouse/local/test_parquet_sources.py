"""Values of Parquet files, by the kind that their writer gave them: exact, or unreadable, or refused.

Belongs here: what DuckDB's reader would narrow or take for something else, from the file to what is published. Not here: what a
contract's type takes from values that arrive whole (`test_casts`).
"""

import struct
import uuid
from datetime import date
from decimal import Decimal
from typing import Any, Final

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seq_assets.errors import SourceError
from seq_assets.models import ModelSpec
from seq_assets_tests.reference import examples
from seq_assets_tests.reference.reading import FIRST_MICROSECOND, LAST_MICROSECOND
from seq_assets_tests.warehouse.building import Workspace

CONTRACTS: Final[list[dict[str, Any]]] = [
    {"type": "int64"},
    {"type": "float64"},
    {"type": "bool"},
    {"type": "string"},
    {"type": "date"},
    {"type": "timestamp"},
    {"type": "timestamp", "unit": "ms"},
]
AT: Final = 1_565_096_190_868_123
"""Microseconds of a moment."""


def write(workspace: Workspace, values: pa.Array | pa.Table, name: str = "source.parquet", **options: Any) -> None:
    """A file whose column `value` has these values, one record each."""
    table = values if isinstance(values, pa.Table) else pa.table({"value": values})
    numbers = pa.array(range(table.num_rows))
    path = workspace.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.append_column("pupil", numbers).append_column("number", numbers), path, **options)


def model(workspace: Workspace, location: str = "source.parquet", order_by: tuple[str, ...] = (), **contract: Any) -> ModelSpec:
    return workspace.model(
        source={"location": location},
        order_by=list(order_by),
        columns={"pupil": {"type": "int64"}, "value": {"nullable": True, **contract}},
        checks={"rejected_ratio": {"max": 1.0}},
    )


def accepted(workspace: Workspace, spec: ModelSpec) -> list[Any]:
    return [row["value"] for row in workspace.raw_rows(spec)]


def rejected(workspace: Workspace, spec: ModelSpec) -> dict[int, tuple[str, str]]:
    """Value and reason of the rejected records, by their number."""
    return {row["row"]: (row["value"], row["reason"]) for row in workspace.rejected_rows(spec)}


# INT96


def test_nanoseconds_of_int96_are_unreadable_and_shown(workspace: Workspace) -> None:
    moments = pa.array([AT * 1000 + 999, AT * 1000 + 1, None, AT * 1000, -1], pa.timestamp("ns"))
    write(workspace, moments, use_deprecated_int96_timestamps=True)
    spec = model(workspace, type="timestamp")
    workspace.ingest(spec)
    assert accepted(workspace, spec) == [None, AT]
    assert rejected(workspace, spec) == {
        1: ("2019-08-06 12:56:30.868123999+00", "unreadable"),
        2: ("2019-08-06 12:56:30.868123001+00", "unreadable"),
        5: ("1969-12-31 23:59:59.999999999+00", "unreadable"),
    }


def test_int96_is_read_of_a_column_whose_name_another_one_has_in_upper_case(workspace: Workspace) -> None:
    moments = pa.array([AT * 1000, AT * 1000 + 1], pa.timestamp("ns"))
    write(workspace, pa.table({"VALUE": ["x", "y"], "value": moments}), use_deprecated_int96_timestamps=True)
    spec = model(workspace, type="timestamp")
    workspace.ingest(spec)
    assert accepted(workspace, spec) == [AT]
    assert rejected(workspace, spec) == {2: ("2019-08-06 12:56:30.868123001+00", "unreadable")}


def test_int96_orders_histories_by_its_microseconds(workspace: Workspace) -> None:
    later_first = pa.array([AT * 1000, (AT - 1) * 1000], pa.timestamp("ns"))
    path = workspace.folder / "source.parquet"
    pq.write_table(pa.table({"u": [1, 1], "t": later_first, "x": [1, 2]}), path, use_deprecated_int96_timestamps=True)
    spec = workspace.model(
        source={"location": "source.parquet"},
        entity="u",
        order_by=["t"],
        columns={"u": {"type": "int64"}, "t": {"type": "timestamp"}, "x": {"type": "int64"}},
    )
    workspace.ingest(spec)
    assert [(row["x"], row["t"]) for row in workspace.raw_rows(spec)] == [(2, AT - 1), (1, AT)]


@settings(
    deadline=None, max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    microseconds=st.lists(st.integers(FIRST_MICROSECOND, LAST_MICROSECOND) | st.none(), min_size=1, max_size=20),
    nanoseconds=st.lists(
        st.integers(-(2**63) + 1, 2**63 - 1) | st.integers(-(2**53), 2**53).map(lambda ticks: ticks * 1000) | st.none(),
        min_size=1,
        max_size=20,
    ),
    row_group_size=st.integers(1, 7),
)
def test_any_int96_is_read_exactly_or_refused(
    workspace: Workspace, microseconds: list[int | None], nanoseconds: list[int | None], row_group_size: int
) -> None:
    for ticks, unit in ((microseconds, "us"), (nanoseconds, "ns")):
        options = {"row_group_size": row_group_size, "use_deprecated_int96_timestamps": True}
        write(workspace, pa.array(ticks, pa.timestamp(unit)), f"{unit}/x.parquet", **options)
    for ticks, unit, factor in ((microseconds, "us", 1), (nanoseconds, "ns", 1000)):
        spec = model(workspace, unit, type="timestamp")
        workspace.ingest(spec, force=True)
        whole = [tick if tick is None else tick // factor for tick in ticks if tick is None or tick % factor == 0]
        assert accepted(workspace, spec) == whole
        finer = [number for number, tick in enumerate(ticks, 1) if tick is not None and tick % factor]
        assert list(rejected(workspace, spec)) == finer


def test_files_may_have_points_in_time_of_different_types(workspace: Workspace) -> None:
    write(workspace, pa.array([AT * 1000, 1], pa.timestamp("ns")), "in/a.parquet", use_deprecated_int96_timestamps=True)
    write(workspace, pa.array([AT * 1000, 1], pa.timestamp("ns")), "in/b.parquet")
    write(workspace, pa.array([AT], pa.timestamp("us", "Asia/Tokyo")), "in/c.parquet")
    write(workspace, pa.array([AT * 1000], pa.timestamp("ns")), "in/d.parquet", use_deprecated_int96_timestamps=True)
    write(workspace, pa.array(["2019-08-06 12:56:30.868123"]), "in/e.parquet")
    spec = model(workspace, "in", type="timestamp")
    workspace.ingest(spec)
    assert accepted(workspace, spec) == [AT] * 5
    assert [row["file"] for row in workspace.rejected_rows(spec)] == ["a.parquet", "b.parquet"]


# What no contract can hold

MOMENTS: Final = pa.array([1, None], pa.timestamp("ns"))
UNFIT: Final = {
    **{
        f"duration {unit}": (pa.array([1500, None], pa.duration(unit)), f"duration[{unit}]") for unit in ("s", "ms", "us", "ns")
    },
    "dictionary of durations": (pa.array([1500, None], pa.duration("ms")).dictionary_encode(), "duration[ms]"),
    "decimal of 40 digits": (pa.array([Decimal(1), None], pa.decimal256(40, 0)), "decimal256(40, 0)"),
    "time32": (pa.array([1, None], pa.time32("ms")), "time32[ms]"),
    "time64 us": (pa.array([1, None], pa.time64("us")), "time64[us]"),
    "time64 ns": (pa.array([1, None], pa.time64("ns")), "time64[ns]"),
    "list": (pa.array([[1], None]), "a list of int64"),
    "large list": (pa.array([[1], None], pa.large_list(pa.int64())), "a list of int64"),
    "list of fixed size": (pa.array([[1], None], pa.list_(pa.int64(), 1)), "a list of int64"),
    "list view": (pa.array([[1], None], pa.list_view(pa.int64())), "a list of int64"),
    "list of texts": (pa.array([["1"], None]), "a list of string"),
    "list of moments": (pa.array([[1], None], pa.list_(pa.timestamp("ns"))), "a list of timestamp[ns]"),
    "struct": (pa.array([{"a": 1}, None]), "struct<a: int64>"),
    "struct of moments": (pa.array([{"a": 1}, None], pa.struct([("a", pa.timestamp("ns"))])), "struct<a: timestamp[ns]>"),
    "map": (pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())), "map<string, int64>"),
    "an extension type": (
        pa.ExtensionArray.from_storage(pa.opaque(pa.int64(), "x", "y"), pa.array([1, None])),
        "the extension type arrow.opaque",
    ),
    "bool8": (
        pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, None], pa.int8())),
        "the extension type arrow.bool8",
    ),
    "a period of pandas": (
        pa.array(pd.period_range("2020-01", "2020-02", freq="M").insert(1, pd.NaT)[:2]),
        "the extension type pandas.period",
    ),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] * (number % 3 > 0)) for number, kind in enumerate(UNFIT)]
)
def test_values_of_other_kinds_fit_no_contract(workspace: Workspace, kind: str) -> None:
    array, detail = UNFIT[kind]
    columns = {f"c{number}": {"nullable": True, **contract} for number, contract in enumerate(CONTRACTS)}
    write(workspace, pa.table(dict.fromkeys(columns, array)), use_deprecated_int96_timestamps="moments" in kind)
    spec = workspace.model(
        source={"location": "source.parquet"},
        order_by=[],
        columns={"pupil": {"type": "int64"}, **columns},
        checks={"rejected_ratio": {"max": 1.0}},
    )
    workspace.ingest(spec)
    assert workspace.accounting(spec)["accepted"] == 1
    found = [(row["row"], row["column"], row["reason"], row["detail"]) for row in workspace.rejected_rows(spec)]
    assert found == [(1, name, "unreadable", detail) for name in columns]


def test_int96_is_no_text_and_no_number(workspace: Workspace) -> None:
    write(workspace, MOMENTS, use_deprecated_int96_timestamps=True)
    for contract in CONTRACTS[:4]:
        spec = model(workspace, **contract)
        workspace.ingest(spec)
        assert (accepted(workspace, spec), list(rejected(workspace, spec))) == ([None], [1])


# Out of range

OUT_OF_RANGE: Final = {
    "ms": (pa.array([2**60, 1000, None, -(2**63)], pa.timestamp("ms")), {1: f"{2**60} ms", 4: f"{-(2**63)} ms"}),
    "ms of a zone": (
        pa.array([2**62, 1000, None, -(2**62)], pa.timestamp("ms", "Asia/Tokyo")),
        {1: f"{2**62} ms", 4: f"{-(2**62)} ms"},
    ),
    "us": (pa.array([-(2**63), 1_000_000, None, 0], pa.timestamp("us")), {1: f"{-(2**63)} us"}),
}


@pytest.mark.parametrize("write_statistics", [True, False])
@pytest.mark.parametrize("kind", OUT_OF_RANGE)
def test_a_time_that_is_out_of_range_rejects_its_row(workspace: Workspace, kind: str, write_statistics: bool) -> None:
    moments, refused = OUT_OF_RANGE[kind]
    table = pa.table({"value": moments, "x": ["a", "b", None, "d"], "y": pa.array([1, 2, 3, None], pa.uint64())})
    write(workspace, table, write_statistics=write_statistics, row_group_size=3)
    others = {"x": {"type": "string", "nullable": True}, "y": {"type": "int64", "nullable": True}}
    spec = workspace.model(
        source={"location": "source.parquet"},
        order_by=[],
        columns={"pupil": {"type": "int64"}, "value": {"type": "timestamp", "nullable": True}, **others},
        checks={"rejected_ratio": {"max": 1.0}},
    )
    workspace.ingest(spec)
    assert rejected(workspace, spec) == {row: (shown, "unreadable") for row, shown in refused.items()}
    kept = [row for row in range(1, 5) if row not in refused]
    expected = {2: 1_000_000, 3: None, 4: 0}
    found = [(row["_row"], row["value"], row["x"], row["y"]) for row in workspace.raw_rows(spec)]
    x, y = table["x"].to_pylist(), table["y"].to_pylist()
    assert found == [(row, expected[row], x[row - 1], y[row - 1]) for row in kept]


def test_a_time_that_is_out_of_range_within_another_value_or_in_a_day_ends_no_run(workspace: Workspace) -> None:
    listed = pa.array([[2**60], None], pa.list_(pa.timestamp("ms")))
    in_a_struct = pa.array([{"a": -(2**60)}, None], pa.struct([("a", pa.timestamp("ms"))]))
    for values in (listed, in_a_struct, pa.array([2**40, None], pa.time64("us")), pa.array([-1, None], pa.time32("ms"))):
        for write_statistics in (True, False):
            write(workspace, values, write_statistics=write_statistics)
            spec = model(workspace, type="timestamp")
            workspace.ingest(spec, force=True)
            assert (accepted(workspace, spec), list(rejected(workspace, spec))) == ([None], [1])


@pytest.mark.parametrize("days", [2**31 - 1, -(2**31), 2**31 - 2, 3_000_000])
def test_a_date_that_is_out_of_range_rejects_its_row(workspace: Workspace, days: int) -> None:
    write(workspace, pa.array([days, 1, None], pa.date32()))
    for type_, expected in (("timestamp", 86_400_000_000), ("date", date(1970, 1, 2))):
        spec = model(workspace, type=type_)
        workspace.ingest(spec)
        assert (accepted(workspace, spec), list(rejected(workspace, spec))) == ([expected, None], [1])


def test_what_arrow_reads_of_a_file_is_what_duckdb_reads(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every type that a column may have."""
    arrays = {
        **{str(type_): pa.array([100, None, 1], type_) for type_ in (pa.int8(), pa.uint16(), pa.uint64(), pa.float32())},
        "half": pa.array([1.5, None, 2.0], pa.float16()),
        "decimal": pa.array([Decimal("1.50"), None, Decimal(-2)]),
        "bool": pa.array([True, None, False]),
        **{str(type_): pa.array(["a", None, "é"], type_) for type_ in (pa.string(), pa.large_string(), pa.string_view())},
        "dictionary": pa.array(["a", None, "b"]).dictionary_encode(),
        **{str(type_): pa.array([b"a1", None, b"\xff1"], type_) for type_ in (pa.binary(), pa.binary_view(), pa.binary(2))},
        "json": pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a":  1}', None, "2"])),
        "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16), None, bytes(range(16))], pa.binary(16))),
        "date": pa.array([1, None, -1], pa.date32()),
        "date64": pa.array([86_400_000, None, 0], pa.date64()),
        "ms": pa.array([1, None, -1], pa.timestamp("ms")),
        "us": pa.array([1, None, -1], pa.timestamp("us", "Asia/Tokyo")),
        "ns": pa.array([1000, None, -1], pa.timestamp("ns")),
    }
    contracts = [{"type": "string"}, {"type": "timestamp"}, {"type": "date"}, {"type": "float64"}, {"type": "bool"}]
    columns = {
        f"c{place}_{number}": {"nullable": True, **contract}
        for place in range(len(arrays))
        for number, contract in enumerate(contracts)
    }
    written = {f"c{place}_{number}": array for place, array in enumerate(arrays.values()) for number in range(len(contracts))}
    write(workspace, pa.table(written), row_group_size=2)
    spec = workspace.model(
        source={"location": "source.parquet"},
        order_by=[],
        columns={"pupil": {"type": "int64"}, **columns},
        checks={"rejected_ratio": {"max": 1.0}},
    )
    found = []
    for large in (1 << 28, -1):
        monkeypatch.setattr("seq_assets.warehouse.sources.parquet_streams._LARGE_CHUNK", large)
        monkeypatch.setattr("seq_assets.warehouse.sources.parquet_streams._LONG_VALUE", large)
        workspace.ingest(spec, force=True)
        found.append((workspace.raw_rows(spec), workspace.rejected_rows(spec)))
    assert found[0] == found[1]
    assert len(found[0][1]) > 10


# Longer than allowed


def test_texts_and_bytes_that_are_too_long_reject_their_rows(workspace: Workspace) -> None:
    for type_ in (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.binary_view()):
        write(workspace, pa.array(["é" * 1_500, "é" * 1_000, None, "é" * 1_000 + "a"], type_))
        spec = workspace.model(
            source={"location": "source.parquet", "options": {"max_value_bytes": 2_000}},
            order_by=[],
            columns={"pupil": {"type": "int64"}, "value": {"type": "string", "nullable": True}},
            checks={"rejected_ratio": {"max": 1.0}},
        )
        workspace.ingest(spec, force=True)
        assert accepted(workspace, spec) == ["é" * 1_000, None]
        assert rejected(workspace, spec) == dict.fromkeys([1, 4], ("é" * 1_000, "too_long"))


# What is one text


def test_bytes_that_are_no_text_are_unreadable_and_the_others_text(workspace: Workspace) -> None:
    for type_ in (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(2)):
        write(workspace, pa.array([b"\xff1", b"12", None, b"\x00a", "é".encode()], type_))
        spec = model(workspace, type="string")
        workspace.ingest(spec, force=True)
        assert accepted(workspace, spec) == ["12", None, "\x00a", "é"]
        assert rejected(workspace, spec) == {1: (r"\xFF1", "unreadable")}


def test_uuids_and_json_documents_are_their_text(workspace: Workspace) -> None:
    value = uuid.UUID("0A1B2C3D-0000-4000-8000-00000000000F")
    uuids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([value.bytes, None], pa.binary(16)))
    documents = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a":  1}', None]))
    for array, text in ((uuids, str(value)), (documents, '{"a":  1}')):
        write(workspace, array)
        spec = model(workspace, type="string")
        workspace.ingest(spec, force=True)
        assert accepted(workspace, spec) == [text, None]


# Categories with an order of their own

SIZES: Final = ["lo", "mid", "hi"]
ORDERED: Final = {
    "pandas": pa.Table.from_pandas(pd.DataFrame({"value": pd.Categorical(["lo", "hi", "mid"], SIZES, ordered=True)})),
    "pandas, of numbers": pa.Table.from_pandas(pd.DataFrame({"value": pd.Categorical([1, 2, 3], [3, 1, 2], ordered=True)})),
    "arrow": pa.table({"value": pa.DictionaryArray.from_arrays(pa.array([0, 2, 1]), pa.array(SIZES), ordered=True)}),
}


@pytest.mark.parametrize("writer", [*ORDERED, "polars"])
def test_ordered_categories_order_no_history_because_parquet_has_lost_their_order(workspace: Workspace, writer: str) -> None:
    if writer == "polars":
        frame = pl.DataFrame({"pupil": [0, 1, 2], "value": pl.Series(["lo", "hi", "mid"], dtype=pl.Enum(SIZES))})
        frame.write_parquet(workspace.folder / "source.parquet")
    else:
        write(workspace, ORDERED[writer])
    spec = model(workspace, order_by=("value",), type="string", nullable=False)
    with pytest.raises(SourceError, match=r"source\.parquet has ordered categories in 'value', which order_by names.*a number"):
        workspace.ingest(spec)
    unordered = model(workspace, type="string")
    workspace.ingest(unordered)
    assert len(accepted(workspace, unordered)) == 3


def test_categories_without_an_order_are_ordered_by_their_text(workspace: Workspace) -> None:
    table = pa.table({"pupil": [1, 1, 1], "value": pa.array(["mid", "lo", "hi"]).dictionary_encode()})
    workspace.write("source.parquet", table)
    spec = model(workspace, order_by=("value",), type="string", nullable=False)
    workspace.ingest(spec)
    assert accepted(workspace, spec) == ["hi", "lo", "mid"]


# Broken


def spoil(workspace: Workspace, name: str, place: int, content: bytes) -> None:
    """Writes other bytes over those at a place in a file."""
    path = workspace.folder / name
    before = path.read_bytes()
    path.write_bytes(before[:place] + content + before[place + len(content) :])


def refused_by_run_and_look(workspace: Workspace, location: str) -> tuple[str, str]:
    """What a run, and a look at the first records, say of a source that they refuse."""
    spec = model(workspace, location, type="int64")
    said = []
    with pytest.raises(SourceError) as error:
        workspace.ingest(spec)
    said.append(str(error.value))
    with pytest.raises(SourceError) as error:
        workspace.warehouse.sample_source(workspace.ingest_plan(spec), 100_000)
    return said[0], str(error.value)


@pytest.mark.parametrize("compression", ["gzip", "snappy", "zstd", "brotli"])
def test_a_file_whose_page_is_broken_is_refused_by_its_name_among_others(workspace: Workspace, compression: str) -> None:
    for name in ("data/a.parquet", "data/b.parquet", "data/c.parquet"):
        write(workspace, pa.array(range(5_000)), name, compression=compression, use_dictionary=False)
    page = pq.read_metadata(workspace.folder / "data" / "b.parquet").row_group(0).column(0).data_page_offset
    spoil(workspace, "data/b.parquet", page + 60, b"\xff\x00" * 100)
    for said in refused_by_run_and_look(workspace, "data"):
        assert f"{workspace.folder}/data/b.parquet" in said
        assert "cannot be read as Parquet: " in said


def test_a_file_whose_schema_is_broken_is_refused_by_its_name(workspace: Workspace) -> None:
    write(workspace, pa.array([1]))
    # Until Arrow's own schema, which is text of 64 characters, begins.
    place = (workspace.folder / "source.parquet").read_bytes().index(b"ARROW:schema") + 20
    spoil(workspace, "source.parquet", place, b"!!!!")
    for said in refused_by_run_and_look(workspace, "source.parquet"):
        assert f"The source file {workspace.folder}/source.parquet cannot be read as Parquet: " in said


def test_a_file_whose_chunks_disagree_with_its_schema_is_refused_and_ends_no_process(workspace: Workspace) -> None:
    write(workspace, pa.array([1, 2, 3]))
    path = workspace.folder / "source.parquet"
    # The column is said to have no nulls, and, beside its chunks, how many of its values are at which of two levels.
    optional, required = b"\x25\x02\x18\x05value", b"\x25\x00\x18\x05value"
    assert path.read_bytes().count(optional) == 1
    path.write_bytes(path.read_bytes().replace(optional, required))
    for said in refused_by_run_and_look(workspace, "source.parquet"):
        assert "source.parquet cannot be read as Parquet: Definition level histogram size mismatch" in said


def test_what_no_file_is_to_blame_for_is_no_error_of_the_source(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    write(workspace, pa.array([1]))
    monkeypatch.setattr("seq_assets.warehouse.local.ingest.stage_query", lambda *_, **__: "SELECT error('a fault of ours')")
    with pytest.raises(duckdb.Error, match="a fault of ours"):
        workspace.ingest(model(workspace, type="int64"))


def test_a_value_beyond_the_range_that_its_file_says_is_judged_all_the_same(workspace: Workspace) -> None:
    days = pa.array([0, 7_000, 9_000], pa.date32())
    write(workspace, days, compression="none", use_dictionary=False)
    path = workspace.folder / "source.parquet"
    # No day of the years 1 to 9999, between the smallest and the largest, which alone the file says beside its values.
    path.write_bytes(path.read_bytes().replace(struct.pack("<i", 7_000), struct.pack("<i", 33_573_000), 1))
    spec = model(workspace, type="date")
    workspace.ingest(spec)
    assert accepted(workspace, spec) == [date(1970, 1, 1), date(1994, 8, 23)]
    assert workspace.accounting(spec)["rejected_by_reason"] == {"unreadable": 1}
    sample = workspace.warehouse.sample_source(workspace.ingest_plan(spec), 1_000)
    assert sample.accounting is not None
    assert sample.accounting.rejected_by_reason == {"unreadable": 1}
