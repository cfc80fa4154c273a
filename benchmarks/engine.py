"""The platform's engine alone, without Dagster: one process that executes plans. What it did comes out as JSON.

The environment's variables say where tables and model files are, as they do for everybody.
"""

import argparse
import json
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seq_assets.environments import Environment
    from seq_assets.models import ModelSpec
    from seq_assets.warehouse.interface import Version, Warehouse


def ingest(environment: "Environment", warehouse: "Warehouse", spec: "ModelSpec", *, force: bool = True) -> "Version":
    """Reads, checks, splits and sorts the model's source; with force, as if nothing was known of it."""
    from seq_assets.sequencing.plans import IngestPlan

    location = spec.location(environment.name)
    assert location is not None, "the model has a source here"
    folder = environment.registry().folder_of(spec.name)
    return warehouse.execute(IngestPlan(spec, location, str(folder)), force=force).version


def sequence(warehouse: "Warehouse", spec: "ModelSpec", lengths: Iterable[int], raw: "Version") -> "list[Version]":
    """Cuts both subsets into sequences of these lengths."""
    from seq_assets.models import SUBSETS
    from seq_assets.sequencing.plans import SequencePlan

    plans = [SequencePlan.of(spec, subset, length, raw.id) for length in lengths for subset in SUBSETS]
    return [warehouse.execute(plan, force=True).version for plan in plans]


def _load(warehouse: "Warehouse") -> None:
    """Loads what is loaded on first use, which belongs to the start of a process and not to its work."""
    import duckdb

    duckdb.connect().close()
    warehouse.datasets()


def main() -> None:
    """Does what the command line says and prints the seconds that it took, without the start, and what was made."""
    from seq_assets.environments import current_environment
    from seq_assets.sequencing.plans import Dataset

    asked = _arguments()
    environment = current_environment()
    registry, warehouse = environment.registry(), environment.warehouse()
    _load(warehouse)
    started, cpu_started = time.perf_counter(), time.process_time()
    made: list[Version] = []
    for spec in (registry[name] for name in asked.models or registry):
        if asked.what != "sequence":
            made.append(ingest(environment, warehouse, spec, force=not asked.changed))
        if asked.what != "ingest":
            raw = warehouse.find(Dataset.raw(spec.name))
            made += sequence(warehouse, spec, asked.lengths or spec.lengths, raw)
    report: dict[str, Any] = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu_started,
        "files": {version.dataset.table: version.files for version in made},
    }
    print(json.dumps(report))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["ingest", "sequence", "all"])
    parser.add_argument("--models", nargs="*", default=[], help="default: all of the models folder")
    parser.add_argument("--lengths", nargs="*", type=int, default=[], help="default: those that the model declares")
    parser.add_argument("--changed", action="store_true", help="ingest what has changed since; default: all anew")
    return parser.parse_args()


if __name__ == "__main__":
    main()
