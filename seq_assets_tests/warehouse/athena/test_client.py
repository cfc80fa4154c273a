"""What the Athena client makes of any answer that Athena can give; the stack's tests show that Athena gives them."""

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from math import isnan
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from seq_assets.errors import PassingQueryError, QueryError, RetryableError, SeqAssetsError, SettingsError, ThrottledError
from seq_assets.warehouse.athena.client import (
    MAXIMUM_QUERY_BYTES,
    MOST_AT_A_TIME,
    AthenaClient,
    QueryStatistics,
    ResultColumn,
    Select,
    Unload,
    clear_errors,
    totals,
)

GIGABYTE = 10**9
SUCCEEDED = {"Status": {"State": "SUCCEEDED"}}
RUNNING = {"Status": {"State": "RUNNING"}}
RETRYABLE = {
    "Status": {
        "State": "FAILED",
        "StateChangeReason": "GENERIC_INTERNAL_ERROR: lost a worker",
        "AthenaError": {"ErrorCategory": 1, "ErrorType": 200, "Retryable": True},
    }
}
PERMANENT = {
    "Status": {
        "State": "FAILED",
        "StateChangeReason": "DIVISION_BY_ZERO: Division by zero",
        "AthenaError": {"ErrorCategory": 2, "ErrorType": 1100, "Retryable": False},
    }
}
LINK = "https://console.aws.amazon.com/athena/home?region=eu-west-1#/query-editor/history/"


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        """Starts anywhere but at zero."""
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now


class FakeAthena:
    """A boto3 client whose queries go through the given states, one per query; the last state of each lasts."""

    def __init__(self, *queries: list[dict[str, Any]]) -> None:
        """Without queries, one succeeds at once. What stands in `raised` is raised by those calls, one after the other."""
        self.meta = SimpleNamespace(partition="aws", region_name="eu-west-1")
        self.queries = [list(states) for states in queries] or [[SUCCEEDED]]
        self.statement_type = "DML"
        self.pages: list[dict[str, Any]] = []
        self.raised: dict[str, list[BaseException]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.tokens: dict[str, str] = {}

    def start_query_execution(self, **request: Any) -> dict[str, Any]:
        self._called("start", request)
        known = self.tokens.setdefault(request["ClientRequestToken"], f"q{len(self.tokens) + 1}")
        # What is raised here comes after the query was started.
        self._raise("answer of start")
        return {"QueryExecutionId": known}

    def get_query_execution(self, **request: Any) -> dict[str, Any]:
        self._called("get", request)
        states = self.queries[int(request["QueryExecutionId"].removeprefix("q")) - 1]
        state = states.pop(0) if len(states) > 1 else states[0]
        about = {"QueryExecutionId": request["QueryExecutionId"], "StatementType": self.statement_type}
        return {"QueryExecution": about | state}

    def stop_query_execution(self, **request: Any) -> dict[str, Any]:
        self._called("stop", request)
        return {}

    def get_query_results(self, **request: Any) -> dict[str, Any]:
        self._called("results", request)
        return self.pages[int(request.get("NextToken", "0"))]

    def requests(self, name: str) -> list[dict[str, Any]]:
        return [request for called, request in self.calls if called == name]

    @property
    def stopped(self) -> list[str]:
        return [request["QueryExecutionId"] for request in self.requests("stop")]

    def _called(self, name: str, request: dict[str, Any]) -> None:
        self.calls.append((name, request))
        self._raise(name)

    def _raise(self, name: str) -> None:
        if self.raised.get(name):
            raise self.raised[name].pop(0)


def client_of(fake: FakeAthena, **settings: Any) -> AthenaClient:
    clock = Clock()
    defaults: dict[str, Any] = {"workgroup": "research", "database": "lake", "output_location": None}
    return AthenaClient(fake, **(defaults | {"sleep": clock.sleep, "clock": clock} | settings))


def refused(code: str, message: str = "", status: int = 400) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "StartQueryExecution")


def page(columns: dict[str, str], *rows: list[str | None], token: str | None = None) -> dict[str, Any]:
    """A page of a result; None is a cell without text."""
    data = [{"Data": [{} if text is None else {"VarCharValue": text} for text in row]} for row in rows]
    information = [{"Name": name, "Type": of_type} for name, of_type in columns.items()]
    result = {"ResultSet": {"Rows": data, "ResultSetMetadata": {"ColumnInfo": information}}}
    return result | ({"NextToken": token} if token else {})


