"""From the text of a model file to plain values, and what is wrong with text that is no YAML, in words for who wrote it.

Belongs here: everything that knows the YAML library. Not here: what a model file may say (`models.spec`), and the wording of
mistakes in its fields (`models.wording`).
"""

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

_LONGEST_FOUND: Final = 80
_KINDS: Final = {
    "int": "a whole number",
    "float": "a number",
    "timestamp": "a date that exists",
    "bool": "true or false",
}
"""What a value should be that looks like one and is none, by the end of its tag."""
_MOST_VALUES: Final = 500_000
"""In one text, with each value counted as often as aliases repeat it: a few lines can say billions."""
_DEEPEST: Final = 100
_LONGEST_INTEGER: Final = 14_000
"""Bits; Python writes no longer ones in decimal, and every type holds fewer."""
_OCTAL: Final = re.compile("[-+]?0[0-7_]+")
_SEXAGESIMAL: Final = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_TRUTH_WORDS: Final = frozenset({"yes", "no", "on", "off"})


class NotYamlError(Exception):
    """What keeps a text from being YAML.

    Attributes:
        found: What stands there, and where: line and column from 1.
        allowed: What may stand there instead, the remedy.
    """

    def __init__(self, found: str, allowed: str) -> None:
        """Keeps both."""
        super().__init__(found, allowed)
        self.found, self.allowed = found, allowed


class _DuplicateKeyError(yaml.MarkedYAMLError):
    """YAML itself keeps the last of two equal keys, which would hide a mistake."""


class _ValueError(yaml.MarkedYAMLError):
    """A value looks like a number or a date and is none; its problem is the end of the tag."""


class _SurprisingNumberError(yaml.MarkedYAMLError):
    """A value is another number than it looks like; its context is the value, its problem what mends it."""


class _BoundError(yaml.MarkedYAMLError):
    """There is more than any model file needs; its context says of what, its problem how much may be there."""


@dataclass(frozen=True)
class _Size:
    """How many values stand in a part of a text, with those that aliases repeat, and within how many levels."""

    values: int
    depth: int


class _Loader(yaml.SafeLoader):
    """The safe loader, which also refuses a key that stands twice, and knows where a value stands that it cannot read.

    It refuses, too, what would take for ever, and numbers that are others than people see.
    """

    def __init__(self, text: str) -> None:
        """Reads nothing yet."""
        super().__init__(text)
        self._depth = self._values = 0
        # Of each list and mapping that is complete.
        self._sizes: dict[yaml.Node, _Size] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As the base class, but within bounds."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # of the library
        self._depth += 1
        self._values += 1
        _refuse_beyond_bounds(_Size(self._values, self._depth), event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.CollectionNode) and node not in self._sizes:
            if isinstance(event, yaml.AliasEvent):
                raise _BoundError("a value that holds itself", _mark(event), "no *name within what &name marks")
            self._sizes[node] = self._size_of(node)
            _refuse_beyond_bounds(self._sizes[node], event)
        return node

    def _size_of(self, node: yaml.CollectionNode) -> "_Size":
        pairs = isinstance(node, yaml.MappingNode)
        parts = [part for pair in node.value for part in pair] if pairs else node.value
        sizes = [self._sizes[part] for part in parts if part in self._sizes]
        return _Size(
            1 + len(parts) - len(sizes) + sum(size.values for size in sizes), 1 + max((size.depth for size in sizes), default=1)
        )

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """As the base class, but a duplicate key is an error."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue  # the base class refuses it
            if key_node.value in seen and key_node.value != "<<":
                raise _DuplicateKeyError(problem=key_node.value, problem_mark=key_node.start_mark)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """As the base class, but a value that cannot be read is an error with its place."""
        try:
            value = super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError, ArithmeticError) as error:
            raise _unreadable(node) from error
        if isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER:
            raise _unreadable(node)
        if isinstance(node, yaml.ScalarNode) and isinstance(value, int | float):
            _refuse_another_base(node, value)
        return value


def _refuse_beyond_bounds(size: _Size, event: yaml.Event) -> None:
    if size.depth > _DEEPEST:
        allowed = f"each [ and {{ closed, by ] and }}, and at most {_DEEPEST} levels"
        raise _BoundError("values within values, too deep to read", _mark(event), allowed)
    if size.values > _MOST_VALUES:
        allowed = f"at most {_MOST_VALUES:,} values, each counted as often as *name repeats it"
        raise _BoundError("too many values to read", _mark(event), allowed)


def _mark(event: yaml.Event) -> yaml.Mark:
    """Where an event of the loader, which is the one in Python, begins."""
    assert isinstance(event.start_mark, yaml.Mark)
    return event.start_mark


def _unreadable(node: yaml.Node) -> _ValueError:
    return _ValueError(str(node.value), node.start_mark, node.tag.rpartition(":")[2], node.start_mark)


def _refuse_another_base(node: yaml.ScalarNode, value: float) -> None:
    """Refuses 010, which is 8 to YAML, and 12:30:00, which is 45,000."""
    if _OCTAL.fullmatch(node.value):
        sign = "-" * node.value.startswith("-")
        meant = f"{sign}{node.value.lstrip('+-0_') or '0'} without zeros before it"
    elif _SEXAGESIMAL.fullmatch(node.value):
        meant = "a number without colons"
    else:
        return
    found = f"{_shown(node.value)}, which YAML reads as the number {value}"
    raise _SurprisingNumberError(found, node.start_mark, meant, node.start_mark)


@dataclass(frozen=True)
class TruthWord:
    """A word that YAML reads as true or false, and that may have been meant as text.

    Attributes:
        path: Of the field that it is the value of, or of the entry that it is the name of.
        value: What YAML reads.
        note: What to tell people.
    """

    path: tuple[str, ...]
    value: bool
    note: str


def truth_words(text: str) -> list[TruthWord]:
    """The words `yes`, `no`, `on` and `off` of a text that is YAML, where no quotes make them text."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
    finally:
        loader.dispose()
    return [] if node is None else list(_words_at(node, ()))


