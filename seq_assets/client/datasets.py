"""Reading what is published, from a notebook or a training script: handles of versions, and DuckDB over all tables.

Loads neither Dagster nor, before data is read, an engine.
"""

import operator
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, reduce
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, SupportsIndex, cast

from seq_assets.client.batches import (
    DEFAULT_BUFFER,
    Batches,
    BatchSettings,
    StoredRows,
    arrays_of,
    dtype_of,
    read_arrays,
    read_rows,
    stream_batches,
)
from seq_assets.client.display import html_of, named, text_of, when
from seq_assets.client.naming import what_is_wrong_with
from seq_assets.client.versions import Versions
from seq_assets.environments import Environment, current_environment
from seq_assets.errors import InputError, LostFilesError, NotPublishedError
from seq_assets.models import SUBSETS, Subset

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import torch
    from datasets import Dataset as HuggingFaceDataset

    from seq_assets.client.export import Export, ExportFormat
    from seq_assets.client.torch_dataset import TorchDataset
    from seq_assets.sequencing.plans import Dataset
    from seq_assets.warehouse.interface import Version, Warehouse
_ROWS_OF_AN_ITERATION: Final = 256
"""That are in memory as one batch while they are iterated over."""
_NOT_ON_AN_ITEM: Final = ("is_pad_sequence", "is_repeat_sequence", "is_context_sequence")
"""The columns that are 0 on an item that is scored, as far as a version has them."""


