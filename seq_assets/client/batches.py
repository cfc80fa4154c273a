"""Published rows as numpy arrays: all at once, some by their places, or streamed to a training loop in batches.

Belongs here: in which order rows come, which of them each rank gets, and how many are in memory at once. Not here: which
version is read (`datasets`), how files are written (`warehouse.storage`).
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, cast

from seq_assets.client.workers import Worker, current_worker
from seq_assets.errors import InputError
from seq_assets.models import ColumnType
from seq_assets.warehouse.side_by_side import available_cores

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from seq_assets.sequencing.schemas import TableColumn
    from seq_assets.warehouse.interface import Version, Warehouse

    Arrays = dict[str, np.ndarray]

DEFAULT_BUFFER: Final = 256 << 20
_MIXED_ROW_GROUPS: Final = 8
"""Neighbours in a table belong to the same entity; so many places of it, at least, are mixed where it has them."""
_WINDOWS_IN_MEMORY: Final = 3
"""One that batches are taken of, one that is read meanwhile, and, as large as one, what its readers hold."""
_MOST_READERS: Final = 8
_FOOTER_READERS: Final = 16
"""Reading a footer is waiting for a store."""
_FETCHED_WHOLE: Final = 8 << 20
"""Bytes of a row group, as stored, up to which it is fetched with one request."""
_READ_AHEAD: Final = 1 << 19
"""Bytes of a column that are fetched at a time of a larger one."""
_DECODED: Final = 1 << 22
"""Bytes, as arrays, of the rows that a thread decodes at a time: what the processor's cache holds."""
_OBJECT_BYTES: Final = 64
"""What a text counts in memory, whatever its length, so that the order of rows does not depend on it."""
_PLACE: Final = "the place of a row in its table"
_SORT_MEMORY: Final = "512MiB"
_WIDE_ROW: Final = 1 << 10
"""Bytes of a row from which on the keys of all rows are little beside the rows."""
_SORTED_AT_ONCE: Final = 1 << 25
"""Bytes of wide rows, as arrays, that are sorted in memory; they are there three times while they are."""
_MOST_PARTS: Final = 256
"""Files that are open at a time while rows are sorted."""


@dataclass(frozen=True)
class RowGroup:
    """One row group of a file.

    Attributes:
        file: The file.
        number: Its number in the file.
        rows: Its rows.
        footer: The file's, so that it is read once.
    """

    file: str
    number: int
    rows: int
    footer: "pq.FileMetaData" = field(repr=False)

    @property
    def size(self) -> int:
        """Its bytes, as stored."""
        found = self.footer.row_group(self.number)
        return sum(found.column(number).total_compressed_size for number in range(found.num_columns))


