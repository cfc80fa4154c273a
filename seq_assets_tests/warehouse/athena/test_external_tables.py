"""Tables over folders: how Glue is told of them, and that they are gone afterwards whatever happened."""

import logging
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from seq_assets.errors import SettingsError
from seq_assets.models import ColumnType
from seq_assets.sequencing.schemas import TableColumn, TableSchema, raw_schema
from seq_assets.warehouse.athena.external_tables import ExternalTables, columns_of
from seq_assets.warehouse.cancellation import CanceledError, cancelable

COLUMNS = [("pupil", "bigint"), ("select", "array<string>")]


class _AlreadyExistsError(ClientError):  # type: ignore[misc]
    pass


class _NotFoundError(ClientError):  # type: ignore[misc]
    pass


@dataclass
class Recording:
    """Remembers the tables in place of Glue; calls of the operation `refused` do their work and then raise."""

    exceptions: ClassVar = SimpleNamespace(AlreadyExistsException=_AlreadyExistsError, EntityNotFoundException=_NotFoundError)
    refused: str = ""
    error: type[ClientError] = ClientError
    made: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def create_table(self, **request: Any) -> None:
        assert request.pop("DatabaseName") == "seq_assets_prod"
        self.made.append(request["TableInput"])
        self._answer("CreateTable")

    def delete_table(self, **request: Any) -> None:
        assert request.pop("DatabaseName") == "seq_assets_prod"
        self.dropped.append(request["Name"])
        self._answer("DeleteTable")

    def _answer(self, operation: str) -> None:
        if operation == self.refused:
            raise self.error({"Error": {"Code": "AccessDeniedException", "Message": "refused"}}, operation)

    @property
    def is_dropped(self) -> bool:
        """Whether all that was made is dropped."""
        return [table["Name"] for table in self.made] == self.dropped != []


def tables_of(glue: Recording, *, are_left: bool = False) -> ExternalTables:
    return ExternalTables(glue, "seq_assets_prod", are_left=are_left)


def test_a_table_is_made_over_a_folder_and_dropped_afterwards() -> None:
    glue = Recording()
    with tables_of(glue).over("s3://bucket/it's/here", COLUMNS) as name:
        (made,) = glue.made
        assert name == f'"seq_assets_prod"."{made["Name"]}"'
        assert made["Name"].startswith("scratch_")
        stored = made["StorageDescriptor"]
        assert stored["Columns"] == [{"Name": "pupil", "Type": "bigint"}, {"Name": "select", "Type": "array<string>"}]
        assert stored["Location"] == "s3://bucket/it's/here/", "a folder, not what else begins like it"
    assert glue.is_dropped


def test_two_tables_over_one_folder_do_not_meet() -> None:
    tables = tables_of(Recording())
    with tables.over("s3://bucket/a", COLUMNS) as one, tables.over("s3://bucket/a", COLUMNS) as other:
        assert one != other


def test_a_table_is_dropped_when_its_use_fails() -> None:
    glue = Recording()
    with pytest.raises(ZeroDivisionError), tables_of(glue).over("s3://bucket/a", COLUMNS):
        raise ZeroDivisionError
    assert glue.is_dropped


def test_a_table_is_left_to_whoever_removes_the_database() -> None:
    glue = Recording()
    with tables_of(glue, are_left=True).over("s3://bucket/a", COLUMNS):
        pass
    assert (len(glue.made), glue.dropped) == (1, [])


def test_what_ended_the_use_of_a_table_is_told_and_not_that_it_cannot_be_dropped(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ZeroDivisionError), tables_of(Recording("DeleteTable")).over("s3://bucket/a", COLUMNS):
        raise ZeroDivisionError
    assert "is left for gc" in caplog.text
    assert "AccessDenied" in caplog.text


def test_a_table_that_cannot_be_made_is_an_error_and_leaves_none() -> None:
    """The attempt that failed may have made it all the same."""
    glue = Recording("CreateTable")
    with pytest.raises(SettingsError, match="AccessDenied"), tables_of(glue).over("s3://bucket/a", COLUMNS):
        pytest.fail("there is no table to use")
    assert glue.is_dropped


@pytest.mark.parametrize(
    ("operation", "error"), [("CreateTable", _AlreadyExistsError), ("DeleteTable", _NotFoundError)], ids=["made", "dropped"]
)
def test_what_an_attempt_whose_answer_was_lost_has_done_is_done(
    operation: str, error: type[ClientError], caplog: pytest.LogCaptureFixture
) -> None:
    glue = Recording(operation, error)
    with caplog.at_level(logging.WARNING), tables_of(glue).over("s3://bucket/a", COLUMNS):
        pass
    assert glue.is_dropped
    assert caplog.text == ""


def test_where_work_was_told_to_stop_no_table_is_made() -> None:
    glue = Recording()
    with cancelable() as cancel:
        cancel()
        with pytest.raises(CanceledError), tables_of(glue).over("s3://bucket/a", COLUMNS):
            pytest.fail("there is no table to use")
    assert glue.made == []


def test_columns_have_the_types_of_hive() -> None:
    every = raw_schema((type_.value, type_, True) for type_ in ColumnType)
    described = dict(columns_of(every))
    assert {name: described[name] for name in (type_.value for type_ in ColumnType)} == {
        **{"int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint", "float32": "float"},
        **{"float64": "double", "bool": "boolean", "string": "string", "date": "date", "timestamp": "bigint"},
    }
    assert columns_of(TableSchema((TableColumn("a", ColumnType.FLOAT32, length=3),))) == [("a", "array<float>")]
