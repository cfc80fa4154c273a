"""S3, or any store that speaks its protocol: how it is reached, what lies there, and what its refusals mean.

Everything is set by the standard variables: `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, `AWS_REGION` or
`AWS_DEFAULT_REGION`, and credentials by the standard chain alone. Addresses are `s3://bucket/key`.

Not here: which objects are a source, where tables live, how objects come to be (`uploads`).
"""

import io
import itertools
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

from seq_assets.errors import RetryableError, SeqAssetsError, SettingsError, SourceError

if TYPE_CHECKING:
    import duckdb
    from pyarrow import NativeFile
    from pyarrow.fs import FileInfo, S3FileSystem

SCHEME: Final = "s3://"
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ENDPOINT: Final = re.compile(r"https?://[!-~]+")
_ARROW_ERROR: Final = re.compile(
    r"AWS Error (\w+)(?: \(HTTP status (\d+)\))?(?: during (\w+) operation)?(?:: Unable to parse ExceptionName: (\w+))?"
)
_CREDENTIALS: Final = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_ATTEMPTS: Final = 5
"""Of one request, before the store counts as out of reach."""

_NO_ROOM: Final = "Failed to flush response stream"
"""Arrow's words for a refusal that is longer than the bytes that were asked for: what it says is lost."""

_MARK: Final = 0xFF
"""A byte that no text has; what ends with it is asked for twice."""

_REMOVED_AT_ONCE: Final = 1_000
"""As many as one request may name."""

_CREDENTIALS_REMEDY: Final = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a machine that has a role"
_REGION: Final = "the bucket is in another region; set AWS_REGION to the bucket's"
_DENIED: Final = "permission denied; allow {action} for these credentials, or set others: AWS_PROFILE or AWS_ACCESS_KEY_ID"
_ACTIONS: Final = {
    "ListObjectsV2": "ListBucket",
    "ListObjects": "ListBucket",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "DeleteObjects": "DeleteObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
}
"""What a policy calls the permission for an operation of S3, where that is not the operation's own name."""
_EXPIRED: Final = f"the credentials have expired; renew them, or {_CREDENTIALS_REMEDY}"
_REFUSED: Final = f"the credentials are refused; {_CREDENTIALS_REMEDY}"
_ABSENT: Final = "the object is not there; put it back, or mend its name"
_REMEDIES: Final = {
    "nosuchbucket": "the bucket does not exist there; mend its name, or AWS_ENDPOINT_URL",
    "nosuchkey": _ABSENT,
    "resourcenotfound": _ABSENT,
    "404": _ABSENT,
    "accessdenied": _DENIED,
    "allaccessdisabled": _DENIED,
    "forbidden": _DENIED,
    "403": _DENIED,
    "invalidaccesskeyid": _REFUSED,
    "invalidclienttokenid": _REFUSED,
    "invalidtoken": _REFUSED,
    "signaturedoesnotmatch": _REFUSED,
    "invalidsignature": _REFUSED,
    "unrecognizedclient": _REFUSED,
    "missingauthenticationtoken": _REFUSED,
    "expiredtoken": _EXPIRED,
    "tokenrefreshrequired": _EXPIRED,
    "permanentredirect": _REGION,
    "authorizationheadermalformed": _REGION,
    "301": _REGION,
    "400": f"the store gives no reason: either the credentials have expired, so renew them, or {_REGION}",
}
"""By an error's code, in lower case without underscores and `Exception`, or by its HTTP status where that is all there is."""
_PASSING: Final = re.compile(
    "slowdown|throttling.*|toomanyrequests|.*timeout|internal(error|failure|service)|serviceunavailable|networkconnection|5.."
)


@dataclass(frozen=True)
class StoredObject:
    """One object.

    Attributes:
        address: Where it is.
        size: Bytes.
        etag: What another content changes.
        modified: When it was written, by the store's clock.
    """

    address: str
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True)
class UnfinishedUpload:
    """Parts of an object that is not there yet.

    Attributes:
        address: Where it would be.
        id: Tells it from other uploads to the same address.
        begun: When the first part came, or before.
    """

    address: str
    id: str
    begun: datetime


