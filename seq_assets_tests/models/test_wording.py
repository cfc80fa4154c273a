"""Whatever stands in whatever field is told in the words of model files, never in those of the libraries that found it."""

import datetime
import re
from collections.abc import Iterator
from typing import Any, Final, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from seq_assets.errors import Mistake, ModelFileError
from seq_assets.models import ModelSpec, parse_model
from seq_assets.models.wording import allowed_text
from seq_assets_tests.models.model_files import FILE, REMOVED, model_text
from seq_assets_tests.reference import examples

INTERNAL: Final = re.compile(
    r"input should|value should|valid (string|integer|number|boolean|tuple|list|dictionary|key)|unable to|instance of|Spec\b"
    r"|tuple|\bdictionary\b|discriminator|pydantic|validation error|Extra inputs|field required|keys should|surrogate"
    r"|should have at|less than or equal|greater than or equal|codec|another value$|token|scalar|mapping values"
    r"|block (end|mapping)|found character|constructor|stream|flow (node|sequence)|Traceback|NoneType|object at 0x",
    re.IGNORECASE,
)
WRONG: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    1.5,
    10**30,
    float("inf"),
    float("nan"),
    "",
    "wrong",
    "\ud800",
    "a\0b",
    "x" * 600,
    [],
    ["wrong"],
    [1, 2, 3],
    [[]],
    {},
    {"wrong": 1},
    {1: 2},
    {"wrong": {}},
    datetime.date(2024, 1, 1),
    datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    b"bytes",
)
SPLITS: Final = (
    {"strategy": "entity_hash"},
    {"strategy": "column", "column": "school", "train": ["a"], "validation": ["b"]},
    {"strategy": "time", "column": "timestamp", "cutoff": "2024-01-01"},
)


def parts_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The parts of a model file that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from parts_in(inner)


def paths_of(part: type[BaseModel], before: str = "") -> Iterator[str]:
    """The path of every field, those of every part below it too; of mappings by name, that of one name in them."""
    for name, info in part.model_fields.items():
        path = f"{before}{info.alias or name}"
        yield path
        entry = {"columns": ".correct", "features": ".correct"}.get(path, "")
        if entry:
            yield f"{path}{entry}"
        for inner in parts_in(info.annotation):
            yield from paths_of(inner, f"{path}{entry}.")


PATHS: Final = tuple(dict.fromkeys(paths_of(ModelSpec)))


def mistakes_in(text: str) -> tuple[Mistake, ...]:
    """The mistakes of a text; none where it is right."""
    try:
        parse_model(text, FILE)
    except ModelFileError as error:
        return error.mistakes
    return ()


def assert_in_our_words(mistakes: tuple[Mistake, ...]) -> None:
    for mistake in mistakes:
        said = f"{mistake.field}: {mistake.allowed}"
        assert not INTERNAL.search(said), said
        assert mistake.found
        assert mistake.allowed.strip()


def test_every_part_of_a_model_file_is_gone_through() -> None:
    assert {"source.options.delimiter", "columns.correct.is_between", "split.cutoff", "checks.drift.rows"} <= set(PATHS)


@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=[pytest.mark.slow] * (number % 4 > 0)) for number, path in enumerate(PATHS)]
)
def test_any_value_in_any_field_is_told_in_our_words_with_its_path(path: str) -> None:
    for before in [{"split": split} for split in SPLITS] if path.startswith("split.") else [{}]:
        for wrong in WRONG:
            change = {**before, path: wrong}
            mistakes = mistakes_in(model_text(change))
            assert_in_our_words(mistakes)
            top, last = path.partition(".")[0], path.rpartition(".")[2]
            assert not mistakes or any(mistake.field.startswith(top) or last in mistake.allowed for mistake in mistakes), wrong


@pytest.mark.parametrize("path", PATHS)
def test_a_field_that_is_not_there_is_told_in_our_words(path: str) -> None:
    try:
        text = model_text({path: REMOVED})
    except (KeyError, AttributeError):
        text = model_text()
    assert_in_our_words(mistakes_in(text))


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(WRONG)), min_size=2, max_size=4, unique_by=lambda it: it[0]))
def test_several_wrong_fields_are_told_in_our_words(changes: list[tuple[str, Any]]) -> None:
    assert_in_our_words(mistakes_in(model_text(dict(sorted(changes, reverse=True)))))


def test_a_kind_that_nobody_has_words_for_shows_nothing_of_the_library() -> None:
    assert allowed_text("a kind of a later release", {}, 5, ()) == "another value"


@pytest.mark.parametrize(
    ("change", "field", "allowed"),
    [
        ({"order_by": "timestamp"}, "order_by", "a list, such as [a, b]"),
        ({"columns.correct": "int8"}, "columns.correct", "a mapping of the fields description, "),
        ({"features.correct": 0}, "features.correct", "a mapping of the fields derive, encode, fill_null, first"),
        ({"source": "a.csv"}, "source", "a mapping of the fields format, location, options"),
        ({"columns": ["a"]}, "columns", "a mapping of names"),
        ({"split": "time"}, "split", "a mapping with a strategy, 'entity_hash', "),
        ({"split.seed": "12"}, "split.seed", "a whole number"),
        ({"split.seed": datetime.date(2024, 1, 2)}, "split.seed", "a whole number"),
        ({"checks.pad_ratio": {1: 2}}, "checks.pad_ratio", "names that YAML reads as text; quote this one"),
        ({"columns.elapsed.is_between": []}, "columns.elapsed.is_between", "a list of two values"),
        ({"columns.elapsed.is_between": {}}, "columns.elapsed.is_between", "a list of two values"),
    ],
    ids=str,
)
def test_what_a_field_allows_is_said_as_one_writes_it(change: dict[str, Any], field: str, allowed: str) -> None:
    (mistake,) = mistakes_in(model_text(change))
    assert mistake.field.startswith(field)
    assert mistake.allowed.startswith(allowed)
    assert "datetime" not in mistake.found