@dataclass(frozen=True, repr=False)
class _PublishedRows:
    """A handle of the rows of one version; nothing is read before rows are asked for.

    Two handles are equal that are of the same rows. A handle can be pickled, and be used in a process that was forked.

    Attributes:
        model: The model's name.
        subset: `train`, `validation`, or None for both.
        version: The version's id.
        metadata: What the version was made from and what was measured.
    """

    model: str
    subset: Subset | None
    version: int
    metadata: dict[str, Any] = field(compare=False)
    _files: tuple[str, ...] = field(compare=False)
    _rows: int = field(compare=False)
    _version: "Version" = field(compare=False)
    _warehouse: "Warehouse" = field(compare=False)

    def __len__(self) -> int:
        """The number of rows."""
        return self._rows

    def __getitem__(self, rows: "SupportsIndex | slice") -> "dict[str, Any]":
        """One row, or those of a slice: `ds[7]`, `ds[-1]`, `ds[10:20]`; names and types are those of `to_numpy()`.

        Of the files, only the row groups are read that hold them. Who wants every row once has them quicker by iterating.

        Args:
            rows: A place in the table's order, from 0, negative ones from the end; or a slice of places.

        Returns:
            Of one row: an array (L,) for a `<feature>_sequence`, a value for others. Of a slice of n: (n, L) and (n,).

        Raises:
            IndexError: There is no such row.
            TypeError: It is neither an integer nor a slice.
        """
        if isinstance(rows, slice):
            return self._rows_at(range(len(self))[rows])
        try:
            place = operator.index(rows)
        except TypeError:
            raise TypeError(f"found {type(rows).__name__} in the brackets; allowed: an integer, or a slice of them") from None
        if not -len(self) <= place < len(self):
            raise IndexError(f"row {place}: there is none among {len(self)} rows, which count from 0, or from the end from -1")
        found = self._rows_at(range(len(self))[place : place + 1 or None])
        return {name: array[0] for name, array in found.items()}

    def __iter__(self) -> "Iterator[dict[str, Any]]":
        """Each row as `ds[i]` gives it, in the table's order; streamed, in the memory of `batches()`."""
        for batch in self.batches(_ROWS_OF_AN_ITERATION):
            names = list(batch)
            for values in zip(*batch.values(), strict=True):
                yield dict(zip(names, values, strict=True))

    def __repr__(self) -> str:
        """What it is, in a few lines."""
        return text_of(self)

    def _repr_html_(self) -> str:
        """What it is, and its first rows, for a notebook."""
        return html_of(self)

    def __dir__(self) -> list[str]:
        """What people may use, for completion."""
        return sorted(name for name in object.__dir__(self) if not name.startswith("_"))

    def __getstate__(self) -> dict[str, Any]:
        """What it was made of, without what it has looked up since."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @property
    def columns(self) -> "Mapping[str, np.dtype[Any]]":
        """The columns, by name, in their order, with the type of their values as numpy has them."""
        return {column.name: dtype_of(column) for column in self._version.schema.columns}

    def head(self, rows: int = 3) -> "pd.DataFrame":
        """The first rows as a pandas DataFrame; no more is read than holds them.

        Example:
            >>> ds.head(2)[["pupilid", "sequence_size"]].shape
            (2, 2)
        """
        schema = self._version.schema.presented()
        return read_rows(self._stored, range(len(self))[: max(rows, 0)]).cast(schema).to_pandas()

    @property
    def _facts(self) -> tuple[str, ...]:
        """What people want to know first, a line each."""
        published = when(self._version.committed_at)
        return f"{len(self):,} rows, published {published}", f"columns: {named(self.columns)}"

    def _rows_at(self, places: range) -> "dict[str, np.ndarray]":
        return arrays_of(read_rows(self._stored, places), self._version.schema.columns)

    def to_arrow(self) -> "pa.Table":
        """The rows as an Arrow table in the model's types; a `<feature>_sequence` is a fixed-size list.

        Example:
            >>> ds.to_arrow().schema.field("correct_sequence").type
            FixedSizeListType(fixed_size_list<element: int8 not null>[100])
        """
        import pyarrow as pa

        schema = self._version.schema.presented()
        return pa.Table.from_batches((batch.cast(schema) for batch in self._batches()), schema)

    def to_pandas(self) -> "pd.DataFrame":
        """The rows as a pandas DataFrame; each cell of a `<feature>_sequence` is a numpy array."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> "pl.DataFrame":
        """The rows as a Polars DataFrame; a `<feature>_sequence` is an Array column. Needs the extra `polars`."""
        try:
            import polars as pl
        except ImportError as error:
            raise InputError("to_polars() needs the package polars; install seq-assets[polars].") from error
        return cast("pl.DataFrame", pl.from_arrow(self.to_arrow()))

    def to_numpy(self) -> "dict[str, np.ndarray]":
        """The columns as arrays of n rows: (n, L) for a `<feature>_sequence`, (n,) for others; texts are objects.

        Every value is copied once, from the decoded Parquet page to its place.

        Example:
            >>> ds.to_numpy()["correct_sequence"].shape
            (677, 100)
        """
        return read_arrays(self._stored)

    def batches(
        self,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        epoch: int = 0,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
        even_batches: bool = False,
        buffer: int = DEFAULT_BUFFER,
    ) -> Batches:
        """Streams the rows as dictionaries of arrays with the names and types of `to_numpy()`; each array is the caller's own.

        The order of all rows is the table's, or, shuffled, decided by the version, `seed`, `epoch` and `buffer` alone: it is
        the same on every machine, for every batch size and number of ranks. Each rank gets one stretch of that order; over all
        ranks, every row comes once. All ranks get the same number of batches, `ceil(ceil(rows / world_size) / batch_size)`, and
        rows that differ by one at most: where those of a rank would fill one batch less, one row of its last batch but one is
        its last batch. Like this, there must be a row for each batch; `even_batches` gives up that each row comes once instead.

        What is returned is an iterator that knows its length. Its `state_dict()` says where it is; `load_state_dict()` of
        another one, over the same version with the same arguments, goes on there, on any machine, and gives no batch before it.
        Each worker of a DataLoader would get every row, which is refused: `to_torch_dataset()` shares them out.

        Shuffling mixes row groups, then the rows of as many of them as a third of the buffer holds, or of parts of at least 8.
        A version that Athena wrote keeps its rows in any order: shuffled, it is read like others; else it is sorted before its
        first batch, in memory where it fits into the buffer, else with the help of a temporary folder.

        Args:
            batch_size: Rows of a batch; the last one has the rest.
            shuffle: Whether rows come in a random order.
            seed: Decides the random order.
            epoch: Decides it, too: give each epoch its number.
            rank: Which part of the rows, from 0.
            world_size: How many parts there are.
            drop_last: Leave out what does not fill a batch on every rank, so that all batches are of the same size.
            even_batches: Give all ranks as many rows, `ceil(rows / world_size)`: behind the last row come as many of the first
                again as are lacking. As in Hugging Face's Accelerate; torch's DistributedSampler does so unless told otherwise.
            buffer: Bytes that the rows in memory take, at most, as arrays; a text counts 64. Decoding takes a few MB more for
                each of at most 8 row groups.

        Raises:
            InputError: An argument is none of the allowed, there are too few rows to give all ranks the same number of
                batches, or this is one of several workers of a DataLoader.

        Example:
            >>> for batch in ds.batches(256, shuffle=True, epoch=0):
            ...     print(batch["correct_sequence"].shape, int(ds.score_mask(batch).sum()) > 0)
            (256, 100) True
            (256, 100) True
            (165, 100) True
            >>> batches = ds.batches(256, shuffle=True)
            >>> first, state = next(batches), batches.state_dict()
            >>> resumed = ds.batches(256, shuffle=True)
            >>> resumed.load_state_dict(state)
            >>> all((batch["pupilid"] == same["pupilid"]).all() for batch, same in zip(batches, resumed, strict=True))
            True
        """
        settings = BatchSettings(
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            epoch=epoch,
            rank=rank,
            world_size=world_size,
            drop_last=drop_last,
            even_batches=even_batches,
            buffer=buffer,
        )
        return stream_batches(self._stored, settings)

    def to_torch_dataset(
        self,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        epoch: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        drop_last: bool = False,
        even_batches: bool = False,
        buffer: int = DEFAULT_BUFFER,
    ) -> "TorchDataset":
        """An `IterableDataset` over the `batches()` of each epoch, as tensors without a copy. Needs the extra `torch`.

        It gives whole batches, so that the DataLoader is to make none: `DataLoader(dataset, batch_size=None, num_workers=2)`.
        Ranks and workers share the rows, each row once; a worker gets a stretch of its rank's batches, so that with other
        numbers of workers the same batches come in another order. Each worker has a buffer of its own. Its length is the number
        of its rank's batches. `set_epoch(n)` before each epoch has it shuffled anew, also for workers that live on.

        Its `state_dict()` and `load_state_dict()` are those that torchdata's `StatefulDataLoader` asks for, so that a training
        run resumes at the batch where it stopped, with the same number of workers. Texts and times, which are no tensors, are
        left out.

        Args:
            batch_size: Rows of a batch, as all that follows, as for `batches()`.
            shuffle: Whether rows come in a random order.
            seed: Decides the random order.
            epoch: The first epoch.
            rank: Which part of the rows; None is that of torch's process group, 0 where there is none.
            world_size: How many parts there are; None is those of torch's process group, 1 where there is none.
            drop_last: Leave out what does not fill a batch on every rank.
            even_batches: Repeat rows where that gives all ranks as many.
            buffer: Bytes that the rows in memory take, at most, as arrays, in each worker.

        Raises:
            InputError: An argument is none of the allowed, there are too few rows to give all ranks the same number of batches,
                only one of rank and world_size is given, or torch is not installed.
        """
        if (rank is None) != (world_size is None):
            raise InputError(f"rank: found {rank} with world_size {world_size}; allowed: both, or none of them")
        try:
            from seq_assets.client.torch_dataset import TorchDataset, rank_and_world_size
        except ImportError as error:
            raise InputError("to_torch_dataset() needs the package torch; install seq-assets[torch].") from error
        if rank is None or world_size is None:
            rank, world_size = rank_and_world_size()
        settings = BatchSettings(
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            epoch=epoch,
            rank=rank,
            world_size=world_size,
            drop_last=drop_last,
            even_batches=even_batches,
            buffer=buffer,
        )
        return TorchDataset(self._stored, settings)

    def to_huggingface(self) -> "HuggingFaceDataset":
        """The rows as a `datasets.Dataset` over the memory of `to_arrow()`. Needs the extra `huggingface`.

        A `<feature>_sequence` is a list of fixed length L. What `map` and others cache is found again for the same version.
        """
        try:
            from datasets import Dataset
            from datasets.table import InMemoryTable
        except ImportError as error:
            raise InputError("to_huggingface() needs the package datasets; install seq-assets[huggingface].") from error
        name = f"{self._version.dataset.table} {self.subset} {self.version}"
        return Dataset(InMemoryTable(self.to_arrow()), fingerprint=sha256(name.encode()).hexdigest()[:16])

    def to_torch(self) -> "dict[str, torch.Tensor]":
        """The numeric columns as tensors that share memory with `to_numpy()`'s arrays. Needs the extra `torch`."""
        try:
            import torch
        except ImportError as error:
            raise InputError("to_torch() needs the package torch; install seq-assets[torch].") from error
        return {name: torch.from_numpy(array) for name, array in self.to_numpy().items() if array.dtype.kind in "biuf"}

    def vocabulary(self) -> "pa.Table":
        """What the ids of encoded features stand for, at this version: columns feature, value, id (int32), count (int64).

        `value` is text; `count` is of train observations. 0 is padding and 1 unknown or null; neither has a row.

        Raises:
            InputError: The model had no feature with `encode: vocabulary`.
        """
        table = self._warehouse.vocabulary(self._version)
        if table is None:
            raise InputError(f"{self._version.dataset.table}: found no feature with encode: vocabulary at this version.")
        return table

    def export(
        self,
        path: "str | os.PathLike[str]",
        format: "ExportFormat" = "parquet",  # noqa: A002  # the word that users know from other libraries
        *,
        columns: Mapping[str, str] | None = None,
        force: bool = False,
    ) -> "Export":
        """Writes the rows to one file for other programs, in their order and in bounded memory: whole or not at all.

        Args:
            path: A path, whose folders are made where they are missing, or `s3://bucket/key`.
            format: `parquet`, `csv` and `jsonl` hold all columns; `npz`, of sequences alone, is what `np.load` reads without
                pickle; `dkt` (three-line text), `pykt` (pyKT's `*_sequences.csv`, of sequences alone) and `recbole` (`.inter`)
                hold the columns that `columns` names, without padding.
            columns: Of the last three, which column plays which role: `{"skill": "skillid", "answer": "correct"}`. `dkt` needs
                `skill` and `answer`; `pykt` needs `concepts` and `responses` and takes `questions`, `timestamps` and
                `usetimes`; `recbole` needs `item_id` and takes `timestamp`, `rating` and `label`.
            force: Whether a file that is there is replaced.

        Raises:
            InputError: The format cannot hold these rows, or an argument is none of the allowed.
            SettingsError: The place cannot be written, is a folder, or has a file already.
            LostFilesError: Files of the version are gone.

        Example:
            >>> ds.export("train.npz", format="npz")  # doctest: +SKIP
        """
        from seq_assets.client.export import export

        return export(self._stored, os.fspath(path), format, columns or {}, force=force)

    @cached_property
    def _stored(self) -> StoredRows:
        return StoredRows(self._version, self._files, self._warehouse)

    def _batches(self) -> "Iterator[pa.RecordBatch]":
        """The rows in their order, in batches of the stored schema."""
        if self._version.is_ordered:
            yield from self._stored_batches()
            return
        import pyarrow as pa

        from seq_assets.warehouse.storage.parquet_files import in_row_order

        schema = self._version.schema.stored()
        table = pa.Table.from_batches((batch.cast(schema) for batch in self._stored_batches()), schema)
        yield from in_row_order(table, self._version).to_batches()

    def _stored_batches(self) -> "Iterator[pa.RecordBatch]":
        """The rows as the files hold them."""
        import pyarrow.parquet as pq

        columns = list(self._version.schema.names)
        for file in self._files:
            with (
                self._warehouse.reading(self._version, file),
                self._warehouse.open_input(file) as opened,
                pq.ParquetFile(opened) as parquet,
            ):
                for group in range(parquet.num_row_groups):
                    yield from parquet.read_row_group(group, columns=columns).to_batches()


