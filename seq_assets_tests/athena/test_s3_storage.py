"""What tables' storages have in common, here and on S3, and what only S3 has."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seq_assets.errors import SettingsError
from seq_assets.warehouse.engine import parquet
from seq_assets.warehouse.storage import object_store
from seq_assets.warehouse.storage.storage import LocalStorage, S3Storage, Storage
from seq_assets_tests.athena.object_storage import ObjectStorage, object_storage, s3_endpoint

pytestmark = pytest.mark.athena
__all__ = ["object_storage", "s3_endpoint"]


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return LocalStorage(tmp_path / "tables")
    store = request.getfixturevalue("object_storage")
    return S3Storage(f"{store.address}/tables/")


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part is 5 MiB, the smallest that S3 takes."""
    monkeypatch.setattr("seq_assets.warehouse.storage.uploads.PART", 5 << 20)


def write(storage: Storage, name: str, pieces: Sequence[bytes] = (b"x",)) -> str:
    location = f"{storage.root}/{name}"
    with storage.open_output(location) as sink:
        for piece in pieces:
            sink.write(piece)
    return location


def uploads(store: ObjectStorage) -> int:
    """How many uploads have neither ended nor been given up; their parts cost money."""
    return len(store.client.list_multipart_uploads(Bucket=store.bucket).get("Uploads", ()))


def test_folders_are_those_directly_in_a_folder(storage: Storage) -> None:
    assert storage.folders(storage.root) == []
    for name in ("b/x", "a c/d/x", "a c/x", "x"):
        write(storage, name)
    assert storage.folders(storage.root) == ["a c", "b"]
    assert storage.folders(f"{storage.root}/a c") == ["d"]


def test_entries_are_files_with_sizes_and_times_and_can_be_removed(storage: Storage) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    locations = [write(storage, name, [b"1234"]) for name in ("t/a b/x", "t/ü", "u/x")]
    found = storage.entries(f"{storage.root}/t")
    assert [(file.location, file.size, file.name) for file in found] == [(locations[0], 4, "x"), (locations[1], 4, "ü")]
    assert all(before <= file.modified <= datetime.now(UTC) for file in found)
    assert storage.entries(f"{storage.root}/none") == []
    storage.remove_files([*locations[:2], f"{storage.root}/t/gone"])
    storage.remove_empty_folders(f"{storage.root}/t", ["a b"], before)
    assert storage.files(storage.root) == [locations[2]]
    assert storage.folders(f"{storage.root}/t") == []


@pytest.mark.parametrize("sizes", [[], [0], [1, 2, 3], [6 << 20], [4 << 20] * 4])
@pytest.mark.usefixtures("small_parts")
def test_what_is_written_is_read(storage: Storage, sizes: list[int]) -> None:
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    with storage.open_input(write(storage, "t/x", pieces)) as opened:
        assert opened.read() == b"".join(pieces)


def test_a_file_can_be_read_at_any_place(storage: Storage) -> None:
    with storage.open_input(write(storage, "t/x", [b"some bytes"])) as opened:
        opened.seek(5)
        assert (opened.read(3), opened.tell(), opened.size()) == (b"byt", 8, 10)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("size", [3, 12 << 20])
def test_what_fails_while_it_is_written_is_not_there(storage: Storage, size: int) -> None:
    def fail() -> None:
        with storage.open_output(f"{storage.root}/t/x") as sink:
            sink.write(bytes(size))
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        fail()
    assert storage.files(f"{storage.root}/t") == []


@pytest.mark.usefixtures("small_parts")
def test_an_upload_that_fails_leaves_no_part_behind(object_storage: ObjectStorage) -> None:
    storage = S3Storage(object_storage.address)

    def fail() -> None:
        with storage.open_output(f"{storage.root}/x") as sink:
            sink.write(bytes(12 << 20))
            assert uploads(object_storage) == 1
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        fail()
    assert uploads(object_storage) == 0


@pytest.mark.usefixtures("small_parts")
def test_an_object_is_not_there_before_it_is_whole(object_storage: ObjectStorage) -> None:
    storage = S3Storage(object_storage.address)
    with storage.open_output(f"{storage.root}/x") as sink:
        sink.write(bytes(12 << 20))
        assert object_storage.keys() == []
    assert object_storage.keys() == ["x"]


