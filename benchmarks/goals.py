"""The goals, each measured and judged: what `make bench` prints."""

import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.generating import Observations
from benchmarks.measuring import FailedProcessError, Measurement, interleaved, measure, typical
from benchmarks.report import memory, rows_of, seconds, table
from benchmarks.workbench import DAGSTER_START, DUCKDB, IMPORT_TIME, PANDAS, POLARS, PYKT, Workbench, sequence_files

TRIAL_ROWS: Final = 17_000_000
"""Every form is tried at this size at most; only the fastest of a library at larger ones."""
SMALL_ROWS: Final = 1_000_000
"""For those that keep every sequence as objects."""
GIB: Final = 2**30


@dataclass(frozen=True)
class Goal:
    """One goal, as it was measured.

    Attributes:
        name: Its letter, and what it is about.
        measured: What was found, in words.
        ratio: What is judged.
        wanted: The bound of the ratio.
        at_least: Whether the bound is a lower one.
    """

    name: str
    measured: str
    ratio: float
    wanted: float
    at_least: bool

    @property
    def is_met(self) -> bool:
        """Whether the ratio keeps the bound."""
        return self.ratio >= self.wanted if self.at_least else self.ratio <= self.wanted

    @property
    def row(self) -> dict[str, object]:
        """The goal as a row of the table."""
        return {
            "goal": self.name,
            "measured": self.measured,
            "ratio": f"{self.ratio:.2f}",
            "wanted": f"{'≥' if self.at_least else '≤'} {self.wanted:g}",
            "met": "yes" if self.is_met else "**no**",
        }


@dataclass(frozen=True)
class Contest:
    """What everybody took for the task at one size; a name per contender.

    Attributes:
        rows: Of the observations.
        measured: The typical process of each.
        equal: Whether each contender's sequences equal the platform's.
    """

    rows: int
    measured: dict[str, Measurement]
    equal: dict[str, bool]

    def fastest(self, forms: Iterable[str]) -> str:
        """The fastest form of a library."""
        return min((form for form in forms if form in self.measured), key=lambda form: self.measured[form].seconds)


def run(folder: Path, rows: int, times: int) -> tuple[str, dict[str, Any]]:
    """Measures all goals.

    Args:
        folder: Where data are kept and made.
        rows: Of the observations.
        times: How often each of the main contenders is measured.

    Returns:
        The report as Markdown, and its numbers.
    """
    started = time.monotonic()
    small = contest_of_small(Workbench(folder, Observations(min(rows, SMALL_ROWS))))
    bench = Workbench(folder, Observations(rows))
    with ExitStack() as stack:
        stack.callback(bench.remove_results)
        contest = contest_of(bench, fastest_first(folder, rows), times)
        goals = [
            *goals_of(contest),
            *goals_of_reading(bench),
            *goals_of_dagster(bench.results / "grid", times),
            goal_of_import(),
        ]
    parts = [
        f"{rows_of(rows)}, {machine()}, {time.strftime('%Y-%m-%d')}; {time.monotonic() - started:.0f} s in all.",
        table([goal.row for goal in goals]),
        contest_table(contest, "ours: a further length"),
        f"Those that keep every sequence as objects, at {rows_of(small.rows)}:",
        contest_table(small, "ours: the first length"),
    ]
    data = {
        "rows": rows,
        "goals": [asdict(goal) | {"met": goal.is_met} for goal in goals],
        "contests": [asdict(contest), asdict(small)],
    }
    return "\n\n".join(parts), data


def times_at(rows: int) -> int:
    """How often the main contenders are measured, unless it is said."""
    return 3 if rows <= TRIAL_ROWS else 2


