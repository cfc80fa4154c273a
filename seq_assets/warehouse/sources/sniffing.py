"""What a source file that nobody has described looks like, from its first bytes: format, encoding, delimiter, header, columns.

Belongs here: pure functions from bytes and text to a guess. Not here: reading records (the formats' own modules), and what the
columns hold.
"""

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from seq_assets.errors import SourceError
from seq_assets.warehouse.sources.location import SourceFile
from seq_assets.warehouse.sources.parquet_format import MAGIC
from seq_assets.warehouse.sources.text import first_bytes
from seq_assets.warehouse.sources.three_line_format import COLUMNS, is_count

Format = Literal["parquet", "csv", "json", "dkt"]

_HEAD_BYTES: Final = 1 << 20
_RECORDS: Final = 200
_DELIMITERS: Final = ",\t;|"
_MARKS: Final = {
    b"\xef\xbb\xbf": "utf-8",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
"""With which a text may begin; those of UTF-32 begin with those of UTF-16."""
_VALUE: Final = re.compile(r"\s*[+-]?[0-9][0-9.,:eETZ/ +-]*\s*")
"""A number, a date or a time, which no column is named after."""

_ARRAY_OF_OBJECTS: Final = re.compile(r"\s*\[\s*\{")


@dataclass(frozen=True)
class Appearance:
    """What a file looks like.

    Attributes:
        format: Its format.
        encoding: Of text.
        delimiter: Of CSV: what separates fields.
        header: Of CSV: whether the first record names the columns.
        skip_rows: Of CSV: how many lines at its beginning are neither names of columns nor records.
        columns: The names of its columns, or their numbers from 1 without a header; none of Parquet, which says them itself.
    """

    format: Format
    encoding: str = "utf-8"
    delimiter: str = ","
    header: bool = True
    skip_rows: int = 0
    columns: tuple[str, ...] = ()


def appearance_of(file: SourceFile) -> Appearance:
    """What a file looks like.

    Raises:
        SourceError: It cannot be opened, is broken, or has no record.
    """
    head = first_bytes(file, _HEAD_BYTES)
    if head.startswith(MAGIC):
        return Appearance("parquet")
    is_cut = len(head) == _HEAD_BYTES
    encoding = encoding_of(head, is_cut=is_cut)
    text = head.decode(encoding, errors="replace").removeprefix("\ufeff")
    if is_cut:
        text = text.rpartition("\n")[0] or text  # the last line may be cut
    if not text.strip():
        raise SourceError(f"The source file {file.location} has no record, only blank lines; remove or mend it.")
    looks = text_appearance(text, encoding)
    if not looks.columns and _ARRAY_OF_OBJECTS.match(text):
        raise SourceError(
            f"The source file {file.location} is a JSON array; JSON lines are read: one object per line. Write it so."
        )
    if not looks.columns:
        raise SourceError(
            f"The source file {file.location} is JSON without an object on its lines; JSON lines are read: one object each."
        )
    return looks


def encoding_of(head: bytes, *, is_cut: bool) -> str:
    """The encoding of text: UTF-8 where it can be that, else what its first bytes say, else the usual one of Western Europe.

    Args:
        head: The first bytes of a file.
        is_cut: Whether there are more, so that the last character may be half of one.
    """
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    for encoding in ("utf-8", "cp1252"):
        try:
            codecs.getincrementaldecoder(encoding)().decode(head, final=not is_cut)
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"  # in which every byte is a character


def text_appearance(text: str, encoding: str = "utf-8") -> Appearance:
    """What a text looks like of which there is at least one line."""
    lines = [line for line in text.splitlines() if line.strip()]
    if lines[0].lstrip().startswith(("{", "[")):
        return Appearance("json", encoding, columns=_keys(lines[: _RECORDS * 5]))
    if is_three_line(lines):
        return Appearance("dkt", encoding, columns=tuple(COLUMNS))
    delimiter = delimiter_of(text)
    records = _records(text, delimiter)
    skipped = _records_before_table(records)
    header = is_header(records[skipped:])
    if not header and _is_unusable_header(records[skipped:]):
        skipped += 1
    fields = records[skipped]
    names = tuple(fields) if header else tuple(str(number + 1) for number in range(len(fields)))
    return Appearance("csv", encoding, delimiter, header, _lines_of(text, delimiter, skipped), names)


def is_three_line(lines: Sequence[str]) -> bool:
    """Whether the first three lines are a count, as many skills and as many answers."""
    if len(lines) < 3 or not is_count(lines[0].strip()):
        return False
    skills, answers = (line.strip().removesuffix(",").split(",") for line in lines[1:3])
    return int(lines[0]) == len(skills) == len(answers)


def delimiter_of(text: str) -> str:
    """The character that cuts most of the first records into the same number of fields, more than one; else a comma."""

    def judged(delimiter: str) -> tuple[float, int]:
        (fields, records), *_ = Counter(map(len, _records(text, delimiter))).most_common(1)
        share = records / len(_records(text, delimiter))
        return (round(share, 1) if fields > 1 else 0.0, fields)

    return max(_DELIMITERS, key=judged)


def is_header(records: Sequence[Sequence[str]]) -> bool:
    """Whether the first record names the columns: its fields are different, and none is empty, a number or a time."""
    first = [field.strip() for field in records[0]]
    return len(set(first)) == len(first) and not any(not field or _VALUE.fullmatch(field) for field in first)


def _records_before_table(records: Sequence[Sequence[str]]) -> int:
    """How many records of texts stand before the first one of as many fields, several, as most have."""
    (fields, alike), *_ = Counter(map(len, records)).most_common(1)
    before = next(number for number, record in enumerate(records) if len(record) == fields)
    is_text = not any(_VALUE.fullmatch(field) for record in records[:before] for field in record)
    return before if fields > 1 and 2 * alike > len(records) and is_text else 0


def _is_unusable_header(records: Sequence[Sequence[str]]) -> bool:
    """Whether the first record has names, not each of its own, and the second one values."""
    if len(records) < 2:
        return False
    first, second = (any(_VALUE.fullmatch(field) for field in record) for record in records[:2])
    return second and not first


def _lines_of(text: str, delimiter: str, records: int) -> int:
    """How many lines the first so many records are, with the blank ones between them."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    found = 0
    while found < records:
        found += bool(next(reader))
    return reader.line_num if records else 0


def _records(text: str, delimiter: str) -> list[list[str]]:
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    found = []
    for record in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
        if record:
            found.append(record)
        if len(found) == _RECORDS:
            break
    return found


def _keys(lines: Sequence[str]) -> tuple[str, ...]:
    """The keys of the first objects, in order of appearance."""
    keys: dict[str, None] = {}
    for line in lines:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue  # the reader says why it is none
        if isinstance(value, dict):
            keys |= dict.fromkeys(value)
    return tuple(keys)