# --- a query and its end


def test_a_request_says_where_the_query_runs_and_has_a_token() -> None:
    fake = FakeAthena()
    client_of(fake, output_location="s3://bucket/results/").execute("SELECT 1")
    [request] = fake.requests("start")
    assert 32 <= len(request.pop("ClientRequestToken")) <= 128
    assert request == {
        "QueryString": "SELECT 1",
        "QueryExecutionContext": {"Database": "lake"},
        "WorkGroup": "research",
        "ResultConfiguration": {"OutputLocation": "s3://bucket/results/"},
    }


def test_what_a_query_is_for_stands_before_it_in_athenas_history(caplog: pytest.LogCaptureFixture) -> None:
    fake = FakeAthena([SUCCEEDED], [SUCCEEDED], [SUCCEEDED])
    fake.pages = [page({"a": "integer"}, ["a"], ["1"])]
    client = client_of(fake)
    with caplog.at_level(logging.INFO):
        client.unload("\n  SELECT 1 AS a", "s3://bucket/files", "m: stage")
        assert client.rows("SELECT 1 AS a", "m: accounting, ties") == [{"a": 1}]
        client.execute("DROP TABLE x")
    unload, rows, other = (request["QueryString"] for request in fake.requests("start"))
    assert unload.startswith("UNLOAD (/* m: stage */ SELECT 1 AS a) TO 's3://bucket/files/")
    assert (rows, other) == ("/* m: accounting, ties */ SELECT 1 AS a", "DROP TABLE x")
    taken = client.taken()
    assert [one.purpose for one in taken] == ["m: stage", "m: accounting, ties", ""]
    assert totals(taken).purposes == ("m: stage", "m: accounting, ties", "")
    assert caplog.messages[1].startswith("Athena query q2 (m: accounting, ties) took")


def test_the_error_of_a_query_says_what_it_was_for() -> None:
    with pytest.raises(QueryError, match=r"Athena query q1, `/\* m: stage \*/ SELECT '…'`"):
        client_of(FakeAthena([PERMANENT])).rows("SELECT 'Ada'", "m: stage")


def test_without_an_output_location_the_workgroup_decides() -> None:
    fake = FakeAthena()
    client_of(fake).execute("SELECT 1")
    assert "ResultConfiguration" not in fake.requests("start")[0]


def test_a_query_is_asked_for_often_at_first_and_then_less() -> None:
    clock = Clock()
    client_of(FakeAthena([RUNNING] * 20 + [SUCCEEDED]), sleep=clock.sleep, clock=clock).execute("SELECT 1")
    assert clock.slept[0] == 0.05
    assert clock.slept == sorted(clock.slept)
    assert clock.slept[-1] == 3


def test_statistics_are_returned_kept_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    took = {
        "DataScannedInBytes": 2 * GIGABYTE,
        "QueryQueueTimeInMillis": 20,
        "EngineExecutionTimeInMillis": 1400,
        "TotalExecutionTimeInMillis": 1500,
    }
    client = client_of(FakeAthena([SUCCEEDED | {"Statistics": took}]))
    with caplog.at_level(logging.INFO):
        statistics = client.execute("SELECT 1")
    assert statistics == QueryStatistics("q1", "DML", 2 * GIGABYTE, 20, 1400, 1500, LINK + "q1")
    assert caplog.messages == [f"Athena query q1 took 1.5 seconds and scanned 2000000000 bytes: {LINK}q1"]
    assert client.finished == [statistics]
    assert client.taken() == [statistics]
    assert client.finished == []


@pytest.mark.parametrize(
    ("partition", "region", "console"),
    [
        ("aws", "eu-west-1", "https://console.aws.amazon.com/athena/home?region=eu-west-1#"),
        ("aws-cn", "cn-north-1", "https://console.amazonaws.cn/athena/home?region=cn-north-1#"),
        ("aws-us-gov", "us-gov-west-1", "https://console.amazonaws-us-gov.com/athena/home?region=us-gov-west-1#"),
    ],
)
def test_links_lead_to_the_console_of_the_partition(partition: str, region: str, console: str) -> None:
    fake = FakeAthena()
    fake.meta = SimpleNamespace(partition=partition, region_name=region)
    assert client_of(fake).console_link("q1") == f"{console}/query-editor/history/q1"