def test_a_small_file_can_be_replaced_and_is_read_whole_or_not_at_all(storage: Storage) -> None:
    location = f"{storage.root}/t/new folder/x"
    assert storage.read(location) is None
    for content in (b"first", b"", "zweiter ü".encode()):
        storage.replace(location, content)
        assert storage.read(location) == content
    assert storage.files(storage.root) == [location], "nothing else is left"


def test_files_are_those_below_a_folder_in_the_order_of_their_names(storage: Storage) -> None:
    written = [write(storage, name) for name in ("t/b c", "t/a/ü", "t/a/x", "t2/x", "x")]
    assert storage.files(f"{storage.root}/t") == sorted(written[:3])
    assert storage.files(f"{storage.root}/none") == []


def test_a_folder_is_removed_with_all_below_it_and_nothing_else(storage: Storage) -> None:
    for name in ("t/x", "t/a/x", "t2/x"):
        write(storage, name)
    storage.remove(f"{storage.root}/t")
    storage.remove(f"{storage.root}/t")
    assert storage.files(storage.root) == [f"{storage.root}/t2/x"]


def test_more_objects_than_one_request_may_name_are_removed(
    object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "_REMOVED_AT_ONCE", 3)
    for number in range(10):
        object_storage.put(f"t/{number}")
    S3Storage(object_storage.address).remove(f"{object_storage.address}/t")
    assert object_storage.keys() == []


@pytest.mark.parametrize("place", ["", "/", "/tables/", "2/x"])
def test_nothing_outside_of_the_root_is_removed_or_written(object_storage: ObjectStorage, place: str) -> None:
    storage = S3Storage(f"{object_storage.address}/tables")
    location = f"{object_storage.address}{place}" if place != "2/x" else f"{storage.root}2/x"
    with pytest.raises(ValueError, match="is not below"):
        storage.remove(location)
    with pytest.raises(ValueError, match="is not below"), storage.open_output(location):
        pass


def test_duckdb_reads_what_was_written(storage: Storage) -> None:
    files = []
    for number, name in enumerate(["a b", "x[1]", "q?*"]):
        files.append(f"{storage.root}/t/{name}.parquet")
        with storage.open_output(files[-1]) as sink, pq.ParquetWriter(sink, pa.schema([("n", pa.int64())])) as writer:
            writer.write_table(pa.table({"n": [number]}))
    with duckdb.connect() as connection:
        storage.register(connection)
        storage.register(connection)
        assert connection.execute(f"SELECT n FROM {parquet(files)} ORDER BY n").fetchall() == [(0,), (1,), (2,)]
    with storage.open_input(files[1]) as opened:
        assert pq.read_table(opened).to_pylist() == [{"n": 1}]


def test_the_root_has_no_slash_at_its_end(storage: Storage) -> None:
    assert storage.root.endswith("/tables")


@pytest.mark.parametrize("address", ["bucket/x", "s3://", "s3://B_/x", "s3://bucket/a//b", "s3://bucket/../x"])
def test_a_root_that_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="allowed: "):
        S3Storage(address)


def test_a_bucket_that_is_not_there_is_a_mistake_in_the_settings(object_storage: ObjectStorage) -> None:
    storage = S3Storage("s3://no-such-bucket/x")
    with pytest.raises(SettingsError, match="the bucket does not exist there"):
        write(storage, "t/x")
    with pytest.raises(SettingsError, match="the bucket does not exist there"):
        storage.files(storage.root)
    with pytest.raises(SettingsError, match="cannot be used"):
        storage.open_input(f"{storage.root}/t/x")
    with pytest.raises(SettingsError, match="the bucket does not exist there"):
        storage.read(f"{storage.root}/t/x")


def test_credentials_that_may_nothing_are_a_mistake_in_the_settings(object_storage: ObjectStorage) -> None:
    storage = S3Storage(f"{object_storage.address}/x")
    write(storage, "t/x")
    with object_storage.refusing():
        for call in (storage.files, storage.remove, lambda folder: write(storage, "t/y")):
            with pytest.raises(SettingsError, match=r"(credentials are refused|permission denied)") as caught:
                call(f"{storage.root}/t")
            assert "hush" not in str(caught.value)
