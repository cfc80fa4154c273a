"""Folders for work in progress that carry the name of their process, so that what it leaves when it is killed can be found.

Belongs here: making them, and finding those of the dead. Not here: what is in them.
"""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seq_assets.warehouse.ownership import Process


@contextmanager
def own_folder(parent: Path, prefix: str = "") -> Iterator[Path]:
    """A folder of this process, which is gone afterwards; the one that it is in is made where it is missing.

    Args:
        parent: Where it is made.
        prefix: What its name begins with, where others have folders there, too.
    """
    folder = parent / f"{prefix}{Process.current().to_text()}.{uuid.uuid4().hex}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def folders_of_the_dead(parent: Path, prefix: str = "") -> list[Path]:
    """The folders that processes have made there by `own_folder` which are known to be dead, in the order of their names."""
    if not parent.is_dir():
        return []
    owners = {folder: _owner(folder.name, prefix) for folder in parent.iterdir() if folder.name.startswith(prefix)}
    return sorted(folder for folder, owner in owners.items() if owner is not None and owner.is_dead)


def _owner(name: str, prefix: str) -> Process | None:
    return Process.from_text(name.removeprefix(prefix).rpartition(".")[0])
