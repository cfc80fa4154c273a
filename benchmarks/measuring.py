"""Whole processes, measured from outside: wall time, CPU time, peak memory."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

ROOT: Final = Path(__file__).parents[1]
LAUNCHER: Final = Path(__file__).with_name("launch.py")


class FailedProcessError(Exception):
    """A measured process did not end well."""


@dataclass(frozen=True)
class Measurement:
    """What one process took.

    Attributes:
        seconds: Of wall time.
        cpu_seconds: Of all its threads, in user and system mode.
        peak_bytes: Most resident memory at one time.
        output: What it printed.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str = ""

    def __add__(self, other: "Measurement") -> "Measurement":
        """One process after the other."""
        return Measurement(
            self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds, max(self.peak_bytes, other.peak_bytes)
        )


def measure(arguments: Sequence[str], settings: Mapping[str, str] | None = None) -> Measurement:
    """Runs Python with these arguments in the checkout, to its end.

    Args:
        arguments: What follows the interpreter.
        settings: Environment variables; of the platform's own, the process sees no others.

    Raises:
        FailedProcessError: It ended with another code than 0; with the end of what it said.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SEQ_ASSETS_", "DAGSTER_"))}
    with TemporaryDirectory(prefix="measured_") as folder:
        result = Path(folder) / "result.json"
        # -I and -S keep the launcher small; they are not for the program.
        launched = subprocess.run(  # noqa: S603
            [sys.executable, "-I", "-S", LAUNCHER, result, sys.executable, *arguments],
            cwd=ROOT,
            env=inherited | dict(settings or {}),
            capture_output=True,
            text=True,
            check=True,
        )
        measured = json.loads(result.read_text(encoding="utf-8"))
    if code := measured.pop("code"):
        said = (launched.stdout + launched.stderr)[-2_000:]
        raise FailedProcessError(f"python {' '.join(arguments)} ended with {code}:\n{said}")
    return Measurement(**measured, output=launched.stdout)


def interleaved(runs: Mapping[str, Callable[[], Measurement]], times: int) -> dict[str, list[Measurement]]:
    """Measures each `times` times, in turn, so that a machine that becomes slower does so for all."""
    found: dict[str, list[Measurement]] = {name: [] for name in runs}
    for _ in range(times):
        for name, run in runs.items():
            found[name].append(run())
    return found


def typical(measurements: Iterable[Measurement]) -> Measurement:
    """The median of the times, and the highest peak."""
    found = list(measurements)
    return Measurement(
        seconds=median(measurement.seconds for measurement in found),
        cpu_seconds=median(measurement.cpu_seconds for measurement in found),
        peak_bytes=max(measurement.peak_bytes for measurement in found),
        output=found[-1].output,
    )
