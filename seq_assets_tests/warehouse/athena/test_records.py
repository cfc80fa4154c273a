"""A source's records on their way to Athena: how each type of Parquet is carried, and what text becomes."""

from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from seq_assets.models import ModelSpec, parse_model
from seq_assets.warehouse.athena.casts import Carrier
from seq_assets.warehouse.athena.records import WrittenRecords, write_records
from seq_assets.warehouse.engine import Engine, connect_in_memory
from seq_assets.warehouse.interface import no_progress
from seq_assets.warehouse.sources.location import find_files
from seq_assets.warehouse.sources.records import SourceFindings, wanted_columns
from seq_assets.warehouse.storage.storage import LocalStorage

FIXED = ["_file", "_name", "_row", "_malformed", "_detail", "_unreadable", "_too_long"]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "scratch").mkdir()
    with Engine.open(connect_in_memory, tmp_path / "scratch", "1GiB", LocalStorage(tmp_path)) as opened:
        yield opened


def spec_of(location: str, **columns: Any) -> ModelSpec:
    content = {"name": "m", "source": {"location": location}, "entity": "e", "columns": {"e": {"type": "int64"}} | columns}
    return parse_model(yaml.safe_dump(content, sort_keys=False), "m.yaml")


class Written:
    """What `write_records` makes of the files below a folder."""

    def __init__(self, folder: Path, engine: Engine, spec: ModelSpec) -> None:
        """Reads and writes them."""
        self.found = SourceFindings()
        storage = LocalStorage(folder / "tables")
        source = find_files(spec.source.location if isinstance(spec.source.location, str) else "", str(folder), "auto")
        place = f"{storage.root}/scratch"
        self.parts, self.rows = write_records(spec, source, storage, place, engine, no_progress, self.found)
        # A table over a folder reads all that is in it.
        self.files = {part.folder: storage.files(part.folder) for part in self.parts}
        self.tables = [pq.ParquetFile(file).read() for files in self.files.values() for file in files]


def carried(folder: Path, engine: Engine, values: pa.Array) -> tuple[WrittenRecords, pa.Table]:
    """A column `v` of these values."""
    pq.write_table(pa.table({"e": pa.array(range(len(values))), "v": values}), folder / "a.parquet")
    written = Written(folder, engine, spec_of("a.parquet", v={"type": "string", "nullable": True}))
    ((part,), (table,)) = written.parts, written.tables
    return part, table


INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32()]
MOMENT = datetime(1969, 12, 31, 23, 59, 59, 999_000)


@pytest.mark.parametrize("type_", INTEGERS, ids=str)
def test_integers_that_64_bits_hold_are_integers(tmp_path: Path, engine: Engine, type_: pa.DataType) -> None:
    part, table = carried(tmp_path, engine, pa.array([127, None, 0], type_))
    assert (part.carriers["v"], list(part.texts), table.schema.field("v").type) == (Carrier.INTEGER, [], pa.int64())
    assert table.column("v").to_pylist() == [127, None, 0]


