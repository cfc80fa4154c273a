"""Sources on S3: what is found there, that it is read as files are, and what is said where it cannot be."""

import io
import itertools
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seq_assets.errors import RetryableError, SeqAssetsError, SourceError
from seq_assets.warehouse.engine import parquet
from seq_assets.warehouse.local.staging import StagingWarehouse
from seq_assets.warehouse.sources.location import SourceFile, SourceFiles, find_files
from seq_assets.warehouse.storage.cloud import Cloud
from seq_assets.warehouse.storage.object_store import DuckDBFiles, ObjectFile, register_objects
from seq_assets_tests.athena.object_storage import ObjectStorage, object_storage, s3_endpoint
from seq_assets_tests.reference import examples
from seq_assets_tests.reference_cases.sources import (
    Source,
    csv_sources,
    json_sources,
    parquet_sources,
    three_line_sources,
)
from seq_assets_tests.warehouse.building import Workspace, published_rows
from seq_assets_tests.warehouse.sources.reading import read, values, wanted

pytestmark = pytest.mark.athena
__all__ = ["object_storage", "s3_endpoint"]

NUMBERS: Final = itertools.count()
STRANGE_NAMES: Final = (
    "a b",
    "x*",
    "q?",
    "x[1]",
    "x[!2]",
    "x1",
    "h#1",
    "50%",
    "50%25",
    "p+q",
    "it's",
    "{a,b}",
    "é",
    "😀",
    "a=b&c",
)


def find(location: str, source_format: str = "csv") -> SourceFiles:
    return find_files(location, "/nowhere", source_format)


def names(location: str) -> list[str]:
    return [file.name for file in find(location).files]


def both_ways(folder: Path, store: ObjectStorage, keys: Sequence[str], pattern: str) -> tuple[list[str], list[str]]:
    """The names that a location means in a folder, and in a bucket with the same files."""
    for key in keys:
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        store.put(key)
    found = [file.name for file in find_files(pattern, str(folder), "csv").files]
    return found, names(f"{store.address}/{pattern}")


# What is found


@pytest.mark.parametrize(
    "pattern", ["data", "data/", "data/x.csv", "data/*", "data/*/x.csv", "data/[ab]/*", "data/**", "data/**/*.csv", "**/**/x*"]
)
def test_a_location_means_the_same_on_s3(tmp_path: Path, object_storage: ObjectStorage, pattern: str) -> None:
    keys = [
        "data/x.csv",
        "data/a/x.csv",
        "data/b/x.csv",
        "data/b/c/y.csv",
        "data/.x.csv",
        "data/_t/x.csv",
        "data2/x.csv",
        "x.csv",
    ]
    here, there = both_ways(tmp_path, object_storage, keys, pattern)
    assert here == there
    assert here


@pytest.mark.parametrize("name", STRANGE_NAMES)
def test_a_name_is_meant_literally_before_it_is_a_pattern(tmp_path: Path, object_storage: ObjectStorage, name: str) -> None:
    here, there = both_ways(tmp_path, object_storage, [f"d/{other}.csv" for other in STRANGE_NAMES], f"d/{name}.csv")
    assert here == there == [f"{name}.csv"]


def test_the_whole_bucket_is_a_location(object_storage: ObjectStorage) -> None:
    object_storage.put("a/x.csv")
    assert names(object_storage.address) == names(f"{object_storage.address}/") == ["a/x.csv"]


def test_a_name_that_is_both_an_object_and_a_folder_is_the_object_unless_a_slash_follows(object_storage: ObjectStorage) -> None:
    object_storage.put("a", b"xx")
    object_storage.put("a/x.csv")
    assert names(f"{object_storage.address}/a") == ["a"]
    assert names(f"{object_storage.address}/a/") == ["x.csv"]


def test_objects_are_ordered_by_the_utf_8_bytes_of_their_names(object_storage: ObjectStorage) -> None:
    ordered = ["10.csv", "9.csv", "Z.csv", "a/x.csv", "a0.csv", "b.csv", "é.csv", "ａ.csv", "😀.csv"]
    for name in reversed(ordered):
        object_storage.put(f"data/{name}")
    assert names(f"{object_storage.address}/data") == ordered


