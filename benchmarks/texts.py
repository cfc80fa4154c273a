"""What it costs to ingest text: CSV with and without quotes, JSON lines, and many small files of one source.

Belongs here: such sources, and one measured process over each. Not here: sequences, which do not depend on the source.
"""

import shutil
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.generating import Observations
from benchmarks.measuring import Measurement, measure
from benchmarks.report import memory, rows_of, seconds, table

ROWS: Final = 3_000_000
SMALL_FILES: Final = 20_000
"""As EdNet has one file per pupil; of the rows above, each has some."""
_SPLIT: Final = {"strategy": "entity_hash", "validation_fraction": 0.2}


def run(folder: Path, rows: int, files: int) -> tuple[str, Any]:
    """Writes the sources where they are missing, and measures; returns a table and the numbers."""
    place = folder / "texts" / f"{rows}_{files}"
    if not (place / "models").exists():
        _write(Observations(rows).file_in(folder / "observations"), place, files)
    measured = {}
    for model in sorted(path.stem for path in (place / "models").glob("*.yaml")):
        settings = {"SEQ_ASSETS_HOME": str(place / "home"), "SEQ_ASSETS_MODELS": str(place / "models")}
        shutil.rmtree(place / "home", ignore_errors=True)
        measured[model] = measure(["-m", "seq_assets", "materialize", model], settings)
    shown = table([_row(model, rows, measurement) for model, measurement in measured.items()])
    return shown, {model: vars(measurement) for model, measurement in measured.items()}


def _row(model: str, rows: int, measurement: Measurement) -> dict[str, object]:
    return {
        "source": f"{rows_of(rows)}, {model.replace('_', ' ')}",
        "CPU": seconds(measurement.cpu_seconds),
        "wall": seconds(measurement.seconds),
        "memory": memory(measurement.peak_bytes),
    }


def _write(observations: Path, place: Path, files: int) -> None:
    """The same observations in every form, each with its model."""
    import duckdb
    import pyarrow.parquet as pq

    shutil.rmtree(place, ignore_errors=True)
    (place / "small_files").mkdir(parents=True)
    columns = {name: {"type": type_} for name, type_ in _columns(observations).items()}
    with duckdb.connect() as connection:
        source = f"read_parquet('{observations}')"
        connection.execute(f"COPY (FROM {source}) TO '{place}/unquoted.csv' (HEADER)")
        connection.execute(f"COPY (FROM {source}) TO '{place}/quoted.csv' (HEADER, FORCE_QUOTE *)")
        connection.execute(f"COPY (FROM {source}) TO '{place}/lines.jsonl'")
    records = pq.read_table(observations)
    header = ",".join(records.schema.names)
    for number in range(files):
        first, last = number * len(records) // files, (number + 1) * len(records) // files
        part = records.slice(first, last - first)
        lines = (",".join(map(str, row.values())) for row in part.to_pylist())
        (place / "small_files" / f"u{number}.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    of_path = {"file": {"type": "int64", "from": {"path": r"u([0-9]+)\.csv"}}}
    _write_model(place, "unquoted_csv", "../unquoted.csv", columns)
    _write_model(place, "quoted_csv", "../quoted.csv", columns)
    _write_model(place, "json_lines", "../lines.jsonl", columns)
    _write_model(place, "small_files", "../small_files", columns | of_path)


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
