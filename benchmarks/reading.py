"""What a training script waits for: all sequences as matrices, and the first batch of a shuffled stream."""

import json
import time
from typing import Any

from benchmarks.task import MODEL, SEQUENCE_LENGTH

BATCH_SIZE = 256


def main() -> None:
    """Prints bytes and seconds as JSON."""
    import seq_assets

    dataset = seq_assets.load(MODEL, sequence_length=SEQUENCE_LENGTH, subset="train")
    started = time.perf_counter()
    next(iter(dataset.batches(BATCH_SIZE, shuffle=True, seed=0)))
    report: dict[str, Any] = {"first_batch_seconds": time.perf_counter() - started}
    dataset.to_numpy()  # once before it is measured, so that the files are in the page cache
    started = time.perf_counter()
    arrays = dataset.to_numpy()
    report["seconds"] = time.perf_counter() - started
    report["bytes"] = sum(array.nbytes for array in arrays.values())
    print(json.dumps(report))


if __name__ == "__main__":
    main()
