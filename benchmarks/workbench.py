"""How each contender is run: as a process of its own, on one file of observations, in one folder.

Belongs here: command lines, settings and places. Not here: what is compared with what.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.generating import Observations
from benchmarks.measuring import FailedProcessError, Measurement, measure
from benchmarks.task import MODEL, SEQUENCE_LENGTH, Task, write_model_file

POLARS: Final = ("polars_group_windows", "polars_group_histories", "polars_sort_and_scatter")
DUCKDB: Final = ("duckdb_history_of_structs", "duckdb_window_of_structs", "duckdb_window_of_lists", "duckdb_history_of_lists")
PANDAS: Final = ("pandas_groupby", "pandas_scatter")
PYKT: Final = "pykt_generate_sequences"
PYKT_PACKAGE: Final = "pykt-toolkit==0.0.38"
IMPORT_TIME: Final = "import time; t = time.perf_counter(); import seq_assets; print(time.perf_counter() - t)"
DAGSTER_START: Final = """\
import duckdb
from seq_assets.assets import build_definitions
from seq_assets.environments import current_environment
build_definitions(current_environment())
current_environment().warehouse().datasets()"""
"""What `seq-assets materialize` loads before its first run."""


@dataclass(frozen=True)
class Workbench:
    """One size and shape of observations, and all that is made of them.

    Attributes:
        folder: Holds the observations of all sizes; what is made goes below it.
        observations: Which ones.
    """

    folder: Path
    observations: Observations

    @property
    def source(self) -> Path:
        """The file of observations."""
        return self.observations.file_in(self.folder / "observations")

    @property
    def results(self) -> Path:
        """Where results go."""
        folder = self.folder / "made" / self.source.stem
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def home(self) -> Path:
        """The platform's home."""
        return self.results / "home"

    def settings(self, lengths: Sequence[int] = (SEQUENCE_LENGTH,)) -> dict[str, str]:
        """The platform's settings, with a model file that declares these lengths."""
        models = write_model_file(self.results / "models", self.source, lengths)
        return {"SEQ_ASSETS_HOME": str(self.home), "SEQ_ASSETS_MODELS": str(models)}

    def ingest(self) -> Measurement:
        """The engine reads, checks, splits and sorts, into a fresh home."""
        self.remove_home()
        return measure(["-m", "benchmarks.engine", "ingest"], self.settings())

    def sequence(self, *lengths: int) -> Measurement:
        """The engine cuts both subsets into sequences of these lengths."""
        asked = lengths or (SEQUENCE_LENGTH,)
        return measure(["-m", "benchmarks.engine", "sequence", "--lengths", *map(str, asked)], self.settings(asked))

    def materialize(self, *lengths: int) -> Measurement:
        """A user's `seq-assets materialize` of the model, into a fresh home."""
        self.remove_home()
        return measure(["-m", "seq_assets", "materialize", MODEL], self.settings(lengths or (SEQUENCE_LENGTH,)))

    def compete(self, form: str, sequence_length: int = SEQUENCE_LENGTH) -> Measurement:
        """A competitor does the whole task."""
        task = Task(self.source, self.target(form), sequence_length)
        settings = {"PYKT_FOLDER": str(self.folder / "pykt")}
        return measure(["-m", f"benchmarks.competitors.{form}", *task.arguments], settings)

    def target(self, form: str) -> Path:
        """The file that a competitor writes."""
        return self.results / f"{form}.parquet"

    def fingerprint(self, *files: Path, form: str = "", sequence_length: int = SEQUENCE_LENGTH) -> str:
        """What the sequences in files are, whatever their order."""
        arguments = [str(file) for file in files]
        if form == PYKT:
            arguments = ["--pykt", str(sequence_length), *arguments]
        return measure(["-m", "benchmarks.equality", *arguments]).output.strip()

    def report(self, module: str, *arguments: str) -> dict[str, Any]:
        """What a module of the benchmarks prints about the platform."""
        found: dict[str, Any] = json.loads(measure(["-m", f"benchmarks.{module}", *arguments], self.settings()).output)
        return found

    def provide_pykt(self) -> str | None:
        """Downloads pyKT's package, without what it depends on; returns why that failed, if it did."""
        if (self.folder / "pykt" / "pykt").is_dir():
            return None
        arguments = ["install", "--quiet", "--no-deps", "--disable-pip-version-check", "--target", str(self.folder / "pykt")]
        try:
            measure(["-m", "pip", *arguments, PYKT_PACKAGE])
        except FailedProcessError as error:
            return str(error)
        return None

    def remove_home(self) -> None:
        """Removes the platform's tables."""
        shutil.rmtree(self.home, ignore_errors=True)

    def remove_results(self) -> None:
        """Removes all that was made; the observations stay."""
        shutil.rmtree(self.results, ignore_errors=True)


def sequence_files(measurement: Measurement) -> list[Path]:
    """The files of sequences that a process of the engine published."""
    files: dict[str, list[str]] = json.loads(measurement.output)["files"]
    return [Path(file) for table, made in files.items() if "_sequenced_" in table for file in made]


def default_folder() -> Path:
    """`.bench` in the working directory, or what BENCH_FOLDER names."""
    return Path(os.environ.get("BENCH_FOLDER", ".bench")).resolve()
