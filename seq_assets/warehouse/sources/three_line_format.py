"""The three-line text format of knowledge-tracing data sets: per pupil a count, the skills, the answers."""

import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from seq_assets.errors import SourceError
from seq_assets.models.spec import SourceOptions
from seq_assets.warehouse.cancellation import raise_if_canceled
from seq_assets.warehouse.sources.lines import longest_record
from seq_assets.warehouse.sources.location import SourceFile
from seq_assets.warehouse.sources.records import (
    LONGEST_TEXT,
    MalformedRecord,
    SourceFindings,
    WantedColumn,
    malformed_records,
    missing_column,
    records_batch,
    records_schema,
)
from seq_assets.warehouse.sources.text import UNDECODABLE, Utf8Stream, what_is_undecodable

COLUMNS: Final = ["entity", "position", "skill", "answer"]
_COUNT: Final = re.compile("[0-9]{1,18}")
_BLOCK_SIZE: Final = 1 << 20
"""Bytes that are read at once."""


@dataclass(frozen=True)
class _Line:
    """A line, of which the beginning is kept where it is too long."""

    text: str
    is_too_long: bool = False


def read_three_line(
    files: Iterable[tuple[int, SourceFile]], columns: tuple[WantedColumn, ...], options: SourceOptions, findings: SourceFindings
) -> Generator[pa.RecordBatch]:
    """The answers of files, in batches of one pupil.

    Columns: `entity` (`<path>#<block>`, blocks from 1), `position` (from 0), `skill`, `answer`. A trailing comma is ignored; a
    block whose counts disagree is one malformed record.

    Raises:
        SourceError: A column is none of the four, or a file ends within a block.
    """
    for index, file in files:
        findings.add_columns(index, COLUMNS)
        for column in columns:
            if column.source not in COLUMNS:
                raise SourceError(missing_column(file, column, COLUMNS))
        yield from _read_file(file, index, columns, options)


def _read_file(
    file: SourceFile, index: int, columns: tuple[WantedColumn, ...], options: SourceOptions
) -> Iterator[pa.RecordBatch]:
    schema = records_schema(columns)
    row = 1
    longest = longest_record(options)
    for number, lines in enumerate(_blocks(file, options.encoding, longest), 1):
        count, skills, answers = (line.text for line in lines)
        fields = {"skill": _fields(skills), "answer": _fields(answers)}
        items = len(fields["skill"])
        block = f"{count}\n{skills}\n{answers}"
        is_too_long = any(line.is_too_long for line in lines)
        detail = f"a line of more than {longest} characters" if is_too_long else None
        detail = detail or (what_is_undecodable(block, options.encoding) if UNDECODABLE in block else None)
        detail = detail or _what_is_wrong(count, items, len(fields["answer"]))
        if detail:
            record = MalformedRecord(block.replace(UNDECODABLE, "\ufffd"), detail, is_too_long)
            yield malformed_records(schema, index, {row: record})
            row += 1
            continue
        arrays: dict[str, pa.Array] = {
            "entity": pa.repeat(pa.scalar(f"{file.name}#{number}"), items),
            "position": pa.array(range(items), pa.int64()).cast(pa.string()),
            "skill": pa.array(_nulls(fields["skill"], options), pa.string()),
            "answer": pa.array(_nulls(fields["answer"], options), pa.string()),
        }
        numbers = pa.array(range(row, row + items), pa.int64())
        yield records_batch(schema, index, numbers, {column.name: arrays[column.source] for column in columns})
        row += items


def _blocks(file: SourceFile, encoding: str, longest: int) -> Iterator[tuple[_Line, _Line, _Line]]:
    """Three lines at a time; blank lines between blocks do not count."""
    with closing(Utf8Stream(file, encoding)) as stream:
        lines = _lines(stream, longest)
        for line in lines:
            if line.text:
                rest = next(lines, None), next(lines, None)
                if rest[0] is None or rest[1] is None:
                    raise SourceError(f"The source file {file.location} ends within a block of three lines; mend its end.")
                yield line, rest[0], rest[1]


def _lines(stream: Utf8Stream, longest: int) -> Iterator[_Line]:
    rest, is_too_long = "", False
    while not stream.is_at_end:
        raise_if_canceled()
        # As much again, because all of it is looked at again.
        *complete, rest = (rest + stream.read(max(_BLOCK_SIZE, len(rest))).decode()).split("\n")
        for line in complete:
            yield _line(line, longest, is_too_long)
            is_too_long = False
        if len(rest) > longest:
            rest, is_too_long = rest[:LONGEST_TEXT], True
    yield _line(rest, longest, is_too_long)


def _line(text: str, longest: int, is_beginning: bool) -> _Line:
    """A line, or what is kept of one; of one that is too long, only the beginning."""
    is_too_long = is_beginning or len(text) > longest
    return _Line((text[:LONGEST_TEXT] if is_too_long else text).strip(" \t\r"), is_too_long)


def _what_is_wrong(count: str, skills: int, answers: int) -> str | None:
    """Why three lines are no block; None where their counts agree."""
    if not is_count(count):
        return "the first of its three lines is no number"
    if not int(count) == skills == answers:
        return f"counts disagree: {int(count)} said, {skills} skills, {answers} answers"
    return None


def is_count(text: str) -> bool:
    """Whether a text may be how many answers a block has."""
    return _COUNT.fullmatch(text) is not None


def _fields(line: str) -> list[str]:
    fields = line.split(",")
    return fields[:-1] if fields[-1].strip() == "" else fields


def _nulls(fields: list[str], options: SourceOptions) -> list[str | None]:
    return [None if field in options.null_values else field for field in fields]