def test_more_objects_than_one_answer_lists_are_all_found(object_storage: ObjectStorage) -> None:
    for number in range(1_500):
        object_storage.put(f"data/{number:04}.csv")
    assert names(f"{object_storage.address}/data/") == [f"{number:04}.csv" for number in range(1_500)]


def test_markers_of_folders_do_not_count(object_storage: ObjectStorage) -> None:
    for key in ("data/", "data/a/"):
        object_storage.put(key, b"")
    object_storage.put("data/a/x.csv")
    assert names(f"{object_storage.address}/data/") == ["a/x.csv"]


def test_an_object_without_a_byte_is_an_error_that_names_it(object_storage: ObjectStorage) -> None:
    object_storage.put("data/x.csv", b"")
    with pytest.raises(SourceError, match=rf"{object_storage.address}/data/x\.csv is empty \(0 bytes\)"):
        find(f"{object_storage.address}/data/")


@pytest.mark.parametrize("key", ["data/", "data/x.csv", "data/*.csv"])
def test_nothing_at_the_location_is_an_error_that_says_where_it_looked(object_storage: ObjectStorage, key: str) -> None:
    object_storage.put("data2/x.csv")
    with pytest.raises(SourceError, match=rf"No source file at '.*' \(looked in {object_storage.address}/data/"):
        find(f"{object_storage.address}/{key}")


def test_an_object_whose_key_has_an_empty_part_is_an_error_that_names_it(object_storage: ObjectStorage) -> None:
    object_storage.put("data//x.csv")
    with pytest.raises(SourceError, match=r"data//x\.csv' has a part that is empty"):
        find(f"{object_storage.address}/data/")


def test_the_fingerprint_goes_by_what_the_objects_hold(object_storage: ObjectStorage) -> None:
    object_storage.put("data/x.csv", b"one")
    before = find(f"{object_storage.address}/data").fingerprint
    object_storage.put("data/_log", b"hidden")
    object_storage.put("data/x.csv", b"one")
    assert find(f"{object_storage.address}/data/").fingerprint == before
    object_storage.put("data/x.csv", b"two")
    assert find(f"{object_storage.address}/data").fingerprint != before


# What is read


@pytest.mark.parametrize(
    "sources", [csv_sources, json_sources, three_line_sources, parquet_sources], ids=lambda sources: str(sources.__name__)
)
def test_the_same_files_become_the_same_observations(workspace: Workspace, object_storage: ObjectStorage, sources: Any) -> None:
    @settings(max_examples=examples(8), deadline=None, suppress_health_check=list(HealthCheck))
    @given(source=sources(), seed=st.integers(0, 2**32))
    def compare(source: Source, seed: int) -> None:
        name = f"m{next(NUMBERS)}"
        source.write(workspace.folder / name, random.Random(seed))
        address = object_storage.copy(workspace.folder / name, name)
        here = ingested(workspace, source, f"{name}a", str(workspace.folder / name))
        assert ingested(workspace, source, f"{name}b", address) == here

    compare()


def ingested(workspace: Workspace, source: Source, name: str, location: str) -> str:
    """All that an ingest publishes, or why it publishes nothing, without the words that differ: model and location."""
    spec = workspace.model(**{**source.model, "name": name, "source": {**source.model["source"], "location": location}})
    try:
        workspace.ingest(spec)
    except SeqAssetsError as error:
        return str(error).replace(location, "").replace(name, "")
    return repr((workspace.raw_rows(spec), workspace.rejected_rows(spec), workspace.accounting(spec)))


@pytest.mark.parametrize("extension", [".csv", ".csv.gz", ".csv.zst"])
def test_text_is_read_by_and_by(
    tmp_path: Path, object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch, extension: str
) -> None:
    texts = [random.Random(number).randbytes(500).hex() for number in range(24_000)]
    content = ("n\n" + "\n".join(texts) + "\n").encode()
    codec = {".gz": "gzip", ".zst": "zstd"}.get(Path(extension).suffix)
    stored = pa.Codec(codec).compress(content, asbytes=True) if codec else content
    address = object_storage.put(f"n{extension}", stored)
    sizes = []
    original = ObjectFile.read

    def noted(self: ObjectFile, size: int | None = -1) -> bytes:
        sizes.append(size)
        return original(self, size)

    monkeypatch.setattr(ObjectFile, "read", noted)
    found = values(read(tmp_path, wanted("n"), address), "n")
    assert found == texts
    assert all(size and 0 < size < len(content) for size in sizes)
    assert len(sizes) < 20


