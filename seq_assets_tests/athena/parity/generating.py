"""From the values of dimensions to model files, sources and the sequences that are asked of them, by a seed.

Belongs here: what a value of a dimension means. Not here: which values go together and are chosen (`dimensions`), or what an
engine makes of them.
"""

import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from seq_assets_tests.athena.parity.dimensions import (
    CASE_DIMENSIONS,
    SOURCE_DIMENSIONS,
    Values,
    all_pairs,
    covering_values,
    pairs_of,
)
from seq_assets_tests.reference.files import Record, csv_records, json_records, three_line_records
from seq_assets_tests.reference.reading import EPOCH, FLOATS, INTEGER_BITS, NoValue, Reading, nearest_float, read_text
from seq_assets_tests.reference.split import entity_share
from seq_assets_tests.reference_cases.contracts import CONTRACT_NAMES, NASTY_TEXTS, SOURCE_NAMES, model_literal
from seq_assets_tests.reference_cases.sources import NAMES, typed_array

FEWEST_SOURCES: Final = 20
FEWEST_CASES: Final = 504
FEATURES: Final = 5
LAG: Final = "lag"
"""The name of the feature that is the time since the item before."""
ROWS: Final = 130
_ATTEMPTS: Final = 6
_FEATURE_DIMENSIONS: Final = {name: CASE_DIMENSIONS[name] for name in ("type", "vocabulary")}
_FREE_DIMENSIONS: Final = {name: values for name, values in CASE_DIMENSIONS.items() if name not in _FEATURE_DIMENSIONS}
_HARD_DIMENSIONS: Final = {**_FREE_DIMENSIONS, "length": ("2 to 4", "5 to 9")}
_DIRTY_SHARE: Final = 0.03
_NULL_SHARE: Final = 0.1
_DIRTY_TEXTS: Final = (
    *("x", "1.5", "1e3", "0x10", "1_000", "٣", "inf", "yes", "2024-02-30", "24:00", "-", "1e400", "9" * 30, "nan"),
    *(" 7", "+1", "1.0", "128", "-0.0", "true", "1970-01-01", "2024-02-29 23:59:60", "2024-02-29T12:00:00.1234567"),
)
_EXTENSIONS: Final = {"csv": ".csv", "json": ".jsonl", "parquet": ".parquet", "dkt": ".dkt"}
_NO_RECORDS: Final = ("[]", "7", "no json", '{"a": 1', "null", "{'a': 1}")
Cell = str | None


@dataclass(frozen=True)
class Column:
    """A column of a contract, what its cells are taken from, and the share of them that are null.

    Attributes:
        contract: What the model file says of it.
        texts: Texts of its values.
        nulls: The share of nulls, which are no dirt.
    """

    contract: dict[str, Any]
    texts: Sequence[str]
    nulls: float = 0.0

    @property
    def type(self) -> str:
        """Its type."""
        return str(self.contract["type"])

    @property
    def reading(self) -> Reading:
        """How its texts are read."""
        return Reading.of(self.contract, {})

    @property
    def literals(self) -> list[Any]:
        """Its values in order, each once, as a model file writes them."""
        values = {read_text(text, self.type, self.reading) for text in self.texts}
        return [model_literal(value, self.type) for value in sorted(values)]


@dataclass(frozen=True)
class PlannedCase:
    """One case: the values of all dimensions, the features (the first is the one that the values are of), the numbers."""

    values: Values
    features: tuple[str, ...]
    sequence_length: int
    min_length: int
    stride: int | None


@dataclass(frozen=True)
class PlannedSource:
    """A source that is ingested once, and the cases on it.

    Attributes:
        model: What the model file says, but for its name and location.
        files: The content of each file: bytes, or a table that becomes Parquet.
        records: What the reference reads in them.
        cases: The first is the model file's own.
    """

    values: Values
    model: dict[str, Any]
    files: Mapping[str, bytes | pa.Table]
    records: Mapping[str, Sequence[Record]]
    cases: Sequence[PlannedCase] = field(repr=False)

    def write(self, folder: Path) -> None:
        """Writes the files; every other one has INT96, which is UTC, unless times are local."""
        is_local = any(column.get("timezone") for column in self.model["columns"].values())
        for number, (name, content) in enumerate(self.files.items()):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                is_int96 = number % 2 == 1 and not is_local
                pq.write_table(content, path, row_group_size=17, use_deprecated_int96_timestamps=is_int96)


