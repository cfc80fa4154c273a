"""From the text of one source file to its records, one character at a time.

Belongs here: what a record is and which number it has, in CSV, JSON lines and three-line text. Not here: what its values mean
(`reading`). The records of a Parquet file are its rows; nothing is to be said about them.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from seq_assets_tests.reference.reading import JsonNumber

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Record:
    """One record of a file.

    Attributes:
        number: Its number in the file, from 1.
        values: Its values by the source's column: text where the format has only text, else as the format has them.
        malformed: Its text where it is no record.
        detail: What is wrong with it, where it is none.
        is_too_long: Whether that is its length.
    """

    number: int
    values: Mapping[str, Any] = field(default_factory=dict)
    malformed: str | None = None
    detail: str | None = None
    is_too_long: bool = False


def decoded(content: bytes, encoding: str) -> str:
    """The text of a file; bytes that are no text become lone surrogates, which no text has. A byte order mark is skipped."""
    return content.decode(encoding, "surrogateescape").removeprefix("\ufeff")


def csv_records(
    text: str,
    wanted: Collection[str],
    delimiter: str = ",",
    null_values: Collection[str] = ("",),
    header: bool = True,
    quoting: str = "standard",
    quoted_nulls: bool = False,
    longest: int = 1 << 24,
    encoding: str = "utf-8",
) -> list[Record]:
    """The records of a CSV file; null values are None, quoted ones only where asked.

    Only bad bytes of wanted columns make a record malformed. The width is that of the header, else of the first record that its
    quotes do not make malformed.

    A record of more bytes than `longest` is none: its first line is too long, or was never meant to go on.
    """
    lines = _csv_lines(text, delimiter, quoting == "standard", longest)
    first = next(fields for _, fields in lines if not isinstance(fields, str))
    width = len(first)
    names = [value if header else str(number + 1) for number, (value, _) in enumerate(first)]
    lines = lines[header:]
    records = []
    for number, (line, fields) in enumerate(lines, 1):
        if isinstance(fields, str):
            is_too_long = fields.startswith("a line of more than")
            kept = line.encode(errors="surrogateescape")[:longest].decode(errors="ignore") if is_too_long else line
            records.append(Record(number, malformed=_shown(kept), detail=fields, is_too_long=is_too_long))
            continue
        values = {
            name: None if value in null_values and (quoted_nulls or not is_quoted) else value
            for name, (value, is_quoted) in zip(names, fields, strict=False)
        }
        values = {name: values[name] for name in wanted if name in values}
        if len(fields) != width:
            detail = f"{width} fields expected, {len(fields)} found"
            records.append(Record(number, malformed=_shown(line), detail=detail))
        elif any(map(_has_bad_bytes, values.values())):
            records.append(Record(number, malformed=_shown(line), detail=_bad_byte(line, encoding)))
        else:
            records.append(Record(number, values))
    return records


CsvLine: TypeAlias = tuple[str, list[tuple[str, bool]] | str]
"""The text of a line, and its fields, each with whether it is quoted, or what is wrong with it."""


def _csv_lines(text: str, delimiter: str, quoted: bool, longest: int) -> list[CsvLine]:
    """The lines that are not blank."""
    found: list[CsvLine] = []
    place = 0
    while place < len(text):
        start = place
        fields, place = _csv_fields(text, start, delimiter, quoted, longest)
        if _size(text[start:place]) > longest:
            place = _line_end(text, start)
            is_too_long = _size(text[start:place]) > longest
            fields = f"{'a line' if is_too_long else 'over lines,'} of more than {longest} bytes"
        if place > start:
            found.append((text[start:place], fields))
        place += 2 if text[place : place + 2] == "\r\n" else 1
    return found


def _csv_fields(text: str, place: int, delimiter: str, quoted: bool, longest: int) -> tuple[list[tuple[str, bool]] | str, int]:
    """The fields of the line that begins at a place, or what is wrong with it, and the place where it ends."""
    fields = []
    while True:
        start = place
        if quoted and text[place : place + 1] == '"':
            value, place = _quoted_field(text, place)
            is_ended = place == len(text) or text[place] in "\r\n" or text.startswith(delimiter, place)
            is_closed = value is not None and _size(text[start : place - 1]) <= longest
            if value is None or not is_closed or not is_ended:
                end = _line_end(text, start)
                return "text after a closing quote" if is_closed and place <= end else "a field not closed", end
            fields.append((value, True))
        else:
            while place < len(text) and text[place] not in "\r\n" and not text.startswith(delimiter, place):
                place += 1
            fields.append((text[start:place], False))
        if not text.startswith(delimiter, place):
            return fields, place
        place += len(delimiter)


def _quoted_field(text: str, place: int) -> tuple[str | None, int]:
    """The value of the field whose opening quote stands at a place, None where it is not closed, and the place after it."""
    value = ""
    place += 1
    while place < len(text):
        if text[place : place + 2] == '""':
            value += '"'
            place += 2
        elif text[place] == '"':
            return value, place + 1
        else:
            value += text[place]
            place += 1
    return None, place


def _size(text: str) -> int:
    """Its bytes in UTF-8."""
    return len(text.encode(errors="surrogateescape"))


def _line_end(text: str, place: int) -> int:
    while place < len(text) and text[place] not in "\r\n":
        place += 1
    return place


def json_records(text: str, encoding: str = "utf-8") -> list[Record]:
    """The records of a file of JSON lines; a line that is no object, or has a key twice, is malformed."""
    lines = [line for line in re.split("\r\n|\r|\n", text) if line]
    return [_json_record(number, line, encoding) for number, line in enumerate(lines, 1)]


def _json_record(number: int, line: str, encoding: str) -> Record:
    if _has_bad_bytes(line):
        return Record(number, malformed=_shown(line), detail=_bad_byte(line, encoding))
    try:
        value = json.loads(
            line, parse_int=JsonNumber, parse_float=JsonNumber, parse_constant=JsonNumber, object_pairs_hook=Pairs
        )
    except ValueError:
        value = None
    if not isinstance(value, Pairs):
        return Record(number, malformed=line, detail="no JSON object")
    keys = [key for key, _ in value]
    twice = [key for place, key in enumerate(keys) if key in keys[:place]]
    if twice:
        return Record(number, malformed=line, detail=f"the key {json.dumps(twice[0], ensure_ascii=False)} twice")
    return Record(number, {key: _plain(item) for key, item in value})


class Pairs(list[tuple[str, Any]]):
    """The keys and values of an object of JSON, in order."""


def _plain(value: Any) -> Any:
    if isinstance(value, Pairs):
        return {key: _plain(item) for key, item in value}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def three_line_records(name: str, text: str, null_values: Collection[str] = ("",), encoding: str = "utf-8") -> list[Record]:
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
        lines_of_block = "\n".join([count, *written])
        detail = None
        if _has_bad_bytes(lines_of_block):
            detail = _bad_byte(lines_of_block, encoding)
        elif not (count.isascii() and count.isdecimal()):
            detail = "the first of its three lines is no number"
        elif not int(count) == len(skills) == len(answers):
            detail = f"counts disagree: {int(count)} said, {len(skills)} skills, {len(answers)} answers"
        if detail is not None:
            records.append(Record(len(records) + 1, malformed=_shown(lines_of_block), detail=detail))
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


def _bad_byte(text: str, encoding: str) -> str:
    """Where, in bytes from 1, the first byte stands that is no text; an encoding may begin each text with a mark."""
    before = re.split("[\ud800-\udfff]", text, maxsplit=1)[0]
    return f"not {encoding.upper()} at byte {len(before.encode(encoding)) - len(''.encode(encoding)) + 1}"


def _shown(text: str) -> str:
    return re.sub("[\ud800-\udfff]", REPLACEMENT, text)
