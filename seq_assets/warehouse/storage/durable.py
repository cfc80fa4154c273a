"""Files and folders of this machine that are there to stay: a cut of the power takes nothing back.

Belongs here: what must be synchronized for that. Not here: which files there are (`storage`, `local.file_io`).
"""

import io
import os
from itertools import takewhile
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it that are missing; they are there to stay when this returns."""
    missing = list(takewhile(lambda candidate: not candidate.exists(), (folder, *folder.parents)))
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        synchronize_folder(made.parent)


def synchronize_folder(folder: Path) -> None:
    """Has the names in a folder stay: those that were made, changed or removed until now."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DurableFile(io.BufferedWriter):
    """A file that is written, and is there to stay when it has been closed without an error."""

    def __init__(self, path: Path, mode: str, keeps_name: bool = True) -> None:
        """Opens a file in a folder that is made where it is missing.

        Args:
            path: The file.
            mode: `xb` for a new file, `wb` for another content of one that may be there.
            keeps_name: Whether its name stays, too; else whoever writes the last file of the folder, or renames it, sees
                to that.

        Raises:
            FileExistsError: The file is there, and was to be new.
        """
        make_folder(path.parent)
        self._folder = path.parent if keeps_name else None
        super().__init__(io.FileIO(path, mode))

    def close(self) -> None:
        """Has the content stay, and the file's name where that is wanted."""
        if self.closed:
            return
        try:
            self.flush()
            os.fsync(self.fileno())
        finally:
            super().close()
        if self._folder is not None:
            synchronize_folder(self._folder)

    def abandon(self) -> None:
        """Closes what nobody wants any more, whatever of it was written."""
        self.raw.close()
