"""Tables over folders: the statements that make them, and that they are gone afterwards whatever happened."""

import re
from dataclasses import dataclass, field
from typing import cast

import pytest

from seq_assets.errors import QueryError
from seq_assets.models import ColumnType
from seq_assets.sequencing.schemas import TableColumn, TableSchema, raw_schema
from seq_assets.warehouse.athena.client import AthenaClient
from seq_assets.warehouse.athena.external_tables import ExternalTables, columns_of

COLUMNS = [("pupil", "bigint"), ("select", "array<string>")]


@dataclass
class Recording:
    """Remembers the statements in place of running them; those that begin with `refused` fail."""

    refused: str = "nothing"
    statements: list[str] = field(default_factory=list)

    def execute(self, statement: str) -> None:
        self.statements.append(statement)
        if statement.startswith(self.refused):
            raise QueryError("refused")


def tables_of(athena: Recording) -> ExternalTables:
    return ExternalTables(cast(AthenaClient, athena), "seq_assets_prod")


def is_dropped(athena: Recording) -> bool:
    """Whether the last statement drops the table that the first one makes."""
    made, dropped = athena.statements[0], athena.statements[-1]
    table = re.search(r"`seq_assets_prod`\.`scratch_[0-9a-f]{32}`", made)
    assert table is not None
    return dropped.startswith("DROP TABLE") and dropped.endswith(table[0])


def test_a_table_is_made_over_a_folder_and_dropped_afterwards() -> None:
    athena = Recording()
    with tables_of(athena).over("s3://bucket/it's/here", COLUMNS) as name:
        (made,) = athena.statements
        assert name in made.replace("`", '"')
        assert "(`pupil` bigint, `select` array<string>) STORED AS PARQUET" in made
        assert made.endswith("LOCATION 's3://bucket/it''s/here/'"), "a folder, not what else begins like it"
    assert is_dropped(athena)


def test_two_tables_over_one_folder_do_not_meet() -> None:
    tables = tables_of(Recording())
    with tables.over("s3://bucket/a", COLUMNS) as one, tables.over("s3://bucket/a", COLUMNS) as other:
        assert one != other


def test_a_table_is_dropped_when_its_use_fails() -> None:
    athena = Recording()
    with pytest.raises(ZeroDivisionError), tables_of(athena).over("s3://bucket/a", COLUMNS):
        raise ZeroDivisionError
    assert is_dropped(athena)


def test_a_table_is_left_to_whoever_removes_the_database() -> None:
    athena = Recording()
    with ExternalTables(cast(AthenaClient, athena), "theirs", are_left=True).over("s3://bucket/a", COLUMNS):
        pass
    assert [statement.split("`")[0] for statement in athena.statements] == ["CREATE EXTERNAL TABLE IF NOT EXISTS "]


def test_what_ended_the_use_of_a_table_is_told_and_not_that_it_cannot_be_dropped(caplog: pytest.LogCaptureFixture) -> None:
    athena = Recording(refused="DROP")
    with pytest.raises(ZeroDivisionError), tables_of(athena).over("s3://bucket/a", COLUMNS):
        raise ZeroDivisionError
    assert "refused" in caplog.text


def test_a_table_that_cannot_be_made_is_an_error_and_leaves_none() -> None:
    """The attempt that failed may have made it all the same."""
    athena = Recording(refused="CREATE")
    with pytest.raises(QueryError), tables_of(athena).over("s3://bucket/a", COLUMNS):
        pytest.fail("there is no table to use")
    assert is_dropped(athena)


def test_columns_have_the_types_of_hive() -> None:
    every = raw_schema((type_.value, type_, True) for type_ in ColumnType)
    described = dict(columns_of(every))
    assert {name: described[name] for name in (type_.value for type_ in ColumnType)} == {
        **{"int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint", "float32": "float"},
        **{"float64": "double", "bool": "boolean", "string": "string", "date": "date", "timestamp": "bigint"},
    }
    assert columns_of(TableSchema((TableColumn("a", ColumnType.FLOAT32, length=3),))) == [("a", "array<float>")]