def test_the_estimate_of_cost_is_athenas_price_with_its_minimum() -> None:
    terabyte = QueryStatistics("q1", "DML", 10**12, 1, 2, 3, LINK)
    assert terabyte.dollars == pytest.approx(5)
    assert replace(terabyte, bytes_scanned=0).dollars == pytest.approx(0.00005)
    assert replace(terabyte, statement_type="DDL").dollars == 0


def test_totals_sum_over_queries() -> None:
    first = QueryStatistics("q1", "DML", 10**12, 1, 2, 3, "link1")
    second = QueryStatistics("q2", "DML", 10**12, 10, 20, 30, "link2")
    both = totals([first, second])
    assert (both.queries, both.bytes_scanned) == (2, 2 * 10**12)
    assert both.dollars == pytest.approx(10)
    assert (both.queue_milliseconds, both.engine_milliseconds, both.total_milliseconds) == (11, 22, 33)
    assert (both.query_ids, both.console_links) == (("q1", "q2"), ("link1", "link2"))
    assert totals([]).queries == 0


# --- what goes wrong with a query


@pytest.mark.parametrize("character", ["a", "é"])
def test_a_query_that_is_too_long_is_refused_before_any_call(character: str) -> None:
    fake = FakeAthena()
    longest = character * (MAXIMUM_QUERY_BYTES // len(character.encode()))
    client_of(fake).execute(longest)
    calls = len(fake.calls)
    with pytest.raises(QueryError, match=r"found a query of 262,145 bytes; allowed: 262,144"):
        client_of(fake).execute(longest + "a")
    assert len(fake.calls) == calls


def test_what_fails_for_what_may_pass_is_started_again_as_a_new_query(caplog: pytest.LogCaptureFixture) -> None:
    fake, clock = FakeAthena([RETRYABLE], [RETRYABLE], [SUCCEEDED]), Clock()
    assert client_of(fake, sleep=clock.sleep, clock=clock).execute("SELECT 1").query_id == "q3"
    assert len({request["ClientRequestToken"] for request in fake.requests("start")}) == 3
    assert clock.slept == [0.5, 1.0]
    assert [f"{LINK}q{number}" in message for number, message in enumerate(caplog.messages, 1)] == [True, True]


def test_what_goes_on_failing_may_be_tried_by_others_later() -> None:
    fake = FakeAthena(*[[RETRYABLE]] * 4)
    with pytest.raises(PassingQueryError, match="failed in attempt 4 of 4: GENERIC_INTERNAL_ERROR: lost a worker"):
        client_of(fake).execute("SELECT 1")
    assert len(fake.tokens) == 4


def test_a_storage_that_throttles_a_query_is_tried_again_whatever_athena_says() -> None:
    reason = "Please reduce your request rate. (Service: Amazon S3; Status Code: 503; Error Code: SlowDown)"
    fake = FakeAthena([{"Status": {"State": "FAILED", "StateChangeReason": reason}}], [SUCCEEDED])
    assert client_of(fake).execute("SELECT 1").query_id == "q2"


def test_what_fails_for_good_is_told_with_its_numbers_and_not_tried_again() -> None:
    fake = FakeAthena([PERMANENT])
    with pytest.raises(QueryError) as caught:
        client_of(fake).execute("SELECT 1 / 0\nFROM x")
    assert str(caught.value) == (
        f"Athena query q1, `SELECT 1 / 0…`, {LINK}q1 failed: DIVISION_BY_ZERO: Division by zero "
        "(category 2, type 1100; another attempt would not help)."
    )
    assert not isinstance(caught.value, RetryableError)
    assert (len(fake.tokens), client_of(fake).finished) == (1, [])


def test_a_database_that_is_not_there_names_its_setting() -> None:
    reason = "SCHEMA_NOT_FOUND: line 1:15: Schema 'lake' does not exist"
    with pytest.raises(QueryError, match=r"'lake' \(SEQ_ASSETS_DATABASE\)"):
        client_of(FakeAthena([{"Status": {"State": "FAILED", "StateChangeReason": reason}}])).execute("SELECT 1")


def test_values_in_a_statement_are_not_told() -> None:
    with pytest.raises(QueryError) as caught:
        client_of(FakeAthena([PERMANENT])).execute("SELECT 'Ada''s' AS a, U&'\\0041' FROM x WHERE name = 'secret")
    assert "`SELECT '…' AS a, U&'…' FROM x WHERE name = '…'`" in str(caught.value)


def test_what_somebody_else_cancels_is_not_tried_again() -> None:
    fake = FakeAthena([{"Status": {"State": "CANCELLED", "StateChangeReason": "Bytes scanned limit was exceeded"}}])
    with pytest.raises(QueryError, match=r"q1.* was cancelled, not by this run: Bytes scanned limit was exceeded") as caught:
        client_of(fake).execute("SELECT 1")
    assert not isinstance(caught.value, RetryableError)
    assert len(fake.tokens) == 1


# --- queries that are given up are stopped


def test_a_query_that_takes_too_long_is_stopped() -> None:
    fake, clock = FakeAthena([RUNNING]), Clock()
    with pytest.raises(QueryError, match=r"q1.* was not over after 20 seconds and was stopped; allowed: timeout_seconds"):
        client_of(fake, timeout_seconds=20, sleep=clock.sleep, clock=clock).execute("SELECT 1")
    assert fake.stopped == ["q1"]
    assert clock.now == pytest.approx(120)


def side_by_side(fake: FakeAthena, **settings: Any) -> Any:
    """Runs as many queries as the fake has at the same time, the last of them an UNLOAD."""
    *selects, unload = [f"SELECT {number} AS n" for number in range(1, len(fake.queries) + 1)]
    fake.pages = [page({"n": "integer"}, ["n"], ["7"])]
    client = client_of(fake, **settings)
    return client.side_by_side([Select(sql, "m: n") for sql in selects], [Unload(unload, "s3://b/files", "m: files")])


def test_queries_run_side_by_side_wait_together_and_have_their_results_in_order() -> None:
    fake, clock = FakeAthena([RUNNING] * 5 + [SUCCEEDED], [SUCCEEDED], [RUNNING, SUCCEEDED]), Clock()
    rows, [folder] = side_by_side(fake, sleep=clock.sleep, clock=clock)
    assert rows == [[{"n": 7}], [{"n": 7}]]
    assert [request["QueryExecutionId"] for request in fake.requests("results")] == ["q1", "q2"]
    started = [request["QueryString"] for request in fake.requests("start")]
    assert started[:2] == ["/* m: n */ SELECT 1 AS n", "/* m: n */ SELECT 2 AS n"]
    assert folder.startswith("s3://b/files/")
    assert f"TO '{folder}'" in started[2]
    assert [name for name, _ in fake.calls[:6]] == ["start", "get"] * 3, "all are started before anybody waits"
    alone = Clock()
    client_of(FakeAthena([RUNNING] * 5 + [SUCCEEDED]), sleep=alone.sleep, clock=alone).execute("SELECT 1")
    assert clock.now == pytest.approx(alone.now), "the longest decides"


def test_no_more_than_a_few_queries_run_at_a_time() -> None:
    fake = FakeAthena(*[[RUNNING, RUNNING, SUCCEEDED]] * (2 * MOST_AT_A_TIME + 1))
    side_by_side(fake)
    running = most = 0
    left = {f"q{number}": 3 for number in range(1, len(fake.queries) + 1)}
    for name, request in fake.calls:
        if name == "start":
            running += 1
        elif name == "get":
            left[request["QueryExecutionId"]] -= 1
            running -= left[request["QueryExecutionId"]] == 0
        most = max(most, running)
    assert (most, set(left.values())) == (MOST_AT_A_TIME, {0})


def test_a_query_that_is_tried_again_holds_up_no_other() -> None:
    fake = FakeAthena([RETRYABLE], [RUNNING, SUCCEEDED], [SUCCEEDED])
    fake.pages = [page({"n": "integer"}, ["n"])]
    client = client_of(fake)
    client.side_by_side([Select("SELECT 1", "a"), Select("SELECT 2", "b")])
    assert [one.query_id for one in client.taken()] == ["q2", "q3"]
    assert [request["QueryString"] for request in fake.requests("start")] == [
        *("/* a */ SELECT 1", "/* b */ SELECT 2", "/* a */ SELECT 1")
    ]


def test_where_one_query_fails_those_at_its_side_are_stopped_and_no_other_is_started() -> None:
    fake = FakeAthena(*[[RUNNING]] * 2, [RUNNING, PERMANENT], *[[RUNNING]] * 3)
    with pytest.raises(QueryError, match=r"q3.*DIVISION_BY_ZERO"):
        side_by_side(fake)
    assert len(fake.tokens) == MOST_AT_A_TIME == 4
    assert sorted(fake.stopped) == ["q1", "q2", "q4"]


def test_where_one_query_fails_those_at_its_side_are_over_before_it_is_told() -> None:
    cancelled = {"Status": {"State": "CANCELLED"}}
    fake = FakeAthena([RUNNING] * 4 + [cancelled], [RUNNING, PERMANENT], [RUNNING] * 6 + [cancelled])
    with pytest.raises(QueryError, match=r"q2.*DIVISION_BY_ZERO"):
        side_by_side(fake)
    assert sorted(fake.stopped) == ["q1", "q3"]
    assert [fake.queries[number] for number in (0, 2)] == [[cancelled], [cancelled]]


def test_where_one_query_fails_it_is_told_although_another_never_ends() -> None:
    clock, fake = Clock(), FakeAthena([RUNNING], [RUNNING, PERMANENT])
    with pytest.raises(QueryError, match=r"q2.*DIVISION_BY_ZERO"):
        side_by_side(fake, sleep=clock.sleep, clock=clock)
    assert 104 < clock.now < 106


def test_where_one_query_fails_the_others_are_stopped_even_if_stopping_one_is_refused() -> None:
    fake = FakeAthena([RUNNING], [RUNNING, PERMANENT], [RUNNING])
    fake.raised = {"stop": [refused("AccessDeniedException")]}
    with pytest.raises(QueryError, match=r"q2.*DIVISION_BY_ZERO"):
        side_by_side(fake)
    assert sorted(fake.stopped) == ["q1", "q3"]


class Terminated(BaseException):
    """As Dagster's DagsterExecutionInterruptedError: no Exception."""


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, Terminated])
def test_an_interrupt_while_waiting_stops_the_query(interrupt: type[BaseException]) -> None:
    def interrupted(_: float) -> None:
        raise interrupt

    fake = FakeAthena([RUNNING])
    with pytest.raises(interrupt):
        client_of(fake, sleep=interrupted).execute("SELECT 1")
    assert fake.stopped == ["q1"]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, Terminated])
