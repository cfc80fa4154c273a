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
from benchmarks.report import cores, memory, rows_of, seconds, table
from benchmarks.task import SEQUENCE_LENGTH
from benchmarks.texts import DAYS, Texts
from benchmarks.texts import POLARS as POLARS_TEXT
from benchmarks.workbench import DAGSTER_START, DUCKDB, IMPORT_TIME, PANDAS, POLARS, PYKT, Workbench, sequence_files

TRIAL_ROWS: Final = 17_000_000
"""Every form is tried at this size at most; only the fastest of a library at larger ones."""
SMALL_ROWS: Final = 1_000_000
"""For those that keep every sequence as objects."""
GIB: Final = 2**30
INGEST: Final = "ours: ingest"
FURTHER: Final = "ours: a further length"
FIRST: Final = "ours: the first length"
THROUGH_DAGSTER: Final = "ours: the first length, through Dagster"
BACKFILL_LENGTHS: Final = 4
BACKFILL: Final = f"ours: {BACKFILL_LENGTHS} lengths in one backfill, through Dagster"
GRID_BOUND: Final = 1.35
"""Half of what was measured before events were written together and runs were fewer: 17.2 s for 6.4 s of start and work."""


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
class Bounds:
    """How many times as fast as each library the platform is wanted to be.

    Attributes:
        further: A further length.
        first: Ingest and the first length.
    """

    further: dict[str, float]
    first: dict[str, float]


