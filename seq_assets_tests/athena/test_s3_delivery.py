"""Deliveries to S3, which renames nothing: what is seen there and when, what is refused, that no part of an upload stays."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from seq_assets.errors import ConflictError, SeqAssetsError, SettingsError
from seq_assets.warehouse.cancellation import CanceledError, cancelable
from seq_assets.warehouse.storage.delivery import Delivery, is_ours, open_delivery
from seq_assets.warehouse.storage.object_store import StoredObject
from seq_assets.warehouse.storage.uploads import Upload, part_size
from seq_assets_tests.athena.object_storage import ObjectStorage, object_storage, s3_endpoint

pytestmark = pytest.mark.athena
__all__ = ["object_storage", "s3_endpoint"]

SMALLEST_PART = 5 << 20
"""That S3 takes, but for the last one of an object."""
CALL = "_make_api_call"


@pytest.fixture
def out(object_storage: ObjectStorage) -> str:
    return f"{object_storage.address}/some where/out"


def deliver(out: str, folders: Sequence[str], *contents: bytes) -> list[str]:
    with open_delivery(out, folders) as delivery:
        prepare(delivery, folders, *contents)
        return delivery.commit()


def prepare(delivery: Delivery, folders: Sequence[str], *contents: bytes) -> None:
    """Prepares the same files in each folder."""
    for folder in folders:
        paths = [delivery.scratch / f"{folder}{number}" for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        delivery.prepare(folder, [str(path) for path in paths])


def seen(store: ObjectStorage) -> dict[str, list[bytes]]:
    """The contents in each folder, in the order of keys."""
    found: dict[str, list[bytes]] = {}
    for key in store.keys("some where/out/"):
        content = store.client.get_object(Bucket=store.bucket, Key=key)["Body"].read()
        found.setdefault(key.split("/")[-2], []).append(content)
    return found


def addresses(store: ObjectStorage) -> list[str]:
    return [f"{store.address}/{key}" for key in store.keys("")]


def uploads(store: ObjectStorage) -> int:
    return len(store.client.list_multipart_uploads(Bucket=store.bucket).get("Uploads", ()))


@contextmanager
def refused(operation: str, monkeypatch: pytest.MonkeyPatch, after: int = 0) -> Iterator[None]:
    """The credentials do not allow one operation, but for its first calls."""
    call: Callable[..., Any] = getattr(BaseClient, CALL)
    left = [after]

    def answered(self: BaseClient, name: str, arguments: dict[str, Any]) -> Any:
        if name == operation:
            left[0] -= 1
            if left[0] < 0:
                raise ClientError({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, name)
        return call(self, name, arguments)

    with monkeypatch.context() as patched:
        patched.setattr(BaseClient, CALL, answered)
        yield


def test_folders_are_in_place_with_their_files_in_order(object_storage: ObjectStorage, out: str) -> None:
    assert deliver(f"{out}/", ["b", "a"], b"z", b"y") == [f"{out}/b", f"{out}/a"]
    assert seen(object_storage) == {"a": [b"z", b"y"], "b": [b"z", b"y"]}
    assert all(is_ours(address.rsplit("/", maxsplit=1)[-1]) for address in addresses(object_storage))
    assert uploads(object_storage) == 0


def test_nothing_is_seen_before_the_commit_and_what_stood_there_is_gone_after_it(
    object_storage: ObjectStorage, out: str
) -> None:
    deliver(out, ["a", "b"], b"old", b"older")
    with open_delivery(out, ["a", "b"]) as delivery:
        prepare(delivery, ["a", "b"], b"new")
        assert seen(object_storage) == {"a": [b"old", b"older"], "b": [b"old", b"older"]}
        delivery.commit()
    assert seen(object_storage) == {"a": [b"new"], "b": [b"new"]}
    assert uploads(object_storage) == 0


def test_other_folders_and_the_mark_of_a_folder_are_left_alone(object_storage: ObjectStorage, out: str) -> None:
    others = [object_storage.put(key, b"") for key in ("some where/out/a/", "some where/out/a2/x", "some where/out/x")]
    deliver(out, ["a"], b"old")
    deliver(out, ["a"], b"new")
    assert set(addresses(object_storage)) >= set(others)
    assert seen(object_storage)["a"] == [b"", b"new"]


@pytest.mark.parametrize("name", ["old.parquet", "part-0.parquet", "below/seq-assets-0.parquet", "_SUCCESS"])
def test_a_folder_with_objects_of_others_is_refused_before_any_work(object_storage: ObjectStorage, out: str, name: str) -> None:
    stranger = object_storage.put(f"some where/out/b/{name}")
    with pytest.raises(SettingsError) as caught, open_delivery(out, ["a", "b"]):
        pytest.fail("work began")
    assert f"'{stranger}' was not written by this command" in str(caught.value)
    assert (object_storage.keys(), uploads(object_storage)) == ([f"some where/out/b/{name}"], 0)


def test_an_object_that_somebody_adds_meanwhile_stays_and_is_told(object_storage: ObjectStorage, out: str) -> None:
    deliver(out, ["a"], b"old")
    with open_delivery(out, ["a"]) as delivery:
        prepare(delivery, ["a"], b"new")
        object_storage.put("some where/out/a/theirs")
        with pytest.raises(SettingsError, match="theirs' was not written by this command"):
            delivery.commit()
    assert seen(object_storage) == {"a": [b"old", b"x"]}
    assert uploads(object_storage) == 0


@pytest.mark.parametrize("operation", ["ListObjectsV2", "CreateMultipartUpload", "DeleteObjects"])
def test_what_will_be_refused_is_told_before_any_work(
    object_storage: ObjectStorage, out: str, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(out, ["a"], b"old")
    with (
        refused(operation, monkeypatch),
        pytest.raises(SettingsError, match=rf"/some where/out/a/.*' cannot be used: permission denied.*{operation}"),
        open_delivery(out, ["a"]),
    ):
        pytest.fail("work began")
    assert (seen(object_storage), uploads(object_storage)) == ({"a": [b"old"]}, 0)


@pytest.mark.usefixtures("object_storage")
def test_a_bucket_that_is_not_there_is_told_before_any_work() -> None:
    message = "'s3://no-such-bucket/x/a/' cannot be used: the bucket does not exist"
    with pytest.raises(SettingsError, match=message), open_delivery("s3://no-such-bucket/x", ["a"]):
        pytest.fail("work began")


def test_what_fails_half_way_through_the_commit_leaves_what_stood_there(
    object_storage: ObjectStorage, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(out, ["a", "b"], b"old")
    with refused("CompleteMultipartUpload", monkeypatch, after=1), pytest.raises(SettingsError, match="permission denied"):
        deliver(out, ["a", "b"], b"new", b"newer")
    assert (seen(object_storage), uploads(object_storage)) == ({"a": [b"old"], "b": [b"old"]}, 0)


def test_what_cannot_be_removed_after_all_is_told_and_a_rerun_mends_it(
    object_storage: ObjectStorage, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(out, ["a"], b"old")
    message = r"permission denied.* New files may stand beside old ones; run the same command again"
    with refused("DeleteObjects", monkeypatch, after=1), pytest.raises(SettingsError, match=message):
        deliver(out, ["a"], b"new")
    assert sorted(seen(object_storage)["a"]) == [b"new", b"old"]
    deliver(out, ["a"], b"newest")
    assert seen(object_storage) == {"a": [b"newest"]}


def test_what_can_neither_be_completed_nor_be_removed_is_told(
    object_storage: ObjectStorage, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(out, ["a"], b"old")
    message = r"permission denied.*CompleteMultipartUpload.* New files may stand beside old ones; run the same command again"
    with (
        refused("DeleteObjects", monkeypatch, after=1),
        refused("CompleteMultipartUpload", monkeypatch, after=1),
        pytest.raises(SettingsError, match=message),
    ):
        deliver(out, ["a"], b"new", b"newer")
    assert uploads(object_storage) == 0
    deliver(out, ["a"], b"newest")
    assert seen(object_storage) == {"a": [b"newest"]}


def test_of_two_at_once_the_later_one_tells_that_both_stand(object_storage: ObjectStorage, out: str) -> None:
    with open_delivery(out, ["a"]) as one, open_delivery(out, ["a"]) as other:
        prepare(one, ["a"], b"one")
        prepare(other, ["a"], b"other")
        standing = other._standing  # type: ignore[attr-defined]
        looked: list[Sequence[StoredObject]] = []

        def first_before(folder: str) -> Sequence[StoredObject]:
            looked.append(standing(folder))
            if len(looked) == 1:
                one.commit()
            return looked[-1]

        other._standing = first_before  # type: ignore[attr-defined]
        with pytest.raises(ConflictError, match="was written at the same time by another run of this command"):
            other.commit()
    deliver(out, ["a"], b"again")
    assert seen(object_storage) == {"a": [b"again"]}


def test_what_is_canceled_between_two_parts_leaves_none(object_storage: ObjectStorage, out: str) -> None:
    def cancel_and_deliver() -> None:
        with cancelable() as cancel, open_delivery(out, ["a"]) as delivery:
            cancel()
            prepare(delivery, ["a"], b"new")

    with pytest.raises(CanceledError):
        cancel_and_deliver()
    assert (seen(object_storage), uploads(object_storage)) == ({}, 0)


# Parts


def test_objects_are_copied_by_the_store_in_as_many_parts_as_they_need(object_storage: ObjectStorage) -> None:
    content = bytes(range(256)) * (12 << 12)
    source = StoredObject(object_storage.put("a b/ü", content), len(content), "", datetime.now(UTC))
    for usual in (SMALLEST_PART, 1 << 28):
        upload = Upload(f"{object_storage.address}/copy", SettingsError)
        upload.copy(source, usual)
        assert len(upload._parts) == (3 if usual == SMALLEST_PART else 1)
        upload.complete()
        assert object_storage.client.get_object(Bucket=object_storage.bucket, Key="copy")["Body"].read() == content


@pytest.mark.parametrize(
    ("size", "expected"), [(1, 1 << 28), (5 << 30, 1 << 28), (10_000 << 28, 1 << 28), ((10_000 << 28) + 1, (1 << 28) + 1)]
)
def test_parts_are_as_large_as_ten_thousand_of_them_have_to_be(size: int, expected: int) -> None:
    assert part_size(size, 1 << 28) == expected


def test_an_object_of_the_store_is_delivered_here_and_there(
    object_storage: ObjectStorage, out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = object_storage.put("elsewhere/x", b"from the store")
    for place in (out, str(tmp_path / "out")):
        with open_delivery(place, ["a"]) as delivery:
            delivery.prepare("a", [source])
            delivery.commit()
    assert seen(object_storage) == {"a": [b"from the store"]}
    assert [path.read_bytes() for path in (tmp_path / "out" / "a").iterdir()] == [b"from the store"]

    message = f"'{source}' cannot be used: permission denied"
    with (
        refused("UploadPartCopy", monkeypatch),
        pytest.raises(SeqAssetsError, match=message),
        open_delivery(out, ["a"]) as delivery,
    ):
        delivery.prepare("a", [source])
    assert uploads(object_storage) == 0