# Which values


def planned_sources(seed: int) -> list[PlannedSource]:
    """The sources of a run, with at least `FEWEST_CASES` cases whose values cover every pair."""
    generator = random.Random(seed)
    # Each costs an ingest, so that fewer are better.
    chosen = min((_chosen_sources(generator) for _ in range(_ATTEMPTS)), key=len)
    missing = all_pairs()
    cases: list[list[dict[str, str]]] = [[] for _ in chosen]
    while missing or sum(map(len, cases)) < FEWEST_CASES:
        # What is left to choose when all pairs are covered makes hard cases.
        free = _FREE_DIMENSIONS if missing else _HARD_DIMENSIONS
        for (source, combinations), found in zip(chosen, cases, strict=True):
            if missing or _is_hard(source):
                values = covering_values([{**source, **one} for one in combinations], free, missing, generator)
                missing -= pairs_of(values)
                found.append(values)
    return [
        _planned_source(source, combinations, found, generator)
        for (source, combinations), found in zip(chosen, cases, strict=True)
    ]


def _is_hard(source: Values) -> bool:
    return source["dirt"] != "none" and source["order"].endswith("with ties")


def _chosen_sources(generator: random.Random) -> list[tuple[Values, list[Values]]]:
    """The values of sources, and of their features, until all pairs of them are covered."""
    dimensions = {**SOURCE_DIMENSIONS, **_FEATURE_DIMENSIONS}
    missing = all_pairs(dimensions)
    found: list[tuple[Values, list[Values]]] = []
    while missing or len(found) < FEWEST_SOURCES:
        values = covering_values([{}], dimensions, missing, generator)
        source = {name: values[name] for name in SOURCE_DIMENSIONS}
        missing -= pairs_of(values)
        features: list[Values] = [{name: values[name] for name in _FEATURE_DIMENSIONS}]
        for _ in range(1 if source["format"] == "dkt" else FEATURES - 1):
            values = covering_values([source], _FEATURE_DIMENSIONS, missing, generator)
            missing -= pairs_of(values)
            features.append({name: values[name] for name in _FEATURE_DIMENSIONS})
        found.append((source, features))
    return found


# What they mean


def _planned_source(
    source: Values, features: Sequence[Values], cases: Sequence[Values], generator: random.Random
) -> PlannedSource:
    columns, content = _contract(source, features, generator)
    names = content.pop("feature_names")
    # Of every source column a file has the cells as texts; None is null.
    files, records = _WRITERS[source["format"]](source, columns, content, generator)
    planned = [_planned_case(values, names, features, generator) for values in cases]
    first = planned[0]
    model = {
        **content,
        "window": {"mode": first.values["window"]} | ({} if first.stride is None else {"stride": first.stride}),
        "padding": {"side": first.values["side"]},
        "min_length": first.min_length,
        "sequence_lengths": [first.sequence_length],
        "checks": {"rejected_ratio": {"max": 1.0}, "pad_ratio": {"max": 1.0}},
    }
    return PlannedSource(source, model, files, records, planned)


def _planned_case(values: Values, names: Sequence[str], features: Sequence[Values], generator: random.Random) -> PlannedCase:
    own = next(name for name, feature in zip(names, features, strict=True) if feature.items() <= values.items())
    others = [name for name in names if name != own]
    lag = [LAG] if values["lag"] == "yes" else []
    some = "some" in (values["stride"], values["min_length"])
    shortest = {"1": 1, "2 to 4": 3 if some else 2, "5 to 9": 5, "longer": 10}[values["length"]]
    longest = {"1": 1, "2 to 4": 4, "5 to 9": 9, "longer": 60}[values["length"]]
    length = generator.randint(shortest, longest)

    def number(value: str) -> int:
        return {"1": 1, "the length": length}.get(value) or generator.randint(2, length - 1)

    return PlannedCase(
        values=values,
        features=(own, *generator.sample(others, generator.randint(0, min(2, len(others)))), *lag),
        sequence_length=length,
        min_length=number(values["min_length"]),
        stride=None if values["stride"] == "none" else number(values["stride"]),
    )