@dataclass(frozen=True, repr=False)
class SequenceDataset(_PublishedRows):
    """Sequences of one model, subset and length, at one version.

    Attributes:
        sequence_length: L, the positions of each sequence.

    Example:
        >>> ds = seq_assets.load("dkt", sequence_length=100, subset="train")
        >>> len(ds), list(ds.features)
        (677, ['pupilid', 'skillid', 'correct', 'elapsed'])
        >>> ds[0]["correct_sequence"].shape  # one sequence; negative places count from the end
        (100,)
        >>> ds[10:20]["correct_sequence"].shape
        (10, 100)
    """

    sequence_length: int = 0

    @property
    def features(self) -> "Mapping[str, np.dtype[Any]]":
        """The model's features, in its order, with the type of their items; `<name>_sequence` is the column of each.

        Example:
            >>> ds.features["correct"]
            dtype('int8')
        """
        columns = self._version.schema.columns
        return {
            column.name.removesuffix("_sequence"): dtype_of(column)
            for column in columns
            if column.length is not None and column.origin is not None
        }

    @property
    def _facts(self) -> tuple[str, ...]:
        shape = f"{len(self):,} sequences of {self.sequence_length} positions, {self.pad_ratio:.1%} padding"
        return f"{shape}, published {when(self._version.committed_at)}", f"features: {named(self.features)}"

    @property
    def pad_ratio(self) -> float:
        """Padding positions / all positions; 0 without sequences. It was counted when the version was made.

        Example:
            >>> round(ds.pad_ratio, 2)
            0.36
        """
        from seq_assets.sequencing.accounting import SequenceAccounting

        return SequenceAccounting(**self.metadata["accounting"]).pad_ratio

    def score_mask(self, rows: "Mapping[str, np.ndarray] | None" = None) -> "np.ndarray":
        """Which items count in a score: those that are no padding and no repetition of an item of an earlier sequence.

        Over all sequences of a subset, each sequenced item counts once.

        Args:
            rows: Rows as `batches()`, `ds[a:b]` or `to_numpy()` gives them; None reads the masks of all rows.

        Returns:
            An array (n, L) of truth values: True on an item that counts.

        Example:
            >>> int(ds.score_mask().sum()) == ds.metadata["accounting"]["sequenced"]
            True
        """
        masks = [name for name in self._version.schema.names if name in _NOT_ON_AN_ITEM]
        arrays = read_arrays(self._stored, masks) if rows is None else rows
        return cast("np.ndarray", reduce(operator.and_, (arrays[name] == 0 for name in masks)))