@pytest.mark.parametrize("name", STRANGE_NAMES)
def test_no_character_of_a_name_is_a_pattern_or_an_escape(
    workspace: Workspace, object_storage: ObjectStorage, name: str
) -> None:
    for number, other in enumerate(STRANGE_NAMES):
        path = workspace.write("x.parquet", pa.table({"pupil": [1], "time": [number], "item": [number]}))
        object_storage.put(f"d/{other}.parquet", path.read_bytes())
    spec = workspace.model(source={"location": f"{object_storage.address}/d/{name}.parquet"})
    workspace.ingest(spec)
    rows = [(row["item"], row["_file"]) for row in workspace.raw_rows(spec)]
    assert rows == [(STRANGE_NAMES.index(name), f"{name}.parquet")]


def test_the_value_in_the_object_wins_whatever_its_prefix_is_named(workspace: Workspace, object_storage: ObjectStorage) -> None:
    columns = {"pupil": [1, 1, 2], "time": [1, 2, 1], "item": [10, 20, 30]}
    content = workspace.write("x.parquet", pa.table(columns)).read_bytes()
    object_storage.put("item=9/data/time=8/pupil=7/x.parquet", content)
    cloud = Cloud("staging", object_storage.bucket, "item=9/subset=validation", "staged")
    there = Workspace(workspace.folder, StagingWarehouse(workspace.folder / "pupil=7", cloud=cloud))
    spec = there.sequence_model(source={"location": f"{object_storage.address}/item=9/data/"})
    raw = there.ingest(spec).version
    rows = published_rows(there.warehouse, raw)
    assert {name: [row[name] for row in rows] for name in columns} == columns
    assert {row["subset"] for row in rows} == {"train"}
    assert there.sequence(spec).version.rows == 2


