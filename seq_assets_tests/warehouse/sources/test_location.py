"""From a location to its files: which, in which order, in which format, and whether they have changed."""

import errno
import os
import socket
from pathlib import Path

import pytest

from seq_assets.errors import SourceError
from seq_assets.sample import school_path
from seq_assets.warehouse.sources.location import SourceFiles, find_files, would_read


def touch(folder: Path, *names: str) -> None:
    """Writes files of one byte."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def find(folder: Path, location: str, source_format: str = "csv") -> SourceFiles:
    return find_files(location, str(folder), source_format)


def names(folder: Path, location: str) -> list[str]:
    return [file.name for file in find(folder, location).files]


def test_a_file_is_named_without_its_folder(tmp_path: Path) -> None:
    touch(tmp_path, "data/x.csv", "data/y.csv")
    assert names(tmp_path, "data/x.csv") == ["x.csv"]


def test_a_folder_means_all_files_below_it(tmp_path: Path) -> None:
    touch(tmp_path, "data/x.csv", "data/2024/01/y.csv", "other/z.csv")
    assert names(tmp_path, "data") == ["2024/01/y.csv", "x.csv"]
    assert names(tmp_path, "data/") == ["2024/01/y.csv", "x.csv"]


def test_a_glob_names_files_relative_to_its_part_without_wildcards(tmp_path: Path) -> None:
    touch(tmp_path, "data/a/x.csv", "data/b/x.csv", "data/b/y.txt", "data/z.csv")
    assert names(tmp_path, "data/*/x.csv") == ["a/x.csv", "b/x.csv"]
    assert names(tmp_path, "data/[b]/*") == ["b/x.csv", "b/y.txt"]


@pytest.mark.parametrize("pattern", ["data/**/*.csv", "data/**/**/*.csv"])
def test_two_stars_mean_folders_at_any_depth_and_find_each_file_once(tmp_path: Path, pattern: str) -> None:
    touch(tmp_path, "data/x.csv", "data/a/b/y.csv")
    assert names(tmp_path, pattern) == ["a/b/y.csv", "x.csv"]


def test_an_absolute_location_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    touch(tmp_path, "data/x.csv")
    (tmp_path / "models").mkdir()
    assert names(tmp_path / "models", str(tmp_path / "data" / "*.csv")) == ["x.csv"]
    assert names(tmp_path / "models", "../data/*.csv") == ["x.csv"]


def test_the_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    touch(tmp_path, "data/x.csv")
    assert names(tmp_path / "models", "~/data/*.csv") == ["x.csv"]


def test_wildcard_characters_in_the_models_folder_are_meant_literally(tmp_path: Path) -> None:
    folder = tmp_path / "project [old] *"
    touch(folder, "data/x.csv")
    assert names(folder, "data/*.csv") == ["x.csv"]


def test_a_file_whose_name_has_wildcard_characters_is_found_by_its_name(tmp_path: Path) -> None:
    touch(tmp_path, "x[1].csv", "x1.csv")
    assert names(tmp_path, "x[1].csv") == ["x[1].csv"]


@pytest.mark.parametrize("location", ["data", "data/**/*", "data/*"])
def test_hidden_files_and_those_that_begin_with_an_underscore_do_not_count(tmp_path: Path, location: str) -> None:
    touch(tmp_path, "data/x.csv", "data/.x.csv", "data/_SUCCESS", "data/.hidden/y.csv", "data/_temporary/0/y.csv")
    assert names(tmp_path, location) == ["x.csv"]


def test_hidden_folders_above_the_location_do_not_matter(tmp_path: Path) -> None:
    touch(tmp_path, ".data/_x/x.csv")
    assert names(tmp_path, ".data/_x") == ["x.csv"]


def test_files_are_ordered_by_the_utf_8_bytes_of_their_names(tmp_path: Path) -> None:
    # UTF-16 would put the emoji before the fullwidth letter; a locale would put "b" before "Z".
    ordered = ["10.csv", "9.csv", "Z.csv", "a/x.csv", "a0.csv", "b.csv", "é.csv", "ａ.csv", "😀.csv"]
    touch(tmp_path, *(f"data/{name}" for name in reversed(ordered)))
    assert names(tmp_path, "data") == ordered


def test_nothing_at_the_location_is_an_error_that_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"No source file at 'data/x\.csv' \(looked in .*data\)"):
        find(tmp_path, "data/x.csv")


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(SourceError, match="No source file at 'data'"):
        find(tmp_path, "data")


def test_a_file_without_a_byte_is_an_error_that_names_it(tmp_path: Path) -> None:
    touch(tmp_path, "data/x.csv")
    (tmp_path / "data" / "y.csv").touch()
    with pytest.raises(SourceError, match=r"y\.csv is empty \(0 bytes\)"):
        find(tmp_path, "data")


def test_a_name_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv")).write_text("x")
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    with pytest.raises(SourceError, match="a name that is not UTF-8; rename it"):
        find(tmp_path, ".")


def test_a_table_is_refused_because_one_environment_alone_reads_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="'glue://database/table' is a table, which the environment prod alone can read"):
        find(tmp_path, "glue://database/table")


def test_an_open_file_can_be_read_from_any_place(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"some bytes")
    [file] = find(tmp_path, "x.csv").files
    with file.open() as opened:
        opened.seek(5)
        assert (opened.read(3), opened.tell(), opened.read()) == (b"byt", 8, b"es")


def test_a_file_that_is_gone_by_now_is_an_error_that_names_it(tmp_path: Path) -> None:
    touch(tmp_path, "x.csv")
    [file] = find(tmp_path, "x.csv").files
    (tmp_path / "x.csv").unlink()
    with pytest.raises(SourceError, match=r"x\.csv cannot be opened: No such file or directory"):
        file.open()


def test_the_sample_is_found_by_its_name(tmp_path: Path) -> None:
    found = find(tmp_path, "sample://school", "auto")
    assert found.format == "parquet"
    assert [file.location for file in found.files] == [str(school_path())]


def test_an_unknown_sample_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No sample 'schol'; allowed: school; did you mean 'school'"):
        find(tmp_path, "sample://schol")


@pytest.mark.parametrize(
    ("name", "source_format"),
    [
        ("x.parquet", "parquet"),
        ("x.PQ", "parquet"),
        ("x.csv", "csv"),
        ("x.tsv", "csv"),
        ("x.2024.csv.gz", "csv"),
        ("x.json", "json"),
        ("x.jsonl.zst", "json"),
        ("x.ndjson.zstd", "json"),
        ("x.dkt", "dkt"),
    ],
)
def test_auto_goes_by_the_extension(tmp_path: Path, name: str, source_format: str) -> None:
    touch(tmp_path, f"data/{name}")
    assert find(tmp_path, "data", "auto").format == source_format


def test_auto_refuses_files_of_several_formats(tmp_path: Path) -> None:
    touch(tmp_path, "data/x.csv", "data/x.json")
    with pytest.raises(SourceError, match=r"files of several formats \(csv, json\)"):
        find(tmp_path, "data", "auto")


@pytest.mark.parametrize("name", ["x.txt", "x", "x.gz"])
def test_auto_refuses_an_extension_that_it_does_not_know(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "data/x.csv", f"data/{name}")
    with pytest.raises(SourceError, match=f"source.format auto: found the file '{name}'"):
        find(tmp_path, "data", "auto")


def test_a_named_format_beats_the_extension(tmp_path: Path) -> None:
    touch(tmp_path, "data/x.txt")
    assert find(tmp_path, "data", "dkt").format == "dkt"


def test_the_fingerprint_is_that_of_the_same_files(tmp_path: Path) -> None:
    touch(tmp_path, "data/x.csv", "data/y.csv")
    before = find(tmp_path, "data").fingerprint
    touch(tmp_path, "data/.hidden", "data/_log", "beside.csv")
    (tmp_path / "data" / "x.csv").read_text()
    assert find(tmp_path, "data").fingerprint == before
    assert find(tmp_path, str(tmp_path / "data")).fingerprint == before


def test_another_name_changes_the_fingerprint(tmp_path: Path) -> None:
    touch(tmp_path, "data/x.csv")
    before = find(tmp_path, "data").fingerprint
    (tmp_path / "data" / "x.csv").rename(tmp_path / "data" / "y.csv")
    assert find(tmp_path, "data").fingerprint != before


def test_another_size_changes_the_fingerprint(tmp_path: Path) -> None:
    touch(tmp_path, "data/x.csv")
    path = tmp_path / "data" / "x.csv"
    status, before = path.stat(), find(tmp_path, "data").fingerprint
    path.write_text("xy")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert find(tmp_path, "data").fingerprint != before


def test_another_time_of_modification_changes_the_fingerprint_by_a_nanosecond(tmp_path: Path) -> None:
    touch(tmp_path, "data/x.csv")
    path = tmp_path / "data" / "x.csv"
    status, before = path.stat(), find(tmp_path, "data").fingerprint
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    if path.stat().st_mtime_ns == status.st_mtime_ns:
        pytest.skip("this file system does not keep nanoseconds")
    assert find(tmp_path, "data").fingerprint != before


def test_one_file_more_or_less_changes_the_fingerprint(tmp_path: Path) -> None:
    touch(tmp_path, "data/x.csv")
    before = find(tmp_path, "data").fingerprint
    touch(tmp_path, "data/y.csv")
    assert find(tmp_path, "data").fingerprint != before
    (tmp_path / "data" / "y.csv").unlink()
    assert find(tmp_path, "data").fingerprint == before


# What would be read

LOCATIONS = [
    "data",
    "data/",
    "data/*",
    "data/*.csv",
    "data/*/*[vt]",
    "data/**",
    "**/out/*",
    "x.csv",
    ".",
    "data/out",
    "[d]ata/**/*",
]
PLACES = ["data", "data/out", "data/_out", "data/out/deep", "out", ".", "database"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("location", LOCATIONS)
def test_what_would_be_read_is_what_is_found_once_it_is_there(tmp_path: Path, location: str, place: str) -> None:
    touch(tmp_path, "x.csv", "data/x.csv", "data/out/x.csv", "database/x.csv")
    touch(tmp_path, f"{place}/any.parquet")
    is_found = str(tmp_path / place / "any.parquet") in {
        os.path.normpath(file.location) for file in find(tmp_path, location).files
    }
    is_inside = (tmp_path / location).resolve().is_relative_to((tmp_path / place).resolve())
    assert would_read(location, tmp_path, place) == (is_found or is_inside)


def test_links_are_followed_to_what_would_be_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    assert would_read("data", tmp_path, str(tmp_path / "link" / "out"))
    assert would_read("link", tmp_path, "data/out")


@pytest.mark.parametrize(
    ("location", "place", "expected"),
    [
        ("s3://b/data/", "s3://b/data/out", True),
        ("s3://b/data", "s3://b/data/out/", True),
        ("s3://b", "s3://b/out", True),
        ("s3://b/data/", "s3://b/data/_out", False),
        ("s3://b/data/", "s3://b/data2", False),
        ("s3://b/data/", "s3://c/data/out", False),
        ("s3://b/*/*.parquet", "s3://b/out", True),
        ("s3://b/*/*.csv", "s3://b/out", False),
        ("s3://b/out/x.csv", "s3://b/out", True),
        ("s3://b/data/", "data", False),
        ("data", "s3://data", False),
        ("sample://school", "school", False),
        ("glue://data/answers", "data", False),
    ],
)
def test_what_would_be_read_on_s3_goes_by_the_addresses(location: str, place: str, expected: bool, tmp_path: Path) -> None:
    assert would_read(location, tmp_path, place) is expected


# Links, and what is no file


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The location `data`, with files in itself and in a folder."""
    touch(tmp_path, "elsewhere/deep/y.csv", "data/x.csv", "data/a/z.csv")
    return tmp_path / "data"