def test_an_interrupt_stops_all_queries_that_run_side_by_side(interrupt: type[BaseException]) -> None:
    def interrupted(_: float) -> None:
        raise interrupt

    fake = FakeAthena([RUNNING], [SUCCEEDED], [RUNNING])
    with pytest.raises(interrupt):
        side_by_side(fake, sleep=interrupted)
    assert sorted(fake.stopped) == ["q1", "q3"]


UNANSWERED = [refused("InternalServerException", status=500), exceptions.ReadTimeoutError(endpoint_url="https://athena")]


@pytest.mark.parametrize("lost", UNANSWERED)
def test_a_query_whose_id_did_not_come_is_found_by_its_token(lost: Exception) -> None:
    fake = FakeAthena()
    fake.raised = {"answer of start": [lost] * 3}
    client_of(fake).execute("SELECT 1")
    assert (list(fake.tokens.values()), fake.stopped) == (["q1"], [])


@pytest.mark.parametrize(
    ("lost", "raised"), [([KeyboardInterrupt()], KeyboardInterrupt), *(([error] * 4, RetryableError) for error in UNANSWERED)]
)
def test_a_query_whose_id_never_came_is_found_by_its_token_and_stopped(
    lost: list[BaseException], raised: type[BaseException]
) -> None:
    fake = FakeAthena([RUNNING])
    fake.raised = {"answer of start": lost}
    with pytest.raises(raised):
        client_of(fake).execute("SELECT 1")
    assert (list(fake.tokens.values()), fake.stopped) == (["q1"], ["q1"])