@dataclass(frozen=True, eq=False)
class StoredRows:
    """The finished files of a version, or of one of its subsets.

    Attributes:
        version: The version.
        files: Their paths.
        warehouse: What opens them.
    """

    version: "Version"
    files: tuple[str, ...]
    warehouse: "Warehouse"

    @property
    def columns(self) -> "tuple[TableColumn, ...]":
        """The columns of the version."""
        return self.version.schema.columns

    @property
    def rows_at_once(self) -> int:
        """How many rows a thread decodes at a time."""
        return max(_DECODED // self.bytes_per_row, 1)

    @property
    def bytes_per_row(self) -> int:
        """What a row takes in memory, as arrays."""
        sizes = ((dtype_of(column), 1 if column.length is None else column.length) for column in self.columns)
        return sum((dtype.itemsize + (_OBJECT_BYTES if dtype.kind == "O" else 0)) * length for dtype, length in sizes)

    @cached_property
    def row_groups(self) -> tuple[RowGroup, ...]:
        """All row groups in the order of the files; reads the footers."""
        with ThreadPoolExecutor(_FOOTER_READERS) as pool:
            footers = list(pool.map(self._footer, self.files))
        return tuple(
            RowGroup(file, number, footer.row_group(number).num_rows, footer)
            for file, footer in zip(self.files, footers, strict=True)
            for number in range(footer.num_row_groups)
        )

    @property
    def rows(self) -> int:
        """How many there are; reads the footers."""
        return sum(group.rows for group in self.row_groups)

    @cached_property
    def order(self) -> "np.ndarray | None":
        """Which stored row is at each place of the table's order; None where the files hold them in it."""
        return None if self.version.is_ordered else _stored_order(self)

    def read(self, group: RowGroup, rows: int, columns: Sequence[str] = ()) -> "Iterator[pa.RecordBatch]":
        """A row group in batches of at most so many rows.

        Args:
            group: The row group.
            rows: Each multiple of it is the beginning of a batch.
            columns: Those that are read; none are all.
        """
        import pyarrow.parquet as pq

        is_whole = group.size <= _FETCHED_WHOLE
        fetching = {"pre_buffer": True} if is_whole else {"pre_buffer": False, "buffer_size": _READ_AHEAD}
        names = list(columns or self.version.schema.names)
        with (
            self.warehouse.reading(self.version, group.file),
            self.warehouse.open_input(group.file) as opened,
            pq.ParquetFile(opened, metadata=group.footer, **fetching) as parquet,
        ):
            yield from parquet.iter_batches(batch_size=rows, row_groups=[group.number], columns=names, use_threads=False)

    def _footer(self, file: str) -> "pq.FileMetaData":
        import pyarrow.parquet as pq

        with self.warehouse.reading(self.version, file), self.warehouse.open_input(file) as opened:
            return pq.read_metadata(opened)


def _readers() -> int:
    """How many row groups are decoded at a time; one may wait for its store while the others decode."""
    return min(available_cores() + 1, _MOST_READERS)


def read_arrays(stored: StoredRows, names: Sequence[str] = ()) -> "Arrays":
    """All rows in the table's order, each value copied once, from what was decoded to its place.

    Args:
        stored: The rows.
        names: The columns that are read; none are all.
    """
    import numpy as np

    groups = stored.row_groups
    starts = np.cumsum([0, *(group.rows for group in groups)])
    columns = [column for column in stored.columns if not names or column.name in names]
    arrays = _empty_arrays(columns, int(starts[-1]))
    places = None if stored.order is None else _inverse(stored.order)

    def read(group: RowGroup, start: int) -> None:
        for batch in stored.read(group, stored.rows_at_once, names):
            stop = start + batch.num_rows
            _fill(arrays, slice(start, stop) if places is None else places[start:stop], batch, columns)
            start = stop

    with ThreadPoolExecutor(_readers()) as pool:
        deque(pool.map(read, groups, map(int, starts)), maxlen=0)
    return arrays


def read_rows(stored: StoredRows, places: range) -> "pa.Table":
    """Some rows, by their places in the table's order, in the order of the places; in the stored schema.

    Of the files, only the row groups are read that hold one of them. A version whose files are in no order is asked for what
    its rows are ordered by, once.
    """
    import numpy as np
    import pyarrow as pa

    schema = stored.version.schema.stored()
    numbers = np.arange(places.start, places.stop, places.step)
    if stored.order is not None:
        numbers = stored.order[numbers]
    parts, found = [], [np.empty(0, np.int64)]
    for start, batch in _batches_with(stored, numbers):
        inside = np.flatnonzero((numbers >= start) & (numbers < start + batch.num_rows))
        parts.append(batch.take(pa.array(numbers[inside] - start)).cast(schema))
        found.append(inside)
    return pa.Table.from_batches(parts, schema).take(pa.array(np.argsort(np.concatenate(found))))


def _batches_with(stored: StoredRows, numbers: "np.ndarray") -> "Iterator[tuple[int, pa.RecordBatch]]":
    """What is decoded to get at some stored rows, each with the number of its first row."""
    start = 0
    for group in stored.row_groups:
        inside = numbers[(numbers >= start) & (numbers < start + group.rows)]
        if inside.size:
            at = start
            with closing(cast("Generator[pa.RecordBatch]", stored.read(group, stored.rows_at_once))) as batches:
                while at <= inside.max():
                    batch = next(batches)
                    yield at, batch
                    at += batch.num_rows
        start += group.rows


def arrays_of(table: "pa.Table", columns: "Sequence[TableColumn]") -> "Arrays":
    """Rows in the stored schema as arrays."""
    arrays = _empty_arrays(columns, table.num_rows)
    start = 0
    for batch in table.to_batches():
        _fill(arrays, slice(start, start + batch.num_rows), batch, columns)
        start += batch.num_rows
    return arrays


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """What decides which rows are in which batch of a rank, as `batches()` of a handle documents it.

    Raises:
        InputError: One of them is none of the allowed.
    """

    batch_size: int
    shuffle: bool
    seed: int
    epoch: int
    rank: int
    world_size: int
    drop_last: bool
    even_batches: bool
    buffer: int

    def __post_init__(self) -> None:
        """Checks them all; integers of numpy become Python's, so that a state is made of plain values."""
        minima = {"batch_size": 1, "seed": None, "epoch": 0, "world_size": 1, "buffer": 1, "rank": 0}
        for name, minimum in minima.items():
            object.__setattr__(self, name, _integer(name, getattr(self, name), minimum))
        if self.rank >= self.world_size:
            raise InputError(f"rank: found {self.rank}; allowed: 0 to world_size - 1, which is {self.world_size - 1}")
        for name in ("shuffle", "drop_last", "even_batches"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name}: found {getattr(self, name)!r}; allowed: True or False")

    def identity(self, stored: StoredRows) -> dict[str, Any]:
        """What a state is of: the rows, counted, as subsets may be of one table and version, and what decides the batches."""
        version = stored.version
        return {"table": version.dataset.table, "version": version.id, "rows": stored.rows, **asdict(self)}


def ordered_batches(stored: StoredRows, columns: Sequence[str] = ()) -> "Iterator[pa.RecordBatch]":
    """Rows in the table's order, in the types that a reader gets, a few MB at a time.

    What Athena wrote in any order is sorted by DuckDB, in a temporary folder where it is large.

    Args:
        stored: The rows.
        columns: Those that are wanted; none are all.
    """
    import pyarrow as pa

    presented = stored.version.schema.presented()
    schema = pa.schema([presented.field(name) for name in columns or presented.names])
    return (batch.cast(schema) for batch in _batches_in_order(stored, schema.names))


def _batches_in_order(stored: StoredRows, columns: Sequence[str]) -> "Iterator[pa.RecordBatch]":
    if stored.version.is_ordered:
        for group in stored.row_groups:
            yield from stored.read(group, stored.rows_at_once, columns)
    elif stored.files:
        yield from _sorted_outside_memory(stored, stored.rows_at_once, columns)


def _integer(name: str, value: object, minimum: int | None) -> int:
    """Refuses what is no integer, or below its minimum; truth values are none."""
    import numpy as np

    if isinstance(value, bool) or not isinstance(value, int | np.integer) or (minimum is not None and value < minimum):
        allowed = "integers" if minimum is None else f"integers from {minimum}"
        raise InputError(f"{name}: found {value!r}; allowed: {allowed}")
    return int(value)


class Batches(Iterator["Arrays"]):
    """The batches of one rank in one epoch: an iterator that says where it is, and that goes on where another one was.

    Wrong arguments are told at once; rows are read when the first batch is taken, and ahead of those that follow.
    """

    def __init__(self, stored: StoredRows, settings: BatchSettings, worker: Worker | None = None) -> None:
        """Reads the footers alone.

        Args:
            stored: The rows.
            settings: Which of them come when.
            worker: Whose share of the batches comes; None are all.

        Raises:
            InputError: There are too few rows to give all ranks the same number of batches.
        """
        self._stored = stored
        self._settings = settings
        cuts = _cuts(stored.rows, settings)
        share = (worker or Worker()).share(len(cuts) - 1)
        self._cuts = cuts[share.start : share.stop + 1]
        self._taken = 0
        self._reading: tuple[int, Generator[Arrays]] | None = None

    def __len__(self) -> int:
        """How many batches there are in all."""
        return len(self._cuts) - 1

    def __next__(self) -> "Arrays":
        """The next batch, whose arrays are the caller's own."""
        if self._taken == len(self):
            raise StopIteration
        if self._reading is None or self._reading[0] != os.getpid():
            # In a process that was forked there is nobody who reads ahead.
            self._reading = os.getpid(), _read(self._stored, self._settings, self._cuts[self._taken :])
        try:
            batch = next(self._reading[1])
        except BaseException:
            self.close()  # so that the same batch can be asked for again, and the end is never mistaken for one
            raise
        self._taken += 1
        if self._taken == len(self):
            self.close()
        return batch

    def close(self) -> None:
        """Closes the files; the next batch, if one is asked for, opens them again."""
        reading, self._reading = self._reading, None
        if reading is not None and reading[0] == os.getpid():
            reading[1].close()

    def skip(self, batches: int) -> None:
        """Goes on behind so many batches of the beginning, none of which is read.

        Raises:
            InputError: There are not so many.
        """
        if _integer("batches", batches, 0) > len(self):
            raise InputError(f"batches: found {batches}; allowed: integers from 0 to {len(self)}")
        self.close()
        self._taken = int(batches)

    def state_dict(self) -> dict[str, Any]:
        """Where it is, as plain values: what decides the batches, and how many of them were taken."""
        return {**self._settings.identity(self._stored), "batches": self._taken}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where another iterator over the same batches was, on whichever machine that ran.

        Raises:
            InputError: It was over other batches: of another version, or made with other arguments.
        """
        require_same(state, self._settings.identity(self._stored))
        self.skip(state["batches"])

    def __getstate__(self) -> dict[str, Any]:
        """Where it is, without what it reads: in another process, it goes on there."""
        return {**self.__dict__, "_reading": None}


def require_same(state: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Refuses a state that is of something else.

    Raises:
        InputError: Naming all that differs.
    """
    wanted = {*identity, "batches"}
    if set(state) != wanted:
        raise InputError(f"state: found the keys {', '.join(state) or 'none'}; allowed: what state_dict() of the same gives")
    others = [f"{name} {state[name]!r} in place of {value!r}" for name, value in identity.items() if state[name] != value]
    if others:
        raise InputError(f"state: found {', '.join(others)}; allowed: the state of the same version and arguments")


def stream_batches(stored: StoredRows, settings: BatchSettings, worker: Callable[[], Worker] = current_worker) -> Batches:
    """Batches of all rows of a rank, for whoever does not share them out to workers.

    Raises:
        InputError: This is one of several workers of a DataLoader, each of which would get all of them; or there are too few
            rows to give all ranks the same number of batches.
    """
    found = worker()
    if found.workers > 1:
        raise InputError(
            f"batches(): called in worker {found.number} of {found.workers} of a DataLoader, each of which would get all rows; "
            "allowed: to_torch_dataset(), which shares them out, or num_workers=0, as batches() reads ahead by itself"
        )
    return Batches(stored, settings)


def _cuts(rows: int, settings: BatchSettings) -> list[int]:
    """Where the batches of a rank begin in the order of all rows, and where the last of them ends.

    Each rank has one stretch of the rows, and all have the same number of batches: distributed training waits forever for a
    batch that one of them lacks. Where a rank's rows would fill one batch less than another's, one row of its last batch but
    one makes its last; or, with `even_batches`, each rank has as many rows, and behind the last the first come again.

    Raises:
        InputError: There are too few rows to give each rank as many batches.
    """
    batch_size, rank, world_size = settings.batch_size, settings.rank, settings.world_size
    fewest, most = rows // world_size, -(-rows // world_size)
    start, stop = rows * rank // world_size, rows * (rank + 1) // world_size
    if settings.even_batches:
        fewest, start, stop = most, most * rank, most * (rank + 1)
    if settings.drop_last:
        return [start + batch_size * number for number in range(fewest // batch_size + 1)]
    count = -(-most // batch_size)
    if fewest < count:
        raise InputError(
            f"world_size: found {world_size} with batch_size {batch_size}; {rows} rows cannot be given to so many ranks in "
            "equally many batches. Allowed: even_batches=True, which repeats some; drop_last=True, a larger batch_size or "
            "fewer ranks."
        )
    return [min(start + batch_size * number, stop - (count - number)) for number in range(count + 1)]


def _read(stored: StoredRows, settings: BatchSettings, cuts: Sequence[int]) -> "Generator[Arrays]":
    """The batches between the cuts; behind the last row comes the first again."""
    return _cut(_repeated_windows(stored, settings, cuts[0], cuts[-1]), cuts, stored.columns)


# Windows: rows that are in memory together


@dataclass(frozen=True)
class _Window:
    """A stretch of the order of rows.

    Attributes:
        start: The place of its first row.
        arrays: Its rows.
        order: Which of them comes when.
    """

    start: int
    arrays: "Arrays"
    order: "np.ndarray"

    @property
    def stop(self) -> int:
        """The place after its last row."""
        return self.start + len(self.order)


def _repeated_windows(stored: StoredRows, settings: BatchSettings, first: int, last: int) -> Iterator[_Window]:
    """The windows that hold the places from the first to before the last; each round of all rows is like the one before."""
    rows = stored.rows
    for before in range(first // rows * rows, last, rows):
        bounds = max(first - before, 0), min(last - before, rows)
        windows = _windows_in_order(stored, settings, rows, bounds)
        try:
            for window in windows:
                yield replace(window, start=before + window.start)
                del window  # or it would stay while the next one is read
        finally:
            cast(Any, windows).close()


def _windows_in_order(stored: StoredRows, settings: BatchSettings, rows: int, bounds: tuple[int, int]) -> Iterator[_Window]:
    capacity = max(1, settings.buffer // _WINDOWS_IN_MEMORY // stored.bytes_per_row)
    if settings.shuffle:
        key = f"{stored.version.dataset.table} {stored.version.id} {settings.seed} {settings.epoch}"
        return _shuffled_windows(stored, capacity, key, bounds)
    if stored.version.is_ordered:
        return _windows(stored, stored.row_groups, capacity, 1, bounds)
    return _sorted_windows(stored, capacity, rows, bounds)


def _cut(windows: Iterator[_Window], cuts: Sequence[int], columns: "Sequence[TableColumn]") -> "Generator[Arrays]":
    """The batches between the cuts, out of the windows that hold them; each batch's arrays are its own."""
    window: _Window | None = None
    try:
        for start, stop in pairwise(cuts):
            batch = _empty_arrays(columns, stop - start)
            at = start
            while at < stop:
                while window is None or window.stop <= at:
                    window = None  # lets go of its memory before there is another one
                    window = next(windows)
                end = min(stop, window.stop)
                _copy(window, slice(at, end), batch, slice(at - start, end - start))
                at = end
            yield batch
    finally:
        cast(Any, windows).close()


def _copy(window: _Window, places: slice, batch: "Arrays", to: slice) -> None:
    """Rows of a window, by their places in the order, into a batch."""
    import numpy as np

    order = window.order[places.start - window.start : places.stop - window.start]
    for name, array in window.arrays.items():
        # All of them are there; numpy checks `raise` in a copy.
        np.take(array, order, axis=0, out=batch[name][to], mode="clip")


class _Reader:
    """Reads one row group in equal parts, each once, in their order; is not open before the first and after the last."""

    def __init__(self, stored: StoredRows, group: RowGroup, parts: int) -> None:
        self._stored = stored
        self._rows = group.rows
        part_rows = max(-(-group.rows // parts), 1)
        at_once = min(stored.rows_at_once, part_rows)
        self._part_rows = -(-part_rows // at_once) * at_once
        self._batches = stored.read(group, at_once)
        self._read = 0

    def rows(self, part: int) -> int:
        """The rows of a part; the last parts of a small row group may have none."""
        return self._start(part + 1) - self._start(part)

    def read(self, part: int, arrays: "Arrays", start: int) -> None:
        """Puts a part's rows into arrays; skips what was not asked for before it."""
        first = self._start(part)
        while self._read < self._start(part + 1):
            batch = next(self._batches)
            if self._read >= first:
                at = start + self._read - first
                _fill(arrays, slice(at, at + batch.num_rows), batch, self._stored.columns)
            self._read += batch.num_rows
        if self._read == self._rows:
            self.close()

    def close(self) -> None:
        """Closes the file."""
        cast(Any, self._batches).close()

    def _start(self, part: int) -> int:
        return min(self._part_rows * part, self._rows)


@dataclass(frozen=True)
class _Planned:
    """A window that is not read yet: the same part of some row groups.

    Attributes:
        start: The place of its first row.
        rows: Its rows.
        readers: Of its row groups.
        part: Which part.
    """

    start: int
    rows: int
    readers: tuple[_Reader, ...]
    part: int


def _shuffled_windows(stored: StoredRows, capacity: int, key: str, bounds: tuple[int, int]) -> Iterator[_Window]:
    """Windows of row groups in a random order, whose rows are in a random order."""
    groups = stored.row_groups
    mixed = [groups[number] for number in permutation(len(groups), key)]
    windows = _windows(stored, mixed, capacity, _MIXED_ROW_GROUPS, bounds)
    try:
        for window in windows:
            yield _Window(window.start, window.arrays, permutation(len(window.order), f"{key} {window.start}"))
            del window  # or it would stay while the next one is read
    finally:
        cast(Any, windows).close()


def permutation(count: int, key: str) -> "np.ndarray":
    """The numbers below `count` in an order that the key decides.

    Philox's stream of numbers is the same in all versions of numpy, which what `Generator` makes of it is not.
    """
    import numpy as np

    digest = hashlib.sha256(key.encode()).digest()
    numbers = np.random.Philox(key=int.from_bytes(digest[:16], "little")).random_raw(count)
    return np.argsort(numbers, kind="stable")


def _windows(
    stored: StoredRows, groups: Sequence[RowGroup], capacity: int, mixed: int, bounds: tuple[int, int]
) -> Iterator[_Window]:
    """The windows that hold what is within the bounds, in the row groups' order; the next one is read while one is used."""
    readers: tuple[_Reader, ...] = ()
    pool = ThreadPoolExecutor(_readers())
    loading: _Loading | None = None
    try:
        for planned in _plans(stored, groups, capacity, mixed):
            if planned.start >= bounds[1]:
                break
            if planned.start + planned.rows <= bounds[0]:
                continue
            readers = planned.readers
            # What the one before it holds is read by now, so that no row group is read by two threads.
            ready = loading.window() if loading else None
            loading = _Loading(planned, stored.columns, pool)
            if ready:
                yield ready
                del ready
        if loading:
            yield loading.window()
    finally:
        pool.shutdown(cancel_futures=True)
        for reader in readers:
            reader.close()


class _Loading:
    """A window that is being read."""

    def __init__(self, planned: _Planned, columns: "Sequence[TableColumn]", pool: ThreadPoolExecutor) -> None:
        self._planned = planned
        self._arrays = _empty_arrays(columns, planned.rows)
        self._parts: list[Future[None]] = []
        start = 0
        for reader in planned.readers:
            self._parts.append(pool.submit(reader.read, planned.part, self._arrays, start))
            start += reader.rows(planned.part)

    def window(self) -> _Window:
        """The window, as soon as it is read."""
        import numpy as np

        for part in self._parts:
            part.result()
        return _Window(self._planned.start, self._arrays, np.arange(self._planned.rows))


def _plans(stored: StoredRows, groups: Iterable[RowGroup], capacity: int, mixed: int) -> Iterator[_Planned]:
    """The windows of all rows: whole row groups where enough of them fit, else parts of several."""
    start = 0
    for together in _clusters(groups, capacity, mixed):
        parts = max(-(-sum(group.rows for group in together) // capacity), 1)
        readers = tuple(_Reader(stored, group, parts) for group in together)
        for part in range(parts):
            rows = sum(reader.rows(part) for reader in readers)
            if rows:
                yield _Planned(start, rows, readers, part)
            start += rows


def _clusters(groups: Iterable[RowGroup], capacity: int, mixed: int) -> Iterator[list[RowGroup]]:
    """Row groups that are read together: as many as fit, but at least `mixed`."""
    together: list[RowGroup] = []
    rows = 0
    for group in groups:
        if len(together) >= mixed and rows + group.rows > capacity:
            yield together
            together, rows = [], 0
        together.append(group)
        rows += group.rows
    if together:
        yield together


# Versions whose files are in no order


def _stored_order(stored: StoredRows) -> "np.ndarray":
    """Which stored row is at each place of the table's order; reads only what rows are ordered by."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from seq_assets.warehouse.storage.parquet_files import order_keys

    keys = order_keys(stored.version)
    groups = (stored.read(group, stored.rows_at_once, keys) for group in stored.row_groups)
    schema = stored.version.schema.stored()
    stored_keys = pa.schema([schema.field(key) for key in keys])
    table = pa.Table.from_batches((batch.cast(stored_keys) for group in groups for batch in group), stored_keys)
    return cast("np.ndarray", pc.sort_indices(table, [(key, "ascending") for key in keys]).to_numpy().astype("int64"))


def _inverse(order: "np.ndarray") -> "np.ndarray":
    """The place of each stored row in the table's order."""
    import numpy as np

    places: np.ndarray = np.empty_like(order)
    places[order] = np.arange(len(order))
    return places


def _sorted_windows(stored: StoredRows, capacity: int, rows: int, bounds: tuple[int, int]) -> Iterator[_Window]:
    """The rows in the table's order: sorted in memory where they fit, else with the help of a temporary folder."""
    import numpy as np

    if rows <= capacity * _WINDOWS_IN_MEMORY:
        yield _Window(0, read_arrays(stored), np.arange(rows))
        return
    start = 0
    for batch in _sorted_outside_memory(stored, capacity, stored.version.schema.names):
        if start + batch.num_rows > bounds[0]:
            arrays = _empty_arrays(stored.columns, batch.num_rows)
            _fill(arrays, slice(0, batch.num_rows), batch, stored.columns)
            yield _Window(start, arrays, np.arange(batch.num_rows))
        start += batch.num_rows


def _sorted_outside_memory(stored: StoredRows, rows: int, columns: Sequence[str]) -> "Iterator[pa.RecordBatch]":
    """The named columns of all rows in the table's order, in batches of at most so many rows."""
    if stored.bytes_per_row < _WIDE_ROW:
        return _sorted_by_engine(stored, rows, columns)
    all_rows = sum(group.rows for group in stored.row_groups)
    rows_per_part = max(_SORTED_AT_ONCE // stored.bytes_per_row, -(-all_rows // _MOST_PARTS), 1)
    return sorted_in_parts(stored, rows, columns, rows_per_part)


def sorted_in_parts(stored: StoredRows, rows: int, columns: Sequence[str], rows_per_part: int) -> "Iterator[pa.RecordBatch]":
    """The rows in the table's order, each written once to the file of its part of that order, and sorted with it.

    For wide rows: an engine that sorts them holds more of them than its limit of memory lets it spill.

    Args:
        stored: The rows.
        rows: The most rows of a batch.
        columns: Those that are wanted.
        rows_per_part: Rows that are sorted in memory.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    with TemporaryDirectory() as folder:
        for part in _written_parts(stored, columns, rows_per_part, Path(folder)):
            with pa.ipc.open_stream(str(part)) as reader:
                table = reader.read_all()
            part.unlink()
            order = pc.sort_indices(table[_PLACE])
            yield from table.select(list(columns)).take(order).combine_chunks().to_batches(rows)


def _written_parts(stored: StoredRows, columns: Sequence[str], rows_per_part: int, folder: Path) -> list[Path]:
    """Files of parts of the table's order, each with its rows in any order, and their places."""
    import numpy as np
    import pyarrow as pa

    places = _inverse(_stored_order(stored))
    kept = stored.version.schema.stored()
    schema = pa.schema([*(kept.field(name) for name in columns), pa.field(_PLACE, pa.int64())])
    files = [folder / str(number) for number in range(-(-len(places) // rows_per_part))]
    start = 0
    with ExitStack() as opened:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        sinks = [opened.enter_context(pa.OSFile(str(file), "wb")) for file in files]
        writers = [opened.enter_context(pa.ipc.new_stream(sink, schema, options=options)) for sink in sinks]
        for group in stored.row_groups:
            for batch in stored.read(group, stored.rows_at_once, columns):
                here = places[start : start + batch.num_rows]
                start += batch.num_rows
                table = pa.Table.from_batches([batch]).append_column(_PLACE, pa.array(here)).cast(schema)
                parts = here // rows_per_part
                for part in np.unique(parts):
                    writers[part].write_table(table.filter(pa.array(parts == part)))
    return files


def _sorted_by_engine(stored: StoredRows, rows: int, names: Sequence[str]) -> "Iterator[pa.RecordBatch]":
    """The named columns of all rows in the table's order, in batches of at most so many rows."""
    import duckdb

    from seq_assets.warehouse.engine import failures_told, parquet, quoted
    from seq_assets.warehouse.storage.parquet_files import order_keys

    columns = ", ".join(map(quoted, names))
    keys = ", ".join(map(quoted, order_keys(stored.version)))
    # Each thread holds blocks that cannot be spilled: of rows of 2 KiB, two of them have exceeded the limit.
    settings: dict[str, Any] = {"memory_limit": _SORT_MEMORY, "threads": 1}
    with (
        TemporaryDirectory() as folder,
        duckdb.connect(":memory:", config={**settings, "temp_directory": folder}) as connection,
    ):
        failure = stored.warehouse.register(connection)
        query = f"SELECT {columns} FROM {parquet(stored.files)} ORDER BY {keys}"
        with failures_told([failure]):
            yield from connection.sql(query).to_arrow_reader(rows)


# Arrays


def _empty_arrays(columns: "Iterable[TableColumn]", rows: int) -> "Arrays":
    """Arrays for so many rows: (n, L) for columns of lists, (n,) for others."""
    import numpy as np

    return {
        column.name: np.empty(rows if column.length is None else (rows, column.length), dtype_of(column)) for column in columns
    }


def dtype_of(column: "TableColumn") -> "np.dtype[Any]":
    """Of a column's values; integers that may be null are objects, because numpy has no null among them."""
    import numpy as np

    from seq_assets.sequencing.schemas import stored_type

    is_object = column.type is ColumnType.STRING or (
        column.nullable and (column.type.is_integer or column.type is ColumnType.BOOL)
    )
    if is_object:
        return np.dtype(object)
    dates = {ColumnType.TIMESTAMP: "datetime64[us]", ColumnType.DATE: "datetime64[D]"}
    return np.dtype(dates.get(column.type) or stored_type(column.type).to_pandas_dtype())


def _fill(arrays: "Arrays", places: "slice | np.ndarray", batch: "pa.RecordBatch", columns: "Iterable[TableColumn]") -> None:
    """Puts the rows of a batch at their places in arrays."""
    for column in columns:
        array = arrays[column.name]
        shape = (batch.num_rows, *array.shape[1:])
        array[places] = _flat(batch.column(column.name), column, array.dtype).reshape(shape)


def _flat(values: "pa.Array", column: "TableColumn", dtype: "np.dtype[Any]") -> "np.ndarray":
    """The values of a batch, lists end to end."""
    import numpy as np
    import pyarrow as pa

    flat = values if column.length is None else values.flatten()
    if dtype.kind == "O":
        objects = np.empty(len(flat), object)
        objects[:] = flat.to_pylist()
        return objects
    if dtype == np.dtype("datetime64[us]"):
        flat = flat.cast(pa.timestamp("us"))
    return cast("np.ndarray", flat.to_numpy(zero_copy_only=False))
