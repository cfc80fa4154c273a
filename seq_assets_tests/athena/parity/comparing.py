"""What two environments have published, and what the reference says of it, made comparable to the last value.

Belongs here: environments side by side, and comparisons of whole tables. Not here: what is compared (the tests).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import seq_assets
from seq_assets.environments import current_environment
from seq_assets.models import SUBSETS, ColumnType, ModelSpec, Subset
from seq_assets.sequencing.accounting import SequenceAccounting
from seq_assets.sequencing.kernel import Kernel
from seq_assets.sequencing.plans import Dataset, SequencePlan
from seq_assets.warehouse.athena.sequence_sql import sequence_query
from seq_assets.warehouse.athena.sql import quoted, table_name
from seq_assets.warehouse.athena.warehouse import AthenaWarehouse
from seq_assets.warehouse.interface import Version
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.storage.parquet_files import read_batches
from seq_assets_tests.athena.fixtures import AthenaClient
from seq_assets_tests.reference.contract import stands_for
from seq_assets_tests.reference.pipeline import Ingested, Rejected
from seq_assets_tests.warehouse.building import Workspace

EXACTLY_SAID: Final = ("count", "unique", "min", "max", "labels")
MOMENTS: Final = ("mean", "variance", "standard_deviation")


@dataclass(frozen=True)
class Side:
    """One environment, with the workspace whose model files and sources all of them read.

    Attributes:
        workspace: Its warehouse, and the folder.
        settings: The variables that ask for it.
    """

    workspace: Workspace
    settings: Mapping[str, str]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The process' environment is this one: `seq_assets.load` and the others read from it."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.settings.items():
                patch.setenv(name, value)
            yield

    def find(self, dataset: Dataset, version: int | None = None) -> Version:
        """A version, the newest where none is named."""
        with self.entered():
            return self.workspace.warehouse.find(dataset, version)

    def raw(self, spec: ModelSpec) -> Version:
        """The newest raw observations."""
        return self.find(Dataset.raw(spec.name))

    def observations(self, spec: ModelSpec) -> pa.Table:
        """The newest raw observations, as a reader gets them."""
        with self.entered():
            return seq_assets.load_observations(spec.name).to_arrow()

    def sequences(self, spec: ModelSpec, subset: Subset, sequence_length: int) -> pa.Table:
        """The newest sequences, as a reader gets them."""
        with self.entered():
            return seq_assets.load(spec.name, sequence_length=sequence_length, subset=subset).to_arrow()

    def rejected(self, spec: ModelSpec) -> pa.Table:
        """What was rejected with the newest raw observations."""
        version = self.find(Dataset.rejected(spec.name), self.raw(spec).metadata["rejected_version"])
        schema = version.schema.stored()
        tables = [schema.empty_table()]
        with self.entered():
            for file in version.files:
                with self.workspace.warehouse.open_input(file) as opened:
                    tables.append(pq.ParquetFile(opened).read().cast(schema))
        return pa.concat_tables(tables)

    def vocabulary(self, spec: ModelSpec) -> list[dict[str, Any]]:
        """The ids of the newest raw observations; none where nothing is encoded."""
        raw = self.raw(spec)
        with self.entered():
            table = self.workspace.warehouse.vocabulary(raw)
        found: list[dict[str, Any]] = [] if table is None else table.to_pylist()
        return found


def local_side(folder: Path, home: Path) -> Side:
    """The local environment; its home is where production has its scratch."""
    settings = {"SEQ_ASSETS_ENV": "local", "SEQ_ASSETS_HOME": str(home), "SEQ_ASSETS_DATABASE": "seq_assets_local"}
    return Side(Workspace(folder, LocalWarehouse(home)), settings)


def cloud_side(name: str, folder: Path, athena: AthenaClient) -> Side:
    """`staging` or `prod` on the stack, in a database of its own."""
    place = f"{athena.unique}_{name}"
    settings = athena.settings | {"SEQ_ASSETS_ENV": name, "SEQ_ASSETS_DATABASE": place, "SEQ_ASSETS_PREFIX": place}
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in settings.items():
            patch.setenv(variable, value)
        return Side(Workspace(folder, current_environment().warehouse()), settings)


# An ingest


def assert_ingested_alike(one: Side, other: Side, spec: ModelSpec) -> None:
    """Raw and rejected observations, the vocabulary, the accounting and the metrics are equal."""
    assert_tables_equal(one.observations(spec), other.observations(spec))
    first, second = (in_order_of_rejection(side.rejected(spec), spec) for side in (one, other))
    assert first == second
    assert one.vocabulary(spec) == other.vocabulary(spec)
    mine, theirs = (side.raw(spec).metadata for side in (one, other))
    assert mine["accounting"] == theirs["accounting"]
    assert mine["ignored_columns"] == theirs["ignored_columns"]
    assert list(mine["metrics"]) == list(theirs["metrics"])
    for name, metrics in mine["metrics"].items():
        assert_metrics_equal(metrics, theirs["metrics"][name])


def assert_metrics_equal(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Counts and extremes are equal, moments within 1e-9."""
    assert set(mine) == set(theirs)
    for name in set(mine) & set(EXACTLY_SAID):
        assert repr(mine[name]) == repr(theirs[name]), name
    for name in set(mine) & set(MOMENTS):
        assert mine[name] == (None if theirs[name] is None else pytest.approx(theirs[name], rel=1e-9, abs=1e-300)), name


