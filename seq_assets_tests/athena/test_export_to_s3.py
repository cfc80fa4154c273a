"""Exports to S3, which renames nothing: an object appears when it is complete, and no part of an upload stays."""

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import seq_assets
from seq_assets.client.export import ExportFormat
from seq_assets.errors import SettingsError
from seq_assets.warehouse.storage.uploads import PART
from seq_assets.warehouse.storage.whole_files import whole_file
from seq_assets_tests.athena.object_storage import ObjectStorage, object_storage, s3_endpoint

pytestmark = pytest.mark.athena
__all__ = ["object_storage", "s3_endpoint"]


def content(store: ObjectStorage, key: str) -> bytes:
    found: bytes = store.client.get_object(Bucket=store.bucket, Key=key)["Body"].read()
    return found


def uploads(store: ObjectStorage) -> int:
    return len(store.client.list_multipart_uploads(Bucket=store.bucket).get("Uploads", ()))


@pytest.mark.parametrize("format_", ["parquet", "npz", "csv"])
def test_an_object_has_what_a_file_has(object_storage: ObjectStorage, bundled_home: Path, format_: ExportFormat) -> None:
    ds = seq_assets.load("dkt", sequence_length=50)
    done = ds.export(f"{object_storage.address}/some where/out", format_)
    found = content(object_storage, "some where/out")
    assert done.bytes == len(found)
    if format_ == "npz":
        np.testing.assert_array_equal(np.load(io.BytesIO(found))["correct_sequence"], ds.to_numpy()["correct_sequence"])
    elif format_ == "parquet":
        assert pq.read_table(io.BytesIO(found)).equals(ds.to_arrow())
    else:
        ds.export("out", format_)
        assert found == Path("out").read_bytes()


def test_an_object_appears_when_it_is_complete_and_replaces_none_unasked(object_storage: ObjectStorage) -> None:
    address = f"{object_storage.address}/out"
    with whole_file(address, replace=False) as sink:
        sink.write(b"x" * (PART + 1))
        assert object_storage.keys() == []
    assert len(content(object_storage, "out")) == PART + 1
    with pytest.raises(SettingsError, match="/out' is there already; choose another place"), whole_file(address, replace=False):
        pass
    with whole_file(address, replace=True) as sink:
        sink.write(b"y")
    assert content(object_storage, "out") == b"y"


def test_what_fails_leaves_no_object_and_no_part(object_storage: ObjectStorage) -> None:
    def fail_half_way() -> None:
        with whole_file(f"{object_storage.address}/out", replace=False) as sink:
            sink.write(b"x" * (PART + 1))
            assert uploads(object_storage) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert (object_storage.keys(), uploads(object_storage)) == ([], 0)


@pytest.mark.parametrize("key", ["", "/", "/folder/"])
def test_an_address_that_is_a_folder_is_refused(object_storage: ObjectStorage, key: str) -> None:
    with (
        pytest.raises(SettingsError, match="is a folder; name a file in it"),
        whole_file(f"{object_storage.address}{key}", replace=True),
    ):
        pass


def test_a_store_that_refuses_is_named(object_storage: ObjectStorage) -> None:
    with (
        object_storage.refusing(),
        pytest.raises(SettingsError, match=f"{object_storage.address}/out"),
        whole_file(f"{object_storage.address}/out", replace=True) as sink,
    ):
        sink.write(b"x")
