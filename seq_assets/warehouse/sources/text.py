"""Bytes of a text file as UTF-8, whatever its encoding and compression; bytes that are no text stay recognizable."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final, TextIO

import pyarrow as pa

from seq_assets.warehouse.sources.location import SourceFile

UNDECODABLE: Final = "\ufdd0"
"""Stands for bytes that are no text in the file's encoding: a Unicode noncharacter, which no text may contain."""
END: Final = "\ufdd1"
"""A last line of its own, so that a reader can tell whether a quote was left open: then it never sees the line."""

_READ_AHEAD: Final = 1 << 23
"""Bytes; each read of an object on S3 is a request, and a compressed file would be read in small pieces."""
_ERRORS: Final = "seq_assets.undecodable"


def _replace(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return UNDECODABLE, error.end


codecs.register_error(_ERRORS, _replace)


class Utf8Stream(io.RawIOBase):
    """A readable stream of UTF-8 with `END` as its last line.

    Attributes:
        undecodable: Whether bytes were replaced by `UNDECODABLE` so far.
    """

    def __init__(self, file: SourceFile, encoding: str) -> None:
        """Opens the file; gzip and zstd are recognized by its name.

        Raises:
            SourceError: It cannot be opened.
        """
        super().__init__()
        self.undecodable = False
        self._source: IO[bytes] = _opened(file)
        self._decoder = codecs.getincrementaldecoder(encoding)(_ERRORS)
        self._ended = False

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at least `size` unless the end is near, and some more; always whole characters. None at the end."""
        if size is None or size < 0:
            return self.readall()
        found = b""
        # Arrow takes what one call returns as one block, and needs a first one with more than a header in it.
        while not self._ended and len(found) < size:
            raw = self._source.read(size)
            text = self._decoder.decode(raw, final=not raw)
            if not raw:
                self._ended = True
                text += f"\n{END}\n"
            self.undecodable = self.undecodable or UNDECODABLE in text
            found += text.encode("utf-8", "replace")
        return found

    def readall(self) -> bytes:
        """All that is left."""
        return b"".join(iter(lambda: self.read(1 << 20), b""))

    def close(self) -> None:
        """Closes the file."""
        self._source.close()
        super().close()


@contextmanager
def decoded_lines(file: SourceFile, encoding: str) -> Iterator[TextIO]:
    """The lines of a text file with their ends, whatever its compression; bytes that are no text are U+FFFD."""
    with (
        _opened(file) as source,
        io.TextIOWrapper(source, encoding, errors="replace", newline="") as lines,
    ):
        yield lines


def first_bytes(file: SourceFile, size: int) -> bytes:
    """The beginning of a file's bytes without the compression; all of them where it has no more.

    Raises:
        SourceError: It cannot be opened.
    """
    with _opened(file) as source:
        return source.read(size)


def _opened(file: SourceFile) -> IO[bytes]:
    """The file's bytes without the compression."""
    opened: IO[bytes] = pa.input_stream(file.open(), compression=file.compression, buffer_size=_READ_AHEAD)
    return opened
