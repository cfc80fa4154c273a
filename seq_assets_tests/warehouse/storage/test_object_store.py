"""What an address is, what the store's refusals are called, and what too short an answer becomes; without a store."""

import io
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from seq_assets.errors import RetryableError, SeqAssetsError, SettingsError, SourceError
from seq_assets.warehouse.storage.object_store import ObjectFile, explained, s3_client, s3_filesystem, split_address

SECRET = "hush-hush"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    # No test asks the machine that it runs on.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.parametrize(
    ("address", "bucket", "key"),
    [
        ("s3://bucket", "bucket", ""),
        ("s3://bucket/", "bucket", ""),
        ("s3://a.b-c/x", "a.b-c", "x"),
        ("s3://bucket/a b/ü?#%[*].csv", "bucket", "a b/ü?#%[*].csv"),
        ("s3://bucket/a/", "bucket", "a/"),
    ],
)
def test_an_address_is_a_bucket_and_a_key(address: str, bucket: str, key: str) -> None:
    assert split_address(address) == (bucket, key)


@pytest.mark.parametrize(
    "address", ["bucket/x", "/data/x", "s3:/bucket/x", "s3://", "s3:///x", "s3://B/x", "s3://a_b/x", "s3://-ab/x"]
)
def test_what_is_no_address_is_an_error_that_says_what_one_is(address: str) -> None:
    with pytest.raises(SourceError, match=r"is no address on S3; allowed: s3://bucket/key"):
        split_address(address)
    with pytest.raises(SettingsError):
        split_address(address, SettingsError)


@pytest.mark.parametrize(
    "address", ["s3://bucket/a//b", "s3://bucket//b", "s3://bucket/./b", "s3://bucket/a/../b", "s3://bucket/.."]
)
def test_a_key_has_no_part_that_programs_take_for_none(address: str) -> None:
    with pytest.raises(SourceError, match="has a part that is empty"):
        split_address(address)


def refusal(error: Exception, kind: type[SeqAssetsError] = SourceError) -> SeqAssetsError:
    """The error that another one becomes."""
    with pytest.raises(SeqAssetsError) as caught, explained("s3://bucket/x", kind):
        raise error
    assert "'s3://bucket/x'" in str(caught.value)
    return caught.value


def answer(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "ListObjectsV2")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (answer("NoSuchBucket", 404), "the bucket does not exist there"),
        (answer("AccessDenied", 403), "permission denied; allow s3:ListBucket for .* AWS_PROFILE"),
        (answer("SomethingNew", 403), "permission denied; .* AWS_PROFILE"),
        (answer("InvalidAccessKeyId", 403), "the credentials are refused; .* AWS_PROFILE"),
        (answer("SignatureDoesNotMatch", 403), "the credentials are refused; .* AWS_PROFILE"),
        (answer("ExpiredToken"), "have expired; renew them"),
        (answer("PermanentRedirect", 301), "set AWS_REGION"),
        (answer("SomethingNew", 418), "the store refused .*SomethingNew"),
        (NoCredentialsError(), "no credentials .* AWS_PROFILE"),
        (FileNotFoundError("bucket/x"), "the object is not there"),
        (OSError("When reading: AWS Error ACCESS_DENIED during HeadObject operation: No response body."), "allow s3:GetObject"),
        (OSError("When reading: AWS Error UNKNOWN (HTTP status 301) during HeadObject operation"), "set AWS_REGION"),
        (
            OSError("AWS Error UNKNOWN (HTTP status 400) during GetObject operation: No response body."),
            "either .* have expired",
        ),
        (
            OSError(
                "AWS Error UNKNOWN (HTTP status 400) during GetObject operation: Unable to parse ExceptionName: ExpiredToken "
                "Message: hush-hush"
            ),
            r"have expired; renew them.*\(ExpiredToken in GetObject\)",
        ),
        (OSError("something else"), "the store refused"),
    ],
)
@pytest.mark.parametrize("kind", [SourceError, SettingsError])
def test_a_refusal_says_what_can_be_done(error: Exception, words: str, kind: type[SeqAssetsError]) -> None:
    found = refusal(error, kind)
    assert type(found) is kind
    with pytest.raises(kind, match=words):
        raise found


