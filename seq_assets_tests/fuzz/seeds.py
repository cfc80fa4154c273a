"""Small inputs that are right, in every dialect that is read: what is mutated.

Belongs here: bytes and model files. Not here: how they are changed (`mutating`).
"""

import datetime as dt
import decimal
import gzip
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

Format = Literal["csv", "json", "gz", "parquet", "yaml"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

_ROWS: Final = 12
_COLUMNS: Final[Mapping[str, Any]] = {
    "pupil": {"type": "int64"},
    "time": {"type": "timestamp", "nullable": True},
    "skill": {"type": "string", "nullable": True},
    "correct": {"type": "int8", "is_in": [0, 1]},
    "elapsed": {"type": "float32", "nullable": True, "is_between": [0, 86400]},
    "day": {"type": "date", "nullable": True},
    "active": {"type": "bool", "nullable": True},
}
_TEXTS: Final = (
    "add",
    "",
    "ünïcode 😀",
    'a "quoted" text',
    "line\nbreak",
    "comma, tab\t and ;",
    "0",
    "null",
    "NA",
    "a::b",
    "é",
    "x",
)


@dataclass(frozen=True)
class Seed:
    """A source of one file with its model.

    Attributes:
        file: The name of the source's file.
        content: Its bytes.
        model: The text of the model file.
        encoding: In which the content is text; None where it is none.
    """

    file: str
    content: bytes
    model: str
    encoding: str | None = None


@cache
def seeds_of(kind: Format) -> Sequence[Seed]:
    """All seeds of a format; each is built and read without a mistake, but for what `rejected_ratio` lets pass."""
    makers = {"csv": _csv, "json": _json, "gz": _compressed, "parquet": _parquet, "yaml": _yaml}
    return tuple(makers[kind]())


def model_text(file: str, source: Mapping[str, Any] | None = None, **fields: Any) -> str:
    """A model of all columns on a file."""
    content = {
        "name": "fuzzed",
        "source": {"location": file, **(source or {})},
        "entity": "pupil",
        "order_by": ["correct"],
        "columns": _COLUMNS,
        "features": {"correct": {"pad_value": -1}, "pupil": {"pad_value": 0}},
        "split": {"strategy": "entity_hash", "validation_fraction": 0.2},
        "sequence_lengths": [4],
        # So that what is accepted is published, too, whatever else is rejected.
        "checks": {"rejected_ratio": {"max": 1.0}},
        **fields,
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _records() -> list[dict[str, Any]]:
    start = dt.datetime(2024, 2, 28, 23, 59, 58, 123456)
    return [
        {
            "pupil": 1 + number // 4,
            "time": start + dt.timedelta(hours=7 * number),
            "skill": _TEXTS[number],
            "correct": number % 2,
            "elapsed": number * 1.25,
            "day": (start + dt.timedelta(days=number)).date(),
            "active": number % 3 == 0,
        }
        for number in range(_ROWS)
    ]


def _lines(delimiter: str, *, quoted: bool, header: bool = True, decimal_mark: str = ".") -> str:
    def field(value: Any) -> str:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if isinstance(value, float):
            text = text.replace(".", decimal_mark)
        if quoted and (delimiter in text or any(sign in text for sign in '"\n\r') or text == ""):
            return '"' + text.replace('"', '""') + '"'
        return text if quoted else text.replace(delimiter, " ").replace("\n", " ").replace('"', "'")

    records = [list(record.values()) for record in _records()]
    rows = [list(_COLUMNS)] * header + records
    return "".join(delimiter.join(map(field, row)) + "\n" for row in rows)


def _csv() -> Iterator[Seed]:
    plain = _lines(",", quoted=True)
    yield Seed("x.csv", plain.encode(), model_text("x.csv"), "utf-8")
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "utf-7", "cp1252", "shift_jis", "gb18030"):
        content = plain.encode(encoding, "replace")
        yield Seed("x.csv", content, model_text("x.csv", {"options": {"encoding": encoding}}), encoding)
    dialects: list[tuple[str, str, Mapping[str, Any]]] = [
        ("x.tsv", _lines("\t", quoted=True), {}),
        ("x.csv", _lines("::", quoted=False), {"delimiter": "::", "quoting": "none"}),
        ("x.csv", _lines(";", quoted=True, decimal_mark=","), {"delimiter": ";", "decimal": ",", "thousands": "."}),
        ("x.csv", "about\nthis file\n" + plain, {"skip_rows": 2, "quoted_nulls": True, "null_values": ["", "NA", "null"]}),
        ("x.csv", plain.replace("\n", "\r\n"), {}),
    ]
    for file, text, options in dialects:
        yield Seed(file, text.encode(), model_text(file, {"options": dict(options)}), "utf-8")
    numbered = {name: {**column, "from": str(number)} for number, (name, column) in enumerate(_COLUMNS.items(), 1)}
    without_header = model_text("x.csv", {"options": {"header": False}}, columns=numbered)
    yield Seed("x.csv", _lines(",", quoted=True, header=False).encode(), without_header, "utf-8")
    yield Seed("x.dkt", _three_lines().encode(), _three_line_model("x.dkt"), "utf-8")


def _three_lines() -> str:
    return "3\n5,7,5\n1,0,1\n\n2\n8,9,\n0,1,\n4\n1,1,1,2\n1,1,0,0\n"


def _three_line_model(file: str) -> str:
    columns = {"entity": {"type": "string"}, "skill": {"type": "int32"}, "answer": {"type": "int8", "is_in": [0, 1]}}
    features = {"skill": {"encode": "vocabulary"}, "answer": {"pad_value": -1}}
    return model_text(file, entity="entity", order_by=[], columns=columns, features=features)


def _json_lines() -> str:
    return "".join(json.dumps(record, default=str, ensure_ascii=False) + "\n" for record in _records())


def _json() -> Iterator[Seed]:
    plain = _json_lines()
    yield Seed("x.jsonl", plain.encode(), model_text("x.jsonl"), "utf-8")
    yield Seed(
        "x.ndjson",
        "".join(f"{json.dumps(record, default=str)}\n" for record in _records()).encode(),
        model_text("x.ndjson"),
        "ascii",
    )
    options = {"options": {"encoding": "utf-16"}}
    yield Seed("x.json", plain.encode("utf-16"), model_text("x.json", options), "utf-16")
    odd = [
        {"pupil": 9007199254740993, "correct": 1, "elapsed": 16777217.0000001, "skill": 5, "other": {"a": [1, {"b": None}]}},
        {
            "pupil": -0,
            "correct": 0.0,
            "elapsed": 1e-45,
            "skill": "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
        },
        {"pupil": 3, "correct": 1, "time": None, "skill": [1, 2], "": "", "a/b~c": 1},
    ]
    text = "".join(json.dumps(record) + "\n" for record in odd) + '{"pupil": 4, "correct": 1, "elapsed": NaN}\n'
    yield Seed("x.jsonl", text.encode(), model_text("x.jsonl"), "utf-8")


def _compressed() -> Iterator[Seed]:
    texts = {"x.csv": _lines(",", quoted=True), "x.jsonl": _json_lines()}
    for file, text in texts.items():
        yield Seed(f"{file}.gz", gzip.compress(text.encode(), mtime=0), model_text(f"{file}.gz"))
        yield Seed(f"{file}.zst", pa.Codec("zstd").compress(text.encode(), asbytes=True), model_text(f"{file}.zst"))
    dkt = gzip.compress(_three_lines().encode(), mtime=0)
    yield Seed("x.dkt.gz", dkt, _three_line_model("x.dkt.gz"))


def _parquet() -> Iterator[Seed]:
    table = pa.Table.from_pylist(_records())
    odd = table.append_column("list", pa.array([[1, 2]] * _ROWS)).append_column("struct", pa.array([{"a": 1}] * _ROWS))
    settings: list[tuple[pa.Table, dict[str, Any]]] = [
        (table, {}),
        (table, {"compression": "none", "use_dictionary": False, "row_group_size": 5}),
        (table, {"compression": "gzip", "data_page_version": "2.0"}),
        (table, {"compression": "zstd", "use_deprecated_int96_timestamps": True}),
        (odd, {"compression": "brotli", "write_page_index": True, "store_schema": False}),
        (_unusual(), {"compression": "lz4", "use_dictionary": ["skill"]}),
        (table, {"compression": "none", "use_dictionary": False, "column_encoding": {"pupil": "DELTA_BINARY_PACKED"}}),
    ]
    for content, options in settings:
        sink = io.BytesIO()
        pq.write_table(content, sink, **options)
        yield Seed("x.parquet", sink.getvalue(), model_text("x.parquet"))


def _unusual() -> pa.Table:
    """The columns in types that other writers use."""
    records = _records()
    return pa.table(
        {
            "pupil": pa.array([decimal.Decimal(record["pupil"]) for record in records], pa.decimal128(20, 2)),
            "time": pa.array([record["time"] for record in records], pa.timestamp("ns", "Europe/Amsterdam")),
            "skill": pa.array([record["skill"] for record in records]).dictionary_encode(),
            "correct": pa.array([record["correct"] for record in records], pa.float64()),
            "elapsed": pa.array([record["elapsed"] for record in records], pa.float16()),
            "day": pa.array([record["day"] for record in records], pa.date64()),
            "active": pa.array([record["correct"] for record in records], pa.uint8()),
            "bytes": pa.array([b"\xff\x00"] * len(records)),
        }
    )


def _yaml() -> Iterator[Seed]:
    """Models that say all there is to say; what is mutated is their text."""
    content = _lines(",", quoted=True).encode()
    options = {"delimiter": ",", "null_values": ["", "NA"], "encoding": "utf-8", "header": True, "quoting": "standard"}
    yield Seed("x.csv", content, model_text("x.csv", {"format": "csv", "options": options}), "utf-8")
    columns = {
        **_COLUMNS,
        "course": {"type": "string", "nullable": True, "from": {"path": "([a-z])\\.csv"}},
        "time": {"type": "timestamp", "nullable": True, "format": "%Y-%m-%d %H:%M:%S.%f", "timezone": "Europe/Amsterdam"},
        "day": {"type": "date"},
        "elapsed": {"type": "float64", "nullable": True, "is_greater_than": -1, "has_acceptable_percentage_of_nulls": 0.5},
    }
    features = {"skill": {"encode": "vocabulary", "fill_null": "add"}, "elapsed": {"pad_value": 0.5, "fill_null": 0}}
    split = {"strategy": "time", "column": "day", "cutoff": dt.datetime(2024, 3, 1)}
    yield Seed(
        "x.csv",
        content,
        model_text(
            "*.csv",
            columns=columns,
            features=features,
            split=split,
            order_by=["day", "correct"],
            window={"mode": "sliding", "stride": 2},
            padding={"side": "left"},
            min_length=2,
            description='Said in words: "all" of them.',
            owner="team:learning",
            checks={"pad_ratio": {"warn": 0.5, "max": 0.9}, "drift": {"rows": 0.1}, "rejected_ratio": {"max": 1}},
        ),
        "utf-8",
    )
    split = {"strategy": "column", "column": "active", "train": [True], "validation": [False]}
    yield Seed("x.csv", content, model_text("x*", split=split).replace("  day:\n", "  day: &id\n"), "utf-8")
