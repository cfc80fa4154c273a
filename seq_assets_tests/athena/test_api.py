"""The API and the queries behind it, on an engine that only pretends: no Java, no S3."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from seq_assets_tests.athena.api import AthenaApi, WorkGroup
from seq_assets_tests.athena.errors import QueryFailedError, QueryStoppedError
from seq_assets_tests.athena.faults import Faults
from seq_assets_tests.athena.queries import EngineAnswer, Executions
from seq_assets_tests.athena.results import Column
from seq_assets_tests.athena.statements import CreateExternalTable


class Machine:
    """Engine, storage and catalog in memory; a query that says `slow` runs until it is stopped."""

    def __init__(self) -> None:
        """Nothing was run, stored or made."""
        self.statements: list[tuple[str, str, str]] = []
        self.stored: dict[str, bytes] = {}
        self.tables: list[tuple[str, str]] = []

    def run(self, sql: str, *, database: str, stopped: threading.Event, session: str = "") -> EngineAnswer:
        self.statements.append((sql, database, session))
        if "slow" in sql and not sql.startswith("DROP"):
            stopped.wait()
            raise QueryStoppedError
        if "wrong" in sql:
            raise QueryFailedError("COLUMN_NOT_FOUND: line 1:8: Column 'wrong' cannot be resolved")
        if "broken" in sql:
            raise ZeroDivisionError
        if sql.startswith("CREATE TABLE"):
            self.stored["s3://bucket/out/file"] = b""
        return EngineAnswer([Column.of("n", {"rawType": "integer", "arguments": []})], [[1], [None]], 7, 11)

    def write(self, location: str, content: bytes) -> None:
        self.stored[location] = content

    def objects(self, prefix: str) -> list[str]:
        return sorted(location for location in self.stored if location.startswith(prefix))

    def create_table(self, database: str, statement: CreateExternalTable) -> None:
        self.tables.append((database, statement.name))


class Api:
    """The API, called with dictionaries."""

    def __init__(self) -> None:
        """With a workgroup that has an output location, and one that insists on it."""
        self.machine, self.faults = Machine(), Faults()
        self.executions = Executions(self.machine, self.machine, self.machine, self.faults)
        groups = [WorkGroup("team", "s3://bucket/results"), WorkGroup("strict", "s3://bucket/strict/", is_enforced=True)]
        self._api = AthenaApi(self.executions, self.faults, groups)

    def call(self, operation: str, **request: Any) -> tuple[int, dict[str, Any]]:
        return self._api.answer(operation, json.dumps(request).encode())

    def start(self, sql: str, **request: Any) -> str:
        status, answer = self.call("StartQueryExecution", QueryString=sql, **{"WorkGroup": "team"} | request)
        assert status == 200, answer
        return str(answer["QueryExecutionId"])

    def refusal(self, operation: str, **request: Any) -> tuple[str, str]:
        status, answer = self.call(operation, **request)
        assert status == 400, answer
        return answer["__type"], answer["message"]

    def execution(self, identifier: str) -> dict[str, Any]:
        execution: dict[str, Any] = self.call("GetQueryExecution", QueryExecutionId=identifier)[1]["QueryExecution"]
        return execution

    def wait(self, identifier: str, *states: str) -> dict[str, Any]:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            execution = self.execution(identifier)
            if execution["Status"]["State"] in (states or ("SUCCEEDED", "FAILED", "CANCELLED")):
                return execution
            time.sleep(0.001)
        raise AssertionError(self.execution(identifier))


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.executions.stop_all()


def test_a_query_succeeds_and_its_result_is_a_file(api: Api) -> None:
    identifier = api.start("SELECT n", QueryExecutionContext={"Database": "Things", "Catalog": "AwsDataCatalog"})
    execution = api.wait(identifier)
    assert execution["Status"]["State"] == "SUCCEEDED"
    assert set(execution["Status"]) == {"State", "SubmissionDateTime", "CompletionDateTime"}
    assert execution["ResultConfiguration"] == {"OutputLocation": f"s3://bucket/results/{identifier}.csv"}
    assert api.machine.stored == {f"s3://bucket/results/{identifier}.csv": b'"n"\n"1"\n\n'}
    assert api.machine.statements == [("SELECT n", "things", "")]
    assert execution["StatementType"] == "DML"
    assert execution["Statistics"]["DataScannedInBytes"] == 11
    assert {"EngineExecutionTimeInMillis", "QueryQueueTimeInMillis", "TotalExecutionTimeInMillis"} < set(
        execution["Statistics"]
    )


def test_the_output_location_is_the_callers_unless_the_workgroup_insists(api: Api) -> None:
    mine = {"ResultConfiguration": {"OutputLocation": "s3://mine/here/"}}
    for workgroup, folder in (("team", "s3://mine/here/"), ("primary", "s3://mine/here/"), ("strict", "s3://bucket/strict/")):
        identifier = api.start("SELECT n", WorkGroup=workgroup, **mine)
        assert api.wait(identifier)["ResultConfiguration"]["OutputLocation"] == f"{folder}{identifier}.csv"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"QueryString": "SELECT 1"}, "No output location provided"),
        ({"QueryString": "SELECT 1", "WorkGroup": "nobody"}, "WorkGroup is not found."),
        ({"QueryString": "SELECT 1; SELECT 2", "WorkGroup": "team"}, "Only one sql statement is allowed"),
        ({"QueryString": "x" * 262_145, "WorkGroup": "team"}, "length less than or equal to 262144"),
        ({"WorkGroup": "team"}, "'queryString' failed to satisfy constraint"),
        (
            {"QueryString": "SELECT 1", "WorkGroup": "team", "QueryExecutionContext": {"Catalog": "other"}},
            "Catalog other is not found",
        ),
        ({"QueryString": "SELECT ?", "WorkGroup": "team", "ExecutionParameters": ["1"]}, "does not know ExecutionParameters"),
        ({"QueryString": "SELECT 1", "ResultConfiguration": {"OutputLocation": "/tmp"}}, "not a valid S3 path"),
    ],
)
def test_what_athena_refuses_is_not_started(api: Api, request_: dict[str, Any], message: str) -> None:
    code, found = api.refusal("StartQueryExecution", **request_)
    assert code == "InvalidRequestException"
    assert message in found
    assert api.machine.statements == []


def test_a_token_starts_one_query(api: Api) -> None:
    token = {"ClientRequestToken": "t" * 32}
    first = api.start("SELECT n", **token)
    assert api.start("SELECT n", **token) == first
    assert api.start("SELECT n", ClientRequestToken="u" * 32) != first
    refused = api.refusal("StartQueryExecution", QueryString="SELECT m", WorkGroup="team", **token)
    assert refused == ("InvalidRequestException", "Idempotent parameters do not match")


def test_a_query_that_fails_says_why(api: Api) -> None:
    status = api.wait(api.start("SELECT wrong"))["Status"]
    assert status["State"] == "FAILED"
    assert status["StateChangeReason"] == "COLUMN_NOT_FOUND: line 1:8: Column 'wrong' cannot be resolved"
    assert status["AthenaError"] == {
        "ErrorCategory": 2,
        "ErrorType": 1100,
        "Retryable": False,
        "ErrorMessage": status["StateChangeReason"],
    }


def test_a_mistake_of_the_stack_fails_the_query(api: Api) -> None:
    status = api.wait(api.start("SELECT broken"))["Status"]
    assert status["StateChangeReason"] == "GENERIC_INTERNAL_ERROR: ZeroDivisionError()"
    assert status["AthenaError"]["ErrorCategory"] == 1


def test_results_are_there_after_success_only(api: Api) -> None:
    slow = api.start("SELECT slow")
    api.wait(slow, "RUNNING")
    message = "Query has not yet finished. Current state: RUNNING"
    assert api.refusal("GetQueryResults", QueryExecutionId=slow) == ("InvalidRequestException", message)
    assert api.call("StopQueryExecution", QueryExecutionId=slow) == (200, {})
    assert api.wait(slow)["Status"]["StateChangeReason"] == "Query was cancelled."
    message = "Query did not finish successfully. Final query state: CANCELLED"
    assert api.refusal("GetQueryResults", QueryExecutionId=slow) == ("InvalidRequestException", message)


def test_results_come_in_pages(api: Api) -> None:
    identifier = api.start("SELECT n")
    api.wait(identifier)
    _, page = api.call("GetQueryResults", QueryExecutionId=identifier, MaxResults=2)
    _, rest = api.call("GetQueryResults", QueryExecutionId=identifier, MaxResults=2, NextToken=page["NextToken"])
    assert [len(one["ResultSet"]["Rows"]) for one in (page, rest)] == [2, 1]
    assert "NextToken" not in rest


@pytest.mark.parametrize("operation", ["GetQueryExecution", "StopQueryExecution", "GetQueryResults"])
def test_an_unknown_query_is_refused(api: Api, operation: str) -> None:
    assert api.refusal(operation, QueryExecutionId="nothing") == (
        "InvalidRequestException",
        "QueryExecution nothing was not found",
    )


def test_many_queries_are_shown_at_once(api: Api) -> None:
    identifier = api.start("SELECT n")
    _, answer = api.call("BatchGetQueryExecution", QueryExecutionIds=[identifier, "nothing"])
    assert [one["QueryExecutionId"] for one in answer["QueryExecutions"]] == [identifier]
    assert [one["QueryExecutionId"] for one in answer["UnprocessedQueryExecutionIds"]] == ["nothing"]


def test_a_workgroup_says_where_results_go(api: Api) -> None:
    _, answer = api.call("GetWorkGroup", WorkGroup="strict")
    configuration = answer["WorkGroup"]["Configuration"]
    assert configuration["ResultConfiguration"] == {"OutputLocation": "s3://bucket/strict/"}
    assert configuration["EnforceWorkGroupConfiguration"]
    _, answer = api.call("GetWorkGroup", WorkGroup="primary")
    assert answer["WorkGroup"]["Configuration"]["ResultConfiguration"] == {}


def test_an_operation_that_is_not_there_is_refused(api: Api) -> None:
    assert api.refusal("ListNamedQueries")[0] == "UnknownOperationException"


UNLOAD = "UNLOAD (SELECT 1 AS a) TO 's3://bucket/out' WITH (format = 'PARQUET', compression = 'SNAPPY')"


def test_an_unload_is_a_table_that_is_dropped_again(api: Api) -> None:
    identifier = api.start(UNLOAD)
    execution = api.wait(identifier)
    table = f'unload.unload."unload_{identifier.replace("-", "_")}"'
    assert api.machine.statements == [
        (
            f"CREATE TABLE {table} WITH (format = 'PARQUET', external_location = 's3://bucket/out/') AS SELECT 1 AS a",
            "default",
            "unload.compression_codec=SNAPPY",
        ),
        (f"DROP TABLE IF EXISTS {table}", "default", ""),
    ]
    manifest = execution["Statistics"]["DataManifestLocation"]
    assert manifest == f"s3://bucket/results/{identifier}-manifest.csv"
    assert api.machine.stored[manifest] == b"s3://bucket/out/file\n"
    assert api.call("GetQueryResults", QueryExecutionId=identifier)[1]["UpdateCount"] == 7


def test_an_unload_wants_an_empty_place(api: Api) -> None:
    api.machine.stored |= {"s3://bucket/out/file": b"", "s3://bucket/output": b""}
    status = api.wait(api.start(UNLOAD))["Status"]
    assert status["StateChangeReason"].startswith("HIVE_PATH_ALREADY_EXISTS: ")
    assert api.machine.statements == []
    del api.machine.stored["s3://bucket/out/file"]
    assert api.wait(api.start(UNLOAD))["Status"]["State"] == "SUCCEEDED"


@pytest.mark.parametrize("word", ["slow", "wrong"])
def test_an_unload_that_ends_early_drops_its_table(api: Api, word: str) -> None:
    identifier = api.start(UNLOAD.replace("1 AS a", word))
    if word == "slow":
        api.wait(identifier, "RUNNING")
        api.call("StopQueryExecution", QueryExecutionId=identifier)
    assert api.wait(identifier)["Status"]["State"] == ("CANCELLED" if word == "slow" else "FAILED")
    assert [sql.split()[0] for sql, _, _ in api.machine.statements][-1] == "DROP"
    assert api.machine.stored == {}


def test_ddl_is_the_catalogs_and_the_engines(api: Api) -> None:
    create = api.start(
        "CREATE EXTERNAL TABLE a (b int) STORED AS PARQUET LOCATION 's3://b/c'", QueryExecutionContext={"Database": "d"}
    )
    execution = api.wait(create)
    assert (execution["Status"]["State"], execution["StatementType"]) == ("SUCCEEDED", "DDL")
    assert api.machine.tables == [("d", "a")]
    assert api.machine.stored == {f"s3://bucket/results/{create}.txt": b""}
    api.wait(api.start("DROP TABLE IF EXISTS d.a"))
    assert api.machine.statements == [('DROP TABLE IF EXISTS "d"."a"', "default", "")]


def test_calls_are_throttled_as_often_as_told(api: Api) -> None:
    api.faults.throttle(1)
    api.faults.throttle(2, code="TooManyRequestsException", operation="StartQueryExecution")
    started = {"QueryString": "SELECT n", "WorkGroup": "team"}
    assert api.refusal("GetWorkGroup", WorkGroup="team") == ("ThrottlingException", "Rate exceeded")
    assert api.call("GetWorkGroup", WorkGroup="team")[0] == 200
    assert [api.refusal("StartQueryExecution", **started)[0] for _ in range(2)] == ["TooManyRequestsException"] * 2
    assert api.machine.statements == []
    assert api.call("StartQueryExecution", **started)[0] == 200
    assert api.faults.switched_on() == []


def test_a_lost_answer_does_not_undo_the_work(api: Api) -> None:
    api.faults.lose_answers(1, operation="StartQueryExecution")
    started = {"QueryString": "SELECT n", "WorkGroup": "team", "ClientRequestToken": "t" * 32}
    status, answer = api.call("StartQueryExecution", **started)
    assert (status, answer["__type"]) == (500, "InternalServerException")
    api.wait(api.start(**{"sql": started["QueryString"], "ClientRequestToken": "t" * 32}))
    assert len(api.machine.statements) == 1


@pytest.mark.parametrize(("retryable", "category"), [(True, 1), (False, 2)])
@pytest.mark.parametrize("after_work", [True, False])
def test_queries_fail_as_told(api: Api, retryable: bool, category: int, after_work: bool) -> None:
    api.faults.fail(1, retryable=retryable, after_work=after_work, containing="UNLOAD")
    assert api.wait(api.start("SELECT n"))["Status"]["State"] == "SUCCEEDED"
    error = api.wait(api.start(UNLOAD))["Status"]["AthenaError"]
    assert (error["Retryable"], error["ErrorCategory"]) == (retryable, category)
    assert ("s3://bucket/out/file" in api.machine.stored) == after_work
    assert api.faults.switched_on() == []


def test_a_query_hangs_until_it_is_stopped(api: Api) -> None:
    api.faults.hang(1)
    identifier = api.start("SELECT n")
    api.wait(identifier, "RUNNING")
    assert api.machine.statements == []
    api.call("StopQueryExecution", QueryExecutionId=identifier)
    assert api.wait(identifier)["Status"]["State"] == "CANCELLED"


def test_a_query_is_cancelled_by_somebody_else(api: Api) -> None:
    api.faults.cancel(1)
    assert api.wait(api.start("SELECT n"))["Status"]["State"] == "CANCELLED"
    assert api.machine.statements == []


def test_a_query_waits_in_the_queue(api: Api) -> None:
    api.faults.queue(1, 0.05)
    identifier = api.start("SELECT n")
    assert api.execution(identifier)["Status"]["State"] == "QUEUED"
    assert api.wait(identifier)["Statistics"]["QueryQueueTimeInMillis"] >= 50


def test_a_query_is_stopped_in_the_queue(api: Api) -> None:
    api.faults.queue(1, 60)
    identifier = api.start("SELECT n")
    api.call("StopQueryExecution", QueryExecutionId=identifier)
    assert api.wait(identifier)["Status"]["State"] == "CANCELLED"
    assert api.machine.statements == []


def test_switches_have_names(api: Api) -> None:
    api.faults.switch({"throttle": {"calls": 2}, "fail": {"queries": 1, "retryable": True}})
    assert [one["remaining"] for one in api.faults.switched_on()] == [2, 1]
    wrongs: list[dict[str, Any]] = [{"clear": {}}, {"throttle": {"calls": 0}}, {"throttle": {"calls": 1, "code": "Other"}}]
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"is one of|at least one"):
            api.faults.switch(wrong)
