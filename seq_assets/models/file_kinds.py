"""What stands at a path, in words, so that what would never end is named and not opened.

Belongs here: the words for kinds of files. Not here: which kinds are allowed where (`models.parsing`, the sources).
"""

import stat
from typing import Final

_KINDS: Final = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a link",
}


def kind_of_file(mode: int) -> str:
    """What a file is whose status has this mode (`st_mode`)."""
    return _KINDS.get(stat.S_IFMT(mode), "something that is no file")