@dataclass(frozen=True, repr=False)
class ObservationDataset(_PublishedRows):
    """Raw observations of one model at one version, in the order of entity and time.

    Example:
        >>> observations = seq_assets.load_observations("irt", subset="train")
        >>> len(observations), observations[0]["correct"] in (0, 1)
        (43327, True)
        >>> observations.columns["correct"]
        dtype('int8')
    """


@dataclass(frozen=True, repr=False)
class RejectedDataset(_PublishedRows):
    """What one model's contract rejected at one version: file, row, column, value, detail, reason, a row per failed column."""


def dataset_of(warehouse: "Warehouse", version: "Version") -> SequenceDataset | ObservationDataset | RejectedDataset:
    """The handle of any version of sequences, raw or rejected observations, of all its subsets."""
    dataset = version.dataset
    for subset in SUBSETS:
        if dataset.kind == f"sequenced_{subset}":
            return _sequences(warehouse, version, subset)
    kind = ObservationDataset if dataset.kind == "raw_observations" else RejectedDataset
    return kind(dataset.model, None, version.id, _metadata(version), version.files, version.rows, version, warehouse)


def load(
    model: str, *, sequence_length: int | None = None, subset: Subset = "train", version: int | str | None = None
) -> SequenceDataset:
    """A handle of sequences.

    Args:
        model: The model's name.
        sequence_length: One of its lengths; without one, the error names them.
        subset: `train` or `validation`.
        version: A version's id, or its name (`seq-assets tag`); None is the newest, which warns when the other subset's
            newest was made from other raw observations (`load_split` gives a pair).

    Raises:
        NotPublishedError: There is no such table or version.
        LostFilesError: Files of it are gone.
        InputError: An argument is none of the allowed.

    Example:
        >>> ds = seq_assets.load("dkt", sequence_length=100, subset="train")
        >>> ds.to_numpy()["correct_sequence"].shape
        (677, 100)
    """
    environment = current_environment()
    warehouse = environment.warehouse()
    found = _find_sequences(environment, warehouse, model, _checked(subset), sequence_length, version)
    warehouse.require_whole(found)
    if version is None:
        _warn_of_other_raw_version(warehouse, found)
    return _sequences(warehouse, found, _checked(subset))


