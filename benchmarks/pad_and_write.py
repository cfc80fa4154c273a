"""Padding and writing beside only writing the same Parquet, in one process, both from memory: what padding itself costs."""

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from benchmarks.task import MODEL, SEQUENCE_LENGTH

if TYPE_CHECKING:
    import pyarrow as pa

    from seq_assets.sequencing.plans import SequencePlan

TIMES: Final = 3


def seconds_to_write(folder: Path, plan: "SequencePlan", batches: "Iterable[pa.RecordBatch]") -> float:
    """How long sequences take to their finished file, which is removed."""
    from seq_assets.warehouse.interface import no_progress
    from seq_assets.warehouse.storage.parquet_files import write_parquet
    from seq_assets.warehouse.storage.storage import LocalStorage

    with TemporaryDirectory(dir=folder) as place:
        file = f"{place}/written.parquet"
        started = time.perf_counter()
        write_parquet(LocalStorage(Path(place)), file, plan.schema.stored(), batches, no_progress, "", plan.sequence_length)
        return time.perf_counter() - started


def main() -> None:
    """Prints the seconds of both, the least of some runs in turn, as JSON."""
    from seq_assets.environments import current_environment
    from seq_assets.sequencing.kernel import Kernel
    from seq_assets.sequencing.plans import Dataset, SequencePlan
    from seq_assets.warehouse.engine import BATCH_ROWS
    from seq_assets.warehouse.storage.parquet_files import read_batches
    from seq_assets.warehouse.storage.storage import LocalStorage

    folder = Path(sys.argv[1])
    environment = current_environment()
    warehouse = environment.warehouse()
    raw = warehouse.find(Dataset.raw(MODEL))
    plan = SequencePlan.of(environment.registry()[MODEL], "train", SEQUENCE_LENGTH, raw.id)
    files = warehouse.raw_files(raw, "train")
    observations = list(read_batches(LocalStorage(folder), files, Kernel(plan).input_columns, BATCH_ROWS))
    sequences = list(Kernel(plan).batches(observations))
    both, alone = [], []
    for _ in range(TIMES):
        both.append(seconds_to_write(folder, plan, Kernel(plan).batches(observations)))
        alone.append(seconds_to_write(folder, plan, sequences))
    print(json.dumps({"pad_and_write": min(both), "write": min(alone)}))


if __name__ == "__main__":
    main()