def assert_as_the_reference_says(side: Side, spec: ModelSpec, expected: Ingested) -> None:
    """The same of one environment, and the reference; metrics are compared by whoever knows how precise they can be."""
    found = with_moments_as_numbers(side.observations(spec))
    assert exactly(found) == exactly([*expected.rows["train"], *expected.rows["validation"]])
    rejected = in_order_of_rejection(side.rejected(spec), spec)
    assert len(rejected) == len(expected.rejected)
    for row, wanted in zip(rejected, expected.rejected, strict=True):
        assert Rejected(row["file"], row["row"], row["column"], wanted.value, row["reason"], row["detail"]) == wanted
        assert stands_for(row["value"], wanted.value), (row, wanted)
    assert side.vocabulary(spec) == list(expected.vocabulary)
    assert side.raw(spec).metadata["accounting"] == expected.accounting


def in_order_of_rejection(table: pa.Table, spec: ModelSpec) -> list[dict[str, Any]]:
    """Rejected rows by file, record and column of the contract; Athena's files have no order."""
    places = {name: number for number, name in enumerate(spec.columns)}
    return sorted(table.to_pylist(), key=lambda row: (row["file"].encode(), row["row"], places.get(row["column"], -1)))


def assert_tables_equal(one: pa.Table, other: pa.Table) -> None:
    """Two tables have the same columns, types and rows, in order, to the last bit of a float."""
    assert one.schema == other.schema
    assert one.num_rows == other.num_rows
    for name in one.schema.names:
        first, second = (bits(table[name].combine_chunks()) for table in (one, other))
        if not first.equals(second):
            place = next(row for row in range(len(first)) if first[row] != second[row])
            shown = [table.slice(place, 1).to_pylist() for table in (one, other)]
            raise AssertionError(f"{name}, row {place}: {shown[0]} != {shown[1]}")


def bits(values: pa.Array) -> pa.Array:
    """Floats as integers of the same bits, so that 0.0 is not -0.0."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_fixed_size_list(values.type):
        return pa.FixedSizeListArray.from_arrays(bits(values.flatten()), values.type.list_size)
    widths = {pa.float32(): pa.int32(), pa.float64(): pa.int64()}
    return values.view(widths[values.type]) if values.type in widths else values


def with_moments_as_numbers(table: pa.Table) -> list[dict[str, Any]]:
    """The rows, timestamps as microseconds since the epoch."""
    for number, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            table = table.set_column(number, column.name, table[column.name].cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def exactly(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Rows whose values can be compared to the sign of a zero and the difference of 1 and True."""
    return [{name: repr(value) for name, value in row.items()} for row in rows]