def load_split(model: str, *, sequence_length: int | None = None) -> tuple[SequenceDataset, SequenceDataset]:
    """Train and validation sequences that were made from one raw version: the newest that both have.

    Raises:
        NotPublishedError: There is no such pair.
        LostFilesError: Files of it are gone.
        InputError: No length is named; the error names those that there are.

    Example:
        >>> train, validation = seq_assets.load_split("dkt", sequence_length=100)
        >>> len(train), len(validation)
        (677, 117)
    """
    environment = current_environment()
    warehouse = environment.warehouse()
    newest = _find_sequences(environment, warehouse, model, "train", sequence_length, None)
    other = replace(newest.dataset, kind="sequenced_validation")
    validation = {version.raw_version: version for version in reversed(warehouse.versions(other))}
    for train in warehouse.versions(newest.dataset):
        if train.raw_version in validation:
            pair = validation[train.raw_version]
            for found in (train, pair):
                warehouse.require_whole(found)
            return _sequences(warehouse, train, "train"), _sequences(warehouse, pair, "validation")
    raise NotPublishedError(
        f"{newest.dataset.table} and its validation table have no version from the same raw observations; materialize both."
    )


def load_observations(model: str, *, subset: Subset | None = None, version: int | str | None = None) -> ObservationDataset:
    """A handle of raw observations, in the order of entity and time.

    Args:
        model: The model's name.
        subset: `train` or `validation`; None is both.
        version: A version's id, or its name; None is the newest.

    Raises:
        NotPublishedError: There is no such table or version.
        LostFilesError: Files of it are gone.

    Example:
        >>> len(seq_assets.load_observations("irt"))
        50010
    """
    from seq_assets.sequencing.plans import Dataset

    environment = current_environment()
    warehouse = environment.warehouse()
    try:
        found = warehouse.find(Dataset.raw(model), version)
    except NotPublishedError as error:
        raise NotPublishedError(what_is_wrong_with(model, environment, warehouse) or str(error)) from None
    warehouse.require_whole(found)
    if subset is None:
        return cast(ObservationDataset, dataset_of(warehouse, found))
    files = warehouse.raw_files(found, _checked(subset))
    rows = found.metadata["accounting"][subset]
    return ObservationDataset(model, subset, found.id, _metadata(found), files, rows, found, warehouse)


