"""What it costs to ingest text: CSV with and without quotes, JSON lines, many small files, and a file more than yesterday.

Belongs here: such sources, one measured process over each, and those of others. Not here: sequences, which do not depend on the
source.
"""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.generating import Observations
from benchmarks.measuring import Measurement, measure
from benchmarks.report import cores, memory, rows_of, seconds, table

ROWS: Final = 3_000_000
SMALL_FILES: Final = 20_000
"""As EdNet has one file per pupil; of the rows above, each has some."""
DAYS: Final = 20
"""Files of the source that grows by one."""
SINGLE_FILES: Final = {"unquoted_csv": "unquoted.csv", "quoted_csv": "quoted.csv", "json_lines": "lines.jsonl"}
"""The models whose source is one file, which others read, too."""
POLARS: Final = "polars_text"
DUCKDB: Final = "duckdb_text"
_SPLIT: Final = {"strategy": "entity_hash", "validation_fraction": 0.2}


@dataclass(frozen=True)
class Texts:
    """The same observations in every form, each with its model.

    Attributes:
        folder: Holds the observations; what is made goes below it.
        rows: Of the observations.
        files: The small ones.
    """

    folder: Path
    rows: int = ROWS
    files: int = SMALL_FILES

    @property
    def place(self) -> Path:
        """Where the sources are; they are written where they are missing."""
        place = self.folder / "texts" / f"{self.rows}_{self.files}"
        if not (place / "growing").exists():
            _write(Observations(self.rows).file_in(self.folder / "observations"), place, self.files)
        return place

    def ingest(self, model: str, *, is_first: bool = True) -> Measurement:
        """The engine ingests a model: into a fresh home, or into that of the time before."""
        home = self.place / "home"
        if is_first:
            shutil.rmtree(home, ignore_errors=True)
        settings = {"SEQ_ASSETS_HOME": str(home), "SEQ_ASSETS_MODELS": str(self.place / "models")}
        changed = [] if is_first else ["--changed"]
        return measure(["-m", "benchmarks.engine", "ingest", "--models", model, *changed], settings)

    def compete(self, form: str, model: str) -> Measurement:
        """Another reads, sorts and writes the source of a model."""
        target = self.place / f"{form}.parquet"
        measured = measure([f"-mbenchmarks.competitors.{form}", str(self.place / SINGLE_FILES[model]), str(target)])
        target.unlink()
        return measured

    def a_day_later(self) -> tuple[Measurement, Measurement]:
        """The ingest of a source of some files, one per day, and that of the next day, when there is one more."""
        tomorrow, growing = self.place / "tomorrow.csv", self.place / "growing"
        added = growing / f"day{DAYS}.csv"
        added.unlink(missing_ok=True)
        first = self.ingest("growing")
        os.link(tomorrow, added)
        later = self.ingest("growing", is_first=False)
        added.unlink()
        return first, later


def run(folder: Path, rows: int, files: int) -> tuple[str, dict[str, Any]]:
    """Measures everybody on every source; returns tables and the numbers."""
    texts = Texts(folder, rows, files)
    measured: dict[str, dict[str, Measurement]] = {}
    for model in [*SINGLE_FILES, "small_files"]:
        measured[model] = {"ours": texts.ingest(model)}
        if model in SINGLE_FILES:
            measured[model] |= {form.removesuffix("_text"): texts.compete(form, model) for form in (POLARS, DUCKDB)}
    first, later = texts.a_day_later()
    measured["growing"] = {f"ours: {DAYS} files": first, "ours: one file more": later}
    shown = table([_row(source, rows, who, found[who], found) for source, found in measured.items() for who in found])
    return shown, {source: {who: vars(one) for who, one in found.items()} for source, found in measured.items()}


def _row(source: str, rows: int, who: str, one: Measurement, beside: dict[str, Measurement]) -> dict[str, object]:
    first = next(iter(beside.values()))
    return {
        "source": f"{rows_of(rows)}, {source.replace('_', ' ')}",
        "who": who,
        "wall": seconds(one.seconds),
        "CPU": seconds(one.cpu_seconds),
        "CPU ÷ wall": cores(one),
        "peak memory": memory(one.peak_bytes),
        "CPU ÷ ours": f"{one.cpu_seconds / first.cpu_seconds:.2f}",
    }


def _write(observations: Path, place: Path, files: int) -> None:
    import duckdb
    import pyarrow.parquet as pq

    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    columns = {name: {"type": type_} for name, type_ in _columns(observations).items()}
    with duckdb.connect() as connection:
        source = f"read_parquet('{observations}')"
        connection.execute(f"COPY (FROM {source}) TO '{place}/unquoted.csv' (HEADER)")
        connection.execute(f"COPY (FROM {source}) TO '{place}/quoted.csv' (HEADER, FORCE_QUOTE *)")
        connection.execute(f"COPY (FROM {source}) TO '{place}/lines.jsonl'")
    records = pq.read_table(observations)
    _write_parts(records, (place / "small_files" / f"u{number}.csv" for number in range(files)), files)
    days = [*(place / "growing" / f"day{number:02}.csv" for number in range(DAYS)), place / "tomorrow.csv"]
    _write_parts(records, days, len(days))
    for model, file in SINGLE_FILES.items():
        _write_model(place, model, f"../{file}", columns)
    _write_model(place, "growing", "../growing", columns)
    of_path = {"file": {"type": "int64", "from": {"path": r"u([0-9]+)\.csv"}}}
    _write_model(place, "small_files", "../small_files", columns | of_path)


def _write_parts(records: Any, files: Iterable[Path], count: int) -> None:
    """Writes records, an Arrow table, to files of about as many rows each."""
    from pyarrow import csv

    for number, file in enumerate(files):
        file.parent.mkdir(exist_ok=True)
        first, last = number * len(records) // count, (number + 1) * len(records) // count
        csv.write_csv(records.slice(first, last - first), file, csv.WriteOptions(quoting_style="none"))


def _columns(observations: Path) -> dict[str, str]:
    """The columns' types in a contract."""
    import pyarrow.parquet as pq

    types = {field.name: str(field.type) for field in pq.read_schema(observations)}
    names = {"float": "float32", "double": "float64"}
    return {name: "timestamp" if "timestamp" in type_ else names.get(type_, type_) for name, type_ in types.items()}


def _write_model(place: Path, name: str, location: str, columns: dict[str, Any]) -> None:
    entity, time = list(columns)[:2]
    content = {
        "name": name,
        "source": {"location": location},
        "entity": entity,
        "order_by": [time],
        "columns": columns,
        "split": _SPLIT,
    }
    (place / "models").mkdir(exist_ok=True)
    (place / "models" / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