NOT_AT_ONCE = [*UNANSWERED, refused("ThrottlingException")]


@pytest.mark.parametrize("operation", ["start", "get", "results"])
def test_what_is_not_answered_at_once_is_asked_again(operation: str) -> None:
    fake = FakeAthena()
    fake.pages = [page({"n": "integer"}, ["n"], ["1"])]
    fake.raised = {operation: list(NOT_AT_ONCE)}
    assert client_of(fake).rows("SELECT 1 AS n") == [{"n": 1}]
    assert len(fake.requests(operation)) == len(NOT_AT_ONCE) + 1


def test_a_query_is_stopped_in_as_many_attempts_as_it_takes() -> None:
    fake = FakeAthena([RUNNING])
    fake.raised = {"stop": list(NOT_AT_ONCE)}
    with pytest.raises(QueryError, match="was stopped"):
        client_of(fake, timeout_seconds=0).execute("SELECT 1")
    assert fake.stopped == ["q1"] * (len(NOT_AT_ONCE) + 1)


def test_what_made_us_stop_is_told_even_if_stopping_fails(caplog: pytest.LogCaptureFixture) -> None:
    fake = FakeAthena([RUNNING])
    fake.raised = {"stop": [refused("InternalServerException", "oh", 500)] * 4}
    with pytest.raises(QueryError, match="was stopped"):
        client_of(fake, timeout_seconds=1).execute("SELECT 1")
    assert any("q1 could not be stopped: " in message and LINK in message for message in caplog.messages)


