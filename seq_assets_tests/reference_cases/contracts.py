"""Strategies for model files: any columns, validations, splits, windows and features, with texts for the columns' cells.

Belongs here: what a model file may say. Not here: the files of its source (`sources`).
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from hypothesis import strategies as st

from seq_assets_tests.reference.reading import EPOCH, FLOATS, INTEGER_BITS, NoValue, Reading, read_text
from seq_assets_tests.reference_cases import texts

TYPES: Final = ("int8", "int16", "int32", "int64", "float32", "float64", "bool", "string", "date", "timestamp")
ENCODABLE: Final = ("int8", "int16", "int32", "int64", "bool", "string", "date")
WINDOWS: Final = ("chunk", "sliding", "last", "first", "prefix")
CONTRACT_NAMES: Final = ("pupil", "time", "item", "score", "n", "a", "select", "value", "row", "is_padded", "p_sequence")
SOURCE_NAMES: Final = ("Anon Student Id", "é", "a,b;c|d", 'a"b', " x ", "~/1", "it's", "_row", "ITEM", "0", "$.a", "%")
NASTY_TEXTS: Final = (
    *("", "007", "7", "NA", "nan", "null", "true", "1.5", "é", "e\u0301", "ａ", "😀", "Z", "a ", " a", "a,b", 'a"b', '"'),
    *("a\nb", "a\r\nb", "\t", "'", "\\", "\\N", "%s", "${a}", "\x7f", "\u2028", "\u00a0", "-1", "#1", "a;b|c"),
)


@dataclass(frozen=True)
class Cells:
    """What the cells of one column are taken from.

    Attributes:
        clean: Texts that are values of the column, most of them.
        dirty: Texts of any kind.
    """

    clean: Sequence[str]
    dirty: Sequence[str]

    def values(self, contract: Mapping[str, Any]) -> list[Any]:
        """The values of the clean texts in a column, each once."""
        found = [read_text(text, contract["type"], Reading.of(contract, {})) for text in self.clean]
        return list(dict.fromkeys(value for value in found if not isinstance(value, NoValue)))


@dataclass(frozen=True)
class Contract:
    """A model file without its name and its source, and what its columns' cells are taken from."""

    content: dict[str, Any]
    cells: Mapping[str, Cells] = field(default_factory=dict)


def one_in(count: int) -> st.SearchStrategy[bool]:
    """True in one case of so many."""
    return st.sampled_from([False] * (count - 1) + [True])


def clean_texts(type_: str, unit: str | None = None) -> st.SearchStrategy[str]:
    """Texts most of which are values of the type."""
    if type_ in INTEGER_BITS:
        half = 2 ** (INTEGER_BITS[type_] - 1)
        numbers = st.integers(-3, 3) | st.integers(-half, half - 1) | st.sampled_from([-half, half - 1])
        return st.builds(str.format, st.sampled_from(["{}"] * 4 + ["{}.0", " {}\t", "{}."]), numbers)
    if type_ in FLOATS:
        numbers = items(type_) | st.integers(-3, 3)
        return numbers.map(str) | st.sampled_from(["-0.0", "0", ".5", "1e3", " 2.", "0.1", "nan", " NaN"])
    if type_ == "bool":
        return st.sampled_from(["true", "false", "FALSE", "1", "0", " True"])
    if type_ == "string":
        return st.sampled_from(NASTY_TEXTS) | plain_texts(4)
    days = st.dates(date(1969, 12, 30), date(1970, 1, 2)) | st.dates()
    if type_ == "date":
        return st.builds("{}{}".format, days, st.sampled_from(["", "", " 00:00", "T00:00:00Z"]))
    if unit:
        near = st.integers(-3, 3) | st.integers(-(10**9), 2 * 10**9)
        thousands = st.sampled_from(["000"] if unit == "ns" else [""])
        fractions = st.sampled_from(["", "", ".0", ".5"] if unit in ("s", "ms") else ["", ".0"])
        return st.builds("{}{}{}".format, near, thousands, fractions)
    moments = st.datetimes(datetime(1969, 12, 31), datetime(1970, 1, 2)) | st.datetimes(
        datetime(2, 1, 1), datetime(9998, 12, 31)
    )
    zones = st.sampled_from(["", "", "Z", "+00:00", "+05:30", "-23:59"])
    return st.builds(lambda moment, zone: f"{moment.isoformat(' ', 'auto')}{zone}", moments, zones) | days.map(str)


def plain_texts(longest: int) -> st.SearchStrategy[str]:
    """Any text, but for what a source file uses to mean something else: a byte order mark, two noncharacters."""
    return st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufdd0\ufdd1\ufeff"), max_size=longest)


