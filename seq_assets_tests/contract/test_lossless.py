"""Forms of input in which a reader or an engine would lose something before anything is counted; every warehouse says the same.

Each case is one source with what its model file says of it, the observations that must come out and the records that must not.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seq_assets.environments import current_environment
from seq_assets.errors import SourceError
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets_tests.warehouse.building import Row, Workspace, published_rows

INT: Final = {"type": "int64"}
COLUMNS: Final = {"u": INT, "t": INT, "x": INT}


@dataclass(frozen=True)
class Case:
    """A source, and what must become of it.

    Attributes:
        name: Of the case.
        files: The source's files, below one folder.
        accepted: The observations in order, with the columns that matter.
        rejected: Record, column, reason and detail of each row of the rejected observations.
        columns: The contract.
        options: Of the source.
    """

    name: str
    files: Mapping[str, str | bytes]
    accepted: Sequence[Row]
    rejected: Sequence[tuple[int, str | None, str, str | None]] = ()
    columns: Mapping[str, Any] = field(default_factory=lambda: COLUMNS)
    options: Mapping[str, Any] = field(default_factory=dict)


def parquet_file(table: pa.Table, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **settings)
    return buffer.getvalue()


def unbalanced() -> str:
    lines = [f"1\t{10 + number}\t{number % 2}\tgood" for number in range(100)]
    lines[9], lines[59] = '1\t19\t1\t"bad', '1\t69\t1\t"bad'
    return "u\tt\tx\tanswer\n" + "\n".join(lines) + "\n"


def microseconds(values: Sequence[int]) -> list[Row]:
    return [{"t": value} for value in values]


NANOSECONDS: Final = [1565096190868123999, 1565096190868123001, 1565096190868123500]
MOMENTS: Final = pa.table({"u": [1] * 3, "t": pa.array(NANOSECONDS, pa.timestamp("ns")), "x": [1, 2, 3]})
WHOLE: Final = pa.table(
    {"u": [1] * 2, "t": pa.array([1565096190868123000, 1565096190868122000], pa.timestamp("ns")), "x": [1, 2]}
)
TIMED: Final = {**COLUMNS, "t": {"type": "timestamp"}}
ANSWERED: Final = {**COLUMNS, "answer": {"type": "string"}}
SHORT: Final = {"u": INT, "t": INT, "answer": {"type": "string"}}
AMSTERDAM: Final = {**COLUMNS, "t": {"type": "timestamp", "format": "%d/%m/%Y %H:%M", "timezone": "Europe/Amsterdam"}}
TOOK: Final = {"u": INT, "t": INT, "took": INT}


def a_duration(unit: str, value: int) -> bytes:
    return parquet_file(pa.table({"u": [1], "t": [1], "took": pa.array([value], pa.duration(unit))}))


LONG: Final = [(1, 1, "a" * 21), (1, 1, "é" * 10), ("1" * 21, 1, "é" * 11)]
LONG_VALUES: Final[dict[str, str | bytes]] = {
    "source.csv": "x,t,u,answer\n" + "".join(f'{x},{t},1,"{answer}"\n' for x, t, answer in LONG),
    "source.jsonl": "".join(f'{{"x": "{x}", "t": {t}, "u": 1, "answer": "{answer}"}}\n' for x, t, answer in LONG),
    "source.parquet": parquet_file(
        pa.table({"u": [1] * 3, "t": [1] * 3, "x": ["1", "1", "1" * 21], "answer": [row[2] for row in LONG]})
    ),
    "binary.parquet": parquet_file(
        pa.table({"u": [1] * 3, "t": [1] * 3, "x": ["1", "1", "1" * 21], "answer": [row[2].encode() for row in LONG]})
    ),
}
OUT_OF_RANGE: Final = pa.table({"u": [1] * 3, "t": pa.array([2**60, 1, -(2**62)], pa.timestamp("ms")), "x": [1, 2, 3]})

CASES: Final = [
    Case(
        "a quote that is not closed takes its own line with it, and no other",
        {"source.tsv": unbalanced()},
        [{"t": 10 + number, "answer": "good"} for number in range(100) if number not in (9, 59)],
        [(10, None, "malformed", "a field not closed"), (60, None, "malformed", "a field not closed")],
        columns=ANSWERED,
    ),
    Case(
        "without quoting a quote is a character",
        {"source.tsv": unbalanced()},
        [{"t": 10 + number, "answer": '"bad' if number in (9, 59) else "good"} for number in range(100)],
        columns=ANSWERED,
        options={"quoting": "none"},
    ),
    Case(
        "text after a closing quote",
        {"source.csv": 'u,t,answer\n1,1,"a"b\n1,2,c\n1,3,"d ""e"" f"\n'},
        [{"t": 2, "answer": "c"}, {"t": 3, "answer": 'd "e" f'}],
        [(1, None, "malformed", "text after a closing quote")],
        columns=SHORT,
    ),
    Case(
        "a line break within quotes is a part of its value",
        {"source.csv": 'u,t,answer\n1,1,"two\nlines"\n1,2,c\n'},
        [{"t": 1, "answer": "two\nlines"}, {"t": 2, "answer": "c"}],
        columns=SHORT,
    ),
    Case(
        "a wrong number of fields",
        {"source.csv": "u,t,x\n1,1\n1,2,3\n1,2,3,4,5\n"},
        [{"t": 2, "x": 3}],
        [(1, None, "malformed", "3 fields expected, 2 found"), (3, None, "malformed", "3 fields expected, 5 found")],
    ),
    *(
        Case(
            f"values that are too long, in {name}",
            {name: content},
            [{"t": 1, "x": 1, "answer": "é" * 10}],
            [(1, "answer", "too_long", None), (3, "x", "too_long", None), (3, "answer", "too_long", None)],
            columns=ANSWERED,
            options={"max_value_bytes": 20},
        )
        for name, content in LONG_VALUES.items()
    ),
    Case(
        "a value that is too long and unreadable, one that is too long and malformed, and one of a column that nobody reads",
        {"source.csv": f"u,t,x,other\n1,{'a' * 21},1,\n1,2,{'1' * 21}\n1,3,3,{'b' * 100}\n"},
        [{"t": 3, "x": 3}],
        [(1, "t", "too_long", None), (2, None, "malformed", "4 fields expected, 3 found")],
        options={"max_value_bytes": 20},
    ),
    Case(
        "a date and a time that no engine holds",
        {"source.parquet": parquet_file(OUT_OF_RANGE)},
        [{"t": 1_000, "x": 2}],
        [(1, "t", "unreadable", None), (3, "t", "unreadable", None)],
        columns=TIMED,
    ),
    Case(
        "bytes that are no text",
        {"source.csv": b"u,t,answer\n1,1,\xff\n1,2,c\n"},
        [{"t": 2, "answer": "c"}],
        [(1, None, "malformed", "not UTF-8 at byte 5")],
        columns=SHORT,
    ),
    Case(
        "INT96 with nanoseconds",
        {"source.parquet": parquet_file(MOMENTS, use_deprecated_int96_timestamps=True)},
        [],
        [(row, "t", "unreadable", None) for row in (1, 2, 3)],
        columns=TIMED,
    ),
    Case(
        "timestamps with nanoseconds",
        {"source.parquet": parquet_file(MOMENTS, version="2.6")},
        [],
        [(row, "t", "unreadable", None) for row in (1, 2, 3)],
        columns=TIMED,
    ),
    Case(
        "INT96 of whole microseconds",
        {"source.parquet": parquet_file(WHOLE, use_deprecated_int96_timestamps=True)},
        [{"t": 1565096190868122, "x": 2}, {"t": 1565096190868123, "x": 1}],
        columns=TIMED,
    ),
    *(
        Case(
            f"a duration of {unit} is no number",
            {"source.parquet": a_duration(unit, value)},
            [],
            [(1, "took", "unreadable", f"duration[{unit}]")],
            columns=TOOK,
        )
        for unit, value in (("ms", 1_500), ("us", 1_500_000), ("ns", 1_500_000_000))
    ),
    Case(
        "a key of an object twice",
        {"source.jsonl": '{"u": 1, "t": 1, "answer": "x", "answer": "y"}\n{"u": 1, "t": 2, "answer": "z"}\n'},
        [{"t": 2, "answer": "z"}],
        [(1, None, "malformed", 'the key "answer" twice')],
        columns=SHORT,
    ),
    Case(
        "an integer that JSON writes as a float",
        {
            "source.jsonl": '{"u": 1, "t": 1, "x": 123456789012345678.0}\n{"u": 1, "t": 2, "x": 9007199254740993.0}\n'
            '{"u": 1, "t": 3, "x": 1e3}\n'
        },
        [{"t": 1, "x": 123456789012345678}, {"t": 2, "x": 9007199254740993}],
        [(3, "x", "unreadable", None)],
    ),
    Case(
        "forms of a point in time",
        {
            "source.csv": "u,t,x\n1,2017-07-14 02:40:00.238544+00,0\n1,2017-07-14 02:40:00.238 UTC,1\n"
            "1,2017-07-14 02:40:00+0000,2\n1,2017-07-14T04:40:00+02,3\n1,2017-07-14 02:40:00Z,4\n"
            "1,2017-07-14 02:40:00.100000000,5\n"
        },
        [
            {"t": 1500000000000000 + fraction, "x": x}
            for fraction, x in ((0, 2), (0, 3), (0, 4), (100_000, 5), (238_000, 1), (238_544, 0))
        ],
        columns=TIMED,
    ),
    Case(
        "local times, with a change of clocks back and forth",
        {"source.csv": "u,t,x\n1,29/10/2023 02:30,1\n1,29/10/2023 03:30,2\n1,26/03/2023 02:30,3\n1,26/03/2023 03:30,4\n"},
        [
            {"t": 1679794200000000, "x": 4},
            {"t": 1698539400000000, "x": 1},
            {"t": 1698546600000000, "x": 2},
        ],
        [(3, "t", "unreadable", None)],
        columns=AMSTERDAM,
    ),
    Case(
        "a delimiter of two characters",
        {"source.csv": "1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n"},
        [{"u": 1, "x": 5, "t": 978300760}, {"u": 1, "x": 3, "t": 978302109}, {"u": 2, "x": 4, "t": 978298413}],
        columns={"u": {**INT, "from": "1"}, "x": {**INT, "from": "3"}, "t": {**INT, "from": "4"}},
        options={"delimiter": "::", "header": False},
    ),
    Case(
        "a decimal comma",
        {"source.csv": "u;t;x\n1;1;1,5\n1;2;1.234,25\n1;3;-0,5\n1;4;1.5\n"},
        [{"x": 1.5}, {"x": 1234.25}, {"x": -0.5}],
        [(4, "x", "unreadable", None)],
        columns={**COLUMNS, "x": {"type": "float64"}},
        options={"delimiter": ";", "decimal": ",", "thousands": "."},
    ),
    Case(
        "quoted nulls that are meant",
        {"source.csv": '"u","t","x"\n"1","1","3"\n"1","2",""\n"1","3","NA"\n'},
        [{"t": 1, "x": 3}, {"t": 2, "x": None}, {"t": 3, "x": None}],
        columns={**COLUMNS, "x": {**INT, "nullable": True}},
        options={"quoted_nulls": True, "null_values": ["", "NA"]},
    ),
    Case(
        "quoted texts are no nulls by themselves",
        {"source.csv": '"u","t","x"\n"1","1","3"\n"1","2",""\n"1","3","NA"\n'},
        [{"t": 1, "x": 3}],
        [(2, "x", "unreadable", None), (3, "x", "unreadable", None)],
        columns={**COLUMNS, "x": {**INT, "nullable": True}},
        options={"null_values": ["", "NA"]},
    ),
    Case(
        "lines before the header",
        {"source.csv": "exported by a tool\n\nu,t,x\n1,1,3\n1,2,4\n"},
        [{"t": 1, "x": 3}, {"t": 2, "x": 4}],
        options={"skip_rows": 2},
    ),
    Case(
        "a column from the path",
        {
            "u17.csv": "timestamp,item,correct\n1000,q1,1\n2000,q2,0\n",
            "u5.csv": "timestamp,item,correct\n1500,q9,1\n",
        },
        [
            {"u": 5, "item": "q9", "x": 1},
            {"u": 17, "item": "q1", "x": 1},
            {"u": 17, "item": "q2", "x": 0},
        ],
        columns={
            "u": {**INT, "from": {"path": r"u([0-9]+)\.csv"}},
            "t": {**INT, "from": "timestamp"},
            "item": {"type": "string"},
            "x": {**INT, "from": "correct"},
        },
    ),
]


@pytest.fixture(params=["local", pytest.param("prod", marks=pytest.mark.athena)])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty warehouse of each engine, and a folder of sources."""
    folder = tmp_path / "models"
    folder.mkdir()
    if request.param == "local":
        return Workspace(folder, LocalWarehouse(tmp_path / "home"))
    request.getfixturevalue("production")
    monkeypatch.setenv("SEQ_ASSETS_ENV", "prod")
    return Workspace(folder, current_environment().warehouse())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_is_lost(case: Case, place: Workspace) -> None:
    spec = modeled(place, case)
    version = place.ingest(spec).version
    found = published_rows(place.warehouse, version)
    names = list(case.accepted[0]) if case.accepted else []
    assert [{name: row[name] for name in names} for row in found] == list(case.accepted)
    rejected = published_rows(place.warehouse, place.warehouse.find(Dataset.rejected(spec.name)))
    shown = sorted((row["row"], row["column"], row["reason"], row["detail"]) for row in rejected)
    assert shown == sorted(case.rejected)


