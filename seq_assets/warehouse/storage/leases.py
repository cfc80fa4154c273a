"""Leases: who works in a database says so there, so that `gc`, on whichever machine, leaves alone what is not published yet.

A lease is an empty file whose name says the process, and whose time, by the clock of whoever keeps the files, says since when.
Whatever is written later, or was the newest version then, may be in use. It outlives no process: it is gone with the work, and
that of a process that was killed counts no more where that is known, on the same machine, or after a week.

Belongs here: taking a lease, and which ones count. Not here: what is left alone (`expiry`, `leftovers`).
"""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from seq_assets.errors import SeqAssetsError
from seq_assets.warehouse.cancellation import tidying
from seq_assets.warehouse.ownership import Process
from seq_assets.warehouse.storage.storage import Storage, StoredFile

logger = logging.getLogger(__name__)

FOLDER: Final = "leases"
LONGEST_WORK: Final = timedelta(days=7)
"""More than any ingest takes: as long counts a lease of another machine, whose process nobody here can look for."""


@dataclass(frozen=True)
class Lease:
    """That somebody has been working since some time.

    Attributes:
        file: Says it.
    """

    file: StoredFile

    @property
    def since(self) -> datetime:
        """When the work began, by the clock of whoever keeps the files."""
        return self.file.modified

    def is_over(self, now: datetime) -> bool:
        """Whether nobody works under it any more."""
        process = Process.from_text(self.file.name.rpartition(".")[0])
        return self.since < now - LONGEST_WORK or (process is not None and process.is_dead)


@contextmanager
def lease(storage: Storage) -> Iterator[str]:
    """Within it, nothing that is written, and no version that is the newest, is removed; gives the lease's location."""
    location = f"{storage.root}/{FOLDER}/{Process.current().to_text()}.{uuid.uuid4().hex}"
    storage.replace(location, b"")
    try:
        yield location
    finally:
        try:
            with tidying():
                storage.remove_files([location])
        except SeqAssetsError as error:
            # What ended the work is what must be told.
            logger.warning("The lease %s is left for gc: %s", location, error)


def leases(storage: Storage) -> list[Lease]:
    """All leases that there are."""
    return [Lease(file) for file in storage.entries(f"{storage.root}/{FOLDER}")]