def bounds_at(rows: int) -> Bounds:
    """The bounds at a size; more rows favour the platform, which sorts once."""
    if rows <= TRIAL_ROWS:
        return Bounds({"Polars": 1.0, "DuckDB": 2.0}, {"Polars": 0.4, "DuckDB": 0.6})
    return Bounds({"Polars": 3.0, "DuckDB": 4.0}, {"Polars": 0.8, "DuckDB": 1.0})


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
        start = typical(measure(["-c", DAGSTER_START], bench.settings()) for _ in range(times))
        goals = [
            *goals_of(contest, start),
            goal_of_the_grid(bench.results / "grid", times, start),
            *goals_of_text(Texts(folder), 1),
            *goals_of_reading(bench),
            goal_of_import(),
        ]
    parts = [
        f"{rows_of(rows)}, {machine()}, {time.strftime('%Y-%m-%d')}; {time.monotonic() - started:.0f} s in all.",
        table([goal.row for goal in goals]),
        contest_table(contest, FURTHER),
        f"Those that keep every sequence as objects, at {rows_of(small.rows)}:",
        contest_table(small, FIRST),
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
    runs: dict[str, Callable[[], Measurement]] = {INGEST: bench.ingest, FURTHER: bench.sequence}
    for forms in libraries:
        runs[forms[0]] = lambda form=forms[0]: bench.compete(form)  # type: ignore[misc]
    found = interleaved(runs, times)
    expected = bench.fingerprint(*sequence_files(found[FURTHER][-1]))
    equal = {form: bench.fingerprint(bench.target(form), form=form) == expected for form, *_ in libraries}
    backfill = bench.materialize(*(SEQUENCE_LENGTH + number for number in range(BACKFILL_LENGTHS)))
    through_dagster = bench.materialize()
    first = [sum(pair[1:], pair[0]) for pair in zip(found[INGEST], found[FURTHER], strict=True)]
    measured = {name: typical(runs) for name, runs in found.items()}
    measured |= {FIRST: typical(first), THROUGH_DAGSTER: through_dagster, BACKFILL: backfill}
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
    return Contest(bench.observations.rows, {FIRST: first + further} | measured, equal)


def contest_table(contest: Contest, compared: str) -> str:
    """Everybody's numbers; ratios to one of them."""
    base = contest.measured[compared].seconds
    return table(
        [
            {
                "who": name,
                "wall": seconds(m.seconds),
                "CPU": seconds(m.cpu_seconds),
                "CPU ÷ wall": cores(m),
                "peak memory": memory(m.peak_bytes),
                f"wall ÷ {compared}": f"{m.seconds / base:.2f}",
                "equal to ours": {True: "yes", False: "**no**", None: ""}[contest.equal.get(name)],
            }
            for name, m in contest.measured.items()
        ]
    )


def goals_of(contest: Contest, dagster_start: Measurement) -> list[Goal]:
    """The goals about time and memory beside others."""
    measured, bounds = contest.measured, bounds_at(contest.rows)
    goals = []
    for ours, wanted in (("(a) a further length", bounds.further), ("(b) the first length", bounds.first)):
        mine = measured[f"ours: {ours[4:]}"].seconds
        for library, forms in (("Polars", POLARS), ("DuckDB", DUCKDB)):
            other = measured[contest.fastest(forms)].seconds
            words = f"{seconds(mine)}; {library} {seconds(other)}"
            goals.append(Goal(f"{ours}: times as fast as {library}", words, other / mine, wanted[library], True))
    goals.append(goal_of_a_backfill(contest))
    goals.append(goal_of_dagster_at_size(contest, dagster_start))
    for what, name, limit in (("ingest", INGEST, 4), ("sequencing", FURTHER, 1)):
        report = json.loads(measured[name].output)
        words = f"{seconds(report['cpu_seconds'])}; {seconds(report['seconds'])}"
        goals.append(Goal(f"(c) CPU ÷ wall of {what}", words, report["cpu_seconds"] / report["seconds"], 1.7, True))
        peak = measured[name].peak_bytes
        goals.append(Goal(f"(d) peak memory of {what}, GiB", memory(peak), peak / GIB, limit, False))
    return goals


def goal_of_a_backfill(contest: Contest) -> Goal:
    """The goal about a further length where several are made at once."""
    measured = contest.measured
    further = (measured[BACKFILL].seconds - measured[THROUGH_DAGSTER].seconds) / (BACKFILL_LENGTHS - 1)
    polars = measured[contest.fastest(POLARS)].seconds
    words = f"{seconds(further)}; Polars {seconds(polars)}"
    return Goal("(a) a further length inside a backfill: times as fast as Polars", words, polars / further, 1.5, True)


def goal_of_dagster_at_size(contest: Contest, start: Measurement) -> Goal:
    """The goal about what Dagster adds to the first length, beyond the start of its process."""
    engine = sum(json.loads(contest.measured[name].output)["seconds"] for name in (INGEST, FURTHER))
    through = contest.measured[THROUGH_DAGSTER].seconds
    words = f"{seconds(through)}; start {seconds(start.seconds)}, work {seconds(engine)}"
    return Goal("(b) what Dagster adds to the first length, seconds", words, through - start.seconds - engine, 1.0, False)


def goals_of_reading(bench: Workbench) -> list[Goal]:
    """The goals about padding and about loading; what is published is that of the last run."""
    padding = bench.report("pad_and_write", str(bench.results))
    with_padding, alone = padding["pad_and_write"], padding["write"]
    read = bench.report("reading")
    rate = read["bytes"] / read["seconds"] / 1e9
    words = f"{read['bytes'] / 1e9:.2f} GB in {seconds(read['seconds'])}"
    first = read["first_batch_seconds"]
    pair = f"{seconds(with_padding)}; {seconds(alone)}"
    return [
        Goal("(g) to_numpy(), GB/s", words, rate, 1.0, True),
        Goal("the first batch of batches(), seconds", seconds(first), first, 1.0, False),
        Goal("pad and write ÷ only write", pair, with_padding / alone, 1.25, False),
    ]


def goals_of_text(texts: Texts, times: int) -> list[Goal]:
    """The goals about text: CSV beside Polars, and a file more than the day before."""
    found = interleaved(
        {"ours": lambda: texts.ingest("unquoted_csv"), "polars": lambda: texts.compete(POLARS_TEXT, "unquoted_csv")}, times
    )
    ours, polars = (typical(found[who]).cpu_seconds for who in ("ours", "polars"))
    first, later = (measurement.cpu_seconds for measurement in texts.a_day_later())
    size = rows_of(texts.rows)
    return [
        Goal(f"(f) CPU of {size} of CSV ÷ Polars'", f"{seconds(ours)}; {seconds(polars)}", ours / polars, 2.0, False),
        Goal(
            f"(f) CPU of a file added to {DAYS} ÷ of all",
            f"{seconds(later)}; {seconds(first)}",
            later / first,
            0.25,
            False,
        ),
    ]


def goal_of_the_grid(home: Path, times: int, start: Measurement) -> Goal:
    """What the whole grid of bundled models takes, beside one start of a process and the work without Dagster.

    The home has been used before, because Dagster makes its own tables once.
    """
    settings = {"SEQ_ASSETS_HOME": str(home)}
    measure(["-m", "seq_assets", "materialize"], settings)
    found = interleaved(
        {
            "all": lambda: measure(["-m", "seq_assets", "materialize", "--force"], settings),
            "work": lambda: measure(["-m", "benchmarks.engine", "all"], settings),
        },
        times,
    )
    everything = typical(found["all"]).seconds
    work = median(json.loads(measurement.output)["seconds"] for measurement in found["work"])
    words = f"{seconds(everything)}; process start {seconds(start.seconds)}, work {seconds(work)}"
    return Goal("(e) the bundled grid ÷ its start and work", words, everything / (start.seconds + work), GRID_BOUND, False)


def goal_of_import(times: int = 5) -> Goal:
    """The goal about `import seq_assets`."""
    took = median(float(measure(["-c", IMPORT_TIME]).output) for _ in range(times))
    return Goal("import seq_assets, seconds", seconds(took), took, 0.3, False)
