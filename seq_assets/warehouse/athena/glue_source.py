"""An existing table of the Glue catalog as a source: Athena reads it, nothing passes through this machine."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from seq_assets.errors import SourceError
from seq_assets.models import ColumnType, ModelSpec
from seq_assets.models.cross_checks import nearest
from seq_assets.warehouse.athena.casts import Carrier, carrier_of, carrier_sql, longer_sql
from seq_assets.warehouse.athena.records import Records
from seq_assets.warehouse.athena.sql import quoted, table_name, text_literal
from seq_assets.warehouse.interface import SourceSample
from seq_assets.warehouse.rules.questions import Question
from seq_assets.warehouse.sources.records import (
    LONGEST_TEXT,
    WantedColumn,
    columns_of_files,
    text_column,
    wanted_columns,
)
from seq_assets.warehouse.storage.object_store import list_objects

SCHEME: Final = "glue://"
_FIXED: Final = 6
"""Columns of records before those that the contract decides."""


@dataclass(frozen=True)
class GlueSource:
    """A table as it was found.

    Attributes:
        location: As the model file gives it, `glue://database/table`.
        relation: The table in its present state, as Athena reads it.
        columns: The type of each column, as Hive writes it.
        is_iceberg: Whether it is an Iceberg table, whose timestamps Athena reads exactly; else it is one of Hive.
        fingerprint: Another one means that the table may have changed.
    """

    location: str
    relation: str
    columns: Mapping[str, str]
    is_iceberg: bool
    fingerprint: str

    @property
    def size(self) -> None:
        """Not known: what a query reads of a table is for Athena to say."""
        return

    def records(self, spec: ModelSpec) -> Records:
        """The records, whose positions are null.

        Raises:
            SourceError: The table lacks a column that may not be null, or Athena would round the values of one.
        """
        found = ["CAST(NULL AS integer) AS _file", f"{text_literal(self.location)} AS _name", "CAST(NULL AS bigint) AS _row"]
        found += [f"CAST(NULL AS varchar) AS {name}" for name in ("_malformed", "_detail", "_unreadable")]
        carriers, texts, written, too_long = {}, [], {}, []
        for column in columns_of_files(wanted_columns(spec)):
            type_ = self._type_of(column)
            if type_ is None:
                value, carriers[column.name], text = "CAST(NULL AS varchar)", Carrier.TEXT, None
            else:
                self._refuse_rounding(column, type_, spec.columns[column.name].unit)
                value, carriers[column.name], text = carrier_sql(
                    quoted(column.source.lower()), type_, has_timezone=spec.columns[column.name].timezone is not None
                )
                written[column.name] = type_
                is_too_long = longer_sql(quoted(column.source.lower()), type_, spec.source.options.max_value_bytes)
                if is_too_long is not None:
                    too_long.append(f"IF({is_too_long}, {text_literal(column.name)})")
                    value = f"IF({is_too_long}, substr({value}, 1, {LONGEST_TEXT}), {value})"
            found.append(f"{value} AS {quoted(column.name)}")
            if text is not None:
                texts.append(column.name)
                found.append(f"{text} AS {quoted(text_column(column.name))}")
        found.insert(_FIXED, f"{_joined(too_long)} AS _too_long")
        return Records(f"(SELECT {', '.join(found)} FROM {self.relation})", carriers, texts, written)

    def records_question(self) -> Question:
        """How many records there are."""
        return Question.of("records of the source", {"records": "count(*)"}, self.relation)

    def metadata(self, spec: ModelSpec) -> dict[str, Any]:
        """What a version remembers of it: `ignored_columns`, which the contract does not read, and no `records_over_lines`."""
        return {"ignored_columns": self._ignored(spec), "records_over_lines": 0}

    def sample(self, spec: ModelSpec) -> SourceSample:
        """What its columns say, without a query.

        Raises:
            SourceError: The table lacks a column that may not be null.
        """
        absent = tuple(column.source for column in columns_of_files(wanted_columns(spec)) if self._type_of(column) is None)
        return SourceSample("a table", tuple(self._ignored(spec)), absent)

    def _ignored(self, spec: ModelSpec) -> list[str]:
        wanted = {column.source.lower() for column in columns_of_files(wanted_columns(spec))}
        return [name for name in self.columns if name not in wanted]

    def _type_of(self, column: WantedColumn) -> str | None:
        """The type of a wanted column; None where it is missing and may be null."""
        type_ = self.columns.get(column.source.lower())
        if type_ is None and not column.nullable:
            shown = ", ".join(list(self.columns)[:40])
            raise SourceError(
                f"The table {self.location} has no column {column.source!r} (columns.{column.name}); found: {shown}"
                f"{nearest(column.source, list(self.columns))} Name the table's column with `from`."
            )
        return type_

    def _refuse_rounding(self, column: WantedColumn, type_: str, unit: str | None) -> None:
        """Athena reads timestamps of Hive in milliseconds: what is finer is rounded before anybody can see it."""
        is_rounded = not self.is_iceberg and carrier_of(type_) is Carrier.MICROSECONDS
        if not is_rounded or column.type not in (ColumnType.TIMESTAMP, ColumnType.DATE) or unit == "ms":
            return
        accepted = f", or accept milliseconds (columns.{column.name}.unit: ms)" if column.type is ColumnType.TIMESTAMP else ""
        raise SourceError(
            f"The table {self.location} is one of Hive, whose timestamps Athena rounds to milliseconds, unseen, such as those "
            f"of {column.source!r} (columns.{column.name}); make it an Iceberg table, or name the S3 prefix of its files as "
            f"the source{accepted}."
        )


def _joined(names: list[str]) -> str:
    """Names that are null where they are not meant, with commas between the others; null where there is none."""
    if not names:
        return "CAST(NULL AS varchar)"
    return f"nullif(array_join(ARRAY[{', '.join(names)}], ','), '')"


def find_table(location: str, glue: Any) -> GlueSource:
    """The table at a location.

    Args:
        location: `glue://database/table`.
        glue: A boto3 client of Glue.

    Raises:
        SourceError: There is no such table, or it is a view.
    """
    database, _, name = location.removeprefix(SCHEME).partition("/")
    if not database or not name or "/" in name:
        raise SourceError(f"source.location: found {location!r}; allowed: glue://database/table")
    try:
        table = glue.get_table(DatabaseName=database, Name=name)["Table"]
    except glue.exceptions.EntityNotFoundException as error:
        raise SourceError(f"No table at {location!r} in the Glue catalog; make it there or mend source.location.") from error
    parameters, description = table.get("Parameters", {}), table.get("StorageDescriptor", {})
    relation = table_name(database, name)
    described = [*description.get("Columns", ()), *table.get("PartitionKeys", ())]
    columns = {column["Name"]: column["Type"] for column in described}
    if parameters.get("table_type", "").lower() == "iceberg":
        return GlueSource(location, relation, columns, True, _digest([parameters["metadata_location"]]))
    if not description.get("Location"):
        raise SourceError(f"{location!r} is a view; name the table that it shows, or write its rows to one.")
    listing = [table.get("VersionId", ""), str(described), *_objects(glue, database, name, description["Location"])]
    return GlueSource(location, relation, columns, False, _digest(listing))


def _objects(glue: Any, database: str, name: str, location: str) -> Iterator[str]:
    """What a Hive table consists of: its partitions, and the objects below it and them."""
    folders = {location.rstrip("/")}
    for page in glue.get_paginator("get_partitions").paginate(DatabaseName=database, TableName=name):
        for partition in page["Partitions"]:
            folders.add(partition["StorageDescriptor"]["Location"].rstrip("/"))
            yield f"{partition['Values']} {partition['StorageDescriptor']['Location']}"
    outermost = [folder for folder in folders if not any(folder.startswith(f"{other}/") for other in folders)]
    for folder in sorted(outermost):
        for found in list_objects(f"{folder}/"):
            yield f"{found.address}\0{found.size}\0{found.etag}"


def _digest(listing: list[str]) -> str:
    return hashlib.sha256("\n".join(listing).encode()).hexdigest()
