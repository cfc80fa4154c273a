"""Rows per second into a training loop, beside a TensorDataset in memory and Hugging Face's streaming.

Belongs here: the home that is read, and one measured process for each way. Needs torch and datasets: `make bench-loaders`.
"""

import json
from pathlib import Path
from typing import Any, Final

from benchmarks.generating import Observations
from benchmarks.goals import machine
from benchmarks.loading import BATCH_SIZE, EPOCHS, WAYS
from benchmarks.measuring import measure
from benchmarks.report import memory, rows_of, seconds, table
from benchmarks.task import SEQUENCE_LENGTH
from benchmarks.workbench import Workbench

ROWS: Final = 3_000_000


def run(folder: Path, rows: int) -> tuple[str, Any]:
    """Builds the sequences of so many observations where they are missing, and measures each way.

    Args:
        folder: Where data are kept and made.
        rows: Observations.

    Returns:
        A table as Markdown, and the numbers.
    """
    bench = Workbench(folder, Observations(rows))
    if not bench.home.exists():
        bench.ingest()
        bench.sequence()
    settings = bench.settings() | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hugging_face")}
    # Where other programs are busy too, torch's threads spin for each other: 20 times the CPU time, and no batch sooner.
    settings["OMP_NUM_THREADS"] = "1"
    found = {way: json.loads(measure(["-m", "benchmarks.loading", way], settings).output) for way in WAYS}
    sequences = next(iter(found.values()))["rows"]
    title = f"{machine()}; {sequences:,} sequences of {SEQUENCE_LENGTH}, of {rows_of(rows)}; batches of {BATCH_SIZE}."
    return f"{title}\n\n{table([_row(way, report) for way, report in found.items()])}", found


def _row(way: str, report: dict[str, Any]) -> dict[str, object]:
    best, cpu = min(report["seconds"]), min(report["cpu_seconds"])
    return {
        "way": way.replace("_", " "),
        "rows/s": f"{report['rows'] / best:,.0f}",
        "rows per CPU second of this process": f"{report['rows'] / cpu:,.0f}",
        "first batch": seconds(report["first_batch_seconds"]),
        "memory after epoch 1": memory(report["bytes"][0]),
        f"after epoch {EPOCHS}": memory(report["bytes"][-1]),
    }