def _contract(source: Values, features: Sequence[Values], generator: random.Random) -> tuple[dict[str, Column], dict[str, Any]]:
    """The columns, and what the model file says, with the names of the features that cases are about."""
    is_blocks = source["format"] == "dkt"
    free = list(CONTRACT_NAMES)
    generator.shuffle(free)
    names = {role: free.pop() for role in ("entity", "time", "number", "side")}
    own = [free.pop() for _ in features]
    if is_blocks:
        names |= {"entity": "entity", "time": "position"}
        own = ["skill", "answer"]
    columns = {names["entity"]: _entity(source["entity"], generator)}
    order_by: list[str] = []
    if is_blocks:
        columns["position"] = Column({"type": generator.choice(["int16", "int32", "int64"])}, ["0"])
    else:
        columns[names["time"]] = _time(source, generator)
    if source["order"] != "rows":
        order_by.append(names["time"])
    if source["order"] == "two keys with ties":
        columns[names["number"]] = _ordinary("int8", "no", generator, few=3)
        order_by.append(names["number"])
    split = _split(source, names, columns, generator)
    for name, values in zip(own, features, strict=True):
        few = generator.randint(3, 7)
        columns[name] = _ordinary(values["type"], values["vocabulary"], generator, few=few, is_blocks=is_blocks)
    if source["dirt"] in ("validations", "all"):
        for name in generator.sample(own, min(2, len(own))):
            columns[name].contract.update(_validation(columns[name], generator))
    if not is_blocks:
        for name, other in zip(generator.sample(sorted(columns), 2), generator.sample(SOURCE_NAMES, 2), strict=True):
            columns[name].contract["from"] = other
    shuffled = {name: columns[name] for name in generator.sample(sorted(columns), len(columns))}
    return shuffled, {
        "entity": names["entity"],
        "order_by": order_by,
        "columns": {name: column.contract for name, column in shuffled.items()},
        "split": split,
        "features": {
            name: _feature(values["type"], values["vocabulary"], columns[name], generator)
            for name, values in zip(own, features, strict=True)
        }
        | ({LAG: _lag(generator)} if source["lag"] == "yes" else {}),
        "feature_names": own,
    }


def _entity(kind: str, generator: random.Random) -> Column:
    type_ = {"small integer": generator.choice(["int8", "int16", "int32"]), "int64": "int64"}.get(kind, "string")
    if type_ == "string":
        return Column({"type": type_}, generator.sample([text for text in NASTY_TEXTS if text], 5))
    half = 2 ** (INTEGER_BITS[type_] - 1)
    numbers = generator.sample([-half, half - 1, -1, 0, 7, generator.randrange(-half, half)], 5)
    return Column({"type": type_}, [str(number) for number in numbers])


def _time(source: Values, generator: random.Random) -> Column:
    types = ["timestamp", "date"]
    if source["lag"] == "yes":
        types = ["timestamp"]
    elif source["split"] != "time":
        types += ["int64", "float64", "string"]
    if source["order"] == "one key":
        spaced = generator.sample(range(-ROWS, ROWS * 20), ROWS * 2)
        texts = [f"{_day(number // 7)} 00:{number % 60:02d}:00.{number % 1000:06d}" for number in spaced]
        zone = generator.choice([{}, {"timezone": "America/New_York"}])
        return Column({"type": "timestamp", **zone}, texts)
    return _ordinary(generator.choice(types), "no", generator, few=5)


def _ordinary(type_: str, vocabulary: str, generator: random.Random, *, few: int, is_blocks: bool = False) -> Column:
    """A column of a few different values; a feature that is filled, or encoded, may be null."""
    is_filled = vocabulary.endswith("filled")
    may_be_null = is_filled or (vocabulary == "yes" and generator.random() < 0.5)
    contract: dict[str, Any] = {"type": type_} | ({"nullable": True} if may_be_null else {})
    texts = _texts(type_, generator)
    if is_blocks:
        texts = [text for text in texts if not set(text) & set(",\r\n") and text.strip(" \t") == text]
    distinct = {read_text(text, type_): text for text in generator.sample(texts, len(texts))}
    # The same value in several writings is one value, but not always written in one way.
    chosen = generator.sample(sorted(distinct.values()), min(few, len(distinct)))
    return Column(contract, chosen, _NULL_SHARE if may_be_null else 0.0)