def test_text_objects_that_have_not_changed_are_not_read_again(
    workspace: Workspace, object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept of them is on this machine, also where the tables are on S3."""
    opened: list[str] = []
    original = SourceFile.open

    def noted(file: SourceFile) -> BinaryIO:
        opened.append(file.name)
        return original(file)

    monkeypatch.setattr(SourceFile, "open", noted)
    cloud = Cloud("staging", object_storage.bucket, "tables", "staged")
    there = Workspace(workspace.folder, StagingWarehouse(workspace.folder / "staging", cloud=cloud, smallest_kept=0))
    spec = there.model(source={"location": f"{object_storage.address}/days/"})
    items = {"1.csv": 10, "2.csv": 20}
    for changed in ({"1.csv": 10, "2.csv": 20}, {"0.csv": 30}, {"2.csv": 40}):
        items |= changed
        for name, item in changed.items():
            object_storage.put(f"days/{name}", f"pupil,time,item\n1,1,{item}\n".encode())
        opened.clear()
        rows = published_rows(there.warehouse, there.ingest(spec).version)
        assert [(row["_file"], row["item"]) for row in rows] == sorted(items.items())
        assert set(opened) == set(changed)


def test_duckdb_reads_lists_of_objects_with_the_numbers_of_rows(tmp_path: Path, object_storage: ObjectStorage) -> None:
    addresses = []
    for number, name in enumerate(STRANGE_NAMES):
        pq.write_table(pa.table({"n": [number] * 3}), tmp_path / "x.parquet", row_group_size=2)
        addresses.append(object_storage.put(f"{name}.parquet", (tmp_path / "x.parquet").read_bytes()))
    table = parquet(addresses, "file_row_number = true")
    with duckdb.connect() as connection:
        register_objects(connection)
        found = connection.execute(f"SELECT n, file_row_number, file_index FROM {table} ORDER BY ALL").fetchall()
    assert found == [(number, row, number) for number in range(len(STRANGE_NAMES)) for row in range(3)]


def test_threads_that_share_an_open_file_do_not_move_each_other(object_storage: ObjectStorage) -> None:
    address = object_storage.put("x", b"0123456789")
    with DuckDBFiles().open(address, "rb") as opened, ThreadPoolExecutor(1) as other:
        opened.seek(2)
        other.submit(opened.seek, 7).result()
        assert (opened.read(2), other.submit(opened.read, 2).result()) == (b"23", b"78")
        opened.seek(-1, io.SEEK_END)
        assert (opened.tell(), opened.read()) == (9, b"9")


def test_many_threads_of_duckdb_read_what_is_there(tmp_path: Path, object_storage: ObjectStorage) -> None:
    numbers = pa.table({name: pa.array(range(start, start + 400_000)) for start, name in enumerate("abcd")})
    pq.write_table(numbers, tmp_path / "x.parquet", row_group_size=20_000, use_dictionary=False, compression="none")
    address = object_storage.put("x.parquet", (tmp_path / "x.parquet").read_bytes())
    with duckdb.connect(config={"threads": 8}) as connection:
        register_objects(connection)
        found = connection.sql(f"FROM {parquet([address])}").to_arrow_table()
    assert found.sort_by("a") == numbers


def test_the_environments_change_is_seen(object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    object_storage.put("x.csv")
    assert names(object_storage.address) == ["x.csv"]
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with pytest.raises(RetryableError, match="cannot be reached"):
        find(object_storage.address)


# What is said


def test_a_bucket_that_is_not_there_is_an_error_that_names_the_remedy(object_storage: ObjectStorage) -> None:
    with pytest.raises(SourceError, match=r"'s3://no-such-bucket/x/' cannot be used: the bucket does not exist there"):
        find("s3://no-such-bucket/x/")


def test_credentials_that_the_store_does_not_know_are_an_error_without_them(object_storage: ObjectStorage) -> None:
    object_storage.put("x.csv")
    [file] = find(object_storage.address).files
    with object_storage.refusing():
        with pytest.raises(SourceError, match="the credentials are refused; set AWS_PROFILE, or AWS_ACCESS_KEY_ID") as listing:
            find(object_storage.address)
        with pytest.raises(SourceError, match="permission denied; allow s3:GetObject for these credentials") as opening:
            file.open()
    assert "hush" not in f"{listing.value}{opening.value}"


def test_no_credentials_at_all_are_an_error_that_names_the_settings(
    object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(SourceError, match=r"no credentials .* were found .*; set AWS_PROFILE, or AWS_ACCESS_KEY_ID"):
        find(object_storage.address)


def test_a_profile_that_is_not_there_is_an_error_that_names_the_setting(
    object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(SourceError, match=r"\(ProfileNotFound\); set AWS_PROFILE"):
        find(object_storage.address)


@pytest.mark.parametrize("extension", [".csv", ".json", ".parquet"])
def test_an_object_that_is_gone_by_now_is_an_error_that_names_it(
    workspace: Workspace, object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch, extension: str
) -> None:
    address = object_storage.put(f"x{extension}")
    found = find_files(address, "", "auto")
    monkeypatch.setattr("seq_assets.warehouse.local.warehouse.find_files", lambda *_: found)
    object_storage.client.delete_object(Bucket=object_storage.bucket, Key=f"x{extension}")
    spec = workspace.model(source={"location": address})
    with pytest.raises(SourceError, match=rf"'{address}' cannot be used: the object is not there"):
        workspace.ingest(spec)


def test_a_store_that_fails_while_duckdb_reads_is_named_and_may_be_tried_again(
    workspace: Workspace, object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workspace.write("x.parquet", pa.table({"pupil": [1], "time": [1], "item": [1]}))
    address = object_storage.put("x.parquet", path.read_bytes())
    spec = workspace.model(source={"location": address})

    def fail(self: DuckDBFiles, path: str, mode: str = "rb", **arguments: object) -> BinaryIO:
        with self._noted():
            raise RetryableError("the store is too busy")

    monkeypatch.setattr(DuckDBFiles, "_open", fail)
    with pytest.raises(RetryableError, match=r"^the store is too busy$"):
        workspace.ingest(spec)
