"""Bytes of a text file as UTF-8, whatever its encoding and compression; bytes that are no text stay recognizable."""

import codecs
import re
from typing import IO, Final

import pyarrow as pa

from seq_assets.errors import SourceError
from seq_assets.warehouse.sources.location import SourceFile

UNDECODABLE: Final = "\ufdd0"
"""Stands for bytes that are no text in the file's encoding: a Unicode noncharacter, which no text may contain."""
_UNDECODABLE: Final = UNDECODABLE.encode()

_READ_AHEAD: Final = 1 << 23
"""Bytes; each read of an object on S3 is a request, and a compressed file would be read in small pieces."""
_ERRORS: Final = "seq_assets.undecodable"
_BYTE_ORDER_MARK: Final = "\ufeff"
_OTHER_FILES: Final = (
    (re.compile(rb"PK\x03\x04"), "a zip archive", "unpack it"),
    (re.compile(rb"BZh[1-9]1AY&SY"), "compressed by bzip2", "unpack it"),
    (re.compile(rb"\xfd7zXZ\x00"), "compressed by xz", "unpack it"),
    (re.compile(rb"\x1f\x8b"), "compressed by gzip", "let its name end with .gz"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "compressed by zstd", "let its name end with .zst"),
    (re.compile(rb"PAR1"), "a Parquet file", "set source.format: parquet"),
)
_OTHER_ENCODINGS: Final = (
    # Without a mark, every other byte of the first characters is zero.
    (re.compile(rb"([\t\n\r -~]\x00){4}"), "UTF-16 without a mark", "set source.options.encoding: utf-16-le"),
    (re.compile(rb"(\x00[\t\n\r -~]){4}"), "UTF-16 without a mark", "set source.options.encoding: utf-16-be"),
    (re.compile(rb"\xff\xfe\x00\x00|\x00\x00\xfe\xff"), "UTF-32", "set source.options.encoding: utf-32"),
    (re.compile(rb"\xff\xfe|\xfe\xff"), "UTF-16", "set source.options.encoding: utf-16"),
)
_COMPRESSED: Final = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
"""How a compressed file begins."""


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    if isinstance(error, UnicodeEncodeError):
        # Of halves of a character, which a few encodings let pass.
        return _UNDECODABLE, error.end
    assert isinstance(error, UnicodeDecodeError)
    return UNDECODABLE, error.end


codecs.register_error(_ERRORS, _replace)


_LIKE_ASCII: Final = frozenset({"utf-8", "ascii", "iso8859-1", "cp1252"})
"""Encodings whose text is UTF-8 as it is, where it has no other characters than ASCII's."""


class Utf8Stream:
    """The text of a file, read once from its beginning to its end, without a byte order mark.

    Attributes:
        undecodable: Whether bytes were replaced by `UNDECODABLE` so far.
        is_at_end: Whether all of it was read.
    """

    def __init__(self, file: SourceFile, encoding: str) -> None:
        """Opens the file; gzip and zstd are recognized by its name.

        Raises:
            SourceError: It cannot be opened.
        """
        self.undecodable = False
        self.is_at_end = False
        self._file = file
        self._encoding = encoding
        self._source = _opened(file)
        self._decoder = codecs.getincrementaldecoder(encoding)(_ERRORS)
        self._is_like_ascii = codecs.lookup(encoding).name in _LIKE_ASCII
        self._is_at_start = True

    def read(self, size: int) -> bytes:
        """The next bytes, at least `size` unless the end is near, and some more; always whole characters.

        Raises:
            SourceError: The file is broken, or something else than text in this encoding.
        """
        found = b""
        while not self.is_at_end and len(found) < size:
            raw = self._read_raw(size)
            self.is_at_end = not raw
            found += self._encoded(raw)
        return found

    def close(self) -> None:
        """Closes the file."""
        self._source.close()

    def _encoded(self, raw: bytes) -> bytes:
        """As UTF-8: what is ASCII is so already, unless it follows the first bytes of another character."""
        if self._is_like_ascii and raw.isascii() and not self._decoder.getstate()[0]:
            self._is_at_start = self._is_at_start and not raw
            return raw
        text = self._decoded(raw)
        if self._is_at_start and text:
            text = text.removeprefix(_BYTE_ORDER_MARK)
            self._is_at_start = False
        encoded = text.encode("utf-8", _ERRORS)
        self.undecodable = self.undecodable or _UNDECODABLE in encoded
        return encoded

    def _decoded(self, raw: bytes) -> str:
        try:
            return self._decoder.decode(raw, final=not raw)
        except UnicodeError as error:  # of the text as a whole, whose first bytes are to say how it is written
            raise SourceError(
                f"The source file {self._file.location} is no {self._encoding} text ({error}); mend it, or set "
                f"source.options.encoding to what it is{_without_mark(self._encoding)}."
            ) from error

    def _read_raw(self, size: int) -> bytes:
        try:
            raw = self._source.read(size)
        except (pa.ArrowInvalid, OSError) as error:
            raise _unreadable(self._file, error) from error
        if self._is_at_start:
            self._refuse_other_files(raw)
        return raw

    def _refuse_other_files(self, start: bytes) -> None:
        is_utf_8 = codecs.lookup(self._encoding).name in ("utf-8", "utf-8-sig")
        for pattern, found, remedy in (*_OTHER_FILES, *(_OTHER_ENCODINGS if is_utf_8 else ())):
            if pattern.match(start):
                raise SourceError(f"The source file {self._file.location} is no {self._encoding} text but {found}; {remedy}.")


def _without_mark(encoding: str) -> str:
    """The encodings of the same text without a mark at its beginning, for people."""
    name = codecs.lookup(encoding).name
    return f", such as {name}-le or {name}-be" if name in ("utf-16", "utf-32") else ""


def what_is_undecodable(text: str, encoding: str) -> str:
    """Where in a record with `UNDECODABLE` its first byte stands that is no text, counted from 1."""
    before = text[: text.index(UNDECODABLE)]
    # An encoding may begin every text with a mark.
    place = len(before.encode(encoding, "replace")) - len("".encode(encoding)) + 1
    return f"not {encoding.upper()} at byte {place}"


def first_bytes(file: SourceFile, size: int) -> bytes:
    """The beginning of a file's bytes without the compression; all of them where it has no more.

    Raises:
        SourceError: It cannot be opened, or is broken.
    """
    with _opened(file) as source:
        try:
            return source.read(size)
        except (pa.ArrowInvalid, OSError) as error:
            raise _unreadable(file, error) from error


def _unreadable(file: SourceFile, error: Exception) -> SourceError:
    """What is said of a file whose bytes cannot be read."""
    if file.compression is not None and not _begins_with(file, _COMPRESSED[file.compression]):
        extension = file.location[file.location.rindex(".") :]
        return SourceError(
            f"The source file {file.location} cannot be read: it is not compressed by {file.compression}, as its name says; "
            f"take {extension} from its name."
        )
    return SourceError(f"The source file {file.location} cannot be read: {str(error).splitlines()[0]}; mend it.")


def _begins_with(file: SourceFile, start: bytes) -> bool:
    with file.open() as opened:
        return opened.read(len(start)) == start


def _opened(file: SourceFile) -> IO[bytes]:
    """The file's bytes without the compression."""
    opened: IO[bytes] = pa.input_stream(file.open(), compression=file.compression, buffer_size=_READ_AHEAD)
    return opened
