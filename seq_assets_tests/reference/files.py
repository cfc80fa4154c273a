"""From the text of one source file to its records, one character at a time.

Belongs here: what a record is and which number it has, in CSV, JSON lines and three-line text. Not here: what its values mean
(`reading`). The records of a Parquet file are its rows; nothing is to be said about them.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from seq_assets_tests.reference.reading import JsonNumber

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Record:
    """One record of a file.

    Attributes:
        number: Its number in the file, from 1.
        values: Its values by the source's column: text where the format has only text, else as the format has them.
        malformed: Its text where it is no record.
    """

    number: int
    values: Mapping[str, Any] = field(default_factory=dict)
    malformed: str | None = None


def decoded(content: bytes, encoding: str) -> str:
    """The text of a file; bytes that are no text become lone surrogates, which no text has. A byte order mark is skipped."""
    return content.decode(encoding, "surrogateescape").removeprefix("\ufeff")


def csv_records(
    text: str,
    wanted: Collection[str],
    delimiter: str = ",",
    null_values: Collection[str] = ("",),
    header: bool = True,
) -> list[Record]:
    """The records of a CSV file; unquoted null values are None. Only bad bytes of wanted columns make a record malformed."""
    lines = _csv_lines(text, delimiter)
    width = len(lines[0][1])
    names = [value for value, _ in lines.pop(0)[1]] if header else [str(number + 1) for number in range(width)]
    records = []
    for number, (line, fields) in enumerate(lines, 1):
        values = {
            name: None if value in null_values and not is_quoted else value
            for name, (value, is_quoted) in zip(names, fields, strict=False)
        }
        is_text = not any(_has_bad_bytes(values[name]) for name in wanted if name in values)
        if len(fields) == width and is_text:
            records.append(Record(number, {name: values[name] for name in wanted if name in values}))
        else:
            records.append(Record(number, malformed=_shown(line)))
    return records


def _csv_lines(text: str, delimiter: str) -> list[tuple[str, list[tuple[str, bool]]]]:
    """The lines that are not blank: their text, and their fields, each with whether it is quoted."""
    found = []
    place = 0
    while place < len(text):
        start = place
        fields = []
        while True:
            value, is_quoted, place = _csv_field(text, place, delimiter)
            fields.append((value, is_quoted))
            if place == len(text) or text[place] != delimiter:
                break
            place += 1
        if place > start:
            found.append((text[start:place], fields))
        place += 2 if text[place : place + 2] == "\r\n" else 1
    return found


def _csv_field(text: str, place: int, delimiter: str) -> tuple[str, bool, int]:
    """The field that begins at a place, whether it is quoted, and the place after it."""
    value = ""
    if text[place : place + 1] != '"':
        while place < len(text) and text[place] not in (delimiter, "\r", "\n"):
            value += text[place]
            place += 1
        return value, False, place
    place += 1
    while True:
        if text[place : place + 2] == '""':
            value += '"'
            place += 2
        elif text[place] == '"':
            return value, True, place + 1
        else:
            value += text[place]
            place += 1


def json_records(text: str) -> list[Record]:
    """The records of a file of JSON lines; a line that is no object is malformed."""
    lines = [line for line in re.split("\r\n|\r|\n", text) if line]
    return [_json_record(number, line) for number, line in enumerate(lines, 1)]


def _json_record(number: int, line: str) -> Record:
    try:
        value = json.loads(line, parse_int=JsonNumber, parse_float=JsonNumber, parse_constant=_refuse)
    except ValueError:
        value = None
    if isinstance(value, dict) and not _has_bad_bytes(line):
        return Record(number, value)
    return Record(number, malformed=_shown(line))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def three_line_records(name: str, text: str, null_values: Collection[str] = ("",)) -> list[Record]:
    """The records of a three-line text: an answer each, or a block whose counts disagree."""
    lines = [line.strip(" \t") for line in re.split("\r\n|\n", text)]
    records: list[Record] = []
    block = 0
    while lines:
        count = lines.pop(0)
        if not count:
            continue
        block += 1
        written = [lines.pop(0), lines.pop(0)]
        skills, answers = (_three_line_fields(line) for line in written)
        if any(map(_has_bad_bytes, written)) or count != str(len(skills)) or len(skills) != len(answers):
            records.append(Record(len(records) + 1, malformed=_shown("\n".join([count, *written]))))
            continue
        for position, (skill, answer) in enumerate(zip(skills, answers, strict=True)):
            values = {
                "entity": f"{name}#{block}",
                "position": str(position),
                "skill": None if skill in null_values else skill,
                "answer": None if answer in null_values else answer,
            }
            records.append(Record(len(records) + 1, values))
    return records


def _three_line_fields(line: str) -> Sequence[str]:
    without_comma = line.removesuffix(",")
    return without_comma.split(",") if line else []


def _has_bad_bytes(text: str | None) -> bool:
    return text is not None and any("\ud800" <= character <= "\udfff" for character in text)


def _shown(text: str) -> str:
    return re.sub("[\ud800-\udfff]", REPLACEMENT, text)
