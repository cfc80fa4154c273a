"""`make fuzz`: mutated inputs through the command line; exit code 0 where every outcome was clean, else 1.

What was not clean is written to a folder: the input, and what was said of it. The same numbers make the same inputs again.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from seq_assets_tests.fuzz.running import Case, Finding, Outcome, run_cases, write_input
from seq_assets_tests.fuzz.seeds import FORMATS, Format
from seq_assets_tests.tally import tally

USUAL: Final[Mapping[Format, int]] = {"csv": 3_000, "json": 2_000, "gz": 1_000, "parquet": 3_000, "yaml": 20_000}
"""How many inputs of each format are tried."""
_TOGETHER: Final = 256
"""Cases that one child runs, which ends sooner if one of them ends it."""
_NOTHING: Final = Outcome(0, 0, ())


def main() -> None:
    """Runs what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m seq_assets_tests.fuzz", description=__doc__)
    parser.add_argument(
        "--cases", type=int, help="Of each format; default: " + ", ".join(f"{n:,} {k}" for k, n in USUAL.items())
    )
    parser.add_argument("--seed", type=int, default=0, help="Another one makes other inputs; default: 0.")
    parser.add_argument("--format", choices=FORMATS, action="append", help="Only this one (repeatable); default: all.")
    parser.add_argument("--number", type=int, help="Only the input of this number.")
    parser.add_argument(
        "--findings", type=Path, default=Path("build/fuzz"), help="Where they are written; default: build/fuzz."
    )
    given = parser.parse_args()
    is_clean = True
    for kind in given.format or FORMATS:
        numbers = range(given.cases or USUAL[kind]) if given.number is None else [given.number]
        started = time.monotonic()
        done = _NOTHING
        for outcome in outcomes([Case(kind, given.seed, number) for number in numbers]):
            done += outcome
            for finding in outcome.findings:
                print(f"{_kept(finding, given.findings)}: {finding.what.strip().splitlines()[-1]}", flush=True)
            seconds = time.monotonic() - started
            print(
                f"{kind}: {done.done:,} in {seconds:,.0f} seconds, {done.refused:,} refused in words",
                file=sys.stderr,
                flush=True,
            )
        print(figures(kind, done)[1], flush=True)
        is_clean = is_clean and not done.findings
    sys.exit(not is_clean)


def fuzz(cases: Sequence[Case]) -> Outcome:
    """Runs cases, as many at once as there are processors."""
    return sum(outcomes(cases), _NOTHING)


def outcomes(cases: Sequence[Case]) -> Iterator[Outcome]:
    """The same, part by part, as each is done."""
    parts = [cases[start : start + _TOGETHER] for start in range(0, len(cases), _TOGETHER)]
    with TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as threads:
        running = [threads.submit(run_cases, part, Path(folder) / str(number)) for number, part in enumerate(parts)]
        for ended in as_completed(running):
            yield ended.result()


def figures(kind: Format, outcome: Outcome) -> tuple[str, str]:
    """The line of the table of `docs/reliability.md`."""
    return tally(f"mutated {kind}", outcome.done, {"raw exceptions": len(outcome.findings)})


def _kept(finding: Finding, place: Path) -> Path:
    """Writes a finding with its input; its folder."""
    case = finding.case
    folder = place / f"{case.kind}-{case.seed}-{case.number}"
    if not folder.exists():
        write_input(case.input, folder)
    (folder / "finding.txt").write_text(finding.what, encoding="utf-8", errors="backslashreplace")
    return folder


if __name__ == "__main__":
    main()
