"""How a query's text is read, without an engine."""

import pytest

from seq_assets_tests.athena.errors import RequestRefusedError
from seq_assets_tests.athena.statements import (
    MAXIMUM_QUERY_BYTES,
    Change,
    CreateExternalTable,
    DropTable,
    Query,
    Unload,
    Unsupported,
    statement_of,
)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "  select 1",
        "-- why\nSELECT 1",
        "/* ; */ SELECT ';'",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "(SELECT 1)",
        "VALUES 1",
    ],
)
def test_queries_reach_the_engine_as_they_stand(sql: str) -> None:
    assert statement_of(sql) == Query(sql.strip())


def test_a_last_semicolon_is_not_the_engines() -> None:
    assert statement_of("SELECT 1 ; -- done") == Query("SELECT 1")


@pytest.mark.parametrize("sql", ["SELECT 1; SELECT 2", "DROP TABLE a; SELECT ';'"])
def test_one_statement_at_a_time(sql: str) -> None:
    with pytest.raises(RequestRefusedError, match=r"Only one sql statement is allowed\. Got: "):
        statement_of(sql)


@pytest.mark.parametrize("sql", ["", "  ;", "-- nothing", "SELEC 1", "; SELECT 1 FROM"])
def test_what_no_grammar_knows_is_refused(sql: str) -> None:
    with pytest.raises(RequestRefusedError):
        statement_of(sql)


def test_a_refusal_names_line_and_column() -> None:
    with pytest.raises(RequestRefusedError, match="line 2:12: mismatched input '\"a\"'"):
        statement_of('-- why\nDROP TABLE "a"')


def test_the_length_is_counted_in_bytes() -> None:
    longest = "SELECT '" + "x" * (MAXIMUM_QUERY_BYTES - 9) + "'"
    assert statement_of(longest) == Query(longest)
    with pytest.raises(RequestRefusedError, match="Member must have length less than or equal to 262144"):
        statement_of(longest.replace("xx", "xé", 1))


@pytest.mark.parametrize("kind", ["INSERT", "DELETE", "UPDATE", "MERGE"])
def test_changes_reach_the_engine_as_they_stand(kind: str) -> None:
    assert statement_of(f"{kind} whatever") == Change(f"{kind} whatever", kind)


def test_an_unload_is_taken_apart() -> None:
    sql = "UNLOAD (SELECT f(a, (1)) AS x, ')' AS y FROM t -- )\n) TO 's3://b/it''s' WITH (format='parquet', compression='zstd')"
    assert statement_of(sql) == Unload("SELECT f(a, (1)) AS x, ')' AS y FROM t", "s3://b/it's", "ZSTD")


def test_an_unload_is_compressed_unless_it_says_no() -> None:
    for properties, codec in (("", "GZIP"), (", compression='NONE'", "NONE"), (", compression='snappy'", "SNAPPY")):
        statement = statement_of(f"UNLOAD (SELECT 1 AS a) TO 's3://b/c' WITH (format='PARQUET'{properties})")
        assert statement == Unload("SELECT 1 AS a", "s3://b/c", codec)


@pytest.mark.parametrize(
    "sql",
    [
        "UNLOAD (SELECT 1) TO 's3://b/c'",
        "UNLOAD SELECT 1 TO 's3://b/c' WITH (format='PARQUET')",
        "UNLOAD () TO 's3://b/c' WITH (format='PARQUET')",
        "UNLOAD (SELECT 1 TO 's3://b/c' WITH (format='PARQUET')",
        "UNLOAD (SELECT 1) TO \"s3://b/c\" WITH (format='PARQUET')",
        "UNLOAD (SELECT 1) TO 's3://b/c' WITH (format='PARQUET') AND MORE",
    ],
)
def test_an_unload_with_a_mistake_is_refused(sql: str) -> None:
    with pytest.raises(RequestRefusedError, match=r"line 1:\d+: mismatched input"):
        statement_of(sql)


@pytest.mark.parametrize(
    "properties",
    ["format='ORC'", "compression='GZIP'", "format='PARQUET', compression='LZO'", "format='PARQUET', field_delimiter=','"],
)
def test_an_unload_that_only_athena_knows_says_so(properties: str) -> None:
    assert isinstance(statement_of(f"UNLOAD (SELECT 1 AS a) TO 's3://b/c' WITH ({properties})"), Unsupported)


def test_an_external_table_is_taken_apart() -> None:
    statement = statement_of(
        """CREATE EXTERNAL TABLE IF NOT EXISTS `Database`.table_a (
            a TINYINT COMMENT 'it''s a', `b c` array<struct<x: int, y: map<string, double>>>, d decimal(10, 2)
        ) COMMENT 'why' PARTITIONED BY (day date) STORED AS PARQUET
        LOCATION 's3://bucket/folder/' TBLPROPERTIES ('a' = 'b', 'c'='d')"""
    )
    assert statement == CreateExternalTable(
        database="database",
        name="table_a",
        columns=(("a", "tinyint"), ("b c", "array<struct<x:int,y:map<string,double>>>"), ("d", "decimal(10,2)")),
        partitions=(("day", "date"),),
        location="s3://bucket/folder/",
        properties={"a": "b", "c": "d"},
        if_not_exists=True,
    )


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE EXTERNAL TABLE \"a\" (b int) STORED AS PARQUET LOCATION 's3://b/c'",
        "CREATE EXTERNAL TABLE a (b integer) STORED AS PARQUET LOCATION 's3://b/c'",
        "CREATE EXTERNAL TABLE a (b int) STORED AS PARQUET",
    ],
)
def test_an_external_table_is_hives(sql: str) -> None:
    with pytest.raises(RequestRefusedError, match="mismatched input"):
        statement_of(sql)


def test_tables_are_dropped_by_hives_names() -> None:
    assert statement_of("DROP TABLE a") == DropTable(None, "a", if_exists=False)
    assert statement_of("drop table if exists `A b`.`c`") == DropTable("a b", "c", if_exists=True)


@pytest.mark.parametrize(
    "sql",
    [
        "MSCK REPAIR TABLE a",
        "CREATE TABLE a (b int)",
        "SHOW TABLES",
        "CREATE EXTERNAL TABLE a (b int) STORED AS ORC LOCATION 's3://b/c'",
        "VACUUM a",
    ],
)
def test_what_this_stack_lacks_fails_and_says_so(sql: str) -> None:
    statement = statement_of(sql)
    assert isinstance(statement, Unsupported)
    assert statement.reason.startswith("NOT_SUPPORTED: ")
