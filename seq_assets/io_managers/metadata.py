"""What Dagster shows of a version: metadata keys and their values, those at a glance first, then its page (`pages`)."""

import json
from collections.abc import Mapping, Sequence
from itertools import islice, takewhile
from typing import Any, Final

import dagster as dg

from seq_assets.io_managers.pages import Page
from seq_assets.models import ModelSpec
from seq_assets.sequencing.accounting import IngestAccounting, SequenceAccounting
from seq_assets.sequencing.schemas import COLUMN_DESCRIPTIONS, TableColumn, TableSchema
from seq_assets.warehouse.interface import Publication, Version

RAW_KEY: Final = dg.AssetKey("raw_observations")
REJECTED_KEY: Final = dg.AssetKey("rejected_observations")
MOST_NAMES: Final = 40
"""Names of ignored columns that are shown; lines of JSON may have any number of keys."""
MOST_BYTES: Final = 50_000
"""Of metrics as JSON: Dagster stores them with each materialization, and as text within text."""
MOST_COLUMNS: Final = 200
"""Of a schema, of lineage, and of metrics where those of all would be too large."""


def page_metadata(page: Page) -> dict[str, Any]:
    """Metadata behind the glance: what has changed since the version before, tables, plots and a preview."""
    before = {} if page.previous_version is None else {"previous_version": str(page.previous_version)}
    shown = {name: dg.MetadataValue.md(text) for name, text in page.shown.items()}
    return {"changed": page.changed, **before, **shown}


