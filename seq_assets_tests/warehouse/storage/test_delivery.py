"""Deliveries: what is put in place, when, and what is left alone. What only S3 has is in `athena/test_s3_delivery.py`."""

import errno
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from seq_assets.errors import SettingsError
from seq_assets.warehouse.cancellation import CanceledError, cancelable
from seq_assets.warehouse.storage import delivery as module
from seq_assets.warehouse.storage.delivery import Delivery, explained_here, is_ours, open_delivery
from seq_assets_tests.warehouse import processes


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
    with pytest.raises(
        SettingsError, match=r"b' cannot be used: Permission denied; get the right to write there, or choose another place\."
    ):
        deliver(out, ["a", "b", "c"], "new")
    assert seen(out) == {"a": ["old"], "b": ["old"], "c": ["old"]}


FOREIGN: dict[str, Callable[[Path], object]] = {
    "a file": lambda folder: (folder / "theirs.txt").touch(),
    "a hidden file": lambda folder: (folder / ".theirs").touch(),
    "a folder": lambda folder: (folder / "sub").mkdir(),
    "a link": lambda folder: (folder / "link").symlink_to(folder),
    "a link to nowhere": lambda folder: (folder / "link").symlink_to("nowhere"),
    "a link by a name of ours": lambda folder: (folder / f"seq-assets-{'0' * 32}-00000.parquet").symlink_to(
        next(folder.iterdir())
    ),
    "a folder by a name of ours": lambda folder: (folder / f"seq-assets-{'0' * 32}-00000.parquet").mkdir(),
}


@pytest.mark.parametrize("what", FOREIGN)
@pytest.mark.parametrize("when", ["before", "in the last moment"])
def test_a_folder_with_what_others_made_is_not_replaced_nor_any_beside_it(out: Path, what: str, when: str) -> None:
    deliver(out, ["a", "b"], "old")
    if when == "before":
        FOREIGN[what](out / "b")

    def replace() -> None:
        with open_delivery(str(out), ["a", "b"]) as delivery:
            for folder in ("a", "b"):
                delivery.prepare(folder, made(delivery, "new"))
            if when == "in the last moment":
                FOREIGN[what](out / "b")
            delivery.commit()

    with pytest.raises(SettingsError, match="was not written by this command"):
        replace()
    assert [path.read_text() for path in (out / "a").iterdir()] == ["old"]
    assert len(list((out / "b").iterdir())) == 2
    assert sorted(path.name for path in out.iterdir()) == ["a", "b"]


def test_a_link_in_the_place_of_a_folder_is_not_replaced(out: Path, tmp_path: Path) -> None:
    deliver(tmp_path / "elsewhere", ["a"], "old")
    out.mkdir()
    (out / "a").symlink_to(tmp_path / "elsewhere" / "a")
    with pytest.raises(SettingsError, match="/out/a' was not written by this command"):
        deliver(out, ["a"], "new")
    assert seen(out) == {"a": ["old"]}


def test_what_somebody_adds_while_a_folder_is_replaced_is_given_back(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(out, ["a"], "old")
    rename = Path.rename

    def renamed(self: Path, target: Path) -> Path:
        if self == out / "a":
            (self / "theirs.txt").write_text("theirs")
            (self / "sub").mkdir()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", renamed)
    deliver(out, ["a"], "new")
    assert {path.name for path in (out / "a").iterdir() if not is_ours(path.name)} == {"theirs.txt", "sub"}
    assert [path.read_text() for path in (out / "a").iterdir() if is_ours(path.name)] == ["new"]


# Killed


def killed_at(out: Path, renames: int) -> None:
    """A delivery whose process is killed after so many renames of its commit."""
    rename, left = Path.rename, [renames]

    def renamed(self: Path, target: Path) -> Path:
        if out in target.parents and not left[0]:
            processes.die()
        left[0] -= out in target.parents
        return rename(self, target)

    with open_delivery(str(out), ["a", "b"]) as delivery:
        for folder in ("a", "b"):
            delivery.prepare(folder, made(delivery, "new"))
        Path.rename = renamed  # type: ignore[method-assign,assignment]
        delivery.commit()
        processes.die()


@pytest.mark.parametrize("renames", range(6))
def test_a_delivery_that_was_killed_is_ended_by_the_next_one_whole_or_not_at_all(
    out: Path, renames: int, caplog: pytest.LogCaptureFixture
) -> None:
    deliver(out, ["a", "b"], "old")
    pid = os.fork()
    if pid == 0:
        killed_at(out, renames)
    os.waitpid(pid, 0)
    (out / "theirs").mkdir()
    deliver(out, ["c"], "other")
    # The first rename is that of the list by which the others are finished.
    stands = "old" if renames == 0 else "new"
    assert seen(out) == {"a": [stands], "b": [stands], "c": ["other"], "theirs": []}
    assert f"was killed {'before' if renames == 0 else 'while'} it replaced" in caplog.text


def test_a_delivery_that_works_is_left_alone_by_others(out: Path) -> None:
    with open_delivery(str(out), ["a"]) as delivery:
        delivery.prepare("a", made(delivery, "new"))
        deliver(out, ["b"], "other")
        delivery.commit()
    assert seen(out) == {"a": ["new"], "b": ["other"]}


def test_what_somebody_made_where_a_killed_run_had_made_room_is_not_replaced(out: Path) -> None:
    deliver(out, ["a", "b"], "old")
    pid = os.fork()
    if pid == 0:
        killed_at(out, 2)
    os.waitpid(pid, 0)
    (out / "a").mkdir()
    (out / "a" / "theirs.txt").write_text("theirs")
    with pytest.raises(SettingsError, match=r"/out/a' was made by others .* move '.*/out/a' away"):
        deliver(out, ["c"], "other")
    (out / "a").rename(out / "theirs")
    deliver(out, ["c"], "other")
    assert seen(out) == {"a": ["new"], "b": ["new"], "c": ["other"], "theirs": ["theirs"]}


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
