"""Text files as blocks of whole lines or records, and delimited records of one file, with their numbers.

Belongs here: what turns a stream into blocks and blocks into columns of text. Not here: where records begin and end in a text
(`blocks`), what a source's format makes of the columns.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from seq_assets.errors import SourceError
from seq_assets.models.spec import SourceOptions
from seq_assets.warehouse.cancellation import raise_if_canceled
from seq_assets.warehouse.sources.blocks import Block, Positions, before, beginning, first_longer, whole_lines, whole_records
from seq_assets.warehouse.sources.location import SourceFile
from seq_assets.warehouse.sources.records import LONGEST_TEXT, MalformedRecord
from seq_assets.warehouse.sources.text import UNDECODABLE, Utf8Stream, what_is_undecodable

LONGEST_RECORD: Final = 1 << 24
"""Bytes; a field that is not closed within them has a quote that was never meant to be one. Longer values may make it more."""
_RECORD_PER_VALUE: Final = 4
"""How much longer than its longest value a record may be: quotes are doubled, and JSON writes some characters by numbers."""
BLOCK_SIZE: Final = 1 << 21
"""Bytes that are read at once."""

Cut: TypeAlias = Callable[[bytes, bool], Block]
"""From a text, and whether nothing comes after it, to what is whole at its beginning."""

_MARK: Final = "\ufdd1"
"""Begins the line that stands for a malformed record: a noncharacter, which no text may contain."""
_ESCAPE: Final = "\ufdd2"
_ESCAPED_SEPARATOR: Final = "\ufdd2\ufdd3"
_ESCAPED_ESCAPE: Final = "\ufdd2\ufdd4"
"""Stand, in a text with another separator than its delimiter, for what already stood there: noncharacters, in no delimiter."""
_ONE_LINE: Final = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r(?=.))", re.DOTALL)
_BYTES_PER_CHARACTER: Final = 4
"""At most, of UTF-8."""


class TextStream(Protocol):
    """Text as UTF-8, piece by piece."""

    @property
    def is_at_end(self) -> bool:
        """Whether all of it was read."""

    def read(self, size: int) -> bytes:
        """The next bytes, about so many."""


class Separator:
    """What stands between fields: one byte in every text that is read, whatever the delimiter is.

    Attributes:
        byte: The delimiter itself where it is one byte, else a control character that is not in it.
    """

    def __init__(self, delimiter: str) -> None:
        """For one or more characters."""
        self._delimiter = delimiter
        self.is_delimiter: Final = len(delimiter) == 1 and 0 < ord(delimiter) < 127
        self.byte: Final = (
            ord(delimiter) if self.is_delimiter else next(byte for byte in range(31, 0, -1) if chr(byte) not in delimiter)
        )

    @property
    def character(self) -> str:
        """The byte as text."""
        return chr(self.byte)

    def separated(self, stream: TextStream) -> TextStream:
        """The stream with this separator between fields."""
        return stream if self.is_delimiter else _SeparatedStream(stream, self._delimiter.encode(), self.character.encode())

    def separated_text(self, text: str) -> str:
        """A text as the separated stream has it."""
        if self.is_delimiter:
            return text
        escaped = text.replace(_ESCAPE, _ESCAPED_ESCAPE).replace(self.character, _ESCAPED_SEPARATOR)
        return escaped.replace(self._delimiter, self.character)

    def original_text(self, text: str) -> str:
        """A text of the separated stream as it stood."""
        for separated, original in self._originals:
            text = text.replace(separated, original)
        return text

    def original_values(self, values: pa.Array) -> pa.Array:
        """Values of the separated stream as they stood."""
        for separated, original in self._originals:
            values = pc.replace_substring(values, separated, original)
        return values

    @property
    def _originals(self) -> tuple[tuple[str, str], ...]:
        """What stands in the separated stream for something else, in the order in which it becomes that again."""
        if self.is_delimiter:
            return ()
        return (
            (self.character, self._delimiter),
            (_ESCAPED_SEPARATOR, self.character),
            (_ESCAPED_ESCAPE, _ESCAPE),
        )


class _SeparatedStream:
    """A stream with one byte in place of a longer delimiter."""

    def __init__(self, stream: TextStream, delimiter: bytes, separator: bytes) -> None:
        self._stream = stream
        self._delimiter = delimiter
        self._separator = separator
        self._held = b""

    @property
    def is_at_end(self) -> bool:
        return self._stream.is_at_end

    def read(self, size: int) -> bytes:
        read = self._stream.read(size).replace(_ESCAPE.encode(), _ESCAPED_ESCAPE.encode())
        read = read.replace(self._separator, _ESCAPED_SEPARATOR.encode())
        text = (self._held + read).replace(self._delimiter, self._separator)
        self._held = b"" if self.is_at_end else self._begun(text)
        return text.removesuffix(self._held)

    def _begun(self, text: bytes) -> bytes:
        """The end of a text with which a delimiter may begin."""
        sizes = range(len(self._delimiter) - 1, 0, -1)
        return next((self._delimiter[:size] for size in sizes if text.endswith(self._delimiter[:size])), b"")


def longest_record(options: SourceOptions) -> int:
    """The bytes that a record may have."""
    return max(LONGEST_RECORD, _RECORD_PER_VALUE * options.max_value_bytes)


class Blocks:
    """The blocks of one text file, read once.

    A record of more bytes than are allowed is malformed to the end of its first line; no more is held of it than its beginning.
    """

    def __init__(self, stream: TextStream, cut: Cut, longest: int, size: int = BLOCK_SIZE) -> None:
        """Reads nothing yet.

        Args:
            stream: The file's text.
            cut: Finds what is whole.
            longest: Bytes of a record.
            size: Bytes that are read at once.
        """
        self._stream = stream
        self._cut = cut
        self._longest = longest
        self._size = size
        self._text = b""
        self._too_long: Block | None = None  # the next block, of which the text is left behind already

    def __iter__(self) -> Iterator[Block]:
        """All blocks that are left.

        Raises:
            SourceError: The file is broken.
        """
        while self._too_long or self._text or not self._stream.is_at_end:
            block = self.first()
            self.drop(len(block.text))
            yield block

    @property
    def is_at_end(self) -> bool:
        """Whether nothing is left."""
        return self._stream.is_at_end and not self._text and self._too_long is None

    def first(self) -> Block:
        """The next block, which stays the next one."""
        while self._too_long is None:
            block = self._cut(self._text, self._stream.is_at_end)
            if len(self._text) > self._longest:
                place = first_longer(block, self._text[len(block.text) :], self._longest)
                if place == 0:
                    self._too_long = self._pass_too_long()
                    break
                block = block if place is None else before(block, place)
            if self._stream.is_at_end or block.text:
                return block
            # As much again, because all of it is looked at again.
            self._text += self._stream.read(max(self._size, len(self._text)))
        return self._too_long

    def drop(self, size: int) -> None:
        """Leaves out so many of the next bytes; of a record that is too long, all of it."""
        self._text = self._text if self._too_long else self._text[size:]
        self._too_long = None

    def _pass_too_long(self) -> Block:
        """The record that begins here, with what is kept of it; goes on to the end of its first line."""
        kept = min(_BYTES_PER_CHARACTER * LONGEST_TEXT, self._longest)
        end = _first_line_end(self._text)
        line = self._text if end is None else self._text[:end]
        is_too_long = len(line) > self._longest
        found = beginning(
            line, kept, f"{'a line' if is_too_long else 'over lines,'} of more than {self._longest} bytes", is_too_long
        )
        while end is None and not self._stream.is_at_end:
            raise_if_canceled()
            self._text = self._stream.read(self._size)
            end = _first_line_end(self._text)
        self.drop(len(self._text) if end is None else end + 1)
        return found

    def drop_line(self) -> None:
        """Leaves out the next line, whatever is in it."""
        while not (line := _ONE_LINE.match(self._text)) and not self._stream.is_at_end:
            raise_if_canceled()
            # Of what has no end yet, only what may be the beginning of one is of interest.
            self._text = self._text[len(self._text.rstrip(b"\r")) :] + self._stream.read(self._size)
        self.drop(line.end() if line else len(self._text))


def _first_line_end(text: bytes) -> int | None:
    """The place of the first line end; None where there is none."""
    return min((place for place in (text.find(b"\n"), text.find(b"\r")) if place >= 0), default=None)


@dataclass(frozen=True)
class Records:
    """Records of one block.

    Attributes:
        numbers: Of each record its number in the file, from 1.
        columns: Their fields as text, null for null values.
        malformed: Records that are in no column, by number.
    """

    numbers: pa.Array
    columns: pa.RecordBatch
    malformed: Mapping[int, MalformedRecord]


class DelimitedFile:
    """The records of one delimited file.

    Attributes:
        names: The columns' names: the header's, or `1`, `2`, … without one.
        over_lines: How many of the records that were read so far span lines.
    """

    def __init__(
        self, file: SourceFile, delimiter: str, options: SourceOptions, *, size: int = BLOCK_SIZE, longest: int | None = None
    ) -> None:
        """Opens the file and reads the names of its columns.

        Args:
            file: The file.
            delimiter: Between fields, one or more characters.
            options: How it is written.
            size: Bytes that are read at once.
            longest: Bytes of a record, also between the quotes of a field: one without a closing quote so near is not closed;
                by default, what the options make of it.

        Raises:
            SourceError: The file cannot be read, or its header is malformed.
        """
        self._file = file
        self._longest = longest or longest_record(options)
        self._options = options
        self._separator = Separator(delimiter)
        self._is_quoted = options.quoting == "standard"
        self._stream = Utf8Stream(file, options.encoding)
        self._blocks = Blocks(self._separator.separated(self._stream), self._cut(), self._longest, size)
        for _ in range(options.skip_rows):
            self._blocks.drop_line()
        self._passed: list[Block] = []  # the malformed records before the first one that is none of them
        fields = self._first_record()
        self.names = fields if options.header else [str(number + 1) for number in range(len(fields))]
        self.over_lines = 0

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()

    def records(self, names: list[str]) -> Iterator[Records]:
        """All records, block after block.

        A record is malformed where its quotes make none of it, where it has another number of fields than the header, or bytes
        that are no text in a named column.

        Args:
            names: The columns to read.

        Raises:
            SourceError: The file is broken.
        """
        before = 0
        for block in itertools.chain(self._passed, self._blocks):
            columns, ragged = self._parsed(block, names)
            present = _numbers(columns.num_rows, list(ragged))
            records = columns.num_rows + len(ragged)
            self.over_lines += block.records_over_lines(records)
            bad = self._is_undecodable(columns)
            malformed = ragged | self._undecodable(block, present[bad])
            good = pa.array(~bad)
            yield Records(
                numbers=pa.array(present[~bad] + before),
                columns=columns.filter(good) if bad.any() else columns,
                malformed={before + number: record for number, record in sorted(malformed.items())},
            )
            before += records

    def _cut(self) -> Cut:
        if not self._is_quoted:
            return whole_lines
        return lambda text, is_last: whole_records(text, self._separator.byte, is_last, self._longest)

    def _first_record(self) -> list[str]:
        """The fields of the header, which is not read again, or of the first record that is none of the malformed ones."""
        while True:
            block = self._blocks.first()
            faults = {fault.start: fault.detail for fault in block.faults}
            for start, end in zip(*block.records(), strict=True):
                if start not in faults:
                    if self._options.header:
                        self._blocks.drop(end)
                    return self._fields(block.text[start:end].decode())
                if self._options.header:
                    raise SourceError(
                        f"The header of the source file {self._file.location} is malformed ({faults[start]}); mend it."
                    )
            self._blocks.drop(len(block.text))
            self._passed += [block] if faults else []
            if self._blocks.is_at_end or sum(len(passed.text) for passed in self._passed) > LONGEST_RECORD:
                raise self._without_record()

    def _without_record(self) -> SourceError:
        """The error for a file that has no record, as far as it was read."""
        found = next((block.faults[0].detail for block in self._passed), None)
        place = "has" if self._blocks.is_at_end else f"has in its first {LONGEST_RECORD} bytes"
        return SourceError(
            f"The source file {self._file.location} {place} no record, only "
            f"{f'malformed ones ({found})' if found else 'blank lines'}; remove or mend it."
        )

    def _fields(self, record: str) -> list[str]:
        """The fields of a well-formed record."""
        separator = self._separator.character
        if not self._is_quoted:
            return [self._separator.original_text(field) for field in record.split(separator)]
        pattern = re.compile(f'"((?:[^"]|"")*)"|([^{re.escape(separator)}]*)')
        fields, place = [], 0
        while place <= len(record):
            match = pattern.match(record, place)
            assert match is not None, "the pattern matches nothing too"
            field = match[2] if match[1] is None else match[1].replace('""', '"')
            fields.append(self._separator.original_text(field))
            place = match.end() + 1
        return fields

    def _parsed(self, block: Block, names: list[str]) -> tuple[pa.RecordBatch, dict[int, MalformedRecord]]:
        """The named columns of a block's well-formed records, and all others by their number in the block."""
        import pyarrow.csv

        ragged: dict[int, MalformedRecord] = {}
        # Another number of fields than that of the file's columns.
        line_end = self._separator.character if len(self.names) == 1 else ""
        faults = {f"{_MARK}{number}{line_end}": fault for number, fault in enumerate(block.faults)}

        def on_invalid(row: pyarrow.csv.InvalidRow) -> str:
            fault = faults.get(row.text)
            text = block.text[fault.start : fault.end].decode() if fault else row.text
            detail = fault.detail if fault else f"{row.expected_columns} fields expected, {row.actual_columns} found"
            text = self._separator.original_text(text).replace(UNDECODABLE, "\ufffd")
            ragged[row.number] = MalformedRecord(text, detail, fault is not None and fault.is_too_long)
            return "skip"

        text = block.marked(_MARK.encode(), line_end.encode()) if faults else block.text
        if not text.endswith((b"\n", b"\r")):
            text += b"\n"  # else Arrow takes an empty field at the end for a quoted one, if the field before it is
        # A record must have at least one column.
        indexes = [str(self.names.index(name)) for name in names] or ["0"]
        read = pyarrow.csv.ReadOptions(
            use_threads=False, block_size=len(text) + 1, column_names=[str(number) for number in range(len(self.names))]
        )
        parse = pyarrow.csv.ParseOptions(
            delimiter=self._separator.character,
            quote_char='"' if self._is_quoted else False,
            newlines_in_values=False,  # finds blocks, of which there is one
            invalid_row_handler=on_invalid,
        )
        convert = pyarrow.csv.ConvertOptions(
            include_columns=indexes,
            column_types=dict.fromkeys(indexes, pa.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=self._options.quoted_nulls,
            null_values=[self._separator.separated_text(value) for value in self._options.null_values],
        )
        table = pyarrow.csv.read_csv(pa.py_buffer(text), read, parse, convert)
        arrays = [self._separator.original_values(column.combine_chunks()) for column in table.columns]
        return pa.RecordBatch.from_arrays(arrays[: len(names)] or arrays, names=names or indexes), ragged

    def _is_undecodable(self, columns: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Which records have bytes that are no text in a column that is read."""
        bad = np.zeros(columns.num_rows, np.bool_)
        for column in columns.columns if self._stream.undecodable else ():
            bad |= pc.fill_null(pc.match_substring(column, UNDECODABLE), False).to_numpy(zero_copy_only=False)
        return bad

    def _undecodable(self, block: Block, numbers: Positions) -> dict[int, MalformedRecord]:
        """Records with bytes that are no text, by number in their block."""
        if not len(numbers):
            return {}
        starts, ends = block.records()
        found = {}
        for number in numbers.tolist():
            text = self._separator.original_text(block.text[starts[number - 1] : ends[number - 1]].decode())
            detail = what_is_undecodable(text, self._options.encoding)
            found[number] = MalformedRecord(text.replace(UNDECODABLE, "\ufffd"), detail)
        return found


def _numbers(rows: int, others: list[int]) -> Positions:
    """The numbers, from 1, of so many records between others whose numbers, ascending, are known."""
    ordinals = np.arange(1, rows + 1)
    before = np.array(others, np.int64) - 1 - np.arange(len(others))
    return ordinals + np.searchsorted(before, ordinals, side="left")