def _words_at(node: yaml.Node, path: tuple[str, ...]) -> Iterator[TruthWord]:
    if isinstance(node, yaml.ScalarNode):
        if node.tag.endswith(":bool") and node.value.lower() in _TRUTH_WORDS:
            value = node.value.lower() in ("yes", "on")
            said = f"{node.value!r}{_place(node.start_mark)} is {str(value).lower()} to YAML, and text in quotes"
            yield TruthWord(path, value, said)
        return
    for number, part in enumerate(node.value):
        key, value = part if isinstance(node, yaml.MappingNode) else (None, part)
        if key is None:
            yield from _words_at(value, (*path, str(number)))
            continue
        of_key = list(_words_at(key, path))
        name = str(of_key[0].value) if of_key else str(key.value)
        yield from (TruthWord((*path, name), word.value, word.note) for word in of_key)
        yield from _words_at(value, (*path, name))


def load_yaml(text: str) -> Any:
    """The plain values of a YAML text.

    Raises:
        NotYamlError: It is none.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader
    except yaml.reader.ReaderError as error:
        raise _unprintable(error, text) from error
    except yaml.MarkedYAMLError as error:
        raise _mistake(error, text) from error


@dataclass(frozen=True)
class _Case:
    """A kind of error of the YAML library, in our words.

    Attributes:
        pattern: Found in its context and problem.
        found: What stands there; `{at}` is the character there.
        allowed: The remedy.
        at_start: Whether the place that helps is where the part begins that is wrong, not where it was seen to be.
    """

    pattern: str
    found: str
    allowed: str
    at_start: bool = False


_CASES: Final = (
    _Case("quoted scalar.*(end of stream|separator)", "a quote {at} that is never closed", "the same quote at its end", True),
    _Case(
        "double-quoted scalar.*escape",
        "a backslash before {at} in double quotes",
        "single quotes, in which a backslash is itself, or two backslashes",
    ),
    _Case("flow sequence", "a bracket [ that is not closed", "] where the list ends, and a comma between its values", True),
    _Case("flow mapping", "a brace { that is not closed", "} where it ends, and a comma between its fields", True),
    _Case("node content.*stream end", "the end of the file within a list or mapping", "each [ and { closed, by ] and }"),
    _Case("node content", "{at} in the place of a value", "a value; in quotes, if it begins with this character"),
    _Case(
        "mapping values",
        "a colon within a value",
        "the value in quotes, or the field on a line of its own, indented as its neighbours",
    ),
    _Case(
        "sequence entries", "a dash that begins no item of a list", "the items on lines of their own, below the field's name"
    ),
    _Case("mapping keys", "a question mark that begins a value", "the value in quotes"),
    _Case("simple key", "a line without a colon", "field: value", True),
    _Case("undefined alias", "a value that begins with *", "the value in quotes (`*name` repeats what `&name` marks earlier)"),
    _Case("duplicate anchor", "the same mark `&name` twice", "another name for the second one, or the value in quotes"),
    _Case("scanning an (alias|anchor)", "a value that begins with & or *", "the value in quotes"),
    _Case("constructor for the tag '.*:value'", "a single =", "= in quotes"),
    _Case(
        "(tag|could not determine a constructor)",
        "a tag, which begins with !",
        "no tag; the value in quotes, if it begins with !",
    ),
    _Case("directive", "a line that begins with %", "the value in quotes"),
    _Case("incompatible|single document", "a second document after ---", "one model in one file"),
    _Case("document start", "text after the end of the mapping", "one mapping, field: value"),
    _Case("unhashable|recursive", "a list or mapping as the name of a field", "a name; in quotes, if it begins with [ or {"),
    _Case("merging", "a << that merges no mapping", "<<: *name of a mapping that &name marks earlier"),
    _Case("block scalar", "more after | or > than they allow", "the text on the lines below, or in quotes"),
    _Case("start any token", "a value that begins with {at}", "the value in quotes"),
    _Case("node, but found|base64|constructing", "a tag that does not fit its value", "no tag, which begins with !!"),
)
_TAB: Final = _Case("", "a tab at the beginning of a line", "spaces, because tabs do not indent YAML")
_INDENTED: Final = _Case("", "a line that is indented otherwise than its neighbours", "equal indentation of a mapping's fields")
_MORE: Final = _Case("", "more after the end of a value", "one value; in quotes from its beginning to its end")
_UNKNOWN: Final = _Case(
    "", "what is no YAML", "field: value, with values in quotes that have other characters than letters and digits"
)


def _mistake(error: yaml.MarkedYAMLError, text: str) -> NotYamlError:
    mark = error.problem_mark or error.context_mark
    if isinstance(error, _DuplicateKeyError):
        return NotYamlError(f"the key {error.problem!r} twice{_place(mark)}", "well-formed YAML: each key once")
    if isinstance(error, _BoundError):
        return NotYamlError(f"{error.context}{_place(mark)}", f"YAML with {error.problem}")
    if isinstance(error, _SurprisingNumberError):
        return NotYamlError(f"{error.context}{_place(mark)}", f"YAML values: {error.problem}, or text in quotes")
    if isinstance(error, _ValueError):
        kind = _KINDS.get(str(error.problem), "a value of its tag")
        return NotYamlError(f"{_shown(str(error.context))}{_place(mark)}", f"YAML values: {kind}, or text in quotes")
    case = _case(error, mark, text)
    if case.at_start and error.context_mark:
        mark = error.context_mark
    at = repr(text[mark.index]) if mark and mark.index < len(text) else "the end"
    return NotYamlError(f"{case.found.replace('{at}', at)}{_place(mark)}", f"well-formed YAML: {case.allowed}")


def _case(error: yaml.MarkedYAMLError, mark: yaml.Mark | None, text: str) -> _Case:
    said = f"{error.context}: {error.problem}"
    before = text[: mark.index].rpartition("\n")[2] if mark else ""
    following = text[mark.index : mark.index + 1] if mark else ""
    if mark and not before.strip() and "\t" in before + following:
        return _TAB
    if "block end" in said:
        return _MORE if before.strip() else _INDENTED
    return next((case for case in _CASES if re.search(case.pattern, said)), _UNKNOWN)


def _unprintable(error: yaml.reader.ReaderError, text: str) -> NotYamlError:
    """A character that no YAML text has; its place is counted here, because the error has none."""
    before = text[: error.position]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    found = f"the character U+{ord(text[error.position]):04X} at line {line}, column {column}"
    return NotYamlError(found, "well-formed YAML: text without control characters")


def _place(mark: yaml.Mark | None) -> str:
    return f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _shown(value: str) -> str:
    return repr(value if len(value) <= _LONGEST_FOUND else f"{value[:_LONGEST_FOUND]}…")
