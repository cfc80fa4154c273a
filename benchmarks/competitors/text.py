"""What those that read text are told: which file, and where its rows go."""

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TextTask:
    """What one process does.

    Attributes:
        source: Observations as CSV or JSON lines, by the file's name.
        target: The Parquet file to write, of rows sorted by pupil and time.
    """

    source: Path
    target: Path

    @property
    def is_csv(self) -> bool:
        """Whether the source is CSV."""
        return self.source.suffix == ".csv"

    @classmethod
    def of_arguments(cls) -> "TextTask":
        """The task that a command line names."""
        return cls(*map(Path, sys.argv[1:]))
