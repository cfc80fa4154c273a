"""What Dagster shows of a version: metadata keys and their values. Nothing here reads or decides anything."""

from collections.abc import Mapping
from typing import Any, Final

import dagster as dg

from seq_assets.sequencing.accounting import SequenceAccounting
from seq_assets.sequencing.schemas import TableColumn, TableSchema
from seq_assets.warehouse.interface import Publication, Version

RAW_KEY: Final = dg.AssetKey("raw_observations")
REJECTED_KEY: Final = dg.AssetKey("rejected_observations")


def publication_metadata(publication: Publication) -> dict[str, Any]:
    """Metadata of a materialization: what the version holds, and how it came to be."""
    metadata = version_metadata(publication.version) | {"seconds": round(publication.seconds, 3)}
    if publication.unchanged:
        metadata["unchanged"] = True
    elif publication.previous is not None:
        metadata["previous_version"] = publication.previous.id
    return metadata


def version_metadata(version: Version) -> dict[str, Any]:
    """Metadata of a version of any table."""
    metadata: dict[str, Any] = {
        "version": version.id,
        "dagster/partition_row_count": version.rows,
        "dagster/table_name": version.dataset.table,
        "dagster/column_schema": _column_schema(version.schema),
        "dagster/column_lineage": _column_lineage(version),
        "source_fingerprint": version.metadata["source_fingerprint"][:12],
        "model_digest": version.metadata["model_digest"][:12],
    }
    if version.dataset.kind == "raw_observations":
        return metadata | _raw_metadata(version)
    if version.dataset.kind == "rejected_observations":
        return metadata | {"rejected": version.rows}
    return metadata | _sequence_metadata(version)


def _raw_metadata(version: Version) -> dict[str, Any]:
    accounting: Mapping[str, Any] = version.metadata["accounting"]
    return {
        "observations": accounting["accepted"],
        "rejected": accounting["rejected"],
        "train": accounting["train"],
        "validation": accounting["validation"],
        "source": version.metadata["source"],
        "accounting": dg.MetadataValue.json(dict(accounting)),
        "metrics": dg.MetadataValue.json(version.metadata["metrics"]),
    }


def _sequence_metadata(version: Version) -> dict[str, Any]:
    accounting = SequenceAccounting(**version.metadata["accounting"])
    return {
        "observations": accounting.observations,
        "sequences": accounting.sequences,
        "pad_ratio": round(accounting.pad_ratio, 6),
        "sequence_length": version.dataset.sequence_length,
        "raw_version": version.raw_version,
        "dropped_min_length": accounting.dropped_min_length,
        "dropped_truncation": accounting.dropped_truncation,
        "accounting": dg.MetadataValue.json(dict(version.metadata["accounting"])),
    }


def _column_schema(schema: TableSchema) -> dg.TableSchema:
    return dg.TableSchema(columns=[_table_column(column) for column in schema.columns])


def _table_column(column: TableColumn) -> dg.TableColumn:
    return dg.TableColumn(
        name=column.name,
        type=column.type.value if column.length is None else f"list<{column.type}>[{column.length}]",
        constraints=dg.TableColumnConstraints(nullable=column.nullable),
    )


def _column_lineage(version: Version) -> dg.TableColumnLineage:
    """Which raw column each column of a sequence table comes from; other tables have no table upstream."""
    if version.raw_version is None:
        return dg.TableColumnLineage({})
    return dg.TableColumnLineage(
        {
            column.name: [dg.TableColumnDep(RAW_KEY, column.origin)]
            for column in version.schema.columns
            if column.origin is not None
        }
    )
