"""A version out of the platform: one file for other programs, whole or not at all.

Belongs here: which formats there are, what each may hold, and what is said of a finished file. Not here: how the rows are
written (`exported_files`, `exported_peers`), and how a file is put in place (`warehouse.storage.whole_files`).
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import IO, Any, Final, Literal, TypeAlias, get_args

from seq_assets.client.batches import StoredRows
from seq_assets.errors import InputError

ExportFormat: TypeAlias = Literal["parquet", "csv", "jsonl", "npz", "dkt", "pykt", "recbole"]
FORMATS: Final[tuple[ExportFormat, ...]] = get_args(ExportFormat)
_SEQUENCES_ALONE: Final = ("npz", "pykt")
"""The formats that cannot hold raw observations: they may be null, and have no length."""


@dataclass(frozen=True)
class Export:
    """A file that was written.

    Attributes:
        path: Where it is.
        format: Its format.
        table: The table.
        version: The version's id.
        records: What the file has: rows; of `dkt` sequences or histories; of `recbole` items.
        bytes: Its size.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print(ds.export(f"{folder}/train.npz", format="npz").records)
        677
    """

    path: str
    format: ExportFormat
    table: str
    version: int
    records: int
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON, where the version is a text, because it has more digits than most programs keep."""
        return asdict(self) | {"version": str(self.version)}


def export(stored: StoredRows, path: str, format_: ExportFormat, columns: Mapping[str, str], *, force: bool) -> Export:
    """Writes a version, or one subset of it, to a file, as `datasets` documents it."""
    write = _writer(stored, format_, columns)
    from seq_assets.warehouse.storage.whole_files import whole_file

    with whole_file(path, replace=force) as sink:
        records = write(sink)
        size = sink.tell()
    dataset = stored.version.dataset
    return Export(path, format_, dataset.table, stored.version.id, records, size)


def _writer(stored: StoredRows, format_: ExportFormat, columns: Mapping[str, str]) -> Callable[[IO[bytes]], int]:
    """What writes the format.

    Raises:
        InputError: It cannot hold these rows, or needs other columns.
    """
    if format_ not in FORMATS:
        raise InputError(f"format: found {format_!r}; allowed: {', '.join(FORMATS)}")
    table = stored.version.dataset.table
    is_raw = stored.version.dataset.sequence_length is None
    if is_raw and format_ in _SEQUENCES_ALONE:
        allowed = ", ".join(other for other in FORMATS if other not in _SEQUENCES_ALONE)
        raise InputError(f"format {format_}: found {table}, which has no sequences; allowed: {allowed}, or a sequence length.")
    from seq_assets.client import exported_files, exported_peers

    whole = {
        "parquet": exported_files.write_parquet,
        "csv": exported_files.write_csv,
        "jsonl": exported_files.write_json_lines,
        "npz": exported_files.write_npz,
    }
    if format_ in whole:
        if columns:
            raise InputError(f"columns: found {', '.join(columns)}; format {format_} holds all columns. Allowed: none")
        return lambda sink: whole[format_](stored, sink)
    if stored.version.dataset.kind == "rejected_observations":
        raise InputError(f"format {format_}: found rejected records, which are no items; allowed: parquet, csv, jsonl")
    roles, write = {
        "dkt": (exported_peers.DKT_ROLES, exported_peers.write_dkt),
        "pykt": (exported_peers.PYKT_ROLES, exported_peers.write_pykt),
        "recbole": (exported_peers.RECBOLE_ROLES, exported_peers.write_recbole),
    }[format_]
    chosen = exported_peers.chosen_columns(stored, format_, roles, columns)
    return lambda sink: write(stored, sink, chosen)
