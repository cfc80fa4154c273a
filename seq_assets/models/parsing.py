"""From the text of a model file to a `ModelSpec`, or to all of its mistakes at once.

Belongs here: which field a mistake is in, and that one hides no other. What is allowed stands in `models.spec` and
`models.cross_checks`; the words for it in `models.wording`, and those for text that is no YAML in `models.yaml_text`.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from seq_assets.errors import Mistake, ModelFileError
from seq_assets.models.columns import ColumnSpec
from seq_assets.models.cross_checks import Finding, ReadableParts, cross_field_findings, nearest
from seq_assets.models.file_kinds import kind_of_file
from seq_assets.models.spec import (
    ChecksSpec,
    ColumnSplit,
    DriftBounds,
    EntityHashSplit,
    FeatureSpec,
    LocationSplit,
    ModelSpec,
    PaddingSpec,
    PadRatioBounds,
    Part,
    RejectedRatioBounds,
    SourceOptions,
    SourceSpec,
    TimeSplit,
    WindowSpec,
)
from seq_assets.models.wording import QUOTED_NAME, REQUIRED, TWO_ENDS, allowed_text
from seq_assets.models.yaml_text import NotYamlError, TruthWord, load_yaml, truth_words

MOST_BYTES: Final = 1 << 23
"""Of a model file: one with 100,000 accepted values has a tenth of it or a half, and takes seconds to read."""
FAULT: Final = "seq_assets itself failed on"
"""Says that a message has no words for what was found."""
_TRUTH: Final = re.compile(r"\b(?:True|False)\b")
_LONGEST_FOUND: Final = 80
_ENTRIES: Final[Mapping[str, type[ColumnSpec] | type[FeatureSpec]]] = {"columns": ColumnSpec, "features": FeatureSpec}
_SPLITS: Final[Mapping[str, type[Part]]] = {
    "entity_hash": EntityHashSplit,
    "column": ColumnSplit,
    "time": TimeSplit,
    "location": LocationSplit,
}
_PARTS: Final[Mapping[str, type[Part]]] = {
    "source": SourceSpec,
    "source.options": SourceOptions,
    "window": WindowSpec,
    "padding": PaddingSpec,
    "checks": ChecksSpec,
    "checks.pad_ratio": PadRatioBounds,
    "checks.rejected_ratio": RejectedRatioBounds,
    "checks.drift": DriftBounds,
}


def read_model_file(path: Path) -> ModelSpec:
    """Reads one model file.

    Raises:
        ModelFileError: The file cannot be read or has mistakes; all of them are listed.
    """
    file = os.fsencode(path).decode(errors="backslashreplace")
    try:
        return parse_model(_text_of(path, file), file)
    except ModelFileError:
        raise
    except Exception as error:
        # Of which nobody knows; said as what it is, because the models of other files are to go on.
        found = f"what {FAULT}: {type(error).__name__}: {_shortened(str(error))}"
        allowed = "a file without what this names; please report it with the file, because every mistake should have its words"
        raise ModelFileError([Mistake(file, "", found, allowed)]) from error


def _text_of(path: Path, file: str) -> str:
    """The text of a model file.

    Raises:
        ModelFileError: It is none. What would never end, a pipe or a device, is not opened.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelFileError([Mistake(file, "", kind_of_file(status.st_mode), "a model file, which is text")])
        if status.st_size > MOST_BYTES:
            found, allowed = f"{status.st_size:,} bytes", f"at most {MOST_BYTES:,} bytes of text; data belongs into a source"
            raise ModelFileError([Mistake(file, "", found, allowed)])
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ModelFileError([Mistake(file, "", f"a byte that is not UTF-8 at {error.start}", "UTF-8")]) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ModelFileError([Mistake(file, "", reason, "a model file that can be read")]) from error


def parse_model(text: str, file: str) -> ModelSpec:
    """Parses the text of a model file; `file` names it in mistakes.

    Raises:
        ModelFileError: The text has mistakes; all of them are listed.
    """
    try:
        content = load_yaml(text)
    except NotYamlError as error:
        raise ModelFileError([Mistake(file, "", error.found, error.allowed)]) from error
    if not isinstance(content, dict):
        raise ModelFileError([Mistake(file, "", _found(content), "a mapping that begins with name:")])
    findings, parts = _read_fields(content)
    findings += cross_field_findings(parts)
    if findings:
        found = dict.fromkeys(_with_words(findings, text))
        raise ModelFileError([Mistake(file, item.field, item.found, item.allowed) for item in found])
    return ModelSpec.model_validate(content)


