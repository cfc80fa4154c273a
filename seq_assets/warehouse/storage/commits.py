"""One commit of a version: a table's content and its columns are replaced at once, as pyiceberg does it.

Belongs here: Iceberg's types, snapshots and manifests, and what is asked of pyiceberg that it does not do by itself. Not here:
which tables there are and what becomes of a commit that is lost (`iceberg_tables`).
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.io.pyarrow import parquet_file_to_data_file
from pyiceberg.manifest import DataFile, ManifestEntry, ManifestFile
from pyiceberg.schema import Schema
from pyiceberg.table import Table, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import TableUpdate
from pyiceberg.table.update.snapshot import _OverwriteFiles
from pyiceberg.typedef import EMPTY_DICT
from pyiceberg.types import (
    BooleanType,
    DateType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
    StringType,
)

from seq_assets.models import ColumnType
from seq_assets.sequencing.schemas import TableColumn, TableSchema
from seq_assets.warehouse.interface import encode_metadata

logger = logging.getLogger(__name__)

_NAME_MAPPING: Final = "schema.name-mapping.default"
LOST: Final = (FileNotFoundError, EOFError, ValueError)
"""What reading Iceberg's files ends in where they are gone, or have been cut short; that a store is out of reach is none."""
_ICEBERG_TYPES: Final[Mapping[ColumnType, IcebergType]] = {
    ColumnType.INT8: IntegerType(),
    ColumnType.INT16: IntegerType(),
    ColumnType.INT32: IntegerType(),
    ColumnType.INT64: LongType(),
    ColumnType.FLOAT32: FloatType(),
    ColumnType.FLOAT64: DoubleType(),
    ColumnType.BOOL: BooleanType(),
    ColumnType.STRING: StringType(),
    ColumnType.DATE: DateType(),
    ColumnType.TIMESTAMP: LongType(),
}


