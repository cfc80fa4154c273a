"""Tables' files on this machine; what every storage must do runs on S3 too, in `athena.test_s3_storage`."""

import os
from datetime import UTC, datetime, timedelta
from errno import ENOSPC
from pathlib import Path

import pytest

from seq_assets.warehouse.storage.storage import LocalStorage


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "tables")


def write(storage: LocalStorage, name: str, content: bytes = b"x") -> str:
    location = f"{storage.root}/{name}"
    with storage.open_output(location) as sink:
        sink.write(content)
    return location


def test_what_is_written_is_read(storage: LocalStorage) -> None:
    with storage.open_input(write(storage, "t/new folder/x", b"some bytes")) as opened:
        assert opened.read() == b"some bytes"


def test_a_file_is_never_written_over(storage: LocalStorage) -> None:
    location = write(storage, "t/x", b"first")
    with pytest.raises(FileExistsError):
        write(storage, "t/x", b"second")
    assert Path(location).read_bytes() == b"first"


def test_a_file_that_fails_while_it_is_written_is_not_there(storage: LocalStorage) -> None:
    def fail() -> None:
        with storage.open_output(f"{storage.root}/t/x") as sink:
            sink.write(b"x")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        fail()
    assert storage.files(storage.root) == []


def test_a_small_file_can_be_replaced_and_is_read_whole_or_not_at_all(storage: LocalStorage) -> None:
    location = f"{storage.root}/t/new folder/x"
    assert storage.read(location) is None
    for content in (b"first", b"", "zweiter ü".encode()):
        storage.replace(location, content)
        assert storage.read(location) == content
    assert storage.files(storage.root) == [location], "nothing else is left"


def test_a_file_whose_replacement_fails_stays_as_it_was(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.replace(f"{storage.root}/x", b"first")

    def full(_: int) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        storage.replace(f"{storage.root}/x", b"second")
    assert storage.read(f"{storage.root}/x") == b"first"
    assert storage.files(storage.root) == [f"{storage.root}/x"]


def test_files_are_those_below_a_folder_in_the_order_of_their_names(storage: LocalStorage) -> None:
    written = [write(storage, name) for name in ("t/b c", "t/a/ü", "t/a/x", "t2/x")]
    assert storage.files(f"{storage.root}/t") == sorted(written[:3])
    assert storage.files(f"{storage.root}/none") == []


def test_a_folder_is_removed_with_all_below_it_and_nothing_else(storage: LocalStorage) -> None:
    for name in ("t/x", "t/a/x", "t2/x"):
        write(storage, name)
    storage.remove(f"{storage.root}/t")
    storage.remove(f"{storage.root}/t")
    assert storage.files(storage.root) == [f"{storage.root}/t2/x"]


def test_folders_are_those_directly_in_a_folder(storage: LocalStorage) -> None:
    assert storage.folders(storage.root) == []
    for name in ("b/x", "a c/d/x", "x"):
        write(storage, name)
    assert storage.folders(storage.root) == ["a c", "b"]


def test_only_folders_that_nobody_will_write_in_are_removed(storage: LocalStorage) -> None:
    for name in ("over", "young", "old", "used"):
        Path(storage.root, "data", name, "below").mkdir(parents=True)
    file = write(storage, "data/used/below/x")
    for folder in (Path(storage.root, "data", "old"), Path(storage.root, "data", "old", "below")):
        os.utime(folder, times=(1, 1))
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    storage.remove_empty_folders(f"{storage.root}/data", ["over", "used"], an_hour_ago)
    assert storage.folders(f"{storage.root}/data") == ["used", "young"]
    assert storage.files(storage.root) == [file]
