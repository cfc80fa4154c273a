"""Deliveries: what is put in place, when, and what is left alone. What only S3 has is in `athena/test_s3_delivery.py`."""

import errno
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from seq_assets.errors import SettingsError
from seq_assets.warehouse.cancellation import CanceledError, cancelable
from seq_assets.warehouse.storage import delivery as module
from seq_assets.warehouse.storage.delivery import Delivery, explained_here, is_ours, open_delivery


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def made(delivery: Delivery, *contents: str) -> list[str]:
    """Files as a warehouse would have made them."""
    paths = [delivery.scratch / f"{number}-{content}" for number, content in enumerate(contents)]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content)
    return [str(path) for path in paths]


def deliver(out: Path, folders: Sequence[str], *contents: str) -> list[str]:
    with open_delivery(str(out), folders) as delivery:
        for folder in folders:
            delivery.prepare(folder, made(delivery, *contents))
        return delivery.commit()


def seen(out: Path) -> dict[str, list[str]]:
    """What is in each folder, in the order of names; hidden ones included."""
    return {folder.name: [path.read_text() for path in sorted(folder.iterdir())] for folder in sorted(out.iterdir())}


def test_folders_are_in_place_with_their_files_in_order(out: Path) -> None:
    assert deliver(out, ["b", "a"], *"zyx") == [str(out / "b"), str(out / "a")]
    assert seen(out) == {"a": ["z", "y", "x"], "b": ["z", "y", "x"]}
    assert all(is_ours(path.name) for path in (out / "a").iterdir())


def test_nothing_is_seen_before_the_commit_and_what_stood_there_is_gone_after_it(out: Path) -> None:
    deliver(out, ["a", "b"], "old", "older")
    with open_delivery(str(out), ["a", "b"]) as delivery:
        for folder in ("a", "b"):
            delivery.prepare(folder, made(delivery, "new"))
        shown = [path for path in out.iterdir() if not path.name.startswith(".")]
        assert {path.name: len(list(path.iterdir())) for path in shown} == {"a": 2, "b": 2}
        delivery.commit()
    assert seen(out) == {"a": ["new"], "b": ["new"]}


def test_what_fails_before_the_commit_leaves_what_stood_there(out: Path) -> None:
    deliver(out, ["a"], "old")

    def fail() -> None:
        with open_delivery(str(out), ["a"]) as delivery:
            delivery.prepare("a", made(delivery, "new"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen(out) == {"a": ["old"]}


def test_a_folder_that_cannot_be_replaced_leaves_all_that_stood(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(out, ["a", "b", "c"], "old")
    rename = Path.rename

    def refused(self: Path, target: Path) -> Path:
        if target == out / "b" and "fresh" in self.parts:
            raise PermissionError(errno.EACCES, "Permission denied", str(target))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(SettingsError, match=r"b' cannot be used: Permission denied; mend that, or choose another place\."):
        deliver(out, ["a", "b", "c"], "new")
    assert seen(out) == {"a": ["old"], "b": ["old"], "c": ["old"]}


def test_a_file_that_somebody_adds_in_the_last_moment_stays(out: Path) -> None:
    deliver(out, ["a"], "old")
    with open_delivery(str(out), ["a"]) as delivery:
        delivery.prepare("a", made(delivery, "new"))
        (out / "a" / "theirs.txt").write_text("theirs")
        delivery.commit()
    assert seen(out) == {"a": ["new", "theirs"]}


def test_a_download_can_be_canceled(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"some bytes")
    with cancelable() as cancel, (tmp_path / "x").open("rb") as opened:
        cancel()
        with pytest.raises(CanceledError):
            list(module._pieces(opened, 1))


def test_what_an_engine_cannot_write_is_told_with_the_place(tmp_path: Path) -> None:
    message = r"^'out' cannot be used: IO Error: .*; make room there, or choose another place\.$"
    with pytest.raises(SettingsError, match=message), explained_here(Path("out")):
        duckdb.connect(str(tmp_path / "missing" / "x.duckdb"))


def test_what_this_machine_did_not_refuse_stays_what_it_is() -> None:
    with pytest.raises(OSError, match="the server hung up"), explained_here(Path("out")):
        raise OSError("the server hung up")


def test_of_two_at_once_the_later_one_stands(out: Path) -> None:
    errors: list[BaseException] = []
    barrier = threading.Barrier(2)

    def one(content: str) -> None:
        try:
            with open_delivery(str(out), ["a", "b"]) as delivery:
                for folder in ("a", "b"):
                    delivery.prepare(folder, made(delivery, content))
                barrier.wait(100)
                delivery.commit()
        except SettingsError as error:
            errors.append(error)

    deliver(out, ["a", "b"], "old")
    threads: list[Any] = [threading.Thread(target=one, args=(content,)) for content in ("x", "y")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert errors == []
    assert seen(out) in ({"a": ["x"], "b": ["x"]}, {"a": ["y"], "b": ["y"]})