FORMATS: Final = ("%d/%m/%Y", "%b %d %Y %I:%M:%S.%f %p", "%d-%m-%y %H:%M%z")
_DIRTY: Final = (
    st.sampled_from(["", "x", "nan", "NA", "1.5", "1e3", "0x10", "1_000", "٣", "inf", "yes", "2024-02-30", "24:00", "-", " "])
    | texts.INTEGERS
    | texts.FLOATS
    | texts.BOOLS
    | texts.TIMESTAMPS
    | texts.EPOCHS
    | plain_texts(5)
)


def model_literal(value: Any, type_: str) -> Any:
    """A value as a model file writes it."""
    if type_ == "timestamp":
        return (EPOCH + timedelta(microseconds=value)).astimezone(UTC).isoformat()
    return value.isoformat() if type_ == "date" else value


@st.composite
def contracts(draw: st.DrawFn, with_location_split: bool = True) -> Contract:
    """Any contract."""
    names = draw(st.lists(st.sampled_from(CONTRACT_NAMES), min_size=2, max_size=6, unique=True))
    entity, *others = names
    strategy = draw(st.sampled_from(["entity_hash", "entity_hash", "column", "time"] + ["location"] * with_location_split))
    columns, cells = {}, {}
    columns[entity], cells[entity] = draw(column(st.sampled_from([*INTEGER_BITS, "string"]), may_be_null=False))
    for number, name in enumerate(others):
        is_time = strategy == "time" and number == 0
        types = st.sampled_from(["timestamp", "date"] if is_time else TYPES)
        columns[name], cells[name] = draw(column(types, may_be_null=not is_time))
    if draw(st.booleans()):
        renamed = draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
        for name, source in zip(renamed, draw(st.permutations(SOURCE_NAMES)), strict=False):
            columns[name]["from"] = source
    certain = [name for name in names if not columns[name].get("nullable")]
    content = {
        "entity": entity,
        "order_by": draw(st.lists(st.sampled_from(certain), max_size=2, unique=True)),
        "columns": {name: columns[name] for name in draw(st.permutations(names))},
        "split": draw(splits(strategy, columns, cells)),
        **draw(sequence_parts(columns)),
    }
    first = next(iter(content["order_by"]), None)
    if first and columns[first]["type"] == "timestamp" and draw(st.booleans()):
        content["features"]["lag"] = draw(lags())
    return Contract(content, cells)


@st.composite
def column(
    draw: st.DrawFn, types: st.SearchStrategy[str], may_be_null: bool = True, fixed: Cells | None = None
) -> tuple[dict[str, Any], Cells]:
    """A column of one of the types, with the texts of its cells."""
    type_ = draw(types)
    unit = draw(st.sampled_from([None, None, "s", "ms", "us", "ns"])) if type_ == "timestamp" else None
    found: dict[str, Any] = {"type": type_} | ({"unit": unit} if unit else {})
    if type_ in ("date", "timestamp") and not unit and draw(one_in(3)):
        found["format"] = draw(st.sampled_from(FORMATS[:1] if type_ == "date" else FORMATS))
    if type_ == "timestamp" and draw(one_in(3)):
        found["timezone"] = draw(st.sampled_from(["Europe/Amsterdam", "America/New_York", "Asia/Kolkata"]))
    clean = texts.texts_of(found["format"]) if "format" in found else clean_texts(type_, unit)
    cells = fixed or Cells(draw(st.lists(clean, min_size=3, max_size=6)), draw(st.lists(_DIRTY, min_size=1, max_size=3)))
    if may_be_null and draw(one_in(3)):
        found["nullable"] = True
        if draw(one_in(4)):
            found["has_acceptable_percentage_of_nulls"] = draw(st.sampled_from([0.0, 0.2, 0.5, 1.0]))
    elif draw(one_in(6)):
        found["has_no_null_values"] = True
    if draw(one_in(16)):
        found["has_unique_values"] = True
    literals = [model_literal(value, type_) for value in sorted(cells.values(found))]
    if draw(one_in(4)) and len(literals) > 1:
        found |= draw(validations(literals, type_))
    return found, cells


