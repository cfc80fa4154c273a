"""S3 alone on this machine, for tests that need no more of the stack.

A module of tests that imports the fixtures has them. Belongs here: starting it, and writing objects. Not here: what a test
expects.
"""

import logging
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_WITHOUT_CHECKS = 1 << 60
"""So many calls without a look at their credentials."""


@dataclass(frozen=True)
class ObjectStorage:
    """A bucket that no other test has, and the right to do anything with it.

    Attributes:
        client: boto3's.
        bucket: The bucket's name.
        url: The endpoint.
    """

    client: Any
    bucket: str
    url: str

    @property
    def address(self) -> str:
        """The bucket's address, without a slash at its end."""
        return f"s3://{self.bucket}"

    def put(self, key: str, content: bytes = b"x") -> str:
        """Writes an object; its address."""
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content)
        return f"{self.address}/{key}"

    def copy(self, folder: Path, prefix: str) -> str:
        """Writes all files of a folder below a prefix; the prefix' address, with a slash."""
        for path in folder.rglob("*"):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        return f"{self.address}/{prefix}/"

    def keys(self, prefix: str = "") -> list[str]:
        """The keys that begin with a prefix, in order."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """No credentials are known to the store."""
        self._check_after(0)
        try:
            yield
        finally:
            self._check_after(_WITHOUT_CHECKS)

    def _check_after(self, calls: int) -> None:
        headers = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.url}/moto-api/reset-auth", str(calls).encode(), headers, method="POST")
        urllib.request.urlopen(request).close()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of a server of S3."""
    from moto.server import ThreadedMotoServer

    # One line per request would hide everything else.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def object_storage(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> ObjectStorage:
    """A bucket, to which the variables of this test lead."""
    import boto3

    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    settings = {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "hush-hush",
        # Else clients that look for further credentials wait for a machine that is not there.
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="hush-hush", region_name="us-east-1")
    client = session.client("s3", endpoint_url=s3_endpoint)
    bucket = f"test-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket)
    return ObjectStorage(client, bucket, s3_endpoint)