def _with_words(findings: Iterable[Finding], text: str) -> Iterator[Finding]:
    """The findings; one in which true or false was found says which word stands there, where it is another one."""
    words: list[TruthWord] | None = None
    for finding in findings:
        if not (found := _TRUTH.search(f"{finding.field} {finding.found}")):
            yield finding
            continue
        words = truth_words(text) if words is None else words
        place = tuple(finding.field.split("."))
        notes = [word.note for word in words if str(word.value) == found[0] and word.path[: len(place)] == place]
        yield replace(finding, allowed="; ".join([finding.allowed, *notes[:1]]))


def _read_fields(content: Mapping[Any, Any]) -> tuple[list[Finding], ReadableParts]:
    """Reads every field on its own, so that a mistake in one hides none in another."""
    findings = [_unknown_field("", str(key), ModelSpec.model_fields) for key in content if key not in ModelSpec.model_fields]
    readable: dict[str, Any] = {}
    for name, info in ModelSpec.model_fields.items():
        if name not in content:
            if info.is_required():
                findings.append(Finding(name, "nothing", REQUIRED))
            else:
                readable[name] = info.get_default()
            continue
        if name in _ENTRIES and isinstance(content[name], dict):
            readable[name] = dict(_read_entries(name, content[name], findings))
        field_findings, value = _read_field(name, content[name])
        findings += field_findings
        if not field_findings:
            readable[name] = value
    names = content.get("columns")
    return findings, ReadableParts(
        column_names=frozenset(map(str, names)) if isinstance(names, dict) else None,
        **{name: readable[name] for name in ReadableParts.__dataclass_fields__ if name in readable},
    )


def _read_entries(name: str, entries: Mapping[Any, Any], findings: list[Finding]) -> Iterator[tuple[str, Any]]:
    for key, value in entries.items():
        try:
            yield str(key), _ENTRIES[name].model_validate(value)
        except ValidationError:
            continue  # _read_field words the mistakes of the whole field


def _read_field(name: str, value: Any) -> tuple[list[Finding], Any]:
    """The findings of one field, and its value if there are none."""
    model: Any = ModelSpec  # without its fields, which the type checker would ask for
    try:
        return [], getattr(model.__pydantic_validator__.validate_assignment(model.model_construct(), name, value), name)
    except ValidationError as error:
        return [_finding(details, value) for details in error.errors(include_url=False)], None


def _finding(details: ErrorDetails, value: Any) -> Finding:
    kind, place, found = details["type"], details["loc"], details["input"]
    if place[-1] == "[key]" and kind == "string_type":
        return Finding(str(place[0]), _found(found), QUOTED_NAME)
    # A discriminated union puts the variant's tag, and a mapping's key the marker "[key]", into the path.
    path = [str(part) for part in place if part != "[key]"]
    if path[0] == "split" and len(path) > 1 and isinstance(value, dict) and path[1] == value.get("strategy"):
        del path[1]
    if path[-1] == "is_between" or path[-2:-1] == ["is_between"]:
        end = path.index("is_between") + 1
        return Finding(".".join(path[:end]), _found(found), TWO_ENDS)
    field = ".".join(path)
    if kind == "extra_forbidden":
        return _unknown_field(".".join(path[:-1]), path[-1], _fields_at(path[:-1], value))
    if kind == "union_tag_invalid":
        return Finding(field, f"strategy {details['ctx']['tag']!r}", allowed_text(kind, details["ctx"], found, ()))
    if kind == "union_tag_not_found":
        return Finding(f"{field}.strategy", "nothing", allowed_text(kind, {}, found, ()))
    fields = _names(_fields_at(path, value)) if kind == "model_type" else ()
    shown = "nothing" if kind == "missing" else _found(found)
    return Finding(field, shown, allowed_text(kind, details.get("ctx", {}), found, fields))


def _unknown_field(parent: str, key: str, fields: Mapping[str, Any]) -> Finding:
    names = _names(fields)
    field = f"{parent}.{key}" if parent else key
    return Finding(field, "an unknown field", f"{', '.join(names)}{nearest(key, names)}" if names else "no such field")


def _names(fields: Mapping[str, Any]) -> list[str]:
    return sorted(getattr(info, "alias", None) or name for name, info in fields.items())


def _fields_at(path: list[str], value: Any) -> Mapping[str, Any]:
    """The fields of the part of a model file that stands at a path."""
    if path[0] in _ENTRIES:
        return _ENTRIES[path[0]].model_fields
    if path[0] == "split":
        return _SPLITS[value["strategy"]].model_fields
    return _PARTS[".".join(path)].model_fields


def _found(value: Any) -> str:
    shown = str(value) if isinstance(value, date) else repr(value)
    return _shortened("nothing" if value is None else f"{shown} ({type(value).__name__})")


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_FOUND else f"{text[:_LONGEST_FOUND]}…"