def test_a_refused_query_is_neither_asked_for_again_nor_stopped() -> None:
    fake = FakeAthena()
    fake.raised = {"start": [refused("InvalidRequestException", "line 1:1: mismatched input 'SELEC'")]}
    with pytest.raises(QueryError, match="Athena refuses StartQueryExecution: InvalidRequestException: line 1:1: mismatched"):
        client_of(fake).execute("SELEC 1")
    assert [name for name, _ in fake.calls] == ["start"]


# --- calls


@pytest.mark.parametrize("code", ["ThrottlingException", "TooManyRequestsException", "SlowDown"])
@pytest.mark.parametrize("call", ["start", "results"])
def test_throttled_calls_are_repeated(code: str, call: str) -> None:
    fake, clock = FakeAthena(), Clock()
    fake.pages = [page({"a": "integer"}, ["a"], ["1"])]
    fake.raised = {call: [refused(code)] * 3}
    assert client_of(fake, sleep=clock.sleep, clock=clock).rows("SELECT 1 AS a") == [{"a": 1}]
    assert clock.slept == [0.5, 1.0, 2.0]
    assert len(fake.tokens) == 1


def test_throttling_that_lasts_may_be_tried_by_others_later() -> None:
    fake = FakeAthena()
    fake.raised = {"start": [refused("TooManyRequestsException")] * 4}
    with pytest.raises(ThrottledError, match="StartQueryExecution: TooManyRequestsException"):
        client_of(fake).execute("SELECT 1")
    assert issubclass(ThrottledError, RetryableError)
    assert (fake.tokens, fake.stopped) == ({}, [])


def test_throttling_is_no_reason_to_give_up_a_query_that_runs() -> None:
    fake = FakeAthena()
    fake.raised = {"get": [refused("ThrottlingException")] * 10}
    assert client_of(fake).execute("SELECT 1").query_id == "q1"
    assert fake.stopped == []


def test_throttling_does_not_outlast_the_time_limit() -> None:
    fake = FakeAthena()
    fake.raised = {"get": [refused("ThrottlingException")] * 1000}
    with pytest.raises(ThrottledError, match="was stopped after 10 seconds, because Athena has too many calls"):
        client_of(fake, timeout_seconds=10).execute("SELECT 1")
    assert fake.stopped == ["q1"]


@pytest.mark.parametrize(
    ("error", "raised", "told"),
    [
        (
            refused("InvalidRequestException", "WorkGroup is not found."),
            SettingsError,
            "SEQ_ASSETS_WORKGROUP: found 'research'",
        ),
        (refused("InvalidRequestException", "No output location provided."), SettingsError, "SEQ_ASSETS_WORKGROUP.*location"),
        (refused("InvalidRequestException", "Queries of this type"), QueryError, "Queries of this type"),
        (refused("AccessDeniedException", "User x may not"), SettingsError, "SEQ_ASSETS_WORKGROUP.*User x may not"),
        (refused("UnrecognizedClientException", "token TOKEN"), SettingsError, "credentials.*AWS_PROFILE"),
        (refused("ExpiredTokenException", "token TOKEN"), SettingsError, "credentials.*AWS_ACCESS_KEY_ID"),
        (refused("ServiceUnavailable", status=503), RetryableError, "could not answer StartQueryExecution: ServiceUnavailable"),
        (refused("ValidationException", "no"), QueryError, "ValidationException: no"),
        (exceptions.NoCredentialsError(), SettingsError, "no credentials of AWS.*AWS_PROFILE"),
        (
            exceptions.CredentialRetrievalError(provider="process", error_msg="TOKEN"),
            SettingsError,
            "no credentials of AWS",
        ),
        (exceptions.ProfileNotFound(profile="me"), SettingsError, r"AWS_PROFILE: .*\(me\)"),
        (exceptions.NoRegionError(), SettingsError, "AWS_REGION: You must specify a region. Set it"),
        (exceptions.EndpointConnectionError(endpoint_url="https://x"), RetryableError, "AWS_REGION and AWS_ENDPOINT_URL"),
    ],
)
def test_errors_of_calls_name_the_setting_and_no_secret(error: Exception, raised: type[SeqAssetsError], told: str) -> None:
    with pytest.raises(raised, match=told) as caught, clear_errors("research"):
        raise error
    assert "TOKEN" not in str(caught.value)
    assert isinstance(caught.value, RetryableError) == (raised is RetryableError)