def refused(folder: Path, location: str) -> str:
    with pytest.raises(SourceError) as error:
        find(folder, location)
    return str(error.value)


ANY_LOCATION = pytest.mark.parametrize("location", ["data", "data/*/*.csv", "data/**/*.csv", "data/*/*"])


@ANY_LOCATION
@pytest.mark.parametrize(
    ("link", "target", "found"),
    [
        ("a/link.csv", "elsewhere/deep/y.csv", "leads out of it, to "),
        ("link", "elsewhere", "leads out of it, to "),
        ("a/link.csv", "nowhere", "leads nowhere"),
        ("a/link.csv", "data/a/link.csv", "leads nowhere"),
        ("link", "data", "leads to a folder that it is in, "),
        ("a/link.csv", "data/a", "leads to a folder that it is in, "),
    ],
)
def test_a_link_that_leads_out_of_the_location_or_to_itself_is_refused_by_name(
    tmp_path: Path, source: Path, location: str, link: str, target: str, found: str
) -> None:
    if link == "link":
        touch(tmp_path, "elsewhere/w.csv")
    (source / link).symlink_to(tmp_path / target)
    told = refused(tmp_path, location)
    assert told.startswith(f"The source has a link that {found}")
    assert f"{source / link}; allowed: links to what is within the source's location" in told


