"""A table of the Glue catalog as a source: what it is read as, when it counts as changed, and what is refused."""

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import yaml

from seq_assets.errors import SourceError
from seq_assets.models import ModelSpec, parse_model
from seq_assets.warehouse.athena.casts import Carrier
from seq_assets.warehouse.athena.glue_source import GlueSource, find_table
from seq_assets.warehouse.interface import SourceSample
from seq_assets.warehouse.storage.object_store import StoredObject

LOCATION = "glue://lake/answers"
WRITTEN = datetime(2024, 1, 1, tzinfo=UTC)


class EntityNotFoundException(Exception):  # noqa: N818 - its name in boto3
    """What Glue says of what is not there."""


@dataclass
class Glue:
    """boto3's client of Glue, for one table; and the objects on S3."""

    table: dict[str, Any]
    partitions: list[dict[str, Any]] = field(default_factory=list)
    objects: list[StoredObject] = field(default_factory=list)
    exceptions: ClassVar[Any] = SimpleNamespace(EntityNotFoundException=EntityNotFoundException)

    def get_table(self, DatabaseName: str, Name: str) -> dict[str, Any]:  # noqa: N803 - as boto3 names them
        if (DatabaseName, Name) != ("lake", "answers"):
            raise EntityNotFoundException
        return {"Table": deepcopy(self.table)}

    def get_paginator(self, operation: str) -> Any:
        """Two partitions a page."""
        assert operation == "get_partitions"
        pages = [{"Partitions": self.partitions[start : start + 2]} for start in range(0, len(self.partitions), 2)]
        return SimpleNamespace(paginate=lambda **_: pages)

    def list_objects(self, address: str) -> Iterator[StoredObject]:
        assert address.endswith("/"), "a folder, not what else begins like it"
        return (found for found in self.objects if found.address.startswith(address))


@pytest.fixture
def glue(monkeypatch: pytest.MonkeyPatch) -> Glue:
    """A Hive table of two objects: one in a partition below its folder, one in a partition that is elsewhere."""
    columns = [{"Name": "pupil", "Type": "bigint"}, {"Name": "at", "Type": "timestamp"}, {"Name": "note", "Type": "string"}]
    found = Glue(
        table={
            "VersionId": "3",
            "StorageDescriptor": {"Columns": columns, "Location": "s3://lake/answers"},
            "PartitionKeys": [{"Name": "day", "Type": "date"}],
            "Parameters": {"EXTERNAL": "TRUE"},
        },
        partitions=[
            partition("2024-01-01", "s3://lake/answers/day=2024-01-01/"),
            partition("2024-01-02", "s3://lake/moved/02"),
            partition("2024-01-03", "s3://lake/answers/day=2024-01-03"),
        ],
        objects=[
            StoredObject("s3://lake/answers/day=2024-01-01/a", 10, "x", WRITTEN),
            StoredObject("s3://lake/moved/02/a", 10, "x", WRITTEN),
        ],
    )
    monkeypatch.setattr("seq_assets.warehouse.athena.glue_source.list_objects", found.list_objects)
    return found


@pytest.fixture
def iceberg(glue: Glue) -> Glue:
    glue.table["Parameters"] = {"table_type": "ICEBERG", "metadata_location": "s3://lake/answers/metadata/00001.json"}
    return glue


def partition(day: str, location: str) -> dict[str, Any]:
    return {"Values": [day], "StorageDescriptor": {"Location": location}}


def spec_of(**columns: Any) -> ModelSpec:
    everything = {"pupil": {"type": "int64"}, **columns}
    content = {"name": "m", "source": {"location": LOCATION}, "entity": "pupil", "columns": everything, "ties": "any"}
    return parse_model(yaml.safe_dump(content, sort_keys=False), "m.yaml")


def fingerprint(glue: Glue) -> str:
    return find_table(LOCATION, glue).fingerprint


# What is read


def test_a_table_has_its_columns_and_partition_keys_and_is_quoted(glue: Glue) -> None:
    found = find_table(LOCATION, glue)
    assert found.relation == '"lake"."answers"'
    assert found.columns == {"pupil": "bigint", "at": "timestamp", "note": "string", "day": "date"}


def test_columns_are_found_in_any_case_and_the_others_are_ignored(glue: Glue) -> None:
    spec = spec_of(when={"type": "timestamp", "unit": "ms", "from": "At"}, day={"type": "date"})
    found = find_table(LOCATION, glue)
    records = found.records(spec)
    assert records.carriers == {"pupil": Carrier.INTEGER, "when": Carrier.MICROSECONDS, "day": Carrier.DAYS}
    assert list(records.texts) == ["when", "day"]
    assert re.fullmatch(r'\(SELECT .* AS "_text_day" FROM "lake"\."answers"\)', records.relation)
    assert "CAST(NULL AS bigint) AS _row" in records.relation, "rows of a table have no numbers"
    assert f"'{LOCATION}' AS _name" in records.relation
    assert found.metadata(spec) == {"ignored_columns": ["note"], "records_over_lines": 0}
    assert found.sample(spec) == SourceSample("a table", ignored=("note",))


def test_a_look_at_a_table_tells_its_columns_without_a_query(glue: Glue) -> None:
    found = find_table(LOCATION, glue)
    maybe = {"type": "string", "nullable": True}
    assert found.sample(spec_of(pupil={"type": "int64"}, mood=maybe)).absent == ("mood",)
    with pytest.raises(SourceError, match="has no column 'mood'"):
        found.sample(spec_of(pupil={"type": "int64"}, mood={"type": "string"}))


