"""How time and memory of the platform grow: over rows, sequence length, skew, and the number of lengths in one backfill."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.generating import HISTORIES, Observations
from benchmarks.goals import TRIAL_ROWS, machine
from benchmarks.measuring import Measurement
from benchmarks.report import memory, rows_of, seconds, table
from benchmarks.task import SEQUENCE_LENGTH
from benchmarks.workbench import Workbench, sequence_files

LENGTHS: Final = (20, 50, 100, 200, 500, 1_000)
BACKFILLS: Final = (1, 2, 4, 6)
BESIDE: Final = ("polars_group_histories", "duckdb_window_of_structs")
"""The quickest forms at 17 M rows, as `goals` finds them."""


@dataclass(frozen=True)
class Growth:
    """One table.

    Attributes:
        title: What grows.
        rows: The table's rows.
    """

    title: str
    rows: list[dict[str, object]]


def run(folder: Path, sizes: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """Measures all tables; all but the first at the largest size up to `TRIAL_ROWS`.

    Args:
        folder: Where data are kept and made.
        sizes: Rows of the first table.

    Returns:
        The tables as Markdown, and their numbers.
    """
    base = max((size for size in sizes if size <= TRIAL_ROWS), default=TRIAL_ROWS)
    grown = [over_rows(folder, sizes), over_lengths(folder, base), over_skew(folder, base), over_backfills(folder, base)]
    text = "\n\n".join([f"{machine()}.", *(f"**{growth.title}**\n\n{table(growth.rows)}" for growth in grown)])
    return text, {growth.title: growth.rows for growth in grown}


def over_rows(folder: Path, sizes: Sequence[int]) -> Growth:
    """Ingest and one length, per size."""
    rows = []
    for size in sizes:
        bench = Workbench(folder, Observations(size))
        rows.append({"rows": rows_of(size)} | _ingest_and_sequence(bench))
    return Growth(f"Over rows, L = {SEQUENCE_LENGTH}", rows)


def over_skew(folder: Path, size: int) -> Growth:
    """Ingest and one length, per shape of histories."""
    rows = []
    for histories in HISTORIES:
        bench = Workbench(folder, Observations(size, histories))
        longest = {"longest history": f"{bench.observations.history_lengths().max():,}"}
        rows.append({"histories": histories} | longest | _ingest_and_sequence(bench))
    return Growth(f"Over skew, {rows_of(size)}, L = {SEQUENCE_LENGTH}", rows)


def over_lengths(folder: Path, size: int) -> Growth:
    """One further length, per sequence length."""
    bench = Workbench(folder, Observations(size))
    bench.ingest()
    rows = []
    for length in LENGTHS:
        measured = bench.sequence(length)
        made = sum(file.stat().st_size for file in sequence_files(measured))
        rows.append({"L": length} | _described("", measured) | {"Parquet": memory(made)})
    bench.remove_results()
    return Growth(f"Over the sequence length, {rows_of(size)}", rows)


def over_backfills(folder: Path, size: int) -> Growth:
    """`seq-assets materialize` of a model with more and more lengths, from nothing; and others, once per length."""
    bench = Workbench(folder, Observations(size))
    rows: list[dict[str, object]] = []
    first: float | None = None
    others: dict[str, list[float]] = {form: [] for form in BESIDE}
    for count in BACKFILLS:
        # Lengths of about as many positions, so that the count alone grows.
        lengths = [SEQUENCE_LENGTH + number for number in range(count)]
        measured = bench.materialize(*lengths)
        first = first or measured.seconds
        further = "" if count == 1 else seconds((measured.seconds - first) / (count - 1))
        for form, took in others.items():
            took += [bench.compete(form, length).seconds for length in lengths[len(took) :]]
        beside = {form: seconds(sum(took)) for form, took in others.items()}
        rows.append({"lengths": count} | _described("", measured) | {"per further length": further} | beside)
    bench.remove_results()
    return Growth(f"Over the number of lengths in one backfill, {rows_of(size)}, through Dagster, ingest included", rows)


def _ingest_and_sequence(bench: Workbench) -> dict[str, object]:
    ingest = bench.ingest()
    sequence = bench.sequence()
    bench.remove_results()
    return _described("ingest ", ingest) | _described("sequence ", sequence)


def _described(prefix: str, measured: Measurement) -> dict[str, object]:
    return {
        f"{prefix}wall": seconds(measured.seconds),
        f"{prefix}CPU": seconds(measured.cpu_seconds),
        f"{prefix}peak": memory(measured.peak_bytes),
    }
