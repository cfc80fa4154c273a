"""The stream of UTF-8 that all text readers share."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq_assets.warehouse.sources.location import SourceFile
from seq_assets.warehouse.sources.text import END, UNDECODABLE, Utf8Stream
from seq_assets_tests.reference import examples

LAST_LINE = f"\n{END}\n"


def stream_of(path: Path, encoding: str = "utf-8") -> Utf8Stream:
    return Utf8Stream(SourceFile(str(path), path.name, 1, 0), encoding)


def read_in_pieces(path: Path, encoding: str, size: int) -> str:
    """The stream's text; every piece must be whole UTF-8 on its own."""
    stream = stream_of(path, encoding)
    return "".join(piece.decode() for piece in iter(lambda: stream.read(size), b""))


def test_the_last_line_is_one_that_no_text_has(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("one\ntwo")
    assert stream_of(tmp_path / "x").readall().decode() == f"one\ntwo{LAST_LINE}"


@settings(deadline=None, max_examples=examples(50))
@given(text=st.text(st.characters(exclude_categories=["Cs"])), size=st.integers(1, 7))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_text_is_whole_however_it_is_cut(tmp_path_factory: pytest.TempPathFactory, encoding: str, text: str, size: int) -> None:
    path = tmp_path_factory.mktemp("text") / "x"
    path.write_bytes(text.encode(encoding))
    assert read_in_pieces(path, encoding, size) == text + LAST_LINE


@settings(deadline=None, max_examples=examples(50))
@given(content=st.binary(max_size=40), size=st.integers(1, 7))
def test_any_bytes_can_be_read_and_what_is_no_text_is_marked(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, size: int
) -> None:
    path = tmp_path_factory.mktemp("text") / "x"
    path.write_bytes(content)
    assert read_in_pieces(path, "utf-8", size) == content.decode(errors="replace").replace("\ufffd", UNDECODABLE) + LAST_LINE


@pytest.mark.parametrize(("content", "marked"), [(b"a\xffb", True), (b"a\xc3", True), ("aé".encode(), False)])
def test_the_stream_knows_whether_bytes_were_replaced(tmp_path: Path, content: bytes, marked: bool) -> None:
    (tmp_path / "x").write_bytes(content)
    stream = stream_of(tmp_path / "x")
    stream.readall()
    assert stream.undecodable is marked


def test_an_empty_file_has_the_last_line_only(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    assert stream_of(tmp_path / "x").readall().decode() == LAST_LINE


def test_compression_is_known_by_the_name_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "x.GZ").write_bytes(gzip.compress(b"text"))
    assert stream_of(tmp_path / "x.GZ").readall().decode() == f"text{LAST_LINE}"


def test_a_closed_stream_has_closed_its_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("text")
    stream = stream_of(tmp_path / "x")
    stream.close()
    with pytest.raises(ValueError, match="closed"):
        stream.read(1)