# Sequences


def kernel_sequences(
    side: Side, plan: SequencePlan, vocabulary: pa.Table | None, batch_rows: int
) -> tuple[list[dict[str, Any]], SequenceAccounting]:
    """What the kernel cuts out of the local raw files, without publishing, and its accounting."""
    warehouse = side.workspace.warehouse
    assert isinstance(warehouse, LocalWarehouse)
    files = warehouse.raw_files(warehouse.find(Dataset.raw(plan.model)), plan.subset)
    kernel = Kernel(plan, vocabulary)
    read = read_batches(warehouse.storage, files, kernel.input_columns, batch_rows)
    rows = [row for batch in kernel.batches(read) for row in batch.to_pylist()]
    return rows, kernel.accounting


def trino_sequences(side: Side, plans: Sequence[SequencePlan]) -> list[list[dict[str, Any]]]:
    """What one query makes of production's raw version for several plans, in the order of a sequence table."""
    warehouse = side.workspace.warehouse
    assert isinstance(warehouse, AthenaWarehouse)
    raw = warehouse.find(Dataset.raw(plans[0].model))
    vocabulary = raw.metadata.get("vocabulary_version")
    observations = f"{table_name(warehouse.cloud.database, raw.dataset.table)} FOR VERSION AS OF {raw.id}"
    ids = f"{table_name(warehouse.cloud.database, Dataset.vocabulary(plans[0].model).table)} FOR VERSION AS OF {vocabulary}"
    queries = [
        f"SELECT {number} AS number, {_as_json(plan)} AS cells FROM ({sequence_query(plan, observations, vocabulary and ids)})"
        for number, plan in enumerate(plans)
    ]
    found: list[list[dict[str, Any]]] = [[] for _ in plans]
    for row in warehouse.athena.rows(" UNION ALL ".join(queries)):
        found[row["number"]].append(_row(json.loads(row["cells"]), plans[row["number"]]))
    return [sorted(rows, key=lambda row: _place(row, plan)) for rows, plan in zip(found, plans, strict=True)]


def _as_json(plan: SequencePlan) -> str:
    """A row as a list of its values, so that plans with different columns fit into one query."""
    cells = ", ".join(f"CAST({quoted(name)} AS JSON)" for name in plan.schema.names)
    return f"json_format(CAST(ARRAY[{cells}] AS JSON))"


def _row(cells: Sequence[Any], plan: SequencePlan) -> dict[str, Any]:
    """A row as Arrow would give it: what is printed of a float32 is taken as one."""
    typed = zip(plan.schema.columns, cells, strict=True)
    return {column.name: np.float32(cell).tolist() if column.type is ColumnType.FLOAT32 else cell for column, cell in typed}


def _place(row: Mapping[str, Any], plan: SequencePlan) -> tuple[Any, int]:
    entity, index = row[plan.entity[0]], row["sequence_index"]
    return (entity.encode() if isinstance(entity, str) else entity), index


def assert_published_alike(
    one: Side, other: Side, spec: ModelSpec, sequence_length: int, subsets: Sequence[Subset] = SUBSETS
) -> None:
    """The newest sequences of the subsets are equal, and so are their accounting and their schema."""
    for subset in subsets:
        dataset = Dataset.sequenced(spec.name, subset, sequence_length)
        mine, theirs = (side.find(dataset) for side in (one, other))
        assert mine.schema == theirs.schema
        assert mine.metadata["accounting"] == theirs.metadata["accounting"]
        assert_tables_equal(one.sequences(spec, subset, sequence_length), other.sequences(spec, subset, sequence_length))
