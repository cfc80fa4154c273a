"""One finished file at a place of the user's, here or on S3: it is there whole, or what stood there before stands.

Belongs here: how such a file is put in place. Not here: what is in it, and whole folders (`delivery`).
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

from seq_assets.errors import SeqAssetsError, SettingsError
from seq_assets.warehouse.cancellation import tidying
from seq_assets.warehouse.storage.delivery import S3, explained_here, made
from seq_assets.warehouse.storage.durable import DurableFile, synchronize_folder
from seq_assets.warehouse.storage.owned_folders import folders_of_the_dead, own_folder

logger = logging.getLogger(__name__)

_SCRATCH: Final = ".seq_assets_export_"


@contextmanager
def whole_file(location: str, *, replace: bool) -> Iterator[IO[bytes]]:
    """A file to be written; it is in place when the context ends without an error, and else leaves nothing behind.

    Args:
        location: A path, whose folders are made where they are missing, or an address on S3.
        replace: Whether it may take the place of a file that is there.

    Raises:
        SettingsError: The place cannot be written, is a folder, or has a file that must not be replaced.
        RetryableError: The store cannot be reached now.
    """
    with (_on_s3 if location.startswith(S3) else _here)(location, replace) as sink:
        yield sink


def _there_already(location: str) -> SettingsError:
    return SettingsError(
        f"{location!r} is there already; choose another place, or replace it with --force (in Python, force=True)."
    )


@contextmanager
def _here(location: str, replace: bool) -> Iterator[IO[bytes]]:
    # The file that a link leads to is replaced, and the link stays.
    place = Path(location).expanduser().resolve()
    with explained_here(place):
        _require_free(place, location, replace)
        for left in folders_of_the_dead(place.parent, _SCRATCH):
            shutil.rmtree(left, ignore_errors=True)
        with made(place.parent), own_folder(place.parent, _SCRATCH) as scratch:
            unfinished = DurableFile(scratch / "unfinished", "xb")
            try:
                yield unfinished
                unfinished.close()
            finally:
                unfinished.abandon()
            _require_free(place, location, replace)
            (scratch / "unfinished").rename(place)
            synchronize_folder(place.parent)


def _require_free(place: Path, location: str, replace: bool) -> None:
    if place.is_dir() or location.endswith("/"):
        raise SettingsError(f"{location!r} is a folder; name a file in it.")
    if place.exists() and not place.is_file():
        raise SettingsError(f"{location!r} is there already and is no ordinary file; choose another place.")
    if place.exists() and not replace:
        raise _there_already(location)


@contextmanager
def _on_s3(location: str, replace: bool) -> Iterator[IO[bytes]]:
    from seq_assets.warehouse.storage.object_store import find_object, split_address
    from seq_assets.warehouse.storage.uploads import ObjectSink

    _, key = split_address(location, SettingsError)
    if not key or key.endswith("/"):
        raise SettingsError(f"{location!r} is a folder; name a file in it.")
    if not replace and find_object(location) is not None:
        raise _there_already(location)
    sink = ObjectSink(location, SettingsError)
    try:
        yield cast(IO[bytes], sink)
        if not replace and find_object(location) is not None:
            raise _there_already(location)
        sink.finish()
    except BaseException:
        try:
            with tidying():
                sink.abandon()
        except SeqAssetsError as error:
            # What ended the writing is what must be told.
            logger.warning("Parts of an upload to %s are left, which a rule of the bucket may remove: %s", location, error)
        raise
