"""pyKT's own function: `generate_sequences`, on the frame of comma-joined texts that pyKT's readers make.

The package is loaded from the folder that `PYKT_FOLDER` names. Only the one module of it: the package as a whole would load
torch, which takes ten seconds and has no part in this.
"""

import os
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from benchmarks.task import CODEC, CODEC_LEVEL, ENTITY, FEATURES, ORDER, PAD_VALUE, Task

if TYPE_CHECKING:
    import pandas as pd

FOLDER_VARIABLE: Final = "PYKT_FOLDER"
_NAMES: Final = dict(zip(FEATURES, ("questions", "concepts", "responses", "usetimes"), strict=True))


def rows_in_sql(length: int) -> str:
    """Its rows in the columns of the task: its texts as lists, its rows numbered."""
    types = {"exercise": "INTEGER", "skill": "INTEGER", "correct": "TINYINT", "elapsed": "FLOAT"}
    features = ", ".join(f"string_split({_NAMES[name]}, ',')::{types[name]}[] AS {name}_sequence" for name in FEATURES)
    number = "row_number() OVER (PARTITION BY uid ORDER BY file_row_number) - 1"
    return f"""(
        SELECT uid::BIGINT AS {ENTITY}, {number} AS sequence_index, sequence_index * {length} AS sequence_start,
            len(list_filter(string_split(selectmasks, ','), lambda item: item = '1')) AS sequence_size, {features},
            list_transform(string_split(selectmasks, ','), lambda item: (item <> '1')::TINYINT) AS is_pad_sequence
        FROM {{files}})"""


def histories(task: Task) -> "pd.DataFrame":
    """The frame that pyKT's readers make: a row per pupil, a comma-joined text per column."""
    import pandas as pd

    observations = pd.read_parquet(task.source).sort_values([ENTITY, ORDER])
    texts = {renamed: observations[name].astype(str) for name, renamed in _NAMES.items()}
    frame = pd.DataFrame({"uid": observations[ENTITY].astype(str), **texts})
    return frame.groupby("uid", sort=False).agg(",".join).reset_index()


def split_datasets() -> ModuleType:
    """The module of pyKT that cuts histories into sequences."""
    file = Path(os.environ[FOLDER_VARIABLE]) / "pykt" / "preprocess" / "split_datasets.py"
    found = spec_from_file_location("split_datasets", file)
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


def run(task: Task) -> None:
    """Does the task."""
    keys = {"uid", *_NAMES.values()}
    sequences = split_datasets().generate_sequences(
        histories(task), keys, min_seq_len=1, maxlen=task.sequence_length, pad_val=PAD_VALUE
    )
    sequences.to_parquet(task.target, compression=CODEC, compression_level=CODEC_LEVEL, index=False)


if __name__ == "__main__":
    run(Task.of_arguments())
