"""How faults of S3 look on the wire: refusals, answers that are cut off, shortened, slow, or that never come.

Belongs here: HTTP of S3. Not here: whose turn a fault is (`faults`), and S3 itself, which is moto's.
"""

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from urllib.parse import parse_qs

from seq_assets_tests.athena.faults import CallFault, Damage

StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
_DROPS: Final = 8
_SECONDS_BETWEEN_DROPS: Final = 0.02
# By the method, and whether a key is named: what a word of the query makes of it, and what it is without any.
_OPERATIONS: Final = {
    ("GET", True): ({}, "GetObject"),
    ("HEAD", True): ({}, "HeadObject"),
    ("PUT", True): ({"uploadId": "UploadPart"}, "PutObject"),
    ("POST", True): ({"uploads": "CreateMultipartUpload", "uploadId": "CompleteMultipartUpload"}, "PostObject"),
    ("DELETE", True): ({"uploadId": "AbortMultipartUpload"}, "DeleteObject"),
    ("GET", False): ({"uploads": "ListMultipartUploads"}, "ListObjectsV2"),
    ("HEAD", False): ({}, "HeadBucket"),
    ("PUT", False): ({}, "CreateBucket"),
    ("POST", False): ({"delete": "DeleteObjects"}, "PostBucket"),
    ("DELETE", False): ({}, "DeleteBucket"),
}


def operation_of(method: str, path: str, query: str) -> str:
    """The name of a call to S3 whose bucket is in the path."""
    bucket_and_key = path.strip("/").split("/", 1)
    words, otherwise = _OPERATIONS.get((method, len(bucket_and_key) == 2), ({}, "Unknown"))
    asked = parse_qs(query, keep_blank_values=True)
    return next((name for word, name in words.items() if word in asked), otherwise)


def refused(start_response: StartResponse, fault: CallFault) -> Iterable[bytes]:
    """The answer of S3 that refuses; its codes have no `Exception` at their end."""
    code = str(fault.code).removesuffix("Exception")
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{fault.message}</Message></Error>'
    start_response(f"{fault.status} Error", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body.encode()]


def damaged(
    application: Application, environ: dict[str, Any], start_response: StartResponse, damage: Damage
) -> Iterable[bytes]:
    """The answer to a call that was done, as it arrives."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    body = b"".join(application(environ, lambda status, headers: started.append((status, headers))))
    [(status, headers)] = started
    if damage == "reset":
        # The server would wait for another request on the same connection.
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError("before the answer")
    kept = body[: len(body) // 2] if damage in ("cut", "short") else body
    length = len(kept) if damage == "short" else len(body)
    others = [(name, value) for name, value in headers if name.lower() not in ("content-length", "transfer-encoding")]
    # What has no body says the length of what it does not send.
    start_response(status, [*others, ("Content-Length", str(length))] if body else headers)
    return _arriving(kept, damage)


def _arriving(body: bytes, damage: Damage) -> Iterator[bytes]:
    if damage != "slow":
        yield body
    else:
        size = len(body) // _DROPS + 1
        for start in range(0, len(body), size):
            time.sleep(_SECONDS_BETWEEN_DROPS)
            yield body[start : start + size]
    if damage == "cut":
        raise ConnectionResetError("in the middle of the answer")
