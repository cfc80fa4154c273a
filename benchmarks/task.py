"""The one task that everybody is measured on: observations in, padded sequences out.

Belongs here: what ours and the competitors must agree on. It loads nothing heavy, because every measured process loads it.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ENTITY: Final = "pupil"
ORDER: Final = "timestamp"
FEATURES: Final = ("exercise", "skill", "correct", "elapsed")
PAD_VALUE: Final = -1
"""Of every feature, because pyKT pads all of them alike."""
SEQUENCE_LENGTH: Final = 100
CODEC: Final = "zstd"
CODEC_LEVEL: Final = 1
ROW_GROUP_CELLS: Final = 1_000_000
"""As the platform writes them: a row group has this many positions."""
MODEL: Final = "ednet"

_MODEL_FILE: Final = """\
name: {model}
description: What the benchmarks sequence.
owner: team:benchmarks
source: {{location: {source}}}
entity: pupil
order_by: [timestamp]
columns:
  pupil: {{type: int64}}
  timestamp: {{type: timestamp}}
  exercise: {{type: int32}}
  skill: {{type: int32}}
  correct: {{type: int8, is_in: [0, 1]}}
  elapsed: {{type: float32}}
features:
  exercise: {{pad_value: {pad}}}
  skill: {{pad_value: {pad}}}
  correct: {{pad_value: {pad}}}
  elapsed: {{pad_value: {pad}}}
split: {{strategy: entity_hash, validation_fraction: 0.2, seed: 0}}
window: {{mode: chunk}}
padding: {{side: right}}
sequence_lengths: [{lengths}]
checks: {{pad_ratio: {{warn: 1.0, max: 1.0}}}}
"""


@dataclass(frozen=True)
class Task:
    """What one process does.

    Attributes:
        source: The Parquet file of observations.
        target: The Parquet file of sequences to write.
        sequence_length: Positions of each sequence.
    """

    source: Path
    target: Path
    sequence_length: int

    @property
    def row_group_rows(self) -> int:
        """Sequences of one row group."""
        return max(ROW_GROUP_CELLS // self.sequence_length, 1)

    @classmethod
    def of_arguments(cls, arguments: Sequence[str] | None = None) -> "Task":
        """The task that a competitor's command line names."""
        parser = argparse.ArgumentParser()
        parser.add_argument("source", type=Path)
        parser.add_argument("target", type=Path)
        parser.add_argument("sequence_length", type=int)
        return cls(**vars(parser.parse_args(arguments)))

    @property
    def arguments(self) -> list[str]:
        """The command line of the task."""
        return [str(self.source), str(self.target), str(self.sequence_length)]


def write_model_file(folder: Path, source: Path, lengths: Sequence[int]) -> Path:
    """Writes the task as a model file for the platform; returns its folder, for SEQ_ASSETS_MODELS."""
    folder.mkdir(parents=True, exist_ok=True)
    text = _MODEL_FILE.format(model=MODEL, source=source, pad=PAD_VALUE, lengths=", ".join(map(str, lengths)))
    (folder / f"{MODEL}.yaml").write_text(text, encoding="utf-8")
    return folder
