"""What Dagster shows of a version: the documented keys, and values that it takes."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Final

import dagster as dg
import pytest

from seq_assets.io_managers.metadata import RAW_KEY, page_metadata, publication_metadata, version_metadata
from seq_assets.io_managers.pages import Page
from seq_assets.models import ColumnType, ModelSpec
from seq_assets.sequencing.accounting import IngestAccounting, SequenceAccounting
from seq_assets.sequencing.plans import Dataset
from seq_assets.sequencing.schemas import REJECTED_SCHEMA, TableSchema, raw_schema, sequence_schema
from seq_assets.warehouse.interface import Publication, Version

SNAPSHOT: Final = 2**63 - 1
"""As large as an Iceberg snapshot id can be."""
RAW_SCHEMA: Final = raw_schema([("pupil", ColumnType.INT64, False), ("elapsed", ColumnType.FLOAT32, True)])
SEQUENCE_SCHEMA: Final = sequence_schema(
    ("pupil", ColumnType.INT64), [("time", ColumnType.TIMESTAMP), ("elapsed", ColumnType.FLOAT32)], 100, repeats=True
)


def version(dataset: Dataset, schema: TableSchema, **metadata: Any) -> Version:
    """A version with what every version says, and more."""
    common = {"identity": "i", "source_fingerprint": "f" * 64, "model_digest": "d" * 64, "program": "0", "seconds": 1.23456}
    return Version(dataset, SNAPSHOT, datetime.now(UTC), 12, schema, (), common | metadata)


def raw_version() -> Version:
    """A version of raw observations."""
    accounting = IngestAccounting(read=15, accepted=12, rejected=3, train=8, validation=4, rejected_by_reason={"null": 3})
    metrics = {"elapsed": {"count": 11, "unique": 2, "min": 0.5, "max": 1.5, "labels": {"0.5": 10, "1.5": 1}}}
    made_from = {"source": "answers.csv", "ignored_columns": ["hint", "session"]}
    return version(Dataset.raw("dkt"), RAW_SCHEMA, accounting=asdict(accounting), metrics=metrics, **made_from)


def rejected_version() -> Version:
    """A version of rejected observations."""
    return version(Dataset.rejected("dkt"), REJECTED_SCHEMA)


def sequence_version(**accounting: int) -> Version:
    """A version of sequences."""
    counted = SequenceAccounting(observations=900, sequenced=890, dropped_min_length=7, dropped_truncation=3)
    counted = replace(counted, sequences=12, positions=1200, padding=310)
    dataset = Dataset.sequenced("dkt", "validation", 100)
    return version(dataset, SEQUENCE_SCHEMA, raw_version=77, accounting=asdict(counted) | accounting)


def model(**fields: Any) -> ModelSpec:
    """What a model file says, of which most does not matter here."""
    columns = {"pupil": {"type": "int64"}}
    return ModelSpec.model_validate(
        {"name": "dkt", "source": {"location": "a.csv"}, "entity": "pupil", "columns": columns} | fields
    )


VERSIONS: Final = [raw_version(), rejected_version(), sequence_version()]


def columns_of(metadata: Mapping[str, Any]) -> dict[str, tuple[str, bool]]:
    """Type and nullability of each column, in order."""
    schema: dg.TableSchema = metadata["dagster/column_schema"]
    return {column.name: (column.type, column.constraints.nullable) for column in schema.columns}


def descriptions_of(metadata: Mapping[str, Any]) -> dict[str, str | None]:
    """Of each column, what is said of it."""
    schema: dg.TableSchema = metadata["dagster/column_schema"]
    return {column.name: column.description for column in schema.columns}


@pytest.mark.parametrize("shown", VERSIONS, ids=lambda shown: shown.dataset.table)
def test_every_version_says_which_it_is_and_what_its_table_holds(shown: Version) -> None:
    metadata = version_metadata(shown)
    assert metadata["version"] == str(SNAPSHOT)
    assert metadata["dagster/partition_row_count"] == 12
    assert metadata["dagster/table_name"] == shown.dataset.table
    assert tuple(columns_of(metadata)) == shown.schema.names


@pytest.mark.parametrize("shown", VERSIONS, ids=lambda shown: shown.dataset.table)
def test_dagster_takes_every_value_and_loses_nothing_of_a_large_version(shown: Version) -> None:
    event = dg.AssetMaterialization(RAW_KEY, metadata=version_metadata(shown))
    recorded = dg.deserialize_value(dg.serialize_value(event), dg.AssetMaterialization)
    assert recorded.metadata == event.metadata
    assert recorded.metadata["version"].value == str(SNAPSHOT)


def test_raw_observations_say_what_was_accepted_and_rejected() -> None:
    metadata = version_metadata(raw_version())
    assert (metadata["observations"], metadata["rejected"], metadata["train"], metadata["validation"]) == (12, 3, 8, 4)
    assert metadata["accounting"].value["rejected_by_reason"] == {"null": 3}
    assert metadata["metrics"].value["elapsed"]["labels"] == {"0.5": 10, "1.5": 1}
    assert metadata["source"] == "answers.csv"


def test_raw_observations_say_which_columns_of_the_source_are_ignored() -> None:
    assert version_metadata(raw_version())["ignored_columns"] == "hint, session"
    every_column = replace(raw_version(), metadata={**raw_version().metadata, "ignored_columns": []})
    assert version_metadata(every_column)["ignored_columns"] == "none"


def test_records_that_span_lines_are_shown_where_there_are_any() -> None:
    some = replace(raw_version(), metadata={**raw_version().metadata, "records_over_lines": 3})
    assert version_metadata(some)["records_over_lines"] == 3
    assert "records_over_lines" not in version_metadata(raw_version())


def test_of_very_many_ignored_columns_the_first_are_named() -> None:
    names = [f"c{number}" for number in range(1_000)]
    many = replace(raw_version(), metadata={**raw_version().metadata, "ignored_columns": names})
    shown = version_metadata(many)["ignored_columns"]
    assert shown == f"{', '.join(names[:40])}, and 960 more"


def test_rejected_observations_say_their_rows_of_which_a_record_may_have_several() -> None:
    assert version_metadata(rejected_version())["rejected"] == 12


def test_sequences_say_their_accounting_and_what_they_were_made_from() -> None:
    metadata = version_metadata(sequence_version())
    assert {name: metadata[name] for name in ("observations", "sequences", "pad_ratio", "sequence_length", "raw_version")} == {
        "observations": 900,
        "sequences": 12,
        "pad_ratio": round(310 / 1200, 6),
        "sequence_length": 100,
        "raw_version": "77",
    }
    assert (metadata["dropped_min_length"], metadata["dropped_truncation"]) == (7, 3)


def test_without_sequences_the_pad_ratio_is_0() -> None:
    assert version_metadata(sequence_version(sequences=0, positions=0, padding=0))["pad_ratio"] == 0


def test_the_columns_of_raw_observations_have_their_contract_types() -> None:
    assert columns_of(version_metadata(raw_version())) == {
        "pupil": ("int64", False),
        "elapsed": ("float32", True),
        "subset": ("string", False),
        "_file": ("string", False),
        "_row": ("int64", True),
        "_position": ("int64", False),
    }


def test_the_columns_of_sequences_are_lists_of_their_length() -> None:
    columns = columns_of(version_metadata(sequence_version()))
    assert columns["pupil"] == ("int64", False)
    assert columns["sequence_size"] == ("int32", False)
    assert columns["time_sequence"] == ("list<int64>[100]", False)
    assert columns["elapsed_sequence"] == ("list<float32>[100]", False)
    assert columns["is_repeat_sequence"] == ("list<int8>[100]", False)


def test_a_sequences_column_comes_from_the_raw_column_of_its_feature() -> None:
    lineage: dg.TableColumnLineage = version_metadata(sequence_version())["dagster/column_lineage"]
    assert lineage.deps_by_column == {
        "pupil": [dg.TableColumnDep(RAW_KEY, "pupil")],
        "time_sequence": [dg.TableColumnDep(RAW_KEY, "time")],
        "elapsed_sequence": [dg.TableColumnDep(RAW_KEY, "elapsed")],
    }


@pytest.mark.parametrize("shown", [raw_version(), rejected_version()], ids=lambda shown: shown.dataset.table)
def test_columns_read_from_the_source_have_no_column_upstream(shown: Version) -> None:
    assert version_metadata(shown)["dagster/column_lineage"] == dg.TableColumnLineage({})


@pytest.mark.parametrize("shown", VERSIONS, ids=lambda shown: shown.dataset.table)
def test_no_version_is_a_number_which_would_be_plotted(shown: Version) -> None:
    named = replace(shown, metadata={**shown.metadata, "vocabulary_version": 5})
    metadata = version_metadata(named) | page_metadata(Page("+1 rows", 4, {}))
    versions = {name: value for name, value in metadata.items() if name.endswith("version")}
    assert versions.keys() >= {"version", "previous_version"}
    assert {type(value) for value in versions.values()} == {str}


def test_a_first_version_names_none_before_it() -> None:
    assert page_metadata(Page("the first version", None, {})) == {"changed": "the first version"}


def test_a_later_version_names_the_one_before_it_and_how_it_differs() -> None:
    assert page_metadata(Page("+1 rows", SNAPSHOT, {"flow": "a table"})) == {
        "changed": "+1 rows",
        "previous_version": str(SNAPSHOT),
        "flow": dg.MetadataValue.md("a table"),
    }


def test_a_version_that_stood_already_says_so_first_and_then_what_it_said_when_it_was_published() -> None:
    published = publication_metadata(Publication(raw_version(), previous=None, unchanged=False, seconds=1.5))
    stands = publication_metadata(Publication(raw_version(), raw_version(), unchanged=True, seconds=0))
    assert published["seconds"] == 1.235, "the version's own, which are those of its making"
    assert stands == {"unchanged": True} | published
    assert next(iter(stands)) == "unchanged"


def test_columns_of_the_contract_have_the_model_files_description_and_the_platforms_own_have_theirs() -> None:
    columns = {"pupil": {"type": "int64", "description": "Who answered."}, "elapsed": {"type": "float32"}}
    spec = model(columns=columns)
    raw = descriptions_of(version_metadata(raw_version(), spec))
    assert (raw["pupil"], raw["elapsed"]) == ("Who answered.", None)
    assert raw["_row"] == "The number of its record in that file, from 1; null where the source has no order."
    times = columns | {"time": {"type": "timestamp", "description": "When."}}
    sequences = descriptions_of(version_metadata(sequence_version(), model(columns=times)))
    assert (sequences["pupil"], sequences["time_sequence"], sequences["elapsed_sequence"]) == ("Who answered.", "When.", None)
    assert str(sequences["is_pad_sequence"]).startswith("0 on an item, 1 on padding")
    assert str(sequences["sequence_index"]).startswith("The ordinal of the sequence")


@pytest.mark.parametrize("shown", VERSIONS, ids=lambda shown: shown.dataset.table)
def test_every_column_of_the_platforms_own_is_described(shown: Version) -> None:
    described = descriptions_of(version_metadata(shown))
    own = {column.name for column in shown.schema.columns if column.origin is None}
    assert {name for name, text in described.items() if text} == own


@pytest.mark.parametrize("shown", VERSIONS, ids=lambda shown: shown.dataset.table)
def test_the_owner_is_the_one_of_the_model(shown: Version) -> None:
    assert version_metadata(shown, model(owner="team:learning"))["owner"] == "team:learning"
    assert "owner" not in version_metadata(shown, model())


@pytest.mark.parametrize(
    ("files", "folder"),
    [
        ((), None),
        (("/home/t/data/r/x.parquet",), "/home/t/data/r"),
        (("/home/t/data/r/train/0", "/home/t/data/r/train/1"), "/home/t/data/r/train"),
        (("/home/t/data/r/train/0", "/home/t/data/r/trainer/1"), "/home/t/data/r"),
        (("s3://b/t/data/r/train/0", "s3://b/t/data/r/validation/0"), "s3://b/t/data/r"),
    ],
)
def test_the_location_is_the_folder_of_all_files(files: tuple[str, ...], folder: str | None) -> None:
    found = version_metadata(replace(raw_version(), files=files)).get("location")
    assert found == (None if folder is None else dg.MetadataValue.path(folder))


def test_hashes_are_shown_short() -> None:
    metadata = version_metadata(raw_version())
    assert (metadata["source_fingerprint"], metadata["model_digest"]) == ("f" * 12, "d" * 12)


def test_a_version_made_by_athena_says_what_its_queries_took() -> None:
    took = {
        "queries": 2,
        "bytes_scanned": 2_000_000,
        "queue_milliseconds": 1_500,
        "engine_milliseconds": 4_000,
        "total_milliseconds": 6_000,
        "dollars": 0.0001,
        "query_ids": ["q-1", "q-2"],
        "console_links": ["https://console/q-1", "https://console/q-2"],
    }
    made = raw_version()
    found = version_metadata(replace(made, metadata={**made.metadata, "athena": took}))
    assert (found["queries"], found["bytes_scanned"], found["queue_seconds"], found["estimated_dollars"]) == (
        2,
        2_000_000,
        1.5,
        0.0001,
    )
    assert found["athena_queries"] == dg.MetadataValue.md("- [q-1](https://console/q-1)\n- [q-2](https://console/q-2)")
    assert "queries" not in version_metadata(made)


def test_a_version_made_by_athena_says_what_each_query_was_for() -> None:
    took = {
        **dict.fromkeys(("queries", "bytes_scanned", "queue_milliseconds", "dollars"), 0),
        "query_ids": ["q-1", "q-2"],
        "console_links": ["https://console/q-1", "https://console/q-2"],
        "purposes": ["m: stage", ""],
    }
    made = raw_version()
    found = version_metadata(replace(made, metadata={**made.metadata, "athena": took}))
    assert found["athena_queries"] == dg.MetadataValue.md("- [q-1](https://console/q-1) m: stage\n- [q-2](https://console/q-2)")