def test_mistakes_of_the_program_stay_what_they_are() -> None:
    with pytest.raises(exceptions.ParamValidationError), clear_errors("research"):
        raise exceptions.ParamValidationError(report="QueryString is missing")


# --- results


def test_all_pages_are_read_and_the_header_is_no_row() -> None:
    fake, columns = FakeAthena(), {"n": "bigint"}
    fake.pages = [page(columns, ["n"], ["1"], token="1"), page(columns, ["2"], token="2"), page(columns, ["3"])]
    assert client_of(fake).rows("SELECT n") == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert [request.get("NextToken") for request in fake.requests("results")] == [None, "1", "2"]


def test_values_have_the_python_type_of_their_column() -> None:
    fake = FakeAthena()
    columns = {
        **{"tiny": "tinyint", "small": "smallint", "int": "integer", "big": "bigint"},
        **{"float": "float", "double": "double", "bool": "boolean", "decimal": "decimal"},
        **{"text": "varchar", "char": "char", "string": "string", "day": "date", "time": "timestamp", "list": "array"},
    }
    texts: list[str | None] = ["-128", "7", "+8", str(2**63 - 1), "-Infinity", "1.0E-5", "false", "1.50"]
    texts += ["", "a ", "1", "2024-02-29", "2024-02-29 01:02:03.123", "[1, null]"]
    fake.pages = [page(columns, list(columns), texts, [None] * len(columns))]
    first, second = client_of(fake).rows("SELECT *")
    assert first == {
        **{"tiny": -128, "small": 7, "int": 8, "big": 2**63 - 1},
        **{"float": float("-inf"), "double": 1e-5, "bool": False, "decimal": Decimal("1.50")},
        **{"text": "", "char": "a ", "string": "1", "day": date(2024, 2, 29)},
        **{"time": "2024-02-29 01:02:03.123", "list": "[1, null]"},
    }
    assert second == dict.fromkeys(columns)
    assert isnan(ResultColumn("x", "double").value({"VarCharValue": "NaN"}))


def test_a_result_without_rows_has_columns() -> None:
    fake = FakeAthena()
    fake.pages = [page({"a": "integer", "b": "varchar"}, ["a", "b"])]
    result = client_of(fake).result("SELECT 1 AS a, 'x' AS b WHERE false")
    assert (result.columns, result.rows) == ((ResultColumn("a", "integer"), ResultColumn("b", "varchar")), [])


@given(st.floats() | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.text() | st.dates() | st.none())
def test_any_value_comes_back_from_its_text(value: Any) -> None:
    types = {float: "double", int: "bigint", bool: "boolean", str: "varchar", date: "date"}
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    found = ResultColumn("x", types.get(type(value), "varchar")).value({} if value is None else {"VarCharValue": text})
    assert type(found) is type(value)
    assert found == value or isnan(value)


# --- unloading


def unloaded(fake: FakeAthena) -> Iterator[str]:
    pattern = (
        r"UNLOAD \(SELECT 1 AS a\) TO '(s3://bucket/it''s/[0-9a-f]{32}/)' WITH \(format = 'PARQUET', compression = 'ZSTD'\)"
    )
    for request in fake.requests("start"):
        found = re.fullmatch(pattern, request["QueryString"])
        assert found is not None, request["QueryString"]
        yield found[1].replace("''", "'")


@pytest.mark.parametrize("folder", ["s3://bucket/it's", "s3://bucket/it's/"])
def test_each_attempt_to_unload_has_a_folder_of_its_own_and_the_last_one_is_the_result(folder: str) -> None:
    fake = FakeAthena([RETRYABLE], [SUCCEEDED])
    result = client_of(fake).unload("SELECT 1 AS a", folder)
    first, second = unloaded(fake)
    assert first != second == result
