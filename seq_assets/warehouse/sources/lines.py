"""Delimited records of one file through Arrow's CSV reader, with record numbers and the records that are none."""

import csv
from collections.abc import Iterable, Iterator
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from seq_assets.errors import SourceError
from seq_assets.warehouse.sources.location import SourceFile
from seq_assets.warehouse.sources.records import MalformedRecord
from seq_assets.warehouse.sources.text import END, UNDECODABLE, Utf8Stream, decoded_lines

LONGEST_RECORD: Final = 1 << 24
"""Bytes; a longer record is almost always a quote that was never closed."""


class DelimitedFile:
    """The records of one delimited file.

    Attributes:
        names: The columns' names: the header's, or `1`, `2`, … without one.
    """

    def __init__(
        self,
        file: SourceFile,
        encoding: str,
        delimiter: str,
        *,
        quoted: bool = True,
        header: bool = True,
        null_values: tuple[str, ...] = (),
    ) -> None:
        """Opens the file and reads the names of its columns.

        Raises:
            SourceError: The file cannot be read.
        """
        self._file = file
        self._encoding = encoding
        self._header = header
        self._null_values = list(null_values)
        self._delimiter = delimiter
        self._quoted = quoted
        self._malformed: dict[int, MalformedRecord] = {}
        self._end_seen = False
        self._stream: Utf8Stream | None = None
        found = self._open(None).schema.names
        if found == [END]:
            raise SourceError(f"The source file {file.location} has no record, only blank lines; remove or mend it.")
        self.names = found if header else [str(number + 1) for number in range(len(found))]

    def batches(self, names: list[str]) -> Iterator[tuple[pa.Array, pa.RecordBatch, dict[int, MalformedRecord]]]:
        """All records: their numbers, the named columns as text (null for null values), and the malformed ones by number.

        A record is malformed where it has another number of fields than the header, or bytes that are no text; the former are
        in no batch of columns.

        Raises:
            SourceError: A quote is never closed, or the file is broken.
        """
        columns = names if self._header else [f"f{int(name) - 1}" for name in names]
        reader = self._open(columns)
        ragged: list[int] = []
        undecodable: set[int] = set()
        records = 0
        while (batch := self._next(reader)) is not None:
            batch = self._without_end(batch.rename_columns(names))
            malformed, self._malformed = self._malformed, {}
            ragged += malformed
            ordinals = np.arange(records + 1, records + batch.num_rows + 1)
            before = np.array(ragged, np.int64) - 1 - np.arange(len(ragged))
            numbers = pa.array(ordinals + np.searchsorted(before, ordinals, side="left"))
            records += batch.num_rows
            bad = self._is_undecodable(batch)
            undecodable.update(numbers.filter(bad).to_pylist())
            good = pc.invert(bad)
            yield numbers.filter(good), batch.filter(good), malformed
        # Arrow makes no batch of a file whose records are all malformed.
        malformed = self._malformed | self._texts(undecodable)
        if malformed:
            nothing = pa.RecordBatch.from_pylist([], pa.schema([(name, pa.string()) for name in names]))
            yield pa.array([], pa.int64()), nothing, malformed
        if not self._end_seen:
            raise SourceError(
                f"The source file {self._file.location} has a quote that is never closed, in record "
                f"{records + len(ragged)} or before it; close it, or remove it."
            )

    def _open(self, columns: list[str] | None) -> pa.csv.CSVStreamingReader:
        """A reader of the given columns; of all of them, to learn their names, where none are given."""
        self._stream = Utf8Stream(self._file, self._encoding)
        self._malformed.clear()
        read = pa.csv.ReadOptions(use_threads=False, block_size=LONGEST_RECORD, autogenerate_column_names=not self._header)
        parse = pa.csv.ParseOptions(
            delimiter=self._delimiter,
            quote_char='"' if self._quoted else False,
            newlines_in_values=self._quoted,
            ignore_empty_lines=True,
            invalid_row_handler=self._on_malformed,
        )
        convert = pa.csv.ConvertOptions(
            include_columns=columns or [],
            column_types=dict.fromkeys(columns or [], pa.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=self._null_values,
        )
        try:
            return pa.csv.open_csv(self._stream, read, parse, convert)
        except (pa.ArrowInvalid, OSError) as error:
            raise self._broken(error) from error

    def _next(self, reader: pa.csv.CSVStreamingReader) -> pa.RecordBatch | None:
        try:
            return reader.read_next_batch()
        except StopIteration:
            return None
        except (pa.ArrowInvalid, OSError) as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> SourceError:
        reason = str(error).splitlines()[0]
        remedy = "mend it, or the source's format, delimiter and encoding in the model file"
        if "straddling" in reason:
            reason = f"a record is longer than {LONGEST_RECORD} bytes, or a quote is never closed"
        return SourceError(
            f"The source file {self._file.location} cannot be read as {self._encoding} text: {reason}; {remedy}."
        )

    def _on_malformed(self, row: pa.csv.InvalidRow) -> str:
        if row.text == END:
            self._end_seen = True
        else:
            detail = f"{row.expected_columns} fields expected, {row.actual_columns} found"
            self._malformed[row.number - self._header] = MalformedRecord(row.text.replace(UNDECODABLE, "\ufffd"), detail)
        return "skip"

    def _without_end(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch without the stream's last line, which is a record of its own where there is one column only."""
        if batch.num_columns and batch.num_rows and batch.column(0)[-1].as_py() == END:
            self._end_seen = True
            return batch.slice(0, batch.num_rows - 1)
        return batch

    def _is_undecodable(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        """Which records have bytes that are no text in a column that is read."""
        assert self._stream is not None
        bad = pa.array(np.zeros(batch.num_rows, np.bool_))
        for column in batch.columns if self._stream.undecodable else ():
            bad = pc.or_(bad, pc.fill_null(pc.match_substring(column, UNDECODABLE), False))
        return bad

    def _texts(self, numbers: set[int]) -> dict[int, MalformedRecord]:
        """Records as they stood, by number. Reads the file once more: Arrow gives the wanted columns only, without quotes."""
        found: dict[int, MalformedRecord] = {}
        if not numbers:
            return found
        csv.field_size_limit(LONGEST_RECORD)
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if self._quoted else csv.QUOTE_NONE
        with decoded_lines(self._file, self._encoding) as lines:
            read: list[str] = []
            number = -self._header
            for fields in csv.reader(_noted(lines, read), delimiter=self._delimiter, quoting=quoting):
                number += bool(fields)
                if number in numbers and fields:
                    text = "".join(read).rstrip("\r\n").removeprefix("\ufeff")
                    found[number] = MalformedRecord(text, f"not {self._encoding.upper()}")
                read.clear()
        return found


def _noted(lines: Iterable[str], read: list[str]) -> Iterator[str]:
    """The lines, each noted when it is taken, because a record may go over several."""
    for line in lines:
        read.append(line)
        yield line