def _texts(type_: str, generator: random.Random) -> list[str]:
    """Texts of a type's values, in several writings."""
    if type_ in INTEGER_BITS:
        half = 2 ** (INTEGER_BITS[type_] - 1)
        numbers = [-half, half - 1, 0, 1, -1, *(generator.randrange(-half, half) for _ in range(4))]
        return [generator.choice(["{}", "{}", "{}.0", " {}\t", "{}."]).format(number) for number in numbers]
    if type_ in FLOATS:
        largest = "3.4028235e38" if type_ == "float32" else "1.7976931348623157e308"
        smallest = "1e-45" if type_ == "float32" else "5e-324"
        drawn = [repr(generator.uniform(-1, 1) * 10 ** generator.randint(-9, 9)) for _ in range(5)]
        return ["0", "-0.0", ".5", "1e3", " 2.", "0.1", "16777217", largest, smallest, f"-{largest}", *drawn]
    if type_ == "bool":
        return generator.sample(["true", "FALSE", "1", "0", " True", "false"], 6)
    if type_ == "string":
        return [text for text in NASTY_TEXTS if text]
    days = [_day(generator.randint(-40_000, 40_000)) for _ in range(4)]
    days += ["1969-12-31", "1970-01-01", "0001-01-01", "9999-12-31"]
    if type_ == "date":
        return [f"{day}{generator.choice(['', '', ' 00:00', 'T00:00:00Z'])}" for day in days]
    times = ["", " 23:59:59.999999", "T00:00:00.001Z", " 12:30+05:30", " 01:02:03.4", " 00:00:00.000001"]
    # With a zone, the first and the last day may be out of range.
    return [f"{day}{generator.choice(times)}" for day in days[:6]] + ["0001-01-01", "9999-12-31 23:59:59.999999"]


def _day(number: int) -> str:
    return str(EPOCH.date() + timedelta(days=number))