def test_a_missing_column_is_null_where_it_may_be(glue: Glue) -> None:
    records = find_table(LOCATION, glue).records(spec_of(score={"type": "int8", "nullable": True}))
    assert records.carriers["score"] is Carrier.TEXT
    assert 'CAST(NULL AS varchar) AS "score"' in records.relation


def test_a_missing_column_that_may_not_be_null_is_named_with_what_is_there(glue: Glue) -> None:
    spec = spec_of(remark={"type": "string", "from": "Notes"})
    with pytest.raises(SourceError, match=r"no column 'Notes' \(columns.remark\); found: pupil, at, note, day; did you mean"):
        find_table(LOCATION, glue).records(spec)


def test_local_times_are_carried_as_text_which_says_whether_it_has_a_zone(iceberg: Glue) -> None:
    zone = {"type": "timestamp", "timezone": "Asia/Tokyo"}
    records = find_table(LOCATION, iceberg).records(spec_of(at=zone, day=zone))
    assert records.carriers == {"pupil": Carrier.INTEGER, "at": Carrier.TIME_TEXT, "day": Carrier.TIME_TEXT}
    assert 'CAST("at" AS varchar) AS "at"' in records.relation


# What is refused


def test_timestamps_of_hive_are_refused_with_what_to_do(glue: Glue) -> None:
    with pytest.raises(
        SourceError, match=r"rounds to milliseconds.* of 'at' \(columns.at\); make it an Iceberg table.*unit: ms"
    ):
        find_table(LOCATION, glue).records(spec_of(at={"type": "timestamp"}))
    with pytest.raises(SourceError, match=r"of 'at' \(columns.noon\); .* S3 prefix of its files as the source\.$"):
        find_table(LOCATION, glue).records(spec_of(noon={"type": "date", "from": "at"}))
    with pytest.raises(SourceError, match="unit: ms"):
        find_table(LOCATION, glue).records(spec_of(at={"type": "timestamp", "unit": "us"}))


def test_timestamps_of_hive_are_read_in_milliseconds_and_those_of_iceberg_exactly(glue: Glue) -> None:
    in_milliseconds = spec_of(at={"type": "timestamp", "unit": "ms"})
    assert find_table(LOCATION, glue).records(in_milliseconds).carriers["at"] is Carrier.MICROSECONDS
    assert find_table(LOCATION, glue).records(spec_of(at={"type": "string"})).written["at"] == "timestamp"
    glue.table["Parameters"] = {"table_type": "ICEBERG", "metadata_location": "s3://lake/answers/metadata/00001.json"}
    assert find_table(LOCATION, glue).records(spec_of(at={"type": "timestamp"})).carriers["at"] is Carrier.MICROSECONDS


@pytest.mark.parametrize("location", ["glue://lake", "glue://lake/", "glue:///answers", "glue://lake/answers/more"])
def test_a_location_names_a_database_and_a_table(glue: Glue, location: str) -> None:
    with pytest.raises(SourceError, match="allowed: glue://database/table"):
        find_table(location, glue)


def test_a_table_that_is_not_there_is_named(glue: Glue) -> None:
    with pytest.raises(SourceError, match="No table at 'glue://lake/other' in the Glue catalog"):
        find_table("glue://lake/other", glue)


def test_a_view_is_refused(glue: Glue) -> None:
    del glue.table["StorageDescriptor"]["Location"]
    glue.table["TableType"] = "VIRTUAL_VIEW"
    with pytest.raises(SourceError, match="'glue://lake/answers' is a view; name the table"):
        find_table(LOCATION, glue)


# When it counts as changed


def test_an_unchanged_table_keeps_its_fingerprint(glue: Glue) -> None:
    before = fingerprint(glue)
    glue.table["LastAccessTime"] = "now"
    glue.objects.append(StoredObject("s3://lake/answers_of_others/a", 10, "x", WRITTEN))
    assert fingerprint(glue) == before


def changes_of_hive() -> dict[str, Any]:
    return {
        "an object more": lambda glue: glue.objects.append(StoredObject("s3://lake/answers/day=2024-01-03/b", 1, "y", WRITTEN)),
        "an object less": lambda glue: glue.objects.pop(),
        "another content": lambda glue: glue.objects.__setitem__(0, StoredObject(glue.objects[0].address, 10, "y", WRITTEN)),
        "another content elsewhere": lambda glue: glue.objects.__setitem__(
            1, StoredObject(glue.objects[1].address, 11, "x", WRITTEN)
        ),
        "a partition less": lambda glue: glue.partitions.pop(),
        "a partition moved": lambda glue: glue.partitions.__setitem__(0, partition("2024-01-01", "s3://lake/answers/other")),
        "a partition renamed": lambda glue: glue.partitions.__setitem__(
            2, partition("2024-01-04", "s3://lake/answers/day=2024-01-03")
        ),
        "another type": lambda glue: glue.table["StorageDescriptor"]["Columns"][0].update(Type="int"),
        "another version": lambda glue: glue.table.update(VersionId="4"),
    }


@pytest.mark.parametrize("change", changes_of_hive())
def test_whatever_changes_the_rows_of_a_hive_table_changes_its_fingerprint(glue: Glue, change: str) -> None:
    before = fingerprint(glue)
    changes_of_hive()[change](glue)
    assert fingerprint(glue) != before


def test_an_iceberg_table_has_changed_when_its_metadata_has(iceberg: Glue) -> None:
    before = fingerprint(iceberg)
    iceberg.objects.clear()
    assert fingerprint(iceberg) == before, "its files are not listed"
    iceberg.table["Parameters"]["metadata_location"] = "s3://lake/answers/metadata/00002.json"
    assert fingerprint(iceberg) != before
    assert isinstance(find_table(LOCATION, iceberg), GlueSource)