@st.composite
def validations(draw: st.DrawFn, literals: list[Any], type_: str) -> dict[str, Any]:
    """One or two validations, which most of the values, given in order, meet."""
    low, high = literals[: len(literals) // 3 + 1], literals[-(len(literals) // 3) - 1 :]
    choices: dict[str, st.SearchStrategy[Any]] = {
        "is_in": st.lists(st.sampled_from(literals), min_size=len(literals) - 1, max_size=len(literals), unique_by=repr)
    }
    if type_ != "bool":
        choices |= {
            "is_greater_than": st.just(low[0]),
            "is_greater_than_or_equal": st.sampled_from(low),
            "is_lower_than": st.just(high[-1]),
            "is_lower_than_or_equal": st.sampled_from(high),
            "is_between": st.tuples(st.sampled_from(low), st.just(high[-1])).map(list),
        }
    chosen = draw(st.lists(st.sampled_from(sorted(choices)), min_size=1, max_size=2, unique=True))
    return {name: draw(choices[name]) for name in chosen}


@st.composite
def splits(
    draw: st.DrawFn, strategy: str, columns: Mapping[str, Mapping[str, Any]], cells: Mapping[str, Cells]
) -> dict[str, Any]:
    """A split of a strategy, or, where the columns do not allow it, by entity."""
    if strategy == "location":
        return {"strategy": "location"}
    times = [name for name in columns if columns[name]["type"] in ("date", "timestamp") and not columns[name].get("nullable")]
    if strategy == "column" or (strategy == "time" and times):
        name = draw(st.sampled_from(sorted(columns) if strategy == "column" else times))
        type_ = columns[name]["type"]
        literals = [model_literal(value, type_) for value in cells[name].values(columns[name])]
        if strategy == "time" and literals:
            cutoff = draw(st.sampled_from(literals))
            return {"strategy": "time", "column": name, "cutoff": cutoff}
        if strategy == "column" and len(literals) > 1:
            middle = draw(st.integers(1, len(literals) - 1))
            unknown = draw(st.integers(0, len(literals) - middle - 1))
            return {
                "strategy": "column",
                "column": name,
                "train": literals[:middle],
                "validation": literals[middle : len(literals) - unknown],
            }
    fraction = draw(st.sampled_from([0.5, 0.5, 0.3, 0.7, 0.5, 0.0, 1.0]))
    return {"strategy": "entity_hash", "validation_fraction": fraction, "seed": draw(st.integers(-3, 2**40))}


@st.composite
def sequence_parts(draw: st.DrawFn, columns: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Features, window, padding and lengths."""
    lengths = draw(st.lists(st.integers(1, 8) | st.just(40), min_size=1, max_size=2, unique=True))
    mode = draw(st.sampled_from(WINDOWS))
    stride = {"stride": draw(st.integers(1, min(lengths)))} if mode == "sliding" else {}
    chosen = draw(st.lists(st.sampled_from(sorted(columns)), min_size=1, max_size=4, unique=True))
    return {
        "features": {name: draw(feature(columns[name])) for name in chosen},
        "window": {"mode": mode, **stride},
        "padding": {"side": draw(st.sampled_from(["right", "left"]))},
        "min_length": min(draw(st.sampled_from([1, 1, 2, 3, 40])), *lengths),
        "sequence_lengths": lengths,
    }


@st.composite
def feature(draw: st.DrawFn, contract: Mapping[str, Any]) -> dict[str, Any]:
    """A feature of a column: plain or, where its type allows it, encoded."""
    type_ = contract["type"]
    if type_ in ENCODABLE and draw(st.booleans()):
        found: dict[str, Any] = {"encode": "vocabulary"} | draw(st.sampled_from([{}, {"pad_value": 0}]))
        if draw(st.booleans()):
            found["fill_null"] = draw(st.dates().map(str) if type_ == "date" else items(type_))
        return found | draw(st.sampled_from([{}, {}, {"min_count": 1}, {"min_count": 2}]))
    found = {"pad_value": draw(items(type_))}
    if contract.get("nullable") or draw(st.booleans()):
        found["fill_null"] = draw(items(type_))
    return found


@st.composite
def lags(draw: st.DrawFn) -> dict[str, Any]:
    """The time since the item before."""
    said = {"unit": draw(st.sampled_from(["us", "ms", "s", "min", "h", "d"]))} | {"first": draw(st.integers(-1, 2**40))}
    kept = draw(st.lists(st.sampled_from(sorted(said)), unique=True))
    return {"derive": "time_since_previous", "pad_value": draw(items("int64"))} | {name: said[name] for name in kept}


def items(type_: str) -> st.SearchStrategy[Any]:
    """What a plain feature of a column may hold, as a model file writes it."""
    if type_ in ("date", "timestamp"):
        bits = 32 if type_ == "date" else 64
        return st.integers(-1, 1) | st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if type_ in INTEGER_BITS:
        half = 2 ** (INTEGER_BITS[type_] - 1)
        return st.integers(-1, 1) | st.integers(-half, half - 1)
    if type_ in FLOATS:
        return st.floats(width=32 if type_ == "float32" else 64, allow_nan=False, allow_infinity=False)
    return st.booleans() if type_ == "bool" else st.sampled_from(NASTY_TEXTS) | plain_texts(3)


def pick(generator: random.Random, cells: Cells, dirt: float) -> str:
    """The text of one cell."""
    return generator.choice(cells.dirty if generator.random() < dirt else cells.clean)
