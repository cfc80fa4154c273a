"""What killed processes leave in a home is told from what somebody works on, and from what is none of ours."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from seq_assets.warehouse.interface import Removed
from seq_assets.warehouse.ownership import Process
from seq_assets.warehouse.storage import object_store
from seq_assets.warehouse.storage.leftovers import of_home, unfinished_uploads
from seq_assets.warehouse.storage.object_store import UnfinishedUpload
from seq_assets.warehouse.storage.storage import S3Storage

NOW = datetime.now(UTC)
HERE = Process.current()
DEAD = replace(HERE, boot="00000000")
ELSEWHERE = replace(HERE, host="other-00000000")
CONTAINER = replace(HERE, namespace="00000000")


def put(file: Path, age: timedelta) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"1234567")
    for path in (file, file.parent):
        os.utime(path, times=((NOW - age).timestamp(),) * 2)


def removed(home: Path, older_than: timedelta = timedelta(hours=24)) -> list[tuple[str, str, int, int]]:
    found = list(of_home(home, NOW - older_than, NOW))
    for leftover in found:
        leftover.remove()
    return [(one.said.kind, Path(one.said.place).name, one.said.number, one.said.bytes) for one in found]


@pytest.mark.parametrize(
    ("owner", "days", "goes"),
    [
        (DEAD, 2, True),
        (DEAD, 0, False),
        (HERE, 30, False),
        (ELSEWHERE, 2, False),
        (ELSEWHERE, 8, True),
        (CONTAINER, 8, True),
    ],
)
def test_scratch_goes_where_nobody_works_in_it_any_more(tmp_path: Path, owner: Process, days: int, goes: bool) -> None:
    folder = tmp_path / "scratch" / f"{owner.to_text()}.0123"
    put(folder / "spilled", timedelta(days=days))
    assert removed(tmp_path) == ([("scratch files", folder.name, 1, 7)] if goes else [])
    assert folder.exists() is not goes


def test_a_folder_of_scratch_that_is_none_of_ours_stays(tmp_path: Path) -> None:
    put(tmp_path / "scratch" / "mine" / "file", timedelta(days=30))
    assert removed(tmp_path) == []


def test_caches_go_when_nobody_has_used_them_since(tmp_path: Path) -> None:
    for name, age in (("used", timedelta(hours=1)), ("unused", timedelta(hours=30))):
        put(tmp_path / "cache" / "text_files" / "plain" / f"{name}.parquet", age)
    assert removed(tmp_path) == [("cached files", "cache", 1, 7)]
    assert [file.name for file in tmp_path.rglob("*.parquet")] == ["used.parquet"]


def test_a_catalog_that_was_put_aside_goes_by_the_time_in_its_name(tmp_path: Path) -> None:
    old, new = (f"{NOW - timedelta(hours=hours):%Y%m%dT%H%M%S.%f}" for hours in (30, 1))
    for name in (f"catalog.db.damaged-{old}", f"catalog.db.damaged-{old}-journal", f"catalog.db.damaged-{new}"):
        put(tmp_path / name, timedelta(days=30))
    for name in ("catalog.db", "catalog.db.replacement", "catalog.db.damaged-of-mine"):
        put(tmp_path / name, timedelta(days=30))
    assert removed(tmp_path) == [("damaged catalogs", tmp_path.name, 3, 21)]
    assert {file.name for file in tmp_path.iterdir()} == {
        "catalog.db",
        f"catalog.db.damaged-{new}",
        "catalog.db.damaged-of-mine",
    }


def test_a_home_that_is_new_has_none(tmp_path: Path) -> None:
    assert removed(tmp_path / "home") == []


def test_uploads_that_nobody_has_finished_are_given_up_when_they_are_old(monkeypatch: pytest.MonkeyPatch) -> None:
    ages = {"old": timedelta(hours=30), "older": timedelta(days=30), "young": timedelta(hours=1)}
    uploads = [UnfinishedUpload(f"s3://bucket/tables/{name}", name, NOW - age) for name, age in ages.items()]
    given_up: list[str] = []
    monkeypatch.setattr(object_store, "list_uploads", lambda address, _: uploads if address == "s3://bucket/tables/" else [])
    monkeypatch.setattr(object_store, "upload_size", lambda *_: 5)
    monkeypatch.setattr(object_store, "abort_upload", lambda upload, _: given_up.append(upload.id))
    [leftover] = unfinished_uploads(S3Storage("s3://bucket/tables"), NOW - timedelta(hours=24))
    assert leftover.said == Removed("unfinished uploads", "s3://bucket/tables", 2, 10)
    assert given_up == []
    leftover.remove()
    assert given_up == ["old", "older"]
