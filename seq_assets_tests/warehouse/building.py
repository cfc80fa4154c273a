"""Small builders for tests of warehouses: a model file, a source file, the plans that they make, and what was published.

Here belong helpers that several test modules of warehouses share. Not here: what a test expects.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from seq_assets.errors import SettingsError
from seq_assets.models import ModelSpec, Subset, read_model_file
from seq_assets.sequencing.plans import Dataset, IngestPlan, SequencePlan
from seq_assets.warehouse.interface import Progress, Publication, Version, Warehouse, no_progress
from seq_assets.warehouse.storage.parquet_files import in_row_order
from seq_assets.warehouse.storage.storage import LocalStorage, Storage

Row = dict[str, Any]

PLAIN_COLUMNS: Mapping[str, Any] = {"pupil": {"type": "int64"}, "time": {"type": "int64"}, "item": {"type": "int32"}}
PLAIN_FEATURES: Mapping[str, Any] = {"item": {"pad_value": -1}}


def read_table(version: Version) -> pa.Table:
    """The rows of a version, file after file, in the types of the files."""
    return pa.concat_tables(pq.ParquetFile(file).read() for file in version.files)


def read_rows(version: Version) -> list[Row]:
    """The rows of a version as dictionaries."""
    rows: list[Row] = read_table(version).to_pylist()
    return rows


def published_rows(warehouse: Warehouse, version: Version, subset: Subset | None = None) -> list[Row]:
    """The rows of a version, or of one subset of it, wherever they are, in the table's order and the model's types."""
    schema = version.schema.stored()
    tables = [schema.empty_table()]
    for file in version.files if subset is None else warehouse.raw_files(version, subset):
        with warehouse.open_input(file) as opened:
            tables.append(pq.ParquetFile(opened).read().cast(schema))
    table = pa.concat_tables(tables)
    rows: list[Row] = (table if version.is_ordered else in_row_order(table, version)).to_pylist()
    return rows


def let_time_pass(storage: Storage) -> None:
    """Until the clock of whoever keeps the files, that of S3 in whole seconds, tells before from after."""
    time.sleep(0.02 if isinstance(storage, LocalStorage) else 1.1)


def remove_file(file: str) -> None:
    """Removes a file of a version, as somebody who should not."""
    if file.startswith("s3://"):
        from seq_assets.warehouse.storage.object_store import remove_each

        remove_each([file], SettingsError)
    else:
        Path(file).unlink()


def write_file(file: str, content: bytes) -> None:
    """Writes a file where a version has one, as somebody who should not."""
    if file.startswith("s3://"):
        from seq_assets.warehouse.storage.uploads import ObjectSink

        sink = ObjectSink(file, SettingsError)
        sink.write(content)
        sink.finish()
    else:
        Path(file).write_bytes(content)


def overwrite(warehouse: Warehouse, file: str) -> None:
    """Gives a file of a version another content of the same size, as a disk that breaks."""
    with warehouse.open_input(file) as opened:
        size = opened.size()
    write_file(file, b"x" * size)


@dataclass(frozen=True)
class Workspace:
    """A folder of model files and sources, and the warehouse that executes their plans.

    Attributes:
        folder: Where model files and sources are written.
        warehouse: What executes plans.
    """

    folder: Path
    warehouse: Warehouse

    def write(self, name: str, content: str | bytes | pa.Table) -> Path:
        """Writes a source file: text as UTF-8 without translation of line ends, bytes as they are, a table as Parquet."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pa.Table):
            pq.write_table(content, path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def model(self, **fields: Any) -> ModelSpec:
        """Writes a model file and reads it back; fields that are not given are those of a plain model on `source.csv`."""
        content = {
            "name": "plain",
            "source": {"location": "source.csv"},
            "entity": "pupil",
            "order_by": ["time"],
            "columns": dict(PLAIN_COLUMNS),
            "split": {"strategy": "entity_hash", "validation_fraction": 0.0},
            **fields,
        }
        path = self.folder / f"{content['name']}.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return read_model_file(path)

    def sequence_model(self, **fields: Any) -> ModelSpec:
        """As `model`, with the feature `item` and the sequence length 4."""
        return self.model(**{"features": dict(PLAIN_FEATURES), "sequence_lengths": [4], **fields})

    def ingest_plan(self, spec: ModelSpec) -> IngestPlan:
        """The plan that reads the model's source."""
        location = spec.location("local")
        assert location is not None
        return IngestPlan(spec, location, str(self.folder))

    def ingest(self, spec: ModelSpec, *, force: bool = False, progress: Progress = no_progress) -> Publication:
        """Ingests the model's source."""
        return self.warehouse.execute(self.ingest_plan(spec), force=force, progress=progress)

    def sequence(
        self,
        spec: ModelSpec,
        subset: Subset = "train",
        sequence_length: int | None = None,
        *,
        force: bool = False,
        progress: Progress = no_progress,
    ) -> Publication:
        """Sequences the newest raw observations, to the model's smallest length where none is given."""
        raw = self.warehouse.find(Dataset.raw(spec.name))
        length = sequence_length or spec.lengths[0]
        return self.warehouse.execute(SequencePlan.of(spec, subset, length, raw.id), force=force, progress=progress)

    def raw_rows(self, spec: ModelSpec) -> list[Row]:
        """The newest raw observations: train, then validation."""
        return read_rows(self.warehouse.find(Dataset.raw(spec.name)))

    def rejected_rows(self, spec: ModelSpec) -> list[Row]:
        """The newest rejected observations."""
        return read_rows(self.warehouse.find(Dataset.rejected(spec.name)))

    def accounting(self, spec: ModelSpec) -> dict[str, Any]:
        """The accounting of the newest raw observations."""
        accounting: dict[str, Any] = self.warehouse.find(Dataset.raw(spec.name)).metadata["accounting"]
        return accounting


def csv_text(columns: Mapping[str, Sequence[Any]]) -> str:
    """Columns as a plain CSV file with a header."""
    records = zip(*columns.values(), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(str, record)) for record in records)]) + "\n"
