"""boto3 and pyiceberg against the stack: that its parts fit together as those of AWS do."""

import io
import json
import os
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from seq_assets_tests.athena.fixtures import AthenaClient, texts

pytestmark = pytest.mark.athena


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    """The code and the message of the error that a call must raise."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


# --- queries


def test_a_query_and_its_results(athena: AthenaClient) -> None:
    sql = """SELECT * FROM (VALUES
        (tinyint '1', real '1.5', true, 'a', date '2024-02-29', timestamp '2024-02-29 01:02:03.123456', ARRAY['x', NULL]),
        (NULL, NULL, NULL, NULL, NULL, NULL, NULL)
    ) AS t (i, r, b, s, d, t, l)"""
    execution = athena.run(sql)
    answer = athena.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
    assert texts(answer) == [
        list("irbsdtl"),
        ["1", "1.5", "true", "a", "2024-02-29", "2024-02-29 01:02:03.123456", "[x, null]"],
        [None] * 7,
    ]
    columns = answer["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    assert [column["Type"] for column in columns] == ["tinyint", "float", "boolean", "varchar", "date", "timestamp", "array"]
    assert {"VarCharValue"} not in [set(cell) for cell in answer["ResultSet"]["Rows"][2]["Data"]]
    content = athena.content(execution["ResultConfiguration"]["OutputLocation"]).decode()
    assert content.splitlines() == [
        '"i","r","b","s","d","t","l"',
        '"1","1.5","true","a","2024-02-29","2024-02-29 01:02:03.123456","[x, null]"',
        ",,,,,,",
    ]


def test_results_in_pages(athena: AthenaClient) -> None:
    identifier = athena.run("SELECT n FROM UNNEST(sequence(1, 2500)) AS t (n) ORDER BY n")["QueryExecutionId"]
    pages = list(athena.athena.get_paginator("get_query_results").paginate(QueryExecutionId=identifier))
    assert [len(texts(page)) for page in pages] == [1000, 1000, 501]
    assert [row[0] for page in pages for row in texts(page)] == ["n", *map(str, range(1, 2501))]
    small = athena.athena.get_query_results(QueryExecutionId=identifier, MaxResults=3)
    assert texts(small) == [["n"], ["1"], ["2"]]


def test_a_query_that_cannot_be_run_says_why(athena: AthenaClient) -> None:
    status = athena.failure("SELECT nothing")
    assert status["StateChangeReason"] == "COLUMN_NOT_FOUND: line 1:8: Column 'nothing' cannot be resolved"
    assert status["AthenaError"]["Retryable"] is False
    status = athena.failure("SELECT * FROM nowhere")
    assert status["StateChangeReason"].startswith("TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.")
    assert athena.failure("SELECT 1 / 0")["StateChangeReason"].startswith("DIVISION_BY_ZERO")


def test_refusals_have_athenas_shapes(athena: AthenaClient) -> None:
    start = athena.athena.start_query_execution
    code, message = refusal(start, QueryString="SELECT 1")
    assert (code, message[:28]) == ("InvalidRequestException", "No output location provided.")
    assert refusal(start, QueryString="SELECT 1", WorkGroup="nobody") == ("InvalidRequestException", "WorkGroup is not found.")
    assert refusal(athena.start, sql="SELECT 1; SELECT 2")[0] == "InvalidRequestException"
    assert refusal(athena.start, sql=f"SELECT '{'é' * 131_072}'")[0] == "InvalidRequestException"
    with pytest.raises(athena.athena.exceptions.InvalidRequestException):
        athena.execution("nothing")


def test_a_token_starts_one_query(athena: AthenaClient) -> None:
    token = {"ClientRequestToken": athena.unique.ljust(32, "x")}
    assert athena.start("SELECT 1", **token) == athena.start("SELECT 1", **token)
    assert refusal(athena.start, sql="SELECT 2", **token)[1] == "Idempotent parameters do not match"


def test_a_workgroup_says_where_results_go(athena: AthenaClient) -> None:
    workgroup = athena.athena.get_work_group(WorkGroup=athena.settings["SEQ_ASSETS_WORKGROUP"])["WorkGroup"]
    assert workgroup["Configuration"]["ResultConfiguration"]["OutputLocation"].startswith(f"s3://{athena.bucket}/")


def test_a_stopped_query_stops_in_the_engine(athena: AthenaClient) -> None:
    numbers = ", ".join(f"UNNEST(sequence(1, 10000)) AS {table} ({column})" for table, column in ("ax", "by", "cz"))
    sql = f"SELECT count(*) AS {athena.unique} FROM {numbers} WHERE x * y * z = 7"
    of_engine = (
        f"SELECT state FROM system.runtime.queries WHERE query LIKE '%AS {athena.unique} %' AND query NOT LIKE '%runtime%'"
    )
    identifier = athena.start(sql)
    while athena.rows(of_engine) != [["RUNNING"]]:
        assert athena.state(identifier) == "RUNNING"
    assert refusal(athena.athena.get_query_results, QueryExecutionId=identifier)[1].startswith("Query has not yet finished.")
    athena.athena.stop_query_execution(QueryExecutionId=identifier)
    assert athena.wait(identifier)["Status"]["State"] == "CANCELLED"
    assert athena.rows(of_engine) == [["FAILED"]]


# --- tables


VALUES = {
    "a": pa.array([1, -128], pa.int8()),
    "b": pa.array([True, False]),
    "c": pa.array([1.5, -0.25], pa.float32()),
    "d": pa.array(["x", "é"]),
    "e": pa.array([date(2024, 2, 29), date(1969, 12, 31)]),
}
LISTS = {
    f"{name}s": pa.array([[value.as_py() for value in values], []], pa.list_(values.type)) for name, values in VALUES.items()
}
SQL = """SELECT * FROM (VALUES
    (tinyint '1', true, real '1.5', 'x', date '2024-02-29', ARRAY[tinyint '1', tinyint '-128'], ARRAY[true, false],
     ARRAY[real '1.5', real '-0.25'], ARRAY['x', 'é'], ARRAY[date '2024-02-29', date '1969-12-31']),
    (tinyint '-128', false, real '-0.25', 'é', date '1969-12-31', ARRAY[], ARRAY[], ARRAY[], ARRAY[], ARRAY[])
) AS t (a, b, c, d, e, "as", bs, cs, ds, es)"""
AS_TEXT = [
    ["1", "true", "1.5", "x", "2024-02-29", "[1, -128]", "[true, false]", "[1.5, -0.25]", "[x, é]", "[2024-02-29, 1969-12-31]"],
    ["-128", "false", "-0.25", "é", "1969-12-31", "[]", "[]", "[]", "[]", "[]"],
]


def unload(athena: AthenaClient, sql: str = SQL, codec: str = "ZSTD") -> list[str]:
    """The files that an UNLOAD of a query writes."""
    location = f"{athena.folder}/unloaded/"
    execution = athena.run(f"UNLOAD ({sql}) TO '{location}' WITH (format = 'PARQUET', compression = '{codec}')")
    files = athena.files(location)
    assert athena.content(execution["Statistics"]["DataManifestLocation"]).decode().splitlines() == files
    return files


def iceberg_catalog(athena: AthenaClient) -> Any:
    """The Glue catalog of pyiceberg; Arrow does not read AWS_ENDPOINT_URL, so it is told."""
    from pyiceberg.catalog.glue import GlueCatalog

    settings = athena.settings
    return GlueCatalog(
        "test",
        **{
            "client.region": settings["AWS_REGION"],
            "client.access-key-id": settings["AWS_ACCESS_KEY_ID"],
            "client.secret-access-key": settings["AWS_SECRET_ACCESS_KEY"],
            "glue.endpoint": settings["AWS_ENDPOINT_URL"],
            "s3.endpoint": settings["AWS_ENDPOINT_URL"],
        },
    )


def iceberg_table(athena: AthenaClient, files: list[str]) -> Any:
    """A table in Glue that holds the files, named after the test."""
    schema = pq.read_schema(io.BytesIO(athena.content(files[0])))
    table = iceberg_catalog(athena).create_table(
        f"{athena.database}.{athena.unique}", schema=schema, location=f"{athena.folder}/table"
    )
    table.add_files(files)
    return table


@pytest.mark.parametrize("codec", ["ZSTD", "SNAPPY", "GZIP", "NONE"])
def test_unload_writes_parquet_in_the_types_of_the_query(athena: AthenaClient, codec: str) -> None:
    files = unload(athena, codec=codec)
    found = pa.concat_tables(pq.read_table(io.BytesIO(athena.content(file))) for file in files)
    assert found.sort_by([("a", "descending")]).cast(pa.table(VALUES | LISTS).schema).equals(pa.table(VALUES | LISTS))
    assert found.schema.field("a").type == pa.int8()
    compression = pq.read_metadata(io.BytesIO(athena.content(files[0]))).row_group(0).column(0).compression
    assert compression == {"NONE": "UNCOMPRESSED"}.get(codec, codec)


def test_unload_leaves_nothing_in_the_catalog(athena: AthenaClient) -> None:
    unload(athena)
    assert athena.unique not in json.dumps(athena.glue.get_tables(DatabaseName=athena.database)["TableList"], default=str)
    assert "unload" not in [one["Name"] for one in athena.glue.get_databases()["DatabaseList"]]
    assert athena.rows("SELECT table_name FROM unload.information_schema.tables WHERE table_schema = 'unload'") == []


def test_unload_wants_an_empty_place(athena: AthenaClient) -> None:
    files = unload(athena)
    status = athena.failure(f"UNLOAD (SELECT 1 AS a) TO '{athena.folder}/unloaded' WITH (format = 'PARQUET')")
    assert status["StateChangeReason"].startswith("HIVE_PATH_ALREADY_EXISTS: ")
    assert athena.files(f"{athena.folder}/unloaded/") == files


def test_what_unload_wrote_becomes_an_iceberg_table(athena: AthenaClient) -> None:
    table = iceberg_table(athena, unload(athena))
    for name in (
        athena.unique,
        f'"{athena.database}"."{athena.unique}"',
        f'"AwsDataCatalog"."{athena.database}"."{athena.unique}"',
    ):
        assert athena.rows(f"SELECT * FROM {name} ORDER BY a DESC") == AS_TEXT
    found = table.scan().to_arrow().sort_by([("a", "descending")])
    assert found.to_pydict() == pa.table(VALUES | LISTS).to_pydict()


def test_versions_of_an_iceberg_table_stay_readable(athena: AthenaClient) -> None:
    table = iceberg_table(athena, unload(athena))
    before = table.current_snapshot().snapshot_id
    with table.transaction() as transaction:
        transaction.delete("a = 1")
    count = f"SELECT count(*) FROM {athena.unique}"
    assert athena.rows(count) == [["1"]]
    assert athena.rows(f"{count} FOR VERSION AS OF {before}") == [["2"]]
    snapshots = athena.rows(f'SELECT snapshot_id FROM "{athena.unique}$snapshots" ORDER BY committed_at')
    assert snapshots[0] == [str(before)]
    athena.run(f"INSERT INTO {athena.unique} SELECT * FROM {athena.unique} FOR VERSION AS OF {before} WHERE a = 1")
    assert athena.rows(f"SELECT a FROM {athena.unique} ORDER BY a") == [["-128"], ["1"]]


def test_a_hive_table_over_parquet(athena: AthenaClient) -> None:
    unload(athena)
    columns = "a tinyint, b boolean, c float, d string, e date"
    lists = "`as` array<tinyint>, bs array<boolean>, cs array<float>, ds array<string>, es array<date>"
    table = f"{athena.unique} ({columns}, {lists}) STORED AS PARQUET LOCATION '{athena.folder}/unloaded/'"
    create = "CREATE EXTERNAL TABLE {} " + table
    athena.run(create.format(""))
    assert athena.rows(f'SELECT * FROM "{athena.database}"."{athena.unique}" ORDER BY a DESC') == AS_TEXT
    assert "AlreadyExistsException" in athena.failure(create.format(""))["StateChangeReason"]
    athena.run(create.format("IF NOT EXISTS"))
    athena.run(f"DROP TABLE `{athena.database}`.{athena.unique}")
    assert athena.files(f"{athena.folder}/unloaded/") != []
    assert athena.failure(f"SELECT * FROM {athena.unique}")["StateChangeReason"].startswith("TABLE_NOT_FOUND")
    athena.run(f"DROP TABLE IF EXISTS {athena.unique}")


def test_an_iceberg_table_is_dropped_with_its_metadata(athena: AthenaClient) -> None:
    iceberg_table(athena, unload(athena))
    athena.run(f"DROP TABLE {athena.unique}")
    assert athena.failure(f"SELECT * FROM {athena.unique}")["StateChangeReason"].startswith("TABLE_NOT_FOUND")
    assert athena.files(f"{athena.folder}/table/") == []


def test_an_outdated_update_of_a_table_is_refused(athena: AthenaClient) -> None:
    table = iceberg_table(athena, unload(athena))
    read = athena.glue.get_table(DatabaseName=athena.database, Name=athena.unique)["Table"]
    table.transaction().set_properties({"meanwhile": "yes"}).commit_transaction()
    update = {name: read[name] for name in ("Name", "Parameters", "StorageDescriptor")}
    with pytest.raises(athena.glue.exceptions.ConcurrentModificationException):
        athena.glue.update_table(DatabaseName=athena.database, TableInput=update, VersionId=read["VersionId"])
    assert iceberg_catalog(athena).load_table(f"{athena.database}.{athena.unique}").properties["meanwhile"] == "yes"


def test_commits_at_once_all_arrive(athena: AthenaClient) -> None:
    from pyiceberg.exceptions import CommitFailedException

    table = iceberg_table(athena, unload(athena))
    rows = table.scan().to_arrow()

    def append(_: int) -> None:
        while True:
            try:
                iceberg_catalog(athena).load_table(table.name()).append(rows)
            except CommitFailedException:
                continue
            return

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(append, range(4)))
    assert athena.rows(f"SELECT count(*) FROM {athena.unique}") == [["10"]]


def test_production_is_a_place_of_its_own(production: AthenaClient) -> None:
    import boto3

    assert {name: os.environ[name] for name in production.settings} == production.settings
    database = os.environ["SEQ_ASSETS_DATABASE"]
    assert boto3.client("glue").get_tables(DatabaseName=database)["TableList"] == []
    iceberg_table(production, unload(production))
    assert [one["Name"] for one in boto3.client("glue").get_tables(DatabaseName=database)["TableList"]] == [production.unique]


# --- faults


def test_calls_are_throttled(athena: AthenaClient) -> None:
    athena.faults.throttle(1)
    athena.faults.throttle(1, code="TooManyRequestsException", operation="StartQueryExecution")
    assert refusal(athena.execution, identifier="nothing") == ("ThrottlingException", "Rate exceeded")
    with pytest.raises(athena.athena.exceptions.TooManyRequestsException):
        athena.start("SELECT 1")
    assert athena.rows("SELECT 1") == [["1"]]


def test_an_answer_is_lost(athena: AthenaClient) -> None:
    athena.faults.lose_answers(1, operation="StartQueryExecution")
    token = {"ClientRequestToken": athena.unique.ljust(32, "x")}
    with pytest.raises(athena.athena.exceptions.InternalServerException):
        athena.start(f"SELECT '{athena.unique}'", **token)
    athena.wait(athena.start(f"SELECT '{athena.unique}'", **token))
    runs = athena.rows(f"SELECT count(*) FROM system.runtime.queries WHERE query = 'SELECT ''{athena.unique}'''")
    assert runs == [["1"]]


def test_faults_of_the_catalog(athena: AthenaClient) -> None:
    table = iceberg_table(athena, unload(athena))
    version = athena.glue.get_table(DatabaseName=athena.database, Name=athena.unique)["Table"]["VersionId"]
    athena.faults.throttle(1, operation="glue:GetTable")
    get = athena.glue.get_table
    assert refusal(get, DatabaseName=athena.database, Name=athena.unique) == ("ThrottlingException", "Rate exceeded")
    athena.faults.lose_answers(1, operation="glue:UpdateTable")
    update = {name: get(DatabaseName=athena.database, Name=athena.unique)["Table"][name] for name in ("Name", "Parameters")}
    assert refusal(athena.glue.update_table, DatabaseName=athena.database, TableInput=update)[0] == "InternalServiceException"
    assert get(DatabaseName=athena.database, Name=athena.unique)["Table"]["VersionId"] == str(int(version) + 1)
    assert table.refresh().current_snapshot() is not None


@pytest.mark.parametrize("after_work", [True, False])
def test_a_query_fails(athena: AthenaClient, after_work: bool) -> None:
    athena.faults.fail(1, retryable=True, after_work=after_work, containing="UNLOAD")
    sql = f"UNLOAD (SELECT 1 AS a) TO '{athena.folder}/unloaded/' WITH (format = 'PARQUET')"
    assert athena.failure(sql)["AthenaError"]["Retryable"] is True
    assert (athena.files(f"{athena.folder}/unloaded/") != []) == after_work


def test_a_query_hangs_until_it_is_stopped(athena: AthenaClient) -> None:
    athena.faults.hang(1)
    identifier = athena.start("SELECT 1")
    athena.wait(identifier, "RUNNING")
    athena.athena.stop_query_execution(QueryExecutionId=identifier)
    assert athena.wait(identifier)["Status"]["State"] == "CANCELLED"


def test_a_query_is_cancelled_by_somebody_else(athena: AthenaClient) -> None:
    athena.faults.cancel(1)
    assert athena.wait(athena.start("SELECT 1"))["Status"]["State"] == "CANCELLED"


def test_a_query_waits_in_the_queue(athena: AthenaClient) -> None:
    athena.faults.queue(1, 0.3)
    identifier = athena.start("SELECT 1")
    assert athena.state(identifier) == "QUEUED"
    assert athena.wait(identifier)["Statistics"]["QueryQueueTimeInMillis"] >= 300


def test_faults_are_switched_over_http(athena: AthenaClient) -> None:
    def control(method: str, orders: Any = None) -> Any:
        body = None if orders is None else json.dumps(orders).encode()
        request = urllib.request.Request(athena.settings["AWS_ENDPOINT_URL"] + "/_control", body, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            return json.load(answer)

    on = control("POST", {"fail": {"queries": 2, "retryable": False, "containing": "SELECT"}})
    assert [(one["outcome"], one["remaining"]) for one in on] == [("fail", 2)]
    assert athena.failure("SELECT 1")["AthenaError"]["Retryable"] is False
    assert [one["remaining"] for one in control("GET")] == [1]
    assert control("DELETE") == []
    assert athena.rows("SELECT 1") == [["1"]]
    with pytest.raises(urllib.error.HTTPError, match="400"):
        control("POST", {"explode": {}})