def split_address(address: str, kind: type[SeqAssetsError] = SourceError) -> tuple[str, str]:
    """The bucket and the key of an address; the key may be empty, or end with a slash.

    Args:
        address: `s3://bucket/key`.
        kind: The error to raise: whose mistake the address is.

    Raises:
        SeqAssetsError: It is no such address, or its key has a part that programs take for no part.
    """
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    if not address.startswith(SCHEME) or not _BUCKET.fullmatch(bucket):
        allowed = "s3://bucket/key, the bucket of a to z, 0 to 9, . and -, 3 to 63 long"
        raise kind(f"{address!r} is no address on S3; allowed: {allowed}")
    if key and {"", ".", ".."} & set(key.removesuffix("/").split("/")):
        raise kind(f"{address!r} has a part that is empty, `.` or `..` in its key; allowed: other parts. Rename the object.")
    return bucket, key


def list_objects(address: str, kind: type[SeqAssetsError] = SourceError) -> Iterator[StoredObject]:
    """All objects whose address begins with this one, by the bytes of their keys.

    Args:
        address: `s3://bucket/` and the beginning of keys; what is below a folder begins with its name and a slash.
        kind: The error to raise for what the caller can mend.

    Raises:
        SeqAssetsError: The store refuses.
    """
    bucket, prefix = split_address(address, kind)
    with explained(address, kind):
        for page in s3_client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for found in page.get("Contents", ()):
                yield _stored(bucket, found)


def list_folders(address: str, kind: type[SeqAssetsError] = SourceError) -> Iterator[str]:
    """The names of the folders directly below an address that ends with a slash, without the objects in them.

    Raises:
        SeqAssetsError: The store refuses.
    """
    bucket, prefix = split_address(address, kind)
    with explained(address, kind):
        for page in s3_client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/"):
            for found in page.get("CommonPrefixes", ()):
                yield found["Prefix"].removeprefix(prefix).rstrip("/")


def find_object(address: str) -> StoredObject | None:
    """The object at an address, None where there is none; asks for no more than the right to list.

    Raises:
        SeqAssetsError: The store refuses.
    """
    bucket, key = split_address(address)
    with explained(address):
        # In the order of keys, the shortest of those that begin with it is the first.
        page = s3_client().list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
        return next((_stored(bucket, found) for found in page.get("Contents", ()) if found["Key"] == key), None)


def _stored(bucket: str, found: dict[str, Any]) -> StoredObject:
    return StoredObject(f"{SCHEME}{bucket}/{found['Key']}", found["Size"], found["ETag"], found["LastModified"])


def s3_client() -> Any:
    """A boto3 client; in one process, the same one as long as the settings are the same.

    Raises:
        SettingsError: The endpoint is no address.
    """
    return _client(*_place(), _credentials(), os.getpid())


def s3_filesystem() -> "S3FileSystem":
    """Arrow's file system, whose paths are `bucket/key`; in one process, the same one as long as the settings are the same.

    Raises:
        SettingsError: The endpoint is no address.
    """
    return _filesystem(*_place(), _credentials(), os.getpid())


@lru_cache(maxsize=4)
def _client(endpoint: str | None, region: str | None, credentials: int, process: int) -> Any:
    # A process that was forked has its own: on a connection that two share, each gets the other's answers.
    import boto3
    from botocore.config import Config

    style = {"addressing_style": "path"} if endpoint else {}
    config = Config(s3=style, retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"})
    # A session of its own, because the shared one keeps the credentials that it found first.
    return boto3.Session(region_name=region).client("s3", endpoint_url=endpoint, config=config)


@lru_cache(maxsize=4)
def _filesystem(endpoint: str | None, region: str | None, credentials: int, process: int) -> "S3FileSystem":
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    # With an endpoint of its own, Arrow has the bucket in the path.
    retries = AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS)
    return S3FileSystem(endpoint_override=endpoint, region=region, retry_strategy=retries)


