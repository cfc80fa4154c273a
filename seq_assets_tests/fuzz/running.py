"""Giving mutated inputs to the command line, in this process's children, and judging what it says.

A child runs one case after another. What ends it, a crash of native code or a bound, is a finding of the case that it was at,
and another child goes on with the next one. Belongs here: processes, bounds, the verdict. Not here: the inputs (`mutating`).
"""

import ctypes
import os
import random
import re
import resource
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, TypeAlias

from click.testing import CliRunner, Result

from seq_assets.models.parsing import FAULT
from seq_assets_tests.fuzz.mutating import Input, mutated
from seq_assets_tests.fuzz.seeds import Format
from seq_assets_tests.warehouse.processes import context

CPU_SECONDS: Final = 20
"""That one case may take; most take a tenth of one."""
MEMORY: Final = 4 << 30
"""Bytes that a child may have beyond what it has when it begins."""
_ARENAS_AT_MOST: Final = -8
"""The number of this setting of malloc."""
_PATIENCE: Final = 300
"""Seconds after which a case that computes nothing waits for ever."""
_RAW: Final = re.compile(
    rf"Traceback \(most recent|\[Errno [0-9]+\]|{re.escape(FAULT)}|INTERNAL Error|^[A-Za-z_.]+(?:Error|Exception)\b",
    re.MULTILINE,
)
"""What only a program says, not one who writes for people."""
_CODES: Final = (0, 1, 2)


Verdict: TypeAlias = tuple[int, str | None]
"""The exit code of the last command, and what was not clean; None if nothing was."""


@dataclass(frozen=True)
class Case:
    """One input, the same for the same numbers."""

    kind: Format
    seed: int
    number: int

    @property
    def input(self) -> Input:
        """The input."""
        return mutated(self.kind, random.Random(f"{self.seed} {self.kind} {self.number}"))

    def commands(self, folder: Path, file: str) -> Iterator[list[str]]:
        """What is asked of it in its folder: each is looked at, some are proposed a model for, sequenced, built whole."""
        data, model = str(folder / file), str(folder / "fuzzed.yaml")
        yield ["validate", model]
        if self.kind != "yaml" and self.number % 8 == 0:
            yield ["init", data]
        if self.number % 16 == 0:
            place = ["--s3_data_location", data, "--output_s3_location", str(folder / "out")]
            yield ["sequence", *place, "--sequence_length", "3", "--model", "fuzzed"]
        if self.number % 256 == 0:
            yield ["materialize", "--force"]


@dataclass(frozen=True)
class Finding:
    """What was not clean.

    Attributes:
        case: Of which.
        what: What a command said or did.
    """

    case: Case
    what: str


@dataclass(frozen=True)
class Outcome:
    """What came of some cases: how many were done, refused in words, and found."""

    done: int
    refused: int
    findings: tuple[Finding, ...]

    def __add__(self, other: "Outcome") -> "Outcome":
        """What came of both."""
        return Outcome(self.done + other.done, self.refused + other.refused, self.findings + other.findings)


def run_case(case: Case, folder: Path) -> Verdict:
    """Runs the commands of a case; the last exit code, and what was not clean."""
    shutil.rmtree(folder, ignore_errors=True)
    given = case.input
    write_input(given, folder)
    os.environ["SEQ_ASSETS_MODELS"] = str(folder)
    code = 0
    for command in case.commands(folder, given.file):
        result = run_command(command)
        code = max(code, result.exit_code)
        what = what_is_wrong(result)
        if what is not None:
            return code, f"seq-assets {' '.join(command)}\n{what}"
    return code, None


def run_cases(cases: Sequence[Case], folder: Path, run: Callable[[Case, Path], Verdict] = run_case) -> Outcome:
    """Runs cases one after the other, in as many processes as it takes.

    Args:
        cases: The cases.
        folder: Where the inputs and the tables are written; empty at first.
        run: Runs one case in a folder.
    """
    done, refused, findings = 0, 0, []
    while done < len(cases):
        here, there = context().Pipe(duplex=False)
        process = context().Process(target=_run_all, args=(cases[done:], folder, there, run))
        process.start()
        there.close()
        for code, what in _received(here):
            if what is not None:
                findings.append(Finding(cases[done], what))
            refused += code != 0
            done += 1
        process.join(_PATIENCE if done == len(cases) else 0.0)
        if process.exitcode is None:
            process.kill()
            process.join()
        ended = _end(process.exitcode)
        if ended is not None:
            findings.append(Finding(cases[min(done, len(cases) - 1)], ended))
            done += 1
    return Outcome(min(done, len(cases)), refused, tuple(findings))


def _received(connection: Connection) -> Iterator[Verdict]:
    """What a child tells of one case after another, until it ends or waits for ever."""
    while connection.poll(_PATIENCE):
        try:
            yield connection.recv()
        except EOFError:
            return


def _end(code: int | None) -> str | None:
    """What is wrong with how a child has ended; None if nothing is."""
    if code == -signal.SIGPROF:
        return f"more than {CPU_SECONDS} seconds of computing"
    if code == -signal.SIGKILL:
        return f"nothing for {_PATIENCE} seconds"
    return None if code == 0 else f"the process ended with {signal.Signals(-code).name if code and code < 0 else code}"


def _run_all(cases: Sequence[Case], folder: Path, told: Connection, run: Callable[[Case, Path], Verdict]) -> None:
    """In a child: runs cases, each within its bounds."""
    os.environ["SEQ_ASSETS_HOME"] = str(folder / "home")
    # Else each thread takes of the bound what it may need one day.
    ctypes.CDLL(None).mallopt(_ARENAS_AT_MOST, 2)
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for case in cases:
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        told.send(run(case, folder / "case"))
    signal.setitimer(signal.ITIMER_PROF, 0)


def run_command(command: Sequence[str]) -> Result:
    """Runs a command of the real command line in this process."""
    from seq_assets.cli.commands import cli

    return CliRunner().invoke(cli, command, prog_name="seq-assets")


def write_input(given: Input, folder: Path) -> None:
    """Writes the files of an input into a folder."""
    folder.mkdir(parents=True)
    (folder / given.file).write_bytes(given.content)
    (folder / "fuzzed.yaml").write_bytes(given.model)


def what_is_wrong(result: Result) -> str | None:
    """What a user would take for a fault of the program: an exception, another exit code, no sentence."""
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        import traceback

        return "".join(traceback.format_exception(result.exception))
    said = result.output
    if found := _RAW.search(said):
        return f"it says {found[0]!r}:\n{said}"
    if result.exit_code not in _CODES or (result.exit_code and not result.stderr.strip()):
        return f"it ends with {result.exit_code} and says:\n{said}"
    return None
