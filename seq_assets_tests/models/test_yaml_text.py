"""Text that is no YAML is told with line, column and remedy, in the words of who wrote it."""

import math
import re
import time
from datetime import datetime
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq_assets.models.yaml_text import NotYamlError, load_yaml
from seq_assets_tests.models.model_files import mistakes_of, model_text
from seq_assets_tests.models.test_wording import INTERNAL
from seq_assets_tests.reference import examples

PLACE: Final = re.compile(r" at line [0-9]+, column [0-9]+$")

BEGINNING: Final = re.compile(r"(a|the|more|text|['\"].*['\"]|what is no YAML) ?")


def mistake_of(text: str) -> NotYamlError:
    """What is wrong with a text, which must be wrong."""
    with pytest.raises(NotYamlError) as error:
        load_yaml(text)
    return error.value


def aliases(levels: int) -> str:
    """A few lines that say 10 to the power of their number of values."""
    return "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, levels))


def merges(levels: int) -> str:
    """The same by merging mappings."""
    return "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, levels))


def chain(levels: int) -> str:
    """Lines of which each holds the one before it."""
    return "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, levels))


@pytest.mark.parametrize(
    ("text", "found", "allowed"),
    [
        ("name: x\n\tentity: y", "a tab at the beginning of a line at line 2, column 1", "spaces"),
        ("a:\n  b: 1\n\tc: 2", "a tab at the beginning of a line at line 3, column 1", "spaces"),
        ("a:\n- x\n\t- y: 1", "a tab at the beginning of a line at line 3, column ", "spaces"),
        ("a: 1\nname: 'x\nb: 2\n", 'a quote "\'" that is never closed at line 2, column 7', "the same quote at its end"),
        ('name: "x\nb: 2', "a quote '\"' that is never closed at line 1, column 7", "the same quote at its end"),
        ('from: "u(\\d+)"', "a backslash before 'd' in double quotes at line 1, column 11", "single quotes"),
        ('from: "\\xZZ"', "a backslash before 'Z' in double quotes at line 1, column 10", "single quotes"),
        ("order_by: [a, b\nname: x\n", "a bracket [ that is not closed at line 1, column 11", "] where the list ends"),
        ("name: [", "the end of the file within a list or mapping at line 1, column 8", "each [ and { closed"),
        ("a: {type: int8\nb: 1\n", "a brace { that is not closed at line 1, column 4", "} where it ends"),
        ("a: {type: int8", "a brace { that is not closed at line 1, column 4", "} where it ends"),
        ("a: [1, , 2]", "',' in the place of a value at line 1, column 8", "a value"),
        ("name: x\n  entity: y", "a colon within a value at line 2, column 9", "indented as its neighbours"),
        ("description: skills: all", "a colon within a value at line 1, column 20", "the value in quotes"),
        ("a:\n    b: 1\n  c: 2\n", "a line that is indented otherwise than its neighbours at line 3, column 3", "equal"),
        ("a:\n- 1\n  - 2: 3\n- 4\n", "a colon within a value at line 3, column 6", "in quotes"),
        ("a: 'x' y\n", "more after the end of a value at line 1, column 8", "in quotes from its beginning to its end"),
        ("a: - b", "a dash that begins no item of a list at line 1, column 4", "lines of their own"),
        ("name: x\nentity\nb: 2", "a line without a colon at line 2, column 1", "field: value"),
        ("a: *b", "a value that begins with * at line 1, column 4", "the value in quotes"),
        ("a: *", "a value that begins with & or * at line 1, column 5", "the value in quotes"),
        ("a: &", "a value that begins with & or * at line 1, column 5", "the value in quotes"),
        ("a: &x 1\nb: &x 2", "the same mark `&name` twice at line 2, column 4", "another name"),
        ("a: !!python/object:x.y {}", "a tag, which begins with ! at line 1, column 4", "in quotes"),
        ("a: !env NAME", "a tag, which begins with ! at line 1, column 4", "in quotes"),
        ("a: !x!y z", "a tag, which begins with ! at line 1, column 4", "in quotes"),
        ("a: !!int [1]", "a tag that does not fit its value at line 1, column 4", "no tag"),
        ("a: %x", "a value that begins with '%' at line 1, column 4", "the value in quotes"),
        ("a: @x", "a value that begins with '@' at line 1, column 4", "the value in quotes"),
        ("a: `x`", "a value that begins with '`' at line 1, column 4", "the value in quotes"),
        ("%YAML x\n", "a line that begins with % at line 1, column 7", "in quotes"),
        ("location: {{ bucket }}", "a list or mapping as the name of a field at line 1, column 12", "in quotes"),
        ("name: x\n---\nname: y", "a second document after --- at line 2, column 1", "one model in one file"),
        ("{name: x} y", "text after the end of the mapping at line 1, column 11", "one mapping"),
        ("a: 1\n<<: 5", "a << that merges no mapping at line 2, column 5", "<<: *name"),
        ("a: |x\n", "more after | or > than they allow at line 1, column 5", "in quotes"),
        ("a: ? b", "a question mark that begins a value at line 1, column 4", "in quotes"),
        ("a: 1\nb: 2\na: 3", "the key 'a' twice at line 3, column 1", "each key once"),
        ("a: 1\nb: 2024-02-30", "'2024-02-30' at line 2, column 4", "a date that exists"),
        ("a: !!int x", "'x' at line 1, column 4", "a whole number"),
        ("a: !!bool x", "'x' at line 1, column 4", "true or false"),
        ("a: !!timestamp x", "'x' at line 1, column 4", "a date that exists"),
        (f"a: {'1' * 5000}", f"'{'1' * 80}…' at line 1, column 4", "a whole number"),
        ("a: 1\nb: 'x\0'", "the character U+0000 at line 2, column 6", "without control characters"),
        ("[" * 2_000, "values within values, too deep to read at line 1, column 101", "each [ and { closed"),
        (chain(200), "values within values, too deep to read at line 100, column ", "at most 100 levels"),
        ("a: &a [*a]", "a value that holds itself at line 1, column 8", "no *name within what &name marks"),
        ("a: &a {b: {c: *a}}", "a value that holds itself at line 1, column 15", "no *name within"),
        (aliases(12), "too many values to read at line 7, column ", "at most 500,000 values"),
        (merges(12), "too many values to read at line 7, column ", "at most 500,000 values"),
        (
            "a: 010",
            "'010', which YAML reads as the number 8 at line 1, column 4",
            "10 without zeros before it, or text in quotes",
        ),
        ("a: {b: -007}", "'-007', which YAML reads as the number -7 at line 1, column 8", "-7 without zeros before it"),
        ("012: a", "'012', which YAML reads as the number 10 at line 1, column 1", "text in quotes"),
        ("a: 12:30:00", "'12:30:00', which YAML reads as the number 45000 at line 1, column 4", "text in quotes"),
        ("a: [1:30.5]", "'1:30.5', which YAML reads as the number 90.5 at line 1, column 5", "a number without colons"),
        ("a: !!int ''", "'' at line 1, column 4", "a whole number"),
        ("a: !!float ''", "'' at line 1, column 4", "a number"),
        ("a: !!timestamp ''", "'' at line 1, column 4", "a date that exists"),
        (f"a: 0x{'f' * 5000}", f"'0x{'f' * 78}…' at line 1, column 4", "a whole number"),
        (f"a: {'9:' * 3000}1", f"'{'9:' * 40}…' at line 1, column 4", "a whole number"),
        (f"a: {'9:' * 3000}1.5", f"'{'9:' * 40}…' at line 1, column 4", "a number"),
        ("a: =", "a single = at line 1, column 4", "in quotes"),
    ],
    ids=lambda text: text[:30],
)
def test_what_is_wrong_is_told_with_its_place_and_the_remedy(text: str, found: str, allowed: str) -> None:
    mistake = mistake_of(text)
    assert mistake.found.startswith(found), mistake.found
    assert allowed in mistake.allowed
    assert "YAML" in mistake.allowed
    assert not INTERNAL.search(f"{mistake.found} {mistake.allowed}")