def in_reading_order(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What people look at first, first: JSON, which the UI shows in full, comes last."""
    return dict(sorted(metadata.items(), key=lambda item: isinstance(item[1], dg.JsonMetadataValue)))


def publication_metadata(publication: Publication, spec: ModelSpec | None = None) -> dict[str, Any]:
    """Metadata of a materialization at a glance: what the version holds, how long it took, and whether it stood already."""
    stood: dict[str, Any] = {"unchanged": True} if publication.unchanged else {}
    version = publication.version
    return stood | version_metadata(version, spec) | {"seconds": round(version.metadata["seconds"], 3)}


def publication_sentence(publication: Publication) -> str:
    """The same, for a log: which version stands, where every observation went, and which columns were not read."""
    version, counted = publication.version, publication.version.metadata["accounting"]
    stands = "stands unchanged" if publication.unchanged else "published"
    stands += "" if publication.unchanged else version.why_rebuilt
    if version.dataset.sequence_length is not None:
        return f"{version.dataset.table}, version {version.id}, {stands}: {SequenceAccounting(**counted)}"
    over_lines = version.metadata.get("records_over_lines", 0)
    return (
        f"{version.dataset.table}, version {version.id}, {stands}: {IngestAccounting(**counted)}; "
        f"columns of the source that the contract does not read: {_ignored_columns(version)}"
        f"{f'; records that span lines: {over_lines:,}' if over_lines else ''}"
    )


def version_metadata(version: Version, spec: ModelSpec | None = None) -> dict[str, Any]:
    """Metadata of a version of any table, what people look for first.

    Args:
        version: The version.
        spec: What its model file says now, of which owner and descriptions are shown: they decide nothing.
    """
    kinds = {"raw_observations": _raw_metadata, "rejected_observations": _rejected_metadata}
    return kinds.get(version.dataset.kind, _sequence_metadata)(version) | {
        # Versions are text: the UI would plot numbers over time.
        "version": str(version.id),
        **_ways_to_it(version),
        **({"owner": spec.owner} if spec and spec.owner else {}),
        "source_fingerprint": version.metadata["source_fingerprint"][:12],
        "model_digest": version.metadata["model_digest"][:12],
        "dagster/table_name": version.dataset.table,
        "dagster/partition_row_count": version.rows,
        "dagster/column_schema": _column_schema(version.schema, spec),
        "dagster/column_lineage": _column_lineage(version),
        **_queries(version),
    }


def _raw_metadata(version: Version) -> dict[str, Any]:
    accounting: Mapping[str, Any] = version.metadata["accounting"]
    return {
        "observations": accounting["accepted"],
        "rejected": accounting["rejected"],
        "train": accounting["train"],
        "validation": accounting["validation"],
        "source": version.metadata["source"],
        "ignored_columns": _ignored_columns(version),
        **_records_over_lines(version),
        "accounting": dg.MetadataValue.json(dict(accounting)),
        "metrics": dg.MetadataValue.json(_metrics(version)),
        **_vocabulary(version),
    }


def _metrics(version: Version) -> dict[str, Any]:
    """Those of all columns; where they would be too large, without the counts per label, and of the first columns alone."""
    metrics: dict[str, Any] = version.metadata["metrics"]
    if len(json.dumps(metrics)) <= MOST_BYTES:
        return metrics
    shown = {column: {name: value for name, value in found.items() if name != "labels"} for column, found in metrics.items()}
    return shown if len(json.dumps(shown)) <= MOST_BYTES else dict(islice(shown.items(), MOST_COLUMNS))


def _ignored_columns(version: Version) -> str:
    names = version.metadata["ignored_columns"]
    more = len(names) - MOST_NAMES
    return ", ".join([*names[:MOST_NAMES], *([f"and {more} more"] if more > 0 else [])]) or "none"


def _records_over_lines(version: Version) -> dict[str, Any]:
    """Where there are any; a quote that was meant as a character may have made one record of many."""
    records = version.metadata.get("records_over_lines", 0)
    return {"records_over_lines": records} if records else {}


def _rejected_metadata(version: Version) -> dict[str, Any]:
    return {"rejected": version.rows}


def _sequence_metadata(version: Version) -> dict[str, Any]:
    accounting = SequenceAccounting(**version.metadata["accounting"])
    return {
        "observations": accounting.observations,
        "sequences": accounting.sequences,
        "pad_ratio": round(accounting.pad_ratio, 6),
        "sequence_length": version.dataset.sequence_length,
        "raw_version": str(version.raw_version),
        **_vocabulary(version),
        "dropped_min_length": accounting.dropped_min_length,
        "dropped_truncation": accounting.dropped_truncation,
        "accounting": dg.MetadataValue.json(dict(version.metadata["accounting"])),
    }


def _vocabulary(version: Version) -> dict[str, Any]:
    number = version.metadata.get("vocabulary_version")
    return {} if number is None else {"vocabulary_version": str(number)}


def _ways_to_it(version: Version) -> dict[str, Any]:
    """The line of Python that loads exactly this version, and the folder of its files."""
    folder = _common_folder(version.files)
    line = _loading_line(version)
    return ({"python": line} if line else {}) | ({"location": dg.MetadataValue.path(folder)} if folder else {})


def _loading_line(version: Version) -> str | None:
    """None of rejected observations, which `seq_assets.connect()` shows."""
    dataset = version.dataset
    if dataset.kind == "rejected_observations":
        return None
    if dataset.sequence_length is None:
        return f'seq_assets.load_observations("{dataset.model}", version={version.id})'
    subset = dataset.kind.removeprefix("sequenced_")
    return (
        f'seq_assets.load("{dataset.model}", sequence_length={dataset.sequence_length}, subset="{subset}", '
        f"version={version.id})"
    )


def _common_folder(files: Sequence[str]) -> str | None:
    """The folder, or the address, that all files are below; None of none."""
    folders = [file.split("/")[:-1] for file in files]
    together = takewhile(lambda parts: len(set(parts)) == 1, zip(*folders, strict=False))
    return "/".join(parts[0] for parts in together) or None


def _queries(version: Version) -> dict[str, Any]:
    """What Athena's queries took that made the version, and where people see them."""
    taken = version.metadata.get("athena")
    if taken is None:
        return {}
    # Versions from before queries said what they are for have no purposes.
    purposes = taken.get("purposes", ("",) * len(taken["query_ids"]))
    queries = zip(taken["query_ids"], taken["console_links"], purposes, strict=True)
    return {
        "queries": taken["queries"],
        "bytes_scanned": taken["bytes_scanned"],
        "queue_seconds": taken["queue_milliseconds"] / 1000,
        "estimated_dollars": round(taken["dollars"], 6),
        "athena_queries": dg.MetadataValue.md(
            "\n".join(f"- [{query}]({link}) {purpose}".rstrip() for query, link, purpose in queries)
        ),
    }


def _column_schema(schema: TableSchema, spec: ModelSpec | None) -> dg.TableSchema:
    more = len(schema.columns) - MOST_COLUMNS
    return dg.TableSchema(
        columns=[_table_column(column, spec) for column in schema.columns[:MOST_COLUMNS]],
        constraints=dg.TableConstraints(other=[f"and {more} more columns"] if more > 0 else []),
    )


def _table_column(column: TableColumn, spec: ModelSpec | None) -> dg.TableColumn:
    return dg.TableColumn(
        name=column.name,
        description=_description(column, spec),
        type=column.type.value if column.length is None else f"list<{column.type}>[{column.length}]",
        constraints=dg.TableColumnConstraints(nullable=column.nullable),
    )


def _description(column: TableColumn, spec: ModelSpec | None) -> str | None:
    """What the model file says of a column of the contract, or the platform of one of its own."""
    if column.origin is None:
        return COLUMN_DESCRIPTIONS.get(column.name)
    described = spec.columns.get(column.origin) if spec else None
    return described.description if described else None


def _column_lineage(version: Version) -> dg.TableColumnLineage:
    """Which raw column each column of a sequence table comes from; other tables have no table upstream."""
    if version.raw_version is None:
        return dg.TableColumnLineage({})
    return dg.TableColumnLineage(
        {
            column.name: [dg.TableColumnDep(RAW_KEY, column.origin)]
            for column in version.schema.columns[:MOST_COLUMNS]
            if column.origin is not None
        }
    )