@pytest.mark.parametrize(
    ("values", "carrier", "expected"),
    [
        (pa.array(["٣", "", None]), Carrier.TEXT, ["٣", "", None]),
        (pa.array(["b", "a", None]).dictionary_encode(), Carrier.TEXT, ["b", "a", None]),
        (pa.nulls(2), Carrier.TEXT, [None, None]),
        (pa.array([2**64 - 1, None], pa.uint64()), Carrier.BIG_INTEGER, [Decimal(2**64 - 1), None]),
        (pa.array([Decimal("1.50"), None]), Carrier.DECIMAL_TEXT, ["1.50", None]),
        (pa.array([Decimal(10**37)], pa.decimal128(38)), Carrier.DECIMAL_TEXT, [str(10**37)]),
        (pa.array([True, None]), Carrier.BOOLEAN, [True, None]),
        (pa.array([time(12, 30), None]), Carrier.OTHER, ["12:30:00", None]),
        (pa.array([[1, 2], None]), Carrier.OTHER, ["[1, 2]", None]),
        (pa.array([{"a": 1}, None]), Carrier.OTHER, ["{'a': 1}", None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_values_that_show_what_stood_there_are_carried_alone(
    tmp_path: Path, engine: Engine, values: pa.Array, carrier: Carrier, expected: list[Any]
) -> None:
    part, table = carried(tmp_path, engine, values)
    assert (part.carriers["v"], list(part.texts)) == (carrier, [])
    assert table.column("v").to_pylist() == expected
    assert table.schema.names == [*FIXED, "e", "v"]


@pytest.mark.parametrize(
    ("values", "carrier", "expected", "texts"),
    [
        (pa.array([0.5, None], pa.float32()), Carrier.FLOAT, [0.5, None], ["0.5", None]),
        (pa.array([1e300, float("inf")]), Carrier.DOUBLE, [1e300, float("inf")], ["1e+300", "inf"]),
        (pa.array([date(1969, 12, 31), None]), Carrier.DAYS, [-1, None], ["1969-12-31", None]),
        (pa.array([MOMENT], pa.timestamp("s")), Carrier.MICROSECONDS, [-1_000_000], ["1969-12-31 23:59:59"]),
        (pa.array([MOMENT], pa.timestamp("ms")), Carrier.MICROSECONDS, [-1_000], ["1969-12-31 23:59:59.999"]),
        (pa.array([MOMENT], pa.timestamp("us")), Carrier.MICROSECONDS, [-1_000], ["1969-12-31 23:59:59.999"]),
        (pa.array([MOMENT], pa.timestamp("us", "Asia/Tokyo")), Carrier.MICROSECONDS, [-1_000], ["1969-12-31 23:59:59.999+00"]),
        (pa.array([-1], pa.timestamp("ns")), Carrier.NANOSECONDS, [-1], ["1969-12-31 23:59:59.999999999"]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_the_text_of_other_values_is_carried_beside_them(
    tmp_path: Path, engine: Engine, values: pa.Array, carrier: Carrier, expected: list[Any], texts: list[str | None]
) -> None:
    part, table = carried(tmp_path, engine, values)
    assert (part.carriers["v"], list(part.texts)) == (carrier, ["v"])
    assert table.column("v").to_pylist() == expected
    assert table.column("_text_v").to_pylist() == texts


NANOSECONDS = pa.array([1, 1000], pa.timestamp("ns"))
LOCAL = {"type": "timestamp", "timezone": "Asia/Tokyo"}


def test_local_times_are_carried_as_text(tmp_path: Path, engine: Engine) -> None:
    pq.write_table(pa.table({"e": [1, 2], "v": NANOSECONDS}), tmp_path / "a.parquet")
    written = Written(tmp_path, engine, spec_of("a.parquet", v=LOCAL))
    assert written.parts[0].carriers["v"] is Carrier.TIME_TEXT
    assert written.tables[0].column("v").to_pylist() == ["1970-01-01 00:00:00.000000001", "1970-01-01 00:00:00.000001"]


def test_int96_is_carried_as_microseconds_and_shown_with_its_nanoseconds(tmp_path: Path, engine: Engine) -> None:
    pq.write_table(pa.table({"e": [1, 2], "v": NANOSECONDS}), tmp_path / "a.parquet", use_deprecated_int96_timestamps=True)
    written = Written(tmp_path, engine, spec_of("a.parquet", v=LOCAL))
    assert (written.parts[0].carriers["v"], written.parts[0].written["v"]) == (Carrier.MICROSECONDS, "INT96")
    shown = written.tables[0].select(["_row", "v", "_text_v", "_unreadable"]).to_pydict()
    assert sorted(zip(*shown.values(), strict=True)) == [
        (1, 0, "1970-01-01 00:00:00.000000001+00", "v"),
        (2, 1, "1970-01-01 00:00:00.000001+00", None),
    ]


def test_a_column_that_files_do_not_have_is_null_text(tmp_path: Path, engine: Engine) -> None:
    pq.write_table(pa.table({"e": [1], "other": [2]}), tmp_path / "a.parquet")
    spec = spec_of("a.parquet", v={"type": "int8", "nullable": True})
    written = Written(tmp_path, engine, spec)
    assert written.parts[0].carriers == {"e": Carrier.INTEGER, "v": Carrier.TEXT}
    assert written.tables[0].column("v").to_pylist() == [None]
    assert written.found.ignored(wanted_columns(spec)) == ["other"]


def test_files_of_different_types_are_written_apart_each_record_with_its_file_and_number(
    tmp_path: Path, engine: Engine
) -> None:
    (tmp_path / "in").mkdir()
    for name, column in {"é": pa.array([1, 2]), "a": pa.array(["x"]), "b": pa.array([3])}.items():
        pq.write_table(pa.table({"e": range(len(column)), "v": column}), tmp_path / "in" / f"{name}.parquet")
    written = Written(tmp_path, engine, spec_of("in", v={"type": "int8"}))
    assert written.rows == 4
    found = {}
    for part, table in zip(written.parts, written.tables, strict=True):
        for row in table.to_pylist():
            found[row["_name"], row["_row"]] = (row["_file"], part.carriers["v"], row["v"])
    assert found == {
        ("a.parquet", 1): (0, Carrier.TEXT, "x"),
        ("b.parquet", 1): (1, Carrier.INTEGER, 3),
        ("é.parquet", 1): (2, Carrier.INTEGER, 1),
        ("é.parquet", 2): (2, Carrier.INTEGER, 2),
    }


def test_text_is_carried_as_it_stands_malformed_records_included(tmp_path: Path, engine: Engine) -> None:
    (tmp_path / "a.csv").write_text('e,v\n1," x\ny"\n2\n3,\n', encoding="utf-8")
    written = Written(tmp_path, engine, spec_of("a.csv", v={"type": "int8"}))
    assert written.rows == 3
    assert (written.parts[0].carriers, list(written.parts[0].texts)) == ({"e": Carrier.TEXT, "v": Carrier.TEXT}, [])
    assert written.tables[0].schema.names == [*FIXED, "e", "v"]
    names = ("_name", "v", "_malformed", "_detail")
    shown = {row["_row"]: tuple(row[name] for name in names) for row in written.tables[0].to_pylist()}
    assert shown == {
        1: ("a.csv", " x\ny", None, None),
        2: ("a.csv", None, "2", "2 fields expected, 1 found"),
        3: ("a.csv", None, None, None),
    }


@pytest.mark.parametrize("extension", ["parquet", "csv"])
def test_a_part_of_the_path_is_carried_as_text(tmp_path: Path, engine: Engine, extension: str) -> None:
    (tmp_path / "in").mkdir()
    for number in (5, 17):
        if extension == "csv":
            (tmp_path / "in" / f"u{number}.csv").write_text("e\n1\n")
        else:
            pq.write_table(pa.table({"e": [1]}), tmp_path / "in" / f"u{number}.parquet")
    written = Written(tmp_path, engine, spec_of("in", v={"type": "int8", "from": {"path": "u([0-9]+)"}}))
    assert written.parts[0].carriers["v"] == Carrier.TEXT
    assert sorted(zip(*(written.tables[0].column(name).to_pylist() for name in ("_name", "v")), strict=True)) == [
        (f"u17.{extension}", "17"),
        (f"u5.{extension}", "5"),
    ]


def test_a_part_without_records_is_an_empty_folder(tmp_path: Path, engine: Engine) -> None:
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"e": pa.array([], pa.int64())}), tmp_path / "in" / "a.parquet")
    pq.write_table(pa.table({"e": pa.array(["1"])}), tmp_path / "in" / "b.parquet")
    written = Written(tmp_path, engine, spec_of("in"))
    assert written.rows == 1
    assert [len(written.files[part.folder]) for part in written.parts] == [0, 1]
    assert [table.column("_name").to_pylist() for table in written.tables] == [["b.parquet"]]