def test_links_among_folders_that_lead_to_each_other_end(tmp_path: Path, source: Path) -> None:
    for number in range(20):
        (source / f"link{number}").symlink_to(source / "a")
        (source / "a" / f"link{number}").symlink_to(source)
    assert "leads to a folder that it is in" in refused(tmp_path, "data/**/*.csv")


@ANY_LOCATION
def test_a_location_may_itself_be_a_link_and_so_may_a_file(tmp_path: Path, source: Path, location: str) -> None:
    expected = names(tmp_path, location)
    source.rename(tmp_path / "moved")
    source.symlink_to(tmp_path / "moved")
    assert names(tmp_path, location) == expected
    (tmp_path / "link.csv").symlink_to(tmp_path / "moved" / "x.csv")
    assert names(tmp_path, "link.csv") == ["link.csv"]


def test_a_link_to_a_file_within_the_location_is_that_file(tmp_path: Path, source: Path) -> None:
    touch(tmp_path, "data/_old/w.csv")
    (source / "a" / "link.csv").symlink_to("../_old/w.csv")
    assert names(tmp_path, "data") == ["a/link.csv", "a/z.csv", "x.csv"]
    assert names(tmp_path, "data/*/*") == ["a/link.csv", "a/z.csv"]


def test_what_a_link_to_a_folder_leads_to_is_read_once_by_its_own_name(tmp_path: Path, source: Path) -> None:
    (source / "link").symlink_to("a")
    assert names(tmp_path, "data") == ["a/z.csv", "x.csv"]
    assert names(tmp_path, "data/**/*") == ["a/z.csv", "x.csv"]
    assert names(tmp_path, "data/link/*") == ["z.csv"]