def machine() -> str:
    """This machine, for people."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{os.cpu_count()} cores, {total / GIB:.0f} GiB, Python {platform.python_version()}"


def fastest_first(folder: Path, rows: int) -> list[list[str]]:
    """The forms of each library, the fastest first, from one run of each; a form that fails is left out."""
    trial = Workbench(folder, Observations(min(rows, TRIAL_ROWS)))
    ordered = []
    for forms in (POLARS, DUCKDB):
        took = {}
        for form in forms:
            print(f"trying {form} …", flush=True)
            try:
                took[form] = trial.compete(form).seconds
            except FailedProcessError as error:
                print(error, flush=True)
        print(table([{"form": form, "seconds": seconds(took[form])} for form in sorted(took, key=lambda form: took[form])]))
        ordered.append(sorted(took, key=lambda form: took[form]))
    return ordered


def contest_of(bench: Workbench, libraries: Sequence[Sequence[str]], times: int) -> Contest:
    """The platform and the fastest form of each library, in turn."""
    runs: dict[str, Callable[[], Measurement]] = {"ours: ingest": bench.ingest, "ours: a further length": bench.sequence}
    for forms in libraries:
        runs[forms[0]] = lambda form=forms[0]: bench.compete(form)  # type: ignore[misc]
    found = interleaved(runs, times)
    expected = bench.fingerprint(*sequence_files(found["ours: a further length"][-1]))
    equal = {form: bench.fingerprint(bench.target(form), form=form) == expected for form, *_ in libraries}
    through_dagster = bench.materialize()
    first = [sum(pair[1:], pair[0]) for pair in zip(found["ours: ingest"], found["ours: a further length"], strict=True)]
    measured = {name: typical(runs) for name, runs in found.items()}
    measured |= {"ours: the first length": typical(first), "ours: the first length, through Dagster": through_dagster}
    return Contest(bench.observations.rows, measured, equal)


def contest_of_small(bench: Workbench) -> Contest:
    """The platform, pandas and pyKT, once each."""
    first = bench.ingest()
    further = bench.sequence()
    expected = bench.fingerprint(*sequence_files(further))
    forms = list(PANDAS)
    missing = bench.provide_pykt()
    if missing:
        print(f"pyKT is not measured: {missing}")
    else:
        forms.append(PYKT)
    measured = {form: bench.compete(form) for form in forms}
    equal = {form: bench.fingerprint(bench.target(form), form=form) == expected for form in forms}
    bench.remove_results()
    return Contest(bench.observations.rows, {"ours: the first length": first + further} | measured, equal)


def contest_table(contest: Contest, compared: str) -> str:
    """Everybody's numbers; ratios to one of them."""
    base = contest.measured[compared].seconds
    return table(
        [
            {
                "who": name,
                "wall": seconds(m.seconds),
                "CPU": seconds(m.cpu_seconds),
                "peak memory": memory(m.peak_bytes),
                f"wall ÷ {compared}": f"{m.seconds / base:.2f}",
                "equal to ours": {True: "yes", False: "**no**", None: ""}[contest.equal.get(name)],
            }
            for name, m in contest.measured.items()
        ]
    )


def goals_of(contest: Contest) -> list[Goal]:
    """The goals about time and memory beside others."""
    measured = contest.measured
    goals = []
    for letter, ours, wanted in (
        ("a", "a further length", {"Polars": 8.0, "DuckDB": 5.0}),
        ("b", "the first length", {"Polars": 2.0, "DuckDB": 1.2}),
        ("b", "the first length, through Dagster", {"Polars": 2.0, "DuckDB": 1.2}),
    ):
        mine = measured[f"ours: {ours}"].seconds
        for library, forms in (("Polars", POLARS), ("DuckDB", DUCKDB)):
            other = measured[contest.fastest(forms)].seconds
            words = f"{seconds(mine)}; {library} {seconds(other)}"
            goals.append(Goal(f"({letter}) {ours}: times as fast as {library}", words, other / mine, wanted[library], True))
    for what, name, limit in (("sequencing", "ours: a further length", 1), ("ingest", "ours: ingest", 4)):
        peak = measured[name].peak_bytes
        goals.append(Goal(f"(d) peak memory of {what}, GiB", memory(peak), peak / GIB, limit, False))
    return goals


def goals_of_reading(bench: Workbench) -> list[Goal]:
    """The goals about padding and about loading; what is published is that of the last run."""
    padding = bench.report("pad_and_write", str(bench.results))
    with_padding, alone = padding["pad_and_write"], padding["write"]
    read = bench.report("reading")
    rate = read["bytes"] / read["seconds"] / 1e9
    words = f"{read['bytes'] / 1e9:.2f} GB in {seconds(read['seconds'])}"
    first = read["first_batch_seconds"]
    return [
        Goal(
            "(c) pad and write ÷ only write",
            f"{seconds(with_padding)}; {seconds(alone)}",
            with_padding / alone,
            1.25,
            False,
        ),
        Goal("(f) to_numpy(), GB/s", words, rate, 1.0, True),
        Goal("(f) the first batch of batches(), seconds", seconds(first), first, 1.0, False),
    ]


def goals_of_dagster(home: Path, times: int) -> list[Goal]:
    """What Dagster adds to the whole grid of bundled models: beyond one start of a process, as a share of the work.

    The home has been used before, because Dagster makes its own tables once.
    """
    settings = {"SEQ_ASSETS_HOME": str(home)}
    measure(["-m", "seq_assets", "materialize"], settings)
    found = interleaved(
        {
            "all": lambda: measure(["-m", "seq_assets", "materialize", "--force"], settings),
            "start": lambda: measure(["-c", DAGSTER_START], settings),
            "work": lambda: measure(["-m", "benchmarks.engine", "all"], settings),
        },
        times,
    )
    everything, start = typical(found["all"]).seconds, typical(found["start"]).seconds
    work = median(json.loads(measurement.output)["seconds"] for measurement in found["work"])
    words = f"{seconds(everything)}; process start {seconds(start)}, work {seconds(work)}"
    return [Goal("(e) Dagster's own cost of the bundled grid ÷ work", words, (everything - start - work) / work, 0.05, False)]


def goal_of_import(times: int = 5) -> Goal:
    """The goal about `import seq_assets`."""
    took = median(float(measure(["-c", IMPORT_TIME]).output) for _ in range(times))
    return Goal("(g) import seq_assets, seconds", seconds(took), took, 0.3, False)