def _place() -> tuple[str | None, str | None]:
    """The endpoint and the region; None for those of AWS and of the profile."""
    variable = next((name for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL") if os.environ.get(name)), None)
    if variable and not _ENDPOINT.fullmatch(os.environ[variable]):
        raise SettingsError(f"{variable}: found something else than an address; allowed: https://… (or http://…)")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None
    return os.environ[variable] if variable else None, region


def _credentials() -> int:
    """Another number where the settings mean other credentials."""
    return hash(tuple(os.environ.get(name) for name in _CREDENTIALS))


class ObjectFile(io.RawIOBase):
    """One object for reading, at any place, without reading the rest; each read is a request.

    Of an answer that is shorter than what was asked for, and says so, Arrow does not tell: behind the bytes that came, it
    leaves what was in memory before. So the last byte is marked; where the mark stays, the bytes are asked for again, with
    another mark, and bytes that stay away are an error.
    """

    def __init__(self, address: str, kind: type[SeqAssetsError] = SourceError, opened: "NativeFile | None" = None) -> None:
        """Opens the object.

        Args:
            address: Where it is.
            kind: The error to raise for what the caller can mend.
            opened: The object as Arrow has opened it; None has it opened here.

        Raises:
            SeqAssetsError: It is not there, or the store refuses.
        """
        super().__init__()
        self._address = address
        self._kind = kind
        self._place = 0
        with explained(address, kind):
            self._file = opened or s3_filesystem().open_input_file("/".join(split_address(address, kind)))
            self._size = int(self._file.size())

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to another place."""
        self._go_to({io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size}[whence] + offset)
        return self.tell()

    def tell(self) -> int:
        """The place."""
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes, as many as asked for unless the end comes first.

        Raises:
            RetryableError: The store gives fewer, whenever it is asked.
            SeqAssetsError: The store refuses.
        """
        place = self.tell()
        left = max(self._size - place, 0)
        wanted = left if size is None or size < 0 else min(size, left)
        content = self._read_at(wanted, place) if wanted else b""
        self._go_to(place + len(content))
        return content

    def readall(self) -> bytes:
        """All that is left."""
        return self.read()

    def readinto(self, buffer: Any) -> int:
        """The next bytes into a buffer."""
        content = self.read(memoryview(buffer).nbytes)
        memoryview(buffer).cast("B")[: len(content)] = content
        return len(content)

    def close(self) -> None:
        """Closes it."""
        if not self.closed:
            self._file.close()
        super().close()

    def _go_to(self, place: int) -> None:
        self._place = place

    def _read_at(self, wanted: int, place: int) -> bytes:
        for number in range(_ATTEMPTS):
            content, mark = bytearray(wanted), _MARK - number
            content[-1] = mark
            with explained(self._address, self._kind):
                try:
                    # A stream of its own, because threads may share the file.
                    read = self._file.get_stream(place, wanted).readinto(content)
                except OSError as error:
                    if _NO_ROOM not in str(error):
                        raise
                    return self._asked_otherwise(wanted, place)
            if read == wanted and content[-1] != mark:
                return bytes(content)
        raise self._too_few(wanted, place)

    def _asked_otherwise(self, wanted: int, place: int) -> bytes:
        """The same bytes by boto3, where Arrow does not say why the store refuses them."""
        bucket, key = split_address(self._address, self._kind)
        asked = f"bytes={place}-{place + wanted - 1}"
        content = cast(bytes, s3_client().get_object(Bucket=bucket, Key=key, Range=asked)["Body"].read())
        if len(content) != wanted:
            raise self._too_few(wanted, place)
        return content

    def _too_few(self, wanted: int, place: int) -> RetryableError:
        return RetryableError(
            f"{self._address!r} cannot be read now: of {wanted:,} bytes from byte {place:,} on, the store gives fewer; try "
            "again. If it lasts, see what is between here and the store (AWS_ENDPOINT_URL), or write the object anew."
        )


def open_object(address: str, kind: type[SeqAssetsError] = SourceError) -> BinaryIO:
    """The object at an address, for reading at any place.

    Raises:
        SeqAssetsError: It is not there, or the store refuses; reading raises the same.
    """
    return cast(BinaryIO, ObjectFile(address, kind))


def read_object(address: str, kind: type[SeqAssetsError]) -> bytes | None:
    """The content of a small object; None where there is none.

    Raises:
        SeqAssetsError: The store refuses.
    """
    with explained(address, kind):
        try:
            opened = s3_filesystem().open_input_file("/".join(split_address(address, kind)))
        except FileNotFoundError:
            # A bucket that is missing looks alike; a listing tells them apart.
            next(list_objects(address, kind), None)
            return None
    with ObjectFile(address, kind, opened) as file:
        return file.read()


def remove_objects(address: str, kind: type[SeqAssetsError]) -> None:
    """Removes all objects whose address begins with this one.

    Raises:
        SeqAssetsError: The store refuses, if only for one of them.
    """
    remove_each((found.address for found in list_objects(address, kind)), kind)


def remove_each(addresses: Iterable[str], kind: type[SeqAssetsError]) -> None:
    """Removes objects of one bucket, those that are there.

    Raises:
        SeqAssetsError: The store refuses, if only for one of them.
    """
    pending = iter(addresses)
    while batch := list(itertools.islice(pending, _REMOVED_AT_ONCE)):
        bucket, _ = split_address(batch[0], kind)
        keys = [{"Key": address.removeprefix(f"{SCHEME}{bucket}/")} for address in batch]
        with explained(batch[0], kind):
            answer = s3_client().delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        for refused in answer.get("Errors", ()):
            raise _failure(f"{SCHEME}{bucket}/{refused['Key']}", refused["Code"], "", "DeleteObjects", kind)


def list_uploads(address: str, kind: type[SeqAssetsError]) -> Iterator[UnfinishedUpload]:
    """The uploads of objects whose address begins with this one that nobody has finished, and that still take room.

    Raises:
        SeqAssetsError: The store refuses.
    """
    bucket, prefix = split_address(address, kind)
    with explained(address, kind):
        for page in s3_client().get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
            for found in page.get("Uploads", ()):
                yield UnfinishedUpload(f"{SCHEME}{bucket}/{found['Key']}", found["UploadId"], found["Initiated"])


def upload_size(upload: UnfinishedUpload, kind: type[SeqAssetsError]) -> int:
    """The bytes that an unfinished upload takes; 0 where it is there no more.

    Raises:
        SeqAssetsError: The store refuses.
    """
    client = s3_client()
    bucket, key = split_address(upload.address, kind)
    with explained(upload.address, kind), suppress(client.exceptions.NoSuchUpload):
        pages = client.get_paginator("list_parts").paginate(Bucket=bucket, Key=key, UploadId=upload.id)
        return sum(part["Size"] for page in pages for part in page.get("Parts", ()))
    return 0


def abort_upload(upload: UnfinishedUpload, kind: type[SeqAssetsError]) -> None:
    """Gives up an upload that nobody has finished, if it is still there.

    Raises:
        SeqAssetsError: The store refuses.
    """
    client = s3_client()
    bucket, key = split_address(upload.address, kind)
    with explained(upload.address, kind), suppress(client.exceptions.NoSuchUpload):
        client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload.id)


class DuckDBFiles(AbstractFileSystem):  # type: ignore[misc]
    """Objects as DuckDB reads them, by their addresses; no character of an address is taken for a pattern.

    Objects must not change while they are read: what is known of one is asked for once.
    """

    protocol = "s3"
    root_marker = ""
    # Not fsspec's way to have one instance for equal arguments: the settings may be other ones.
    cachable = False

    def __init__(self, kind: type[SeqAssetsError] = SourceError) -> None:
        """Nothing is asked for yet."""
        super().__init__()
        self._error: SeqAssetsError | None = None
        self._kind = kind
        self._known: dict[str, FileInfo] = {}

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        """The address as it is; fsspec would cut it at characters that mean something in URLs."""
        return path

    def glob(self, path: str, **arguments: Any) -> list[str]:
        """The one object that an escaped address means."""
        return [re.sub(r"\[([*?[])\]", r"\1", path)]

    def info(self, path: str, **arguments: Any) -> dict[str, Any]:
        """The size and the time of an object."""
        found = self._info(path)
        return {"name": path, "size": found.size, "type": "file", "mtime": found.mtime}

    def modified(self, path: str) -> Any:
        """When the object was written."""
        return self._info(path).mtime

    def _open(self, path: str, mode: str = "rb", **arguments: Any) -> BinaryIO:
        with self._noted():
            return cast(BinaryIO, _DuckDBFile(path, self))

    def _info(self, path: str) -> "FileInfo":
        if path not in self._known:
            with self._noted(), explained(path, self._kind):
                found = s3_filesystem().get_file_info("/".join(split_address(path, self._kind)))
                if not found.is_file:
                    raise FileNotFoundError(path)
                self._known[path] = found
        return self._known[path]

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except SeqAssetsError as error:
            self._error = error
            raise

    def failure(self) -> SeqAssetsError | None:
        """Why reading failed, if it did since this was asked for."""
        error, self._error = self._error, None
        return error


class _DuckDBFile(ObjectFile):
    """An object whose place is each thread's own, and whose failure to be read is noted.

    Threads of DuckDB share an open file, and go to a place and read there in two steps: with one place for all, they would get
    each other's bytes.
    """

    def __init__(self, address: str, files: DuckDBFiles) -> None:
        super().__init__(address, files._kind)
        self._files = files
        self._of_thread = threading.local()

    def tell(self) -> int:
        return getattr(self._of_thread, "place", 0)

    def _go_to(self, place: int) -> None:
        self._of_thread.place = place

    def _read_at(self, wanted: int, place: int) -> bytes:
        with self._files._noted():
            return super()._read_at(wanted, place)


def register_objects(
    connection: "duckdb.DuckDBPyConnection", kind: type[SeqAssetsError] = SourceError
) -> Callable[[], SeqAssetsError | None]:
    """Makes addresses on S3 readable for DuckDB, without its extension for that.

    Args:
        connection: Any; all that share its database can read them.
        kind: The error of what the caller can mend.

    Returns:
        Says why reading failed, if it did, and forgets it, because DuckDB makes a text of it.
    """
    files = DuckDBFiles(kind)
    if connection.filesystem_is_registered(files.protocol):
        connection.unregister_filesystem(files.protocol)
    connection.register_filesystem(files)
    return files.failure


@contextmanager
def explained(address: str, kind: type[SeqAssetsError] = SourceError) -> Iterator[None]:
    """What the store refuses inside becomes an error for the user, which shows the address and no credential.

    Raises:
        RetryableError: The store is out of reach, or has too much to do.
        SeqAssetsError: Of the given kind, for all else.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        answer = error.response
        http_status = str(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
        # That of all refusals by Glue says nothing that the code does not.
        telling = "" if http_status == "400" else http_status
        raise _failure(address, str(answer["Error"]["Code"]), telling, error.operation_name, kind) from error
    except BotoCoreError as error:
        raise _not_asked(address, error, kind) from error
    except FileNotFoundError as error:
        raise _failure(address, "NoSuchKey", "404", None, kind) from error
    except OSError as error:
        match = _ARROW_ERROR.search(str(error))
        code, status, operation, unparsed = match.groups() if match else ("Unknown", None, None, None)
        # Of codes that it does not know, Arrow tells the name in the text alone.
        raise _failure(address, unparsed or code, status or "", operation, kind) from error


def _failure(address: str, code: str, status: str, operation: str | None, kind: type[SeqAssetsError]) -> SeqAssetsError:
    """The error for what the store answered."""
    if code == "UNKNOWN" and not status:
        # Arrow's word; a refusal has a status.
        return RetryableError(f"{address!r} cannot be used now: the store's answer cannot be understood; try again.")
    known = [name.lower().replace("_", "").removesuffix("exception") for name in (code, status) if name]
    shown = f"{code} in {operation}" if operation else code
    for name in known:
        if name in _REMEDIES:
            remedy = _REMEDIES[name].format(action=_action(address, operation))
            return kind(f"{address!r} cannot be used: {remedy} ({shown}).")
        if _PASSING.fullmatch(name):
            return RetryableError(
                f"{address!r} cannot be used now: the store is out of reach or too busy ({shown}); try again."
            )
    return kind(f"{address!r} cannot be used: the store refused ({shown}); see AWS_ENDPOINT_URL, AWS_REGION and AWS_PROFILE.")


def _action(address: str, operation: str | None) -> str:
    """What a policy has to allow, as IAM names it."""
    if operation is None:
        return "it"
    return f"s3:{_ACTIONS.get(operation, operation)}" if address.startswith(SCHEME) else f"glue:{operation}"


def _not_asked(address: str, error: Exception, kind: type[SeqAssetsError]) -> SeqAssetsError:
    """The error for what went wrong before the store answered."""
    from botocore.exceptions import (
        ConnectionError,  # noqa: A004
        FlexibleChecksumError,
        HTTPClientError,
        IncompleteReadError,
    )

    name = type(error).__name__
    if isinstance(error, (ConnectionError, HTTPClientError, IncompleteReadError, FlexibleChecksumError)):
        return RetryableError(f"{address!r} cannot be reached ({name}); try again, or mend AWS_ENDPOINT_URL.")
    if any(word in name for word in ("Credential", "Token", "SSO", "Profile")):
        return kind(f"{address!r} cannot be used: no credentials that can be used were found ({name}); {_CREDENTIALS_REMEDY}.")
    if "Region" in name:
        return kind(f"{address!r} cannot be used: no region was found ({name}); set AWS_REGION.")
    return kind(f"{address!r} cannot be used ({name}); see AWS_ENDPOINT_URL, AWS_REGION and AWS_PROFILE.")
