"""What a file that nobody has described looks like."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seq_assets.errors import SourceError
from seq_assets.warehouse.sources.location import find_files
from seq_assets.warehouse.sources.sniffing import Appearance, appearance_of, encoding_of, text_appearance


@pytest.mark.parametrize(
    ("text", "looks"),
    [
        ("a,b\n1,2\n", Appearance("csv", columns=("a", "b"))),
        ("a\tb\n1,5\t2\n", Appearance("csv", delimiter="\t", columns=("a", "b"))),
        ("a;b\n1,5;2,5\n", Appearance("csv", delimiter=";", columns=("a", "b"))),
        ("a|b|c\n1|2|3\n", Appearance("csv", delimiter="|", columns=("a", "b", "c"))),
        ('"a, b",c\n"x, y, z",2\n', Appearance("csv", columns=("a, b", "c"))),
        ("1,2\n3,4\n", Appearance("csv", header=False, columns=("1", "2"))),
        ("x,2024-01-01 08:00\ny,2024-01-01 09:00\n", Appearance("csv", header=False, columns=("1", "2"))),
        ("a,a\n1,2\n", Appearance("csv", header=False, skip_rows=1, columns=("1", "2"))),
        ("a,\n1,2\n", Appearance("csv", header=False, skip_rows=1, columns=("1", "2"))),
        ("a,a\nb,c\n", Appearance("csv", header=False, columns=("1", "2"))),
        ("a,a\n", Appearance("csv", header=False, columns=("1", "2"))),
        ('by a tool\n\n"on\na day"\na,b\n1,2\n3,4\n5,6\n', Appearance("csv", skip_rows=4, columns=("a", "b"))),
        ("by a tool\na,a\n1,2\n3,4\n", Appearance("csv", header=False, skip_rows=2, columns=("1", "2"))),
        ("7\n1,2\n3,4\n", Appearance("csv", header=False, columns=("1",))),
        ("a\n1,2\n3\n4\n", Appearance("csv", columns=("a",))),
        ("a\n1\n2\n", Appearance("csv", columns=("a",))),
        ('{"a": 1}\n{"b": 2, "a": 3}\n', Appearance("json", columns=("a", "b"))),
        (f'{{"c": {"[" * 100_000}{"]" * 100_000}}}\n{{"a": 1}}\n', Appearance("json", columns=("a",))),
        ("2\n5,6\n0,1\n", Appearance("dkt", columns=("entity", "position", "skill", "answer"))),
        ("2\n5,6,\n0,1,\n", Appearance("dkt", columns=("entity", "position", "skill", "answer"))),
        ("2\n5,6,7\n0,1,1\n", Appearance("csv", header=False, columns=("1",))),
        ("9" * 5_000 + "\n1\n1\n", Appearance("csv", header=False, columns=("1",))),
    ],
)
def test_text_is_told_by_its_first_lines(text: str, looks: Appearance) -> None:
    assert text_appearance(text) == looks


@pytest.mark.parametrize(
    ("head", "is_cut", "encoding"),
    [
        (b"abc", False, "utf-8"),
        ("é".encode(), False, "utf-8"),
        ("é".encode()[:1], True, "utf-8"),
        ("\ufeffa".encode(), False, "utf-8"),
        ("a".encode("utf-16"), False, "utf-16"),
        ("a".encode("utf-32"), False, "utf-32"),
        ("caf\u00e9".encode("cp1252"), False, "cp1252"),
        ("\u20ac 5, so".encode("cp1252"), True, "cp1252"),
        (b"\x81 and more", False, "latin-1"),
    ],
)
def test_the_encoding_is_utf_8_where_it_can_be(head: bytes, is_cut: bool, encoding: str) -> None:
    assert encoding_of(head, is_cut=is_cut) == encoding


def test_a_file_is_told_by_its_content_whatever_its_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.txt")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"x;y\n1;2\n"))
    (tmp_path / "c.dat").write_bytes("\ufeffname\n".encode() + "ü\n".encode() * 10)
    looks = [appearance_of(file) for file in find_files(str(tmp_path), "", "csv").files]
    assert [(found.format, found.delimiter, found.columns) for found in looks] == [
        ("parquet", ",", ()),
        ("csv", ";", ("x", "y")),
        ("csv", ",", ("name",)),
    ]


def test_a_json_array_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('[{"a": 1}]')
    with pytest.raises(SourceError, match=r"x\.json is a JSON array; JSON lines are read: one object per line"):
        appearance_of(find_files("x.json", str(tmp_path), "csv").files[0])


@pytest.mark.parametrize(("text", "said"), [("\n \n", "only blank lines"), ("[1, 2]\n", "one object each")])
def test_what_has_no_record_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=said):
        appearance_of(find_files(str(tmp_path), "", "csv").files[0])


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b"a\n1\n", "it is not compressed by gzip, as its name says; take \\.gz from its name"),
        (gzip.compress(b"a\n" + bytes(range(256)) * 100)[:99], ".*; mend it"),
    ],
    ids=["not compressed", "cut off"],
)
def test_a_compressed_file_that_is_broken_is_refused_by_name(tmp_path: Path, content: bytes, remedy: str) -> None:
    (tmp_path / "a.csv.gz").write_bytes(content)
    with pytest.raises(SourceError, match=rf"a\.csv\.gz cannot be read: {remedy}\."):
        appearance_of(find_files(str(tmp_path), "", "csv").files[0])
