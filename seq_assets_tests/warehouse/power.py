"""A disk whose power can be cut: a file system of its own, which forgets what was not yet on the disk.

Belongs here: the disk. Not here: who writes to it (`processes`), or what must be there afterwards (`test_power`).
"""

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MEGABYTES: Final = 256
_SHUT_DOWN: Final = 0x8004587D
"""`FS_IOC_GOINGDOWN`: the file system stops at once, at whatever it is doing."""
_WITHOUT_WRITING: Final = struct.pack("I", 2)
"""Nothing that is only in memory reaches the disk any more: neither files nor the file system's journal."""
_PROGRAMS: Final = ("mkfs.ext4", "mount", "umount")


@dataclass(frozen=True)
class Disk:
    """An ext4 file system in a file, on a loop device.

    Attributes:
        image: The file: what is in it is what the disk holds when the power is gone.
        folder: Where it is mounted.
    """

    image: Path
    folder: Path

    @classmethod
    @contextmanager
    def attached(cls, place: Path) -> Iterator["Disk"]:
        """An empty disk, mounted; it is detached afterwards on every path."""
        disk = cls(place / "disk.img", place / "disk")
        disk.folder.mkdir()
        with disk.image.open("xb") as image:
            image.truncate(MEGABYTES << 20)
        _run("mkfs.ext4", "-q", "-F", str(disk.image))
        disk._mount()
        try:
            yield disk
        finally:
            disk._unmount()
            disk.image.unlink()

    def cut(self) -> None:
        """The power goes now: who still writes is told of an error."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUT_DOWN, _WITHOUT_WRITING)
        finally:
            os.close(descriptor)

    def restart(self) -> None:
        """The power is back: the file system replays its journal. Nobody may have a file open any more."""
        self._unmount()
        self._mount()

    def _mount(self) -> None:
        _run("mount", "-o", "loop", str(self.image), str(self.folder))

    def _unmount(self) -> None:
        if self.folder.is_mount():
            _run("umount", str(self.folder))


def why_no_disk(place: Path) -> str | None:
    """Why this machine lets nobody cut the power of a disk; None where it does."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"a disk of its own needs {', '.join(missing)}"
    if os.geteuid() != 0:
        return "a disk of its own is mounted by root alone"
    trial = place / "trial"
    trial.mkdir()
    try:
        with Disk.attached(trial) as disk:
            disk.cut()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no disk of its own can be mounted, or its power cut, here: {getattr(error, 'stderr', '') or error}"
    return None


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)  # of this module alone
