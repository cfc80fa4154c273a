"""Applies the faults to a copy of the package, one at a time, and says which test kills each: proof that the tests see.

Belongs here: copying, patching, and the verdict. Not here: the faults (`faults`), and how pytest is run (`loaded`).

Exit code 0 means that every fault was killed, 1 that one survived or could not be judged, 2 wrong usage.
"""

import argparse
import itertools
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from seq_assets_tests.mutants.faults import FAULTS, Fault
from seq_assets_tests.mutants.loaded import Loaded, Run

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("seq_assets", "seq_assets_tests", "pyproject.toml")
SECONDS: Final = 60
"""For the tests of one fault, which take a few seconds: a fault that needs longer never ends."""
_PYTEST: Final = (
    "-x",
    "-q",
    "-rfE",
    "--tb=short",
    "--disable-warnings",
    "-n",
    "0",
    "-p",
    "no:cacheprovider",
    "--hypothesis-profile",
    "repeatable",
    "-m",
    "not athena and not browser and not dg",
)
_TESTS_FAILED: Final = 1
_FAILED_TEST: Final = re.compile(r"^(?:FAILED|ERROR) seq_assets_tests/(?P<test>\S+?::.*?)(?: - (?P<why>.*))?$", re.MULTILINE)
_NO_PROGRAM: Final = re.compile(r"(SyntaxError|ImportError|ModuleNotFoundError|NameError|ParserException|BinderException)\b")
"""Errors, of Python or in SQL, of what cannot run at all."""
_IS_THE_COPY: Final = "seq_assets_tests/mutants/copied.py"
_NUMBERS: Final = itertools.count(1)


class Outcome(StrEnum):
    """What became of a fault."""

    KILLED = "killed"
    SURVIVED = "SURVIVED"
    ERROR = "ERROR"


@dataclass(frozen=True)
class Verdict:
    """What became of one fault, and by which test or why."""

    fault: Fault
    outcome: Outcome
    reason: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    asked = _parser().parse_args(arguments)
    faults = [fault for fault in FAULTS if not asked.names or any(name in fault.name for name in asked.names)]
    unknown = [name for name in asked.names if not any(name in fault.name for fault in FAULTS)]
    if unknown or asked.jobs < 1:
        print(f"no fault is named like {unknown}; --list shows all" if unknown else "--jobs: at least 1", file=sys.stderr)
        return 2
    if asked.list:
        print(*(f"{fault.name} ({fault.file})" for fault in faults), sep="\n")
        return 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants_") as folder, ExitStack() as stack:
        copies = [stack.enter_context(Copy(Path(folder) / str(number))) for number in range(asked.jobs)]
        problem = _unfit(copies, faults)
        if problem:
            print(problem, file=sys.stderr)
            return 1
        print(f"The tests pass without a fault ({time.monotonic() - started:.0f} s).", flush=True)
        verdicts = []
        for verdict in _verdicts(copies, faults):
            print(f"{verdict.outcome}: {verdict.fault.name}: {verdict.reason}", flush=True)
            verdicts.append(verdict)
    counts = ", ".join(f"{sum(verdict.outcome is outcome for verdict in verdicts)} {outcome}" for outcome in Outcome)
    print(f"{len(verdicts)} faults in {time.monotonic() - started:.0f} s: {counts}")
    return 0 if all(verdict.outcome is Outcome.KILLED for verdict in verdicts) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m seq_assets_tests.mutants",
        description="Applies faults to a copy of the package, one at a time, and shows that the tests kill each one.",
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="only faults whose name contains this; default: all")
    parser.add_argument("--jobs", type=int, default=2, help="faults judged at the same time; default: 2")
    parser.add_argument("--list", action="store_true", help="show the faults and do nothing else")
    return parser


class Copy(Loaded):
    """A copy of the package and its tests, and a process that runs pytest there."""

    def __init__(self, folder: Path) -> None:
        """Copies them; files keep their times."""
        self.folder = folder
        folder.mkdir()
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(ROOT / name, folder / name)
        super().__init__(folder)

    def test(self, paths: Iterable[str], seconds: float | None = None) -> Run:
        """Runs tests, up to the first that fails."""
        return self.pytest([*_PYTEST, *paths], seconds)


def _unfit(copies: Sequence[Copy], faults: Iterable[Fault]) -> str | None:
    """Why no kill would mean something: without a fault a test fails, or runs against another package."""
    paths = _paths(faults)
    # Each copy takes a part, in the way in which it will run them with a fault.
    parts = [[_IS_THE_COPY, *paths[number :: len(copies)]] for number in range(len(copies))]
    with ThreadPoolExecutor(len(copies)) as threads:
        runs = list(threads.map(Copy.test, copies, parts))
    failed = [run.output[-3_000:] for run in runs if run.code != 0]
    return "\n".join(["The tests must pass before a fault can be judged; without any:", *failed]) if failed else None


def _paths(faults: Iterable[Fault]) -> list[str]:
    """The tests of faults, each once: a file stands for all of its tests."""
    tests = list(dict.fromkeys(test for fault in faults for test in fault.tests))
    return [f"seq_assets_tests/{test}" for test in tests if "::" not in test or test.partition("::")[0] not in tests]


def _verdicts(copies: Sequence[Copy], faults: Sequence[Fault]) -> Iterator[Verdict]:
    """The verdicts in the order of the faults; each copy has one fault at a time."""
    free: SimpleQueue[Copy] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def judge_in_a_free_copy(fault: Fault) -> Verdict:
        copy = free.get()
        try:
            return judge(fault, copy)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as threads:
        yield from threads.map(judge_in_a_free_copy, faults)


def judge(fault: Fault, copy: Copy) -> Verdict:
    """Applies a fault to a copy, runs its tests there, and takes it back."""
    path = copy.folder / "seq_assets" / fault.file
    found = path.read_text(encoding="utf-8").count(fault.old)
    if found != fault.count:
        return Verdict(fault, Outcome.ERROR, f"cannot be applied: {fault.file} has its text {found} times, not {fault.count}")
    with _applied(fault, path):
        run = copy.test(_paths([fault]), SECONDS)
    if run.code is None:
        return Verdict(fault, Outcome.KILLED, f"its tests did not end within {SECONDS} s")
    if run.code == 0:
        return Verdict(fault, Outcome.SURVIVED, f"{', '.join(fault.tests)} passed")
    failed = _FAILED_TEST.search(run.output)
    # That a test fails for a program that cannot even run would prove nothing.
    if run.code != _TESTS_FAILED or failed is None or _NO_PROGRAM.search(failed["why"] or ""):
        return Verdict(fault, Outcome.ERROR, f"pytest ended with {run.code}:\n{run.output[-2_000:]}")
    return Verdict(fault, Outcome.KILLED, f"{failed['test']}: {failed['why'] or ''}")


@contextmanager
def _applied(fault: Fault, path: Path) -> Iterator[None]:
    """The file with the fault; afterwards as it was."""
    status, text = path.stat(), path.read_bytes()
    path.write_text(text.decode("utf-8").replace(fault.old, fault.new), encoding="utf-8")
    # Python takes what it compiled for valid where a file's size and its time in seconds are the same.
    _set_time(path, status.st_mtime_ns + next(_NUMBERS) * 10**10)
    try:
        yield
    finally:
        path.write_bytes(text)
        _set_time(path, status.st_mtime_ns)


def _set_time(path: Path, nanoseconds: int) -> None:
    os.utime(path, ns=(nanoseconds, nanoseconds))


if __name__ == "__main__":
    sys.exit(main())