def test_a_link_to_a_folder_that_is_not_read_by_its_own_name_is_refused(tmp_path: Path, source: Path) -> None:
    touch(tmp_path, "data/_old/w.csv")
    (source / "link").symlink_to("_old")
    assert "data/link; allowed" in refused(tmp_path, "data")
    assert "leads to a folder that is not read because of its name" in refused(tmp_path, "data")


@pytest.mark.parametrize("location", ["data", "data/*", "data/**", "data/y.csv"])
def test_what_is_no_file_is_named_and_not_opened(tmp_path: Path, source: Path, location: str) -> None:
    os.mkfifo(source / "y.csv")
    assert "a named pipe (FIFO)" in refused(tmp_path, location)
    assert "y.csv" in refused(tmp_path, location)


def test_a_socket_or_a_device_is_no_source(tmp_path: Path, source: Path) -> None:
    assert "is a device; allowed: a file, or a folder of files" in refused(tmp_path, "/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(source / "s.csv"))
    assert "has a socket where files are allowed" in refused(tmp_path, "data")


def test_hidden_links_and_pipes_do_not_count(tmp_path: Path, source: Path) -> None:
    os.mkfifo(source / "_pipe")
    (source / ".link").symlink_to(tmp_path / "elsewhere")
    for location in ("data", "data/**/*"):
        assert names(tmp_path, location) == ["a/z.csv", "x.csv"]


@pytest.mark.parametrize("location", ["x" * 300, "x" * 300 + "/*.csv", "~nobody-of-this-name/x.csv"])
def test_what_cannot_be_looked_at_is_told(tmp_path: Path, location: str) -> None:
    assert location.removesuffix("/x.csv")[:40] in refused(tmp_path, location)


def test_a_folder_that_cannot_be_listed_is_told_and_not_left_out(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refusing(path: Path) -> object:
        if path == source / "a":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("seq_assets.warehouse.sources.location.os.scandir", refusing)
    assert refused(tmp_path, "data") == (
        f"The source 'data' cannot be looked at ({source / 'a'}): Permission denied; mend that."
    )
