"""The stream of UTF-8 that all text readers share."""

import bz2
import gzip
import io
import lzma
import re
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from seq_assets.errors import SourceError
from seq_assets.warehouse.sources.location import SourceFile
from seq_assets.warehouse.sources.text import UNDECODABLE, Utf8Stream, first_bytes, what_is_undecodable
from seq_assets_tests.reference import examples


def stream_of(path: Path, encoding: str = "utf-8") -> Utf8Stream:
    return Utf8Stream(SourceFile(str(path), path.name, 1, 0), encoding)


def zipped(content: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("x.csv", content)
    return archive.getvalue()


def read_in_pieces(path: Path, encoding: str, size: int) -> str:
    """The stream's text; every piece must be whole UTF-8 on its own."""
    stream = stream_of(path, encoding)
    pieces = []
    while not stream.is_at_end:
        pieces.append(stream.read(size).decode())
    return "".join(pieces)


@settings(deadline=None, max_examples=examples(50))
@given(text=st.text(st.characters(exclude_categories=["Cs"])), size=st.integers(1, 7))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_text_is_whole_however_it_is_cut(tmp_path_factory: pytest.TempPathFactory, encoding: str, text: str, size: int) -> None:
    path = tmp_path_factory.mktemp("text") / "x"
    path.write_bytes(text.encode(encoding))
    assert read_in_pieces(path, encoding, size) == text.removeprefix("\ufeff")


@settings(deadline=None, max_examples=examples(50))
@given(content=st.binary(max_size=40), size=st.integers(1, 7))
def test_any_bytes_can_be_read_and_what_is_no_text_is_marked(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, size: int
) -> None:
    path = tmp_path_factory.mktemp("text") / "x"
    path.write_bytes(content)
    text = content.decode(errors="replace").removeprefix("\ufeff")
    try:
        found = read_in_pieces(path, "utf-8", size)
    except SourceError:
        reject()  # it begins like something else, which has tests of its own
    assert found == text.replace("\ufffd", UNDECODABLE)


@pytest.mark.parametrize(("content", "marked"), [(b"a\xffb", True), (b"a\xc3", True), ("aé".encode(), False)])
def test_the_stream_knows_whether_bytes_were_replaced(tmp_path: Path, content: bytes, marked: bool) -> None:
    (tmp_path / "x").write_bytes(content)
    stream = stream_of(tmp_path / "x")
    stream.read(10)
    assert stream.undecodable is marked


def test_half_a_character_that_an_encoding_lets_pass_is_marked(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"a+2AA-b")
    stream = stream_of(tmp_path / "x", "utf-7")
    assert (stream.read(10).decode(), stream.undecodable) == (f"a{UNDECODABLE}b", True)


def test_an_empty_file_is_at_its_end_at_once(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    stream = stream_of(tmp_path / "x")
    assert (stream.read(10), stream.is_at_end) == (b"", True)


def test_compression_is_known_by_the_name_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "x.GZ").write_bytes(gzip.compress(b"text"))
    assert stream_of(tmp_path / "x.GZ").read(10) == b"text"


def test_a_closed_stream_has_closed_its_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("text")
    stream = stream_of(tmp_path / "x")
    stream.close()
    with pytest.raises(ValueError, match="closed"):
        stream.read(1)


OTHER_FILES = {
    "a zip archive; unpack it": zipped(b"a,b\n1,2\n"),
    "compressed by bzip2; unpack it": bz2.compress(b"a,b\n1,2\n"),
    "compressed by xz; unpack it": lzma.compress(b"a,b\n1,2\n"),
    "compressed by gzip; let its name end with .gz": gzip.compress(b"a,b\n1,2\n"),
    "compressed by zstd; let its name end with .zst": pa.Codec("zstd").compress(b"a,b\n1,2\n", asbytes=True),
    "a Parquet file; set source.format: parquet": b"PAR1\x15\x04",
    "UTF-16; set source.options.encoding: utf-16": "a,b\n1,2\n".encode("utf-16"),
    "UTF-16 without a mark; set source.options.encoding: utf-16-le": "a,b\n1,2\n".encode("utf-16-le"),
    "UTF-16 without a mark; set source.options.encoding: utf-16-be": "a,b\n1,2\n".encode("utf-16-be"),
    "UTF-32; set source.options.encoding: utf-32": "a,b\n1,2\n".encode("utf-32"),
}


@pytest.mark.parametrize(("what", "content"), OTHER_FILES.items(), ids=[what.replace("; ", ", ") for what in OTHER_FILES])
def test_a_file_that_is_something_else_is_refused_by_name_with_the_remedy(tmp_path: Path, what: str, content: bytes) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(SourceError, match=rf"x\.csv is no utf-8 text but {re.escape(what)}\.$"):
        stream_of(tmp_path / "x.csv").read(10)


@pytest.mark.parametrize(("extension", "compression"), [("gz", "gzip"), ("zst", "zstd")])
def test_text_whose_name_says_that_it_is_compressed_is_refused_by_name_with_the_remedy(
    tmp_path: Path, extension: str, compression: str
) -> None:
    path = tmp_path / f"x.csv.{extension}"
    path.write_text("a,b\n1,2\n")
    said = rf"{extension} cannot be read: it is not compressed by {compression}, as its name says; take \.{extension} from"
    with pytest.raises(SourceError, match=said):
        stream_of(path).read(10)
    with pytest.raises(SourceError, match=said):
        first_bytes(SourceFile(str(path), path.name, 1, 0), 10)


def test_what_begins_like_something_else_is_text_as_long_as_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"BZh9,PK,PAR\n")
    assert stream_of(tmp_path / "x").read(100) == b"BZh9,PK,PAR\n"
    (tmp_path / "x").write_bytes(b"a\x00,b\n")
    assert stream_of(tmp_path / "x").read(100) == b"a\x00,b\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_text_without_the_mark_that_its_encoding_begins_with_is_refused_with_the_encodings_that_have_none(
    tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("a,b\n1,2\n".encode(f"{encoding}-le"))
    with pytest.raises(
        SourceError, match=rf"x\.csv is no {encoding} text \(.* BOM\); .*such as {encoding}-le or {encoding}-be"
    ):
        stream_of(path, encoding).read(10)


@pytest.mark.parametrize(
    ("text", "encoding", "place"),
    [
        ("\ufdd0", "utf-8", "UTF-8 at byte 1"),
        ("é,\ufdd0,\ufdd0", "utf-8", "UTF-8 at byte 4"),
        ("aé\ufdd0", "utf-16", "UTF-16 at byte 5"),
        ("ab\ufdd0", "cp1252", "CP1252 at byte 3"),
    ],
)
def test_the_place_of_bytes_that_are_no_text_counts_bytes_of_the_record_from_1(text: str, encoding: str, place: str) -> None:
    assert what_is_undecodable(text, encoding) == f"not {place}"