class _Transaction(Transaction):
    """As pyiceberg's, but its metadata is worked out once after each staged update.

    pyiceberg asks for it two dozen times in one publication, and copies all versions of the table each time.
    """

    _worked_out: tuple[TableMetadata, tuple[TableUpdate, ...], TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        """The table's metadata with all staged updates; for reading only."""
        base, updates = self._table.metadata, self._updates
        if self._worked_out is None or self._worked_out[0] is not base or self._worked_out[1] is not updates:
            self._worked_out = base, updates, super().table_metadata
        return self._worked_out[2]


class _WholeReplacement(_OverwriteFiles):
    """Leaves the manifests of the version before to that version: all of its files are replaced.

    pyiceberg would hand them on, and read those of all versions in every publication.
    """

    _is_forgotten = False

    def _existing_manifests(self) -> list[ManifestFile]:
        return []

    def forget(self) -> None:
        """Has the version before be replaced without a list of its files, which is lost."""
        self._is_forgotten = True

    def _deleted_entries(self) -> list[ManifestEntry]:
        return [] if self._is_forgotten else super()._deleted_entries()

    def _summary(self, snapshot_properties: dict[str, str] = EMPTY_DICT) -> Summary:
        """Counts from nothing where nothing is taken away of what the version before had counted."""
        parent = self._parent_snapshot_id
        try:
            if self._is_forgotten:
                self._parent_snapshot_id = None
            return super()._summary(snapshot_properties)
        finally:
            self._parent_snapshot_id = parent

    def _manifests(self) -> list[ManifestFile]:
        """Those of this version, whose sizes its summary remembers: by them somebody may find that one is gone."""
        written = super()._manifests()
        sizes = {file_name(manifest.manifest_path): manifest.manifest_length for manifest in written}
        self.snapshot_properties = self.snapshot_properties | encode_metadata({"manifests": sizes})
        return written

    def _clean_all_uncommitted(self) -> None:
        """Leaves the manifests of a commit that was refused: it may have been done all the same.

        A request whose answer is lost is repeated, and the repetition is refused because the first one was done.
        """

    def discard(self) -> None:
        """Removes the manifests of a commit that was not done."""
        super()._clean_all_uncommitted()


def replace_content(table: Table, schema: TableSchema, files: Sequence[str], metadata: Mapping[str, Any]) -> Snapshot:
    """Has files, and nothing else, be the content of a table, with the columns of a schema.

    Args:
        table: The table, as it was when the attempt began.
        schema: The columns of the files.
        files: Paths of finished Parquet files.
        metadata: Kept in the snapshot's summary, with the sizes of the files.

    Raises:
        CommitFailedException: Another has changed the table meanwhile; nothing is changed.
        ValidationException: The same.
    """
    transaction = _Transaction(table)
    _evolve(transaction, schema)
    operation = Operation.OVERWRITE if table.current_snapshot() else Operation.APPEND
    added = [parquet_file_to_data_file(table.io, transaction.table_metadata, path) for path in files]
    summary = encode_metadata({**metadata, "sizes": [file.file_size_in_bytes for file in added]})
    overwrite = _WholeReplacement(operation, transaction, table.io, snapshot_properties=summary)
    with overwrite:
        try:
            replaced = list(_live_files(table))
        except LOST as error:
            logger.warning(
                "%s: manifests of the version before are lost (%s: %s); the new one does not list what it replaces.",
                ".".join(table.name()),
                type(error).__name__,
                error,
            )
            overwrite.forget()
            replaced = []
        for file in replaced:
            overwrite.delete_data_file(file)
        for file in added:
            overwrite.append_data_file(file)
    try:
        transaction.commit_transaction()
    except (CommitFailedException, ValidationException):
        if table.refresh().snapshot_by_id(overwrite.snapshot_id) is None:
            overwrite.discard()
            raise
    snapshot = table.snapshot_by_id(overwrite.snapshot_id)
    assert snapshot is not None, "the transaction has just added one"
    return snapshot


def _live_files(table: Table) -> Iterator[DataFile]:
    """The files of a table's content, those without rows included, which a scan leaves out."""
    snapshot = table.current_snapshot()
    for manifest in snapshot.manifests(table.io) if snapshot else ():
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            yield entry.data_file


def _evolve(transaction: Transaction, schema: TableSchema) -> None:
    """Makes the table's columns the wanted ones; a column whose type changes becomes a new one of the same name."""
    wanted = {field.name: field.field_type for field in iceberg_schema(schema).fields}
    current = {field.name: field.field_type for field in transaction.table_metadata.schema().fields}
    same = {name for name in wanted if name in current and str(_without_ids(current[name])) == str(_without_ids(wanted[name]))}
    # Two updates, because a move cannot tell a new column from the deleted one of the same name.
    if set(current) - same:
        with transaction.update_schema(allow_incompatible_changes=True) as update:
            for name in set(current) - same:
                update.delete_column(name)
    if [name for name in current if name in same] != list(wanted):
        with transaction.update_schema() as update:
            for name, field_type in wanted.items():
                if name not in same:
                    update.add_column(name, field_type)
            first, *others = wanted
            update.move_first(first)
            for previous, name in zip(wanted, others, strict=False):
                update.move_after(name, previous)
    mapping = _name_mapping(transaction.table_metadata.schemas)
    if transaction.table_metadata.properties.get(_NAME_MAPPING) != mapping:
        transaction.set_properties({_NAME_MAPPING: mapping})


def _without_ids(type_: IcebergType) -> IcebergType:
    return ListType(0, type_.element_type, type_.element_required) if isinstance(type_, ListType) else type_


def _name_mapping(schemas: Sequence[Schema]) -> str:
    """How files without field ids are read: by name, those of older schemas included, the newest meaning of a name first.

    Athena names the items of a list in two ways.
    """
    fields = {field.name: field for schema in schemas for field in schema.fields}
    entries: list[dict[str, Any]] = []
    for name, field in fields.items():
        entry: dict[str, Any] = {"field-id": field.field_id, "names": [name]}
        if isinstance(field.field_type, ListType):
            entry["fields"] = [{"field-id": field.field_type.element_id, "names": ["element", "array_element"]}]
        entries.append(entry)
    return json.dumps(entries)


def iceberg_schema(schema: TableSchema) -> Schema:
    """The Iceberg columns; the catalog assigns its own ids."""
    return Schema(*(_iceberg_field(number, column) for number, column in enumerate(schema.columns)))


def _iceberg_field(number: int, column: TableColumn) -> NestedField:
    type_ = _ICEBERG_TYPES[column.type]
    if column.length is not None:
        type_ = ListType(element_id=2 * number + 2, element_type=type_, element_required=False)
    return NestedField(field_id=2 * number + 1, name=column.name, field_type=type_, required=False)


def file_name(location: str) -> str:
    """The name of a file, without its folders."""
    return location.rsplit("/", maxsplit=1)[-1]
