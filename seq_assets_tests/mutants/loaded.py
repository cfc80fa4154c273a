"""A process that has loaded the tests' libraries and runs pytest in copies of itself: loading takes longer than most tests.

Belongs here: that process, and the handle that another one has of it. The package and its tests are loaded by each copy anew,
because they differ from run to run.
"""

import json
import os
import select
import subprocess
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from signal import SIGKILL
from typing import Final, NoReturn, Self

import pytest

_LIBRARIES: Final = (
    "duckdb",
    "hypothesis.strategies",
    "pandas",
    "pyarrow.compute",
    "pyarrow.csv",
    "pyarrow.parquet",
    "pydantic",
    "pyiceberg.catalog.sql",
    "pyiceberg.io.pyarrow",
    "yaml",
)
_OUTPUT: Final = "output.txt"
_BROKEN: Final = 70


@dataclass(frozen=True)
class Run:
    """One run of pytest: its exit code, None where it was killed because it took too long, and what it printed."""

    code: int | None
    output: str


class Loaded:
    """The process, working in one folder; what is below that folder is imported first."""

    def __init__(self, folder: Path) -> None:
        """Starts it, without the settings of this process that would make runs differ."""
        self._folder = folder
        self._running: int | None = None
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "SEQ_ASSETS"))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=folder,
            env={**kept, "PYTHONPATH": str(folder), "COLUMNS": "300", "SEQ_ASSETS_TEST_EXAMPLES": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )

    def __enter__(self) -> Self:
        """As it is."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it, and the run that an interruption left."""
        if self._running is not None:
            _kill(self._running)
        self._process.kill()
        self._process.communicate()

    def pytest(self, arguments: Sequence[str], seconds: float | None = None) -> Run:
        """Runs pytest once, for at most so many seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(list(arguments)).encode() + b"\n")
        self._running = int(self._process.stdout.readline())
        ended, _, _ = select.select([self._process.stdout], [], [], seconds)
        if not ended:
            _kill(self._running)
        code = int(self._process.stdout.readline())
        self._running = None
        return Run(code if ended else None, (self._folder / _OUTPUT).read_text(encoding="utf-8", errors="replace"))


def _kill(group: int) -> None:
    """Ends a run with all processes that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(group, SIGKILL)


def _serve() -> None:
    """For each line, a list of arguments: prints the process that runs pytest with them, then its exit code."""
    for name in _LIBRARIES:
        import_module(name)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            _run(json.loads(line))
        print(process, flush=True)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(arguments: list[str]) -> NoReturn:
    """Runs pytest in a group of its own and ends the process, without what its parent would do at its end."""
    code = _BROKEN
    try:
        os.setsid()
        with Path(_OUTPUT).open("wb") as output, Path(os.devnull).open("rb") as nothing:
            for target, stream in ((0, nothing), (1, output), (2, output)):
                os.dup2(stream.fileno(), target)
        code = int(pytest.main(arguments))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