def versions(model: str, *, sequence_length: int | None = None, subset: Subset = "train") -> "Versions":
    """The published versions, newest first: of the sequences of a length, or of the raw observations where none is named.

    It is a list, which shows itself as a table.

    Raises:
        NotPublishedError: There is no such model, or it is a raw one, without sequences.

    Example:
        >>> [version.rows for version in seq_assets.versions("dkt", sequence_length=100)]
        [677]
    """
    from seq_assets.sequencing.plans import Dataset

    environment = current_environment()
    warehouse = environment.warehouse()
    dataset = Dataset.raw(model) if sequence_length is None else _dataset(model, _checked(subset), sequence_length)
    found = warehouse.versions(dataset)
    if not found and (wrong := what_is_wrong_with(model, environment, warehouse, with_sequences=sequence_length is not None)):
        raise NotPublishedError(wrong)
    return Versions(found)


def connect(environment: Environment | None = None) -> "duckdb.DuckDBPyConnection":
    """An in-memory DuckDB connection with a view per table, of its newest version; timestamps are TIMESTAMP WITH TIME ZONE.

    Of a version whose files are gone there is a warning in place of a view.

    The table `metrics` has the columns' metrics of every version of every model's raw observations: `model`, `version`,
    `committed_at`, `column_name`, `count`, `unique`, `min` and `max` (as text), `mean`, `variance`, `standard_deviation`, and
    `labels`, a map of counts.

    Example:
        >>> seq_assets.connect().sql("SELECT count(*) FROM dkt_sequenced_train_100").fetchall()
        [(677,)]
    """
    import duckdb

    from seq_assets.models import ColumnType
    from seq_assets.warehouse.engine import parquet

    warehouse = (environment or current_environment()).warehouse()
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    warehouse.register(connection)
    for version in _standing_versions(warehouse):
        try:
            warehouse.require_whole(version)
        except LostFilesError as error:
            warnings.warn(f"There is no view of it: {error}", stacklevel=2)
            continue
        columns = ", ".join(
            f'make_timestamptz("{column.name}") AS "{column.name}"'
            if column.type is ColumnType.TIMESTAMP and column.length is None
            else f'"{column.name}"'
            for column in version.schema.columns
        )
        rows = parquet(version.files) if version.files else _no_rows(connection, version)
        connection.execute(f'CREATE VIEW "{version.dataset.table}" AS SELECT {columns} FROM {rows}')
    connection.register("all_metrics", _metrics(warehouse))
    connection.execute("CREATE TABLE metrics AS FROM all_metrics")
    connection.unregister("all_metrics")
    return connection


