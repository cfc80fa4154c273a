"""A quick comparison with DuckDB, for the checks: fails where the platform became slower by a factor, not on noise.

Both do the same work in turn on the same machine, and the least CPU time of each counts, because other programs hardly move it.
"""

import json
from pathlib import Path
from typing import Final

from benchmarks.generating import Observations
from benchmarks.measuring import Measurement, interleaved
from benchmarks.report import seconds, table
from benchmarks.workbench import Workbench, sequence_files

ROWS: Final = 1_000_000
TIMES: Final = 2
FORM: Final = "duckdb_history_of_structs"
LEAST: Final = {"a further length": 1.0, "the first length": 0.27}
"""Times as fast as DuckDB, at this size; half of what was measured when this was last changed."""


def run(folder: Path, rows: int) -> int:
    """Prints the ratios; returns the exit code: 1 where one is below its bound or the sequences differ."""
    bench = Workbench(folder, Observations(rows))
    found = interleaved(
        {"ingest": bench.ingest, "sequence": bench.sequence, "DuckDB": lambda: bench.compete(FORM)},
        TIMES,
    )
    equal = bench.fingerprint(*sequence_files(found["sequence"][-1])) == bench.fingerprint(bench.target(FORM))
    bench.remove_results()
    ratios = ratios_of(found["ingest"], found["sequence"], found["DuckDB"])
    print(
        table(
            [
                {"work": work, "times as fast as DuckDB": f"{ratio:.2f}", "at least": LEAST[work]}
                for work, ratio in ratios.items()
            ]
        )
    )
    slower = [work for work, ratio in ratios.items() if ratio < LEAST[work]]
    if not equal:
        print("The sequences differ from DuckDB's; see benchmarks/equality.py for what is compared.")
    for work in slower:
        print(
            f"{work}: {ratios[work]:.2f} times as fast as DuckDB; wanted: at least {LEAST[work]}. Profile what became slower."
        )
    return int(bool(slower) or not equal)


def ratios_of(ingest: list[Measurement], sequence: list[Measurement], duckdb: list[Measurement]) -> dict[str, float]:
    """How many times as fast as DuckDB the engine is, without the start of its process, which would hide what changes."""
    ingesting, sequencing = (min(json.loads(m.output)["cpu_seconds"] for m in found) for found in (ingest, sequence))
    other = min(measurement.cpu_seconds for measurement in duckdb)
    print(f"CPU: DuckDB {seconds(other)}, ingest {seconds(ingesting)}, one length {seconds(sequencing)}")
    return {"a further length": other / sequencing, "the first length": other / (ingesting + sequencing)}