@pytest.mark.parametrize(
    "error",
    [
        answer("SlowDown", 503),
        answer("RequestTimeout"),
        answer("InternalError", 500),
        answer("SomethingNew", 502),
        EndpointConnectionError(endpoint_url="http://user:hush-hush@store"),
        OSError("When reading: AWS Error NETWORK_CONNECTION during GetObject operation: curlCode: 7"),
        OSError("When reading: AWS Error SLOW_DOWN during GetObject operation: Please reduce your request rate."),
    ],
)
def test_what_may_pass_may_be_tried_again(error: Exception) -> None:
    found = refusal(error)
    assert isinstance(found, RetryableError)
    assert SECRET not in str(found)


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize("reach", [s3_client, s3_filesystem])
def test_an_endpoint_that_is_no_address_is_an_error_without_it(
    monkeypatch: pytest.MonkeyPatch, variable: str, reach: object
) -> None:
    monkeypatch.setenv(variable, "hush-hush:9000")
    with pytest.raises(SettingsError, match=f"{variable}: found something else than an address") as caught:
        reach()  # type: ignore[operator]
    assert SECRET not in str(caught.value)


def test_the_settings_of_s3_beat_those_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:2")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    meta = s3_client().meta
    assert (meta.endpoint_url, meta.region_name) == ("http://127.0.0.1:2", "eu-west-3")
    assert meta.config.s3["addressing_style"] == "path"
    assert s3_filesystem().region == "eu-west-3"


def test_a_client_is_made_once_for_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    first = s3_client(), s3_filesystem()
    assert (s3_client(), s3_filesystem()) == first
    assert s3_client() is first[0]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    assert s3_client() is not first[0]


class _ShortFile:
    """Reads as Arrow does where an answer is too short: as if all had come, and what did not come is left as it was."""

    def __init__(self, content: bytes, short_answers: int) -> None:
        self._content = content
        self._short_answers = short_answers

    def size(self) -> int:
        return len(self._content)

    def close(self) -> None:
        pass

    def get_stream(self, place: int, size: int) -> Any:
        content = self._content[place : place + size]
        kept = len(content) if self._short_answers <= 0 else len(content) // 2
        self._short_answers -= 1

        class Stream(io.RawIOBase):
            def readinto(self, buffer: Any) -> int:
                buffer[:kept] = content[:kept]
                return len(content)

        return Stream()


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("last", [0xFF, 0xFE, 0])
def test_bytes_that_did_not_come_are_asked_for_again(size: int, last: int) -> None:
    content = bytearray(number % 256 for number in range(3000))
    content[500 + size - 1] = last
    opened: Any = _ShortFile(bytes(content), 2)
    with ObjectFile("s3://bucket/x", SettingsError, opened) as file:
        file.seek(500)
        assert file.read(size) == content[500 : 500 + size]
        assert file.tell() == 500 + size
        assert file.read() == content[500 + size :]
        assert file.read() == b""


def test_bytes_that_never_come_are_an_error_and_never_what_was_in_memory() -> None:
    opened: Any = _ShortFile(b"x" * 3000, 1000)
    with ObjectFile("s3://bucket/x", SettingsError, opened) as file:
        for read in (lambda: file.read(100), file.readall, lambda: file.readinto(bytearray(100))):
            with pytest.raises(RetryableError, match=r"'s3://bucket/x' cannot be read now: of .* the store gives fewer"):
                read()


def test_an_answer_that_cannot_be_understood_may_pass() -> None:
    with pytest.raises(RetryableError, match="answer cannot be understood"), explained("s3://bucket", SettingsError):
        raise OSError("When listing: AWS Error UNKNOWN during ListObjectsV2 operation: Failed to parse XML")