def _no_rows(connection: "duckdb.DuckDBPyConnection", version: "Version") -> str:
    """A table for a version without files: Athena writes none where there is no row."""
    name = f'"no rows of {version.dataset.table}"'
    connection.register("no_rows", version.schema.stored().empty_table())
    connection.execute(f"CREATE TABLE {name} AS FROM no_rows")
    connection.unregister("no_rows")
    return name


def _standing_versions(warehouse: "Warehouse") -> "Iterator[Version]":
    """The newest version of each table; of what is published with raw observations, the version that their newest names."""
    from seq_assets.sequencing.plans import Dataset

    for dataset in warehouse.datasets():
        if dataset.kind not in ("rejected_observations", "vocabulary"):
            yield warehouse.find(dataset)
            continue
        raw = next(iter(warehouse.versions(Dataset.raw(dataset.model))), None)
        named = raw and raw.metadata.get(f"{dataset.kind.removesuffix('_observations')}_version")
        if named:
            yield warehouse.find(dataset, named)


def _metrics(warehouse: "Warehouse") -> "pa.Table":
    """A row per model, version and column."""
    import pyarrow as pa

    schema = pa.schema(
        {
            "model": pa.string(),
            "version": pa.int64(),
            "committed_at": pa.timestamp("us", tz="UTC"),
            "column_name": pa.string(),
            "count": pa.int64(),
            "unique": pa.int64(),
            "min": pa.string(),
            "max": pa.string(),
            "mean": pa.float64(),
            "variance": pa.float64(),
            "standard_deviation": pa.float64(),
            "labels": pa.map_(pa.string(), pa.int64()),
        }
    )
    rows = [
        {"model": dataset.model, "version": version.id, "committed_at": version.committed_at, "column_name": column}
        | dict(found)
        | {end: None if found[end] is None else str(found[end]) for end in ("min", "max")}
        | {"labels": list(found["labels"].items()) if "labels" in found else None}
        for dataset in warehouse.datasets()
        if dataset.kind == "raw_observations"
        for version in warehouse.versions(dataset)
        for column, found in version.metadata["metrics"].items()
    ]
    return pa.Table.from_pylist(rows, schema)


def _checked(subset: Subset) -> Subset:
    if subset not in SUBSETS:
        raise InputError(f"subset: found {subset!r}; allowed: {' or '.join(map(repr, SUBSETS))}")
    return subset


def _dataset(model: str, subset: Subset, sequence_length: int) -> "Dataset":
    from seq_assets.sequencing.plans import Dataset

    return Dataset.sequenced(model, subset, sequence_length)


def _find_sequences(
    environment: Environment,
    warehouse: "Warehouse",
    model: str,
    subset: Subset,
    sequence_length: int | None,
    version: int | str | None,
) -> "Version":
    try:
        if sequence_length is None:
            raise InputError("sequence_length: found none; name one.")
        return warehouse.find(_dataset(model, subset, sequence_length), version)
    except (NotPublishedError, InputError) as error:
        if wrong := what_is_wrong_with(model, environment, warehouse, with_sequences=True):
            raise NotPublishedError(wrong) from None
        kind = f"sequenced_{subset}"
        published = [other for other in warehouse.datasets() if (other.model, other.kind) == (model, kind)]
        lengths = ", ".join(map(str, sorted(other.sequence_length or 0 for other in published)))
        raise type(error)(f"{error} Published lengths of {model}: {lengths or 'none'}.") from None


def _sequences(warehouse: "Warehouse", version: "Version", subset: Subset) -> SequenceDataset:
    return SequenceDataset(
        version.dataset.model,
        subset,
        version.id,
        _metadata(version),
        version.files,
        version.rows,
        version,
        warehouse,
        version.dataset.sequence_length or 0,
    )


def _metadata(version: "Version") -> dict[str, Any]:
    return {"committed_at": version.committed_at, "rows": version.rows, **version.metadata}


def _warn_of_other_raw_version(warehouse: "Warehouse", version: "Version") -> None:
    other: Subset = "validation" if version.dataset.kind == "sequenced_train" else "train"
    newest = warehouse.versions(_dataset(version.dataset.model, other, version.dataset.sequence_length or 0))
    if newest and newest[0].raw_version != version.raw_version:
        warnings.warn(
            f"{version.dataset.table} was made from the raw version {version.raw_version}, {newest[0].dataset.table} from "
            f"{newest[0].raw_version}; materialize both, or take a pair with seq_assets.load_split().",
            stacklevel=3,
        )