def _split(source: Values, names: Mapping[str, str], columns: dict[str, Column], generator: random.Random) -> dict[str, Any]:
    match source["split"]:
        case "entity_hash":
            return {"strategy": "entity_hash", "validation_fraction": 0.5, "seed": _seed(columns[names["entity"]], generator)}
        case "column":
            type_ = generator.choice(["string", "int8", "bool", "date"])
            columns[names["side"]] = column = _ordinary(type_, "no", generator, few=3)
            literals = column.literals
            generator.shuffle(literals)
            if column.type == "bool" and len(literals) == 1:
                literals.append(not literals[0])
            middle = generator.randint(1, len(literals) - 1)
            # Under dirt, one value of three is unknown.
            unknown = len(literals) == 3 and source["dirt"] in ("validations", "all")
            train, validation = (literals[:1], literals[1:2]) if unknown else (literals[:middle], literals[middle:])
            return {"strategy": "column", "column": names["side"], "train": train, "validation": validation}
        case "time":
            literals = columns[names["time"]].literals
            return {"strategy": "time", "column": names["time"], "cutoff": literals[len(literals) // 2]}
        case _:
            return {"strategy": "location"}


def _seed(entity: Column, generator: random.Random) -> int:
    """A seed that leaves no subset empty."""
    while True:
        seed = generator.randint(-3, 2**40)
        sides = {entity_share(read_text(text, entity.type), seed) < 0.5 for text in entity.texts}
        if len(sides) == 2 or len(entity.texts) == 1:
            return seed


def _validation(column: Column, generator: random.Random) -> dict[str, Any]:
    """A validation that one of the values does not meet."""
    literals = column.literals
    if len(literals) < 3 or column.type == "bool":
        return {"is_in": literals[:1]}
    low, high = literals[0], literals[-1]
    choices: list[dict[str, Any]] = [
        {"is_in": literals[1:]},
        {"is_greater_than": low},
        {"is_greater_than_or_equal": literals[1]},
        {"is_lower_than": high},
        {"is_lower_than_or_equal": literals[-2]},
        {"is_between": [literals[1], high]},
    ]
    return generator.choice(choices)


def _feature(type_: str, vocabulary: str, column: Column, generator: random.Random) -> dict[str, Any]:
    if vocabulary.startswith("yes"):
        fill = {"fill_null": generator.choice(column.literals)} if vocabulary.endswith("filled") else {}
        rare = {"min_count": generator.choice([2, 10, 20])} if vocabulary.endswith("frequent") else {}
        return {"encode": "vocabulary"} | fill | rare
    fill = {"fill_null": _item(type_, generator)} if vocabulary.endswith("filled") else {}
    return {"pad_value": _item(type_, generator)} | fill


def _lag(generator: random.Random) -> dict[str, Any]:
    unit = generator.choice(["us", "ms", "s", "min", "h", "d"])
    first, pad_value = (generator.choice([0, -1, 2**40]) for _ in range(2))
    return {"derive": "time_since_previous", "unit": unit, "first": first, "pad_value": pad_value}


def _item(type_: str, generator: random.Random) -> Any:
    if type_ in FLOATS:
        number = generator.choice([0.0, -0.0, -1.5, 0.1, 1e-30])
        return nearest_float(Fraction(number), type_, negative=math.copysign(1, number) < 0)
    if type_ == "bool":
        return generator.random() < 0.5
    if type_ == "string":
        return generator.choice(NASTY_TEXTS)
    bits = INTEGER_BITS.get(type_, 32 if type_ == "date" else 64)
    return generator.choice([0, -1, 1, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1])


# How it is written


def _file_names(source: Values, generator: random.Random) -> list[str]:
    names = [f"{name}{_EXTENSIONS[source['format']]}" for name in generator.sample(NAMES, 3)]
    if source["split"] == "location":
        return [f"train/{names[0]}", f"train/{names[1]}", f"validation/{names[2]}", f"validation/{names[0]}"]
    return names[: generator.randint(1, 3)]


def _is_dirty(source: Values, generator: random.Random) -> bool:
    return source["dirt"] in ("cells", "all") and generator.random() < _DIRTY_SHARE


def _is_malformed(source: Values, generator: random.Random) -> bool:
    return source["dirt"] in ("records", "all") and generator.random() < _DIRTY_SHARE


def _cell(source: Values, column: Column, generator: random.Random) -> Cell:
    """A cell's text; None is null."""
    if generator.random() < column.nulls:
        return None
    if _is_dirty(source, generator):
        return generator.choice([*_DIRTY_TEXTS, None])
    return generator.choice(column.texts)


def _rows(columns: Mapping[str, Column], source: Values, generator: random.Random, count: int) -> Iterator[dict[str, Cell]]:
    """Rows by the source's columns."""
    for _ in range(count):
        yield {str(column.contract.get("from", name)): _cell(source, column, generator) for name, column in columns.items()}


def _write_csv(source: Values, columns: Mapping[str, Column], content: dict[str, Any], generator: random.Random) -> Any:
    delimiter, line_end = generator.choice([",", ";", "\t"]), generator.choice(["\n", "\r\n"])
    null_values = generator.choice([("",), ("", "NA"), ("\\N",)])
    content["source"] = {"format": "csv", "options": {"delimiter": delimiter, "null_values": list(null_values)}}

    def field_of(cell: Cell) -> str:
        if cell is None:
            return null_values[0]
        needs_quotes = cell in null_values or any(character in cell for character in (delimiter, '"', "\r", "\n"))
        return '"' + cell.replace('"', '""') + '"' if needs_quotes or generator.random() < 0.2 else cell

    files, records = {}, {}
    names = _file_names(source, generator)
    for name in names:
        rows = list(_rows(columns, source, generator, ROWS // len(names)))
        header = ["ignored", *rows[0]]
        lines = [delimiter.join(field_of(cell) for cell in header)]
        for row in rows:
            fields = [field_of(cell) for cell in ("x", *row.values())]
            if _is_malformed(source, generator):
                fields = generator.choice([[*fields, "more"], fields[:-1], ['"x"y', *fields[1:]], ['"x', *fields[1:]]])
            lines.append(delimiter.join(fields))
        text = line_end.join(lines) + line_end
        files[name] = text.encode()
        records[name] = csv_records(text, list(rows[0]), delimiter, null_values)
    return files, records


def _write_json(source: Values, columns: Mapping[str, Column], content: dict[str, Any], generator: random.Random) -> Any:
    content["source"] = {"format": "json"}
    types = {str(column.contract.get("from", name)): column.type for name, column in columns.items()}
    files, records = {}, {}
    names = _file_names(source, generator)
    for name in names:
        lines = []
        for row in _rows(columns, source, generator, ROWS // len(names)):
            members = [
                f"{json.dumps(key)}: {_json_value(cell, types[key], generator)}"
                for key, cell in row.items()
                # A missing key is null.
                if cell is not None or generator.random() < 0.5
            ]
            is_malformed = _is_malformed(source, generator)
            lines.append(generator.choice(_NO_RECORDS) if is_malformed else "{" + ", ".join(members) + "}")
        text = "\n".join(lines) + "\n"
        files[name], records[name] = text.encode(), json_records(text)
    return files, records


def _json_value(cell: Cell, type_: str, generator: random.Random) -> str:
    """A text, or the number or bool that it is."""
    value = None if cell is None else read_text(cell, type_)
    is_value = not isinstance(value, NoValue) and (type_ in FLOATS or type_ == "bool" or type_ in INTEGER_BITS)
    if is_value and generator.random() < 0.5:
        return json.dumps(value)
    return json.dumps(cell, ensure_ascii=generator.random() < 0.5)


def _write_parquet(source: Values, columns: Mapping[str, Column], content: dict[str, Any], generator: random.Random) -> Any:
    content["source"] = {"format": "parquet"}
    files: dict[str, pa.Table] = {}
    records = {}
    names = _file_names(source, generator)
    for name in names:
        count = ROWS // len(names)
        rows = list(_rows(columns, source, generator, count))
        arrays: dict[str, pa.Array] = {}
        values: dict[str, list[Any]] = {}
        for column_name, column in columns.items():
            key = str(column.contract.get("from", column_name))
            cells = [row[key] for row in rows]
            arrays[key], values[key] = _parquet_column(cells, column, generator)
        files[name] = pa.table(arrays)
        records[name] = [Record(row + 1, {key: found[row] for key, found in values.items()}) for row in range(count)]
    return files, records


def _parquet_column(cells: list[Cell], column: Column, generator: random.Random) -> tuple[pa.Array, list[Any]]:
    """Texts, or typed values, where what is no value becomes null."""
    if column.type == "string" or generator.random() < 0.3:
        return pa.array(cells, pa.string()), cells
    read = [None if cell is None else read_text(cell, column.type, column.reading) for cell in cells]
    return typed_array([None if isinstance(value, NoValue) else value for value in read], column.type, generator)


def _write_blocks(source: Values, columns: Mapping[str, Column], content: dict[str, Any], generator: random.Random) -> Any:
    content["source"] = {"format": "dkt"}
    files, records = {}, {}
    names = _file_names(source, generator)
    for name in names:
        lines = []
        for _ in range(9 // len(names) + 1):
            items = generator.choice([1, 3, generator.randint(10, 40)])
            lists = [
                [generator.choice(["", "NA"]) if cell is None else cell for cell in cells]
                for cells in ([_cell(source, columns[key], generator) for _ in range(items)] for key in ("skill", "answer"))
            ]
            count = items + (source["dirt"] in ("records", "all") and generator.random() < 0.2)
            lines += [str(count), *(",".join(one) + "," for one in lists)]
        text = "\n".join(lines) + "\n"
        files[name], records[name] = text.encode(), three_line_records(name, text, ("", "NA"))
    content["source"]["options"] = {"null_values": ["", "NA"]}
    return files, records


_WRITERS: Final[Mapping[str, Callable[[Values, Mapping[str, Column], dict[str, Any], random.Random], Any]]] = {
    "csv": _write_csv,
    "json": _write_json,
    "parquet": _write_parquet,
    "dkt": _write_blocks,
}
