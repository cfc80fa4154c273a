"""Whose something is: the process that made it, which may be known to be dead.

What a process leaves when it is killed carries its name, so that whoever comes later can tell what nobody works on any more.
Only what is certain counts as dead: a process of another host, or of another container, is never judged.

Belongs here: naming a process, and whether it is dead. Not here: what is done with what it left.
"""

import hashlib
import os
import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_STATE: Final = 0
"""Among the values of /proc/<pid>/stat that are behind the name of the program."""
_STARTED: Final = 19
"""The same."""
_ENDED: Final = "ZX"
"""States of a process that has ended, and of which its parent has not taken notice."""
_NO_PROCESS: Final = ""
_SECONDS_TO_ANSWER: Final = 10


@dataclass(frozen=True)
class Process:
    """One process of one machine, told from all others, those of before and after it included.

    Attributes:
        host: The machine's name and a hash of its identity.
        boot: A hash of when the machine was started; empty where the system does not say.
        namespace: Within which the number counts: of a container another one than of its host.
        pid: Its number, which is used again.
        started: When it was started, in whatever the system counts; None where the system does not say.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: str | None

    @classmethod
    def current(cls) -> "Process":
        """This process."""
        return cls(_host(), _boot(), _namespace(), os.getpid(), _started(os.getpid()))

    @classmethod
    def from_text(cls, text: str) -> "Process | None":
        """The process that `to_text` wrote; None where the text is none of its."""
        host, *others = text.rsplit("_", maxsplit=4)
        if len(others) != 4 or not others[2].isdecimal():
            return None
        boot, namespace, pid, started = others
        return cls(host, boot, namespace, int(pid), started or None)

    def to_text(self) -> str:
        """The process as part of a file's name."""
        return "_".join((self.host, self.boot, self.namespace, str(self.pid), self.started or ""))

    @property
    def is_dead(self) -> bool:
        """Whether it is certain that it has ended."""
        if self.host != _host() or self.started is None:
            return False
        if self.boot != _boot():
            return True
        found = _started(self.pid) if self.namespace == _namespace() else None
        return found is not None and found != self.started


@cache
def _host() -> str:
    # Machines may share a name, copies of a machine its identity; of one that has neither, nothing more can be said.
    identity = _content(Path("/etc/machine-id")) or ""
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in platform.node())
    return f"{name}-{_hash(identity)}"


@cache
def _boot() -> str:
    identity = _content(Path("/proc/sys/kernel/random/boot_id"))
    return _hash(identity) if identity else ""


@cache
def _namespace() -> str:
    try:
        return _hash(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process was started; empty where there is none that still runs, None where that cannot be told."""
    if not Path("/proc/self/stat").exists():
        return _started_by_ps(pid)
    content = _content(Path(f"/proc/{pid}/stat"))
    if content is None:
        # Processes of other users may be hidden.
        return None if _exists(pid) else _NO_PROCESS
    # The program's name is in brackets, and may have brackets itself.
    values = content.rpartition(")")[2].split()
    return _NO_PROCESS if values[_STATE] in _ENDED else values[_STARTED]


def _started_by_ps(pid: int) -> str | None:
    """The same where there is no /proc: the time of day, to the second."""
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS_TO_ANSWER, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    state, _, started = shown.stdout.strip().partition(" ")
    if not state:
        return None if _exists(pid) else _NO_PROCESS
    return _NO_PROCESS if state[0] in _ENDED else _hash(started.strip())


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _content(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