def modeled(place: Workspace, case: Case) -> Any:
    for name, content in case.files.items():
        place.write(f"source/{name}", content)
    return place.model(
        source={"location": "source", "options": dict(case.options)},
        entity="u",
        order_by=["t"],
        columns={name: dict(column) for name, column in case.columns.items()},
        checks={"rejected_ratio": {"max": 1.0}},
    )


REFUSED: Final[Sequence[tuple[str, str, str | bytes, Callable[[str], bool]]]] = [
    (
        "an array of JSON",
        "source.json",
        '[{"u": 1, "t": 1, "x": 3}]',
        lambda text: "JSON array" in text and "JSON lines" in text,
    ),
    ("another delimiter", "source.csv", "u;t;x\n1;1;3\n", lambda text: 'options.delimiter: ";"' in text),
    ("a name in capitals", "source.csv", "U,t,x\n1,1,3\n", lambda text: 'from: "U"' in text or "from: U" in text),
    ("a zip", "source.csv", b"PK\x03\x04rest of it", lambda text: "zip" in text),
    ("UTF-16", "source.csv", "u,t,x\n1,1,3\n".encode("utf-16"), lambda text: "options.encoding" in text),
]


@pytest.mark.parametrize(("name", "file", "content", "is_said"), REFUSED, ids=[name for name, *_ in REFUSED])
def test_what_is_something_else_is_refused_by_name(
    name: str, file: str, content: str | bytes, is_said: Callable[[str], bool], tmp_path: Path
) -> None:
    place = Workspace(tmp_path, LocalWarehouse(tmp_path / "home"))
    spec = modeled(place, Case(name, {file: content}, []))
    with pytest.raises(SourceError) as error:
        place.ingest(spec)
    assert is_said(str(error.value)), str(error.value)
    assert file in str(error.value)
