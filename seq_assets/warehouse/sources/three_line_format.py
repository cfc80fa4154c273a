"""The three-line text format of knowledge-tracing data sets: per pupil a count, the skills, the answers."""

from collections.abc import Iterator
from typing import Final

import pyarrow as pa

from seq_assets.errors import SourceError
from seq_assets.models.spec import SourceOptions
from seq_assets.warehouse.sources.location import SourceFile
from seq_assets.warehouse.sources.records import (
    DETAIL,
    MALFORMED,
    UNREADABLE,
    FoundColumns,
    MalformedRecord,
    WantedColumn,
    malformed_records,
    missing_column,
    records_schema,
)
from seq_assets.warehouse.sources.text import END, UNDECODABLE, Utf8Stream

COLUMNS: Final = ["entity", "position", "skill", "answer"]


def read_three_line(
    file: SourceFile, index: int, columns: tuple[WantedColumn, ...], options: SourceOptions, found: FoundColumns
) -> Iterator[pa.RecordBatch]:
    """The answers of one file, in batches of one pupil.

    Columns: `entity` (`<path>#<block>`, blocks from 1), `position` (from 0), `skill`, `answer`. A trailing comma is ignored; a
    block whose counts disagree is one malformed record.

    Raises:
        SourceError: A column is none of the four, or the file ends within a block.
    """
    found.add(COLUMNS)
    for column in columns:
        if column.source not in COLUMNS:
            raise SourceError(missing_column(file, column, COLUMNS))
    schema = records_schema(columns)
    row = 1
    for number, (count, skills, answers) in enumerate(_blocks(file, options.encoding), 1):
        fields = {"skill": _fields(skills), "answer": _fields(answers)}
        items = len(fields["skill"])
        if detail := _what_is_wrong(count, items, len(fields["answer"])) or _undecodable(skills, answers, options.encoding):
            block = f"{count}\n{skills}\n{answers}".replace(UNDECODABLE, "\ufffd")
            yield malformed_records(schema, index, {row: MalformedRecord(block, detail)})
            row += 1
            continue
        arrays: dict[str, pa.Array] = {
            "entity": pa.repeat(pa.scalar(f"{file.name}#{number}"), items),
            "position": pa.array(range(items), pa.int64()).cast(pa.string()),
            "skill": pa.array(_nulls(fields["skill"], options), pa.string()),
            "answer": pa.array(_nulls(fields["answer"], options), pa.string()),
        }
        yield pa.RecordBatch.from_arrays(
            [
                pa.repeat(pa.scalar(index, pa.int32()), items),
                pa.array(range(row, row + items), pa.int64()),
                *(pa.nulls(items, pa.string()) for _ in (MALFORMED, DETAIL, UNREADABLE)),
                *(arrays[column.source] for column in columns),
            ],
            schema=schema,
        )
        row += items


def _blocks(file: SourceFile, encoding: str) -> Iterator[tuple[str, str, str]]:
    """Three lines at a time; blank lines between blocks do not count."""
    try:
        lines = _lines(Utf8Stream(file, encoding))
        for line in lines:
            if line:
                rest = next(lines, None), next(lines, None)
                if rest[0] is None or rest[1] is None:
                    raise SourceError(f"The source file {file.location} ends within a block of three lines; mend its end.")
                yield line, rest[0], rest[1]
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SourceError(f"The source file {file.location} cannot be read as {encoding} text: {reason}; mend it.") from error


def _lines(stream: Utf8Stream) -> Iterator[str]:
    rest = ""
    while block := stream.read(1 << 20).decode():
        *complete, rest = (rest + block).split("\n")
        for line in complete:
            if line == END:
                return
            yield line.removeprefix("\ufeff").strip(" \t\r")


def _what_is_wrong(count: str, skills: int, answers: int) -> str | None:
    """Why three lines are no block; None where their counts agree."""
    if not (count.isascii() and count.isdecimal()):
        return "the first of its three lines is no number"
    if not int(count) == skills == answers:
        return f"counts disagree: {int(count)} expected, {skills} skills, {answers} answers"
    return None


def _undecodable(skills: str, answers: str, encoding: str) -> str | None:
    return f"not {encoding.upper()}" if UNDECODABLE in skills + answers else None


def _fields(line: str) -> list[str]:
    fields = line.split(",")
    return fields[:-1] if fields[-1].strip() == "" else fields


def _nulls(fields: list[str], options: SourceOptions) -> list[str | None]:
    return [None if field in options.null_values else field for field in fields]