def test_numbers_that_are_what_they_look_like_are_read() -> None:
    text = "[0, -0, 10, 0x10, 0b11, 1_000, 0.5, 010.5, 1e3, '010', '12:30', 08, 2024-01-02 12:30:00, .inf]"
    when = datetime(2024, 1, 2, 12, 30)
    assert load_yaml(text) == [0, 0, 10, 16, 3, 1000, 0.5, 10.5, "1e3", "010", "12:30", "08", when, math.inf]


def test_aliases_within_bounds_are_read() -> None:
    assert len(load_yaml(aliases(5))["a4"]) == 10
    assert load_yaml(merges(5))["a4"] == {"x": 1}


@pytest.mark.parametrize("bomb", [aliases(5), merges(5), aliases(12), merges(12)])
def test_a_bomb_is_told_at_once(bomb: str) -> None:
    started = time.process_time()
    mistakes_of(f"{bomb}columns: *a4\nsource: *a4\n")
    assert time.process_time() - started < 1


INSERTED: Final = [*"\t'\"[]{}:,-?!&*#|>%@`\\\n ", "\n\t", "\n   ", "---\n", "!!x ", "<<: 1\n"]


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(0, 2_000), st.sampled_from(INSERTED))
def test_a_character_too_many_anywhere_is_told_in_our_words(place: int, inserted: str) -> None:
    text = model_text()
    told = found_or_none(text[:place] + inserted + text[place:])
    assert told is None or (PLACE.search(told.found) and BEGINNING.match(told.found)), told
    assert told is None or not INTERNAL.search(f"{told.found} {told.allowed}"), told


def found_or_none(text: str) -> NotYamlError | None:
    """What is wrong with a text; None where it is YAML."""
    try:
        load_yaml(text)
    except NotYamlError as error:
        return error
    return None
