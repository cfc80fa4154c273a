"""Objects in the making: their parts are with the store, and they appear when they are completed, and not before.

Belongs here: what is written to S3 or copied within it. Not here: how S3 is reached, and what lies there (`object_store`).
"""

import io
from typing import Any, Final

from seq_assets.errors import SeqAssetsError
from seq_assets.warehouse.cancellation import raise_if_canceled
from seq_assets.warehouse.storage.object_store import StoredObject, explained, s3_client, split_address

PART: Final = 1 << 24
"""Bytes of one part that is sent."""
COPIED_PART: Final = 1 << 28
"""Bytes of one part that the store copies; it copies 5 GiB at most in one request."""
_MOST_PARTS: Final = 10_000
"""Of one object."""


def part_size(size: int, usual: int) -> int:
    """Bytes of each part of an object of so many bytes, which may need larger ones than usual."""
    return max(usual, -(-size // _MOST_PARTS))


class Upload:
    """One object in the making, given part by part. Whoever makes it completes or aborts it; else its parts stay, and cost."""

    def __init__(self, address: str, kind: type[SeqAssetsError]) -> None:
        """Begins it; nothing appears.

        Args:
            address: Where the object will be.
            kind: The error to raise for what the caller can mend.

        Raises:
            SeqAssetsError: The address is none, or the store refuses; all other methods raise the same.
        """
        self.address = address
        self._kind = kind
        bucket, key = split_address(address, kind)
        self._arguments = {"Bucket": bucket, "Key": key}
        self._parts: list[dict[str, Any]] = []
        with explained(address, kind):
            self._arguments["UploadId"] = s3_client().create_multipart_upload(**self._arguments)["UploadId"]

    def send(self, content: bytes) -> None:
        """The next part; all but the last have 5 MiB at least."""
        with explained(self.address, self._kind):
            answer = s3_client().upload_part(**self._arguments, PartNumber=self._number, Body=content)
        self._add(answer)

    def copy(self, source: StoredObject, usual_part: int = COPIED_PART) -> None:
        """All of another object, which the store copies by itself; can be canceled between two parts."""
        bucket, key = split_address(source.address, self._kind)
        size = part_size(source.size, usual_part)
        for start in range(0, source.size, size):
            raise_if_canceled()
            # Of a small object no range may be named.
            bounds = {"CopySourceRange": f"bytes={start}-{min(start + size, source.size) - 1}"} if source.size > size else {}
            with explained(source.address, self._kind):
                answer = s3_client().upload_part_copy(
                    **self._arguments, PartNumber=self._number, CopySource={"Bucket": bucket, "Key": key}, **bounds
                )
            self._add(answer["CopyPartResult"])

    def complete(self) -> None:
        """Makes the object appear, instead of what stood there."""
        with explained(self.address, self._kind):
            s3_client().complete_multipart_upload(**self._arguments, MultipartUpload={"Parts": self._parts})

    def abort(self) -> None:
        """Gives the parts up; nothing appears."""
        with explained(self.address, self._kind):
            s3_client().abort_multipart_upload(**self._arguments)

    @property
    def _number(self) -> int:
        return len(self._parts) + 1

    def _add(self, answer: dict[str, Any]) -> None:
        self._parts.append({"PartNumber": self._number, "ETag": answer["ETag"]})


class ObjectSink(io.RawIOBase):
    """A new object, written in parts; it is there when `finish` returns, and not before."""

    def __init__(self, address: str, kind: type[SeqAssetsError]) -> None:
        """Asks for nothing yet.

        Raises:
            SeqAssetsError: The address is none.
        """
        super().__init__()
        self._address = address
        self._kind = kind
        self._bucket, self._key = split_address(address, kind)
        self._pending = bytearray()
        self._upload: Upload | None = None
        self._written = 0

    def writable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The bytes so far."""
        return self._written

    def write(self, content: Any) -> int:
        """Takes all of the content."""
        size = memoryview(content).nbytes
        self._pending += content
        self._written += size
        if len(self._pending) >= PART:
            self._upload = self._upload or Upload(self._address, self._kind)
            self._send(self._upload)
        return size

    def finish(self) -> None:
        """Writes what is left and makes the object appear."""
        if self._upload is None:
            with explained(self._address, self._kind):
                s3_client().put_object(Bucket=self._bucket, Key=self._key, Body=bytes(self._pending))
            return
        if self._pending:
            self._send(self._upload)
        self._upload.complete()

    def abandon(self) -> None:
        """Gives the parts up; nothing appears."""
        if self._upload is not None:
            self._upload.abort()

    def _send(self, upload: Upload) -> None:
        upload.send(bytes(self._pending))
        self._pending.clear()
