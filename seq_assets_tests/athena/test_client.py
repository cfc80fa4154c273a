"""The Athena client against the stack: every fault that can be switched on, and results from a real engine."""

import io
import logging
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from math import isnan
from types import FrameType
from typing import Any, NoReturn

import pyarrow.parquet as pq
import pytest

from seq_assets.errors import PassingQueryError, QueryError, SettingsError, ThrottledError
from seq_assets.warehouse.athena.client import MAXIMUM_QUERY_BYTES, AthenaClient, totals
from seq_assets_tests.athena import fixtures

pytestmark = pytest.mark.athena


def client_of(athena: fixtures.AthenaClient, **settings: Any) -> AthenaClient:
    """A client in the database and the workgroup of the settings, ten times as impatient as usual."""
    defaults: dict[str, Any] = {
        "workgroup": athena.settings["SEQ_ASSETS_WORKGROUP"],
        "database": athena.database,
        "output_location": f"{athena.folder}/results/",
        "sleep": lambda seconds: time.sleep(seconds / 10),
    }
    return AthenaClient(athena.athena, **(defaults | settings))


def query_id(error: pytest.ExceptionInfo[QueryError]) -> str:
    """The query that an error names."""
    found = re.search(r"Athena query ([0-9a-f-]{36})", str(error.value))
    assert found is not None
    return found[1]


def runs_of(athena: fixtures.AthenaClient) -> int:
    """How many queries the engine has seen that name this test."""
    sql = f"SELECT count(*) FROM system.runtime.queries WHERE query LIKE '%{athena.unique}%' AND query NOT LIKE '%runtime%'"
    [[count]] = athena.rows(sql)
    return int(count or "")


# --- results


def test_values_of_the_engine_have_the_python_type_of_their_column(athena: fixtures.AthenaClient) -> None:
    sql = """SELECT * FROM (VALUES
        (tinyint '-128', smallint '7', 8, bigint '9223372036854775807', real '1.5', 1e-5, true, decimal '12.50', '',
         date '2024-02-29', timestamp '2024-02-29 01:02:03.123456', ARRAY['x', NULL]),
        (NULL, NULL, NULL, NULL, real 'Infinity', nan(), false, NULL, NULL, NULL, NULL, NULL)
    ) AS t (tiny, small, "int", big, r, d, b, "decimal", text, "day", "time", list)"""
    first, second = client_of(athena).rows(sql)
    assert first == {
        **{"tiny": -128, "small": 7, "int": 8, "big": 2**63 - 1, "r": 1.5, "d": 1e-5, "b": True, "decimal": Decimal("12.50")},
        **{"text": "", "day": date(2024, 2, 29), "time": "2024-02-29 01:02:03.123456", "list": "[x, null]"},
    }
    assert (second.pop("r"), isnan(second.pop("d")), second.pop("b")) == (float("inf"), True, False)
    assert set(second.values()) == {None}


def test_all_pages_of_a_result_are_read(athena: fixtures.AthenaClient) -> None:
    rows = client_of(athena).rows("SELECT n FROM UNNEST(sequence(1, 2500)) AS t (n) ORDER BY n")
    assert [row["n"] for row in rows] == list(range(1, 2501))


def test_a_result_without_rows_has_columns(athena: fixtures.AthenaClient) -> None:
    result = client_of(athena).result("SELECT 1 AS a, 'x' AS b WHERE false")
    assert ([(column.name, column.type) for column in result.columns], result.rows) == (
        [("a", "integer"), ("b", "varchar")],
        [],
    )


def test_statements_of_any_kind_are_run_and_counted(athena: fixtures.AthenaClient, caplog: pytest.LogCaptureFixture) -> None:
    client = client_of(athena)
    with caplog.at_level(logging.INFO):
        folder = client.unload("SELECT 1 AS a", f"{athena.folder}/files")
        client.execute(f"CREATE EXTERNAL TABLE {athena.unique} (a int) STORED AS PARQUET LOCATION '{folder}'")
        assert client.rows(f"SELECT sum(a) AS a FROM {athena.unique}") == [{"a": 1}]
        client.execute(f"DROP TABLE {athena.unique}")
    taken = client.taken()
    assert [one.statement_type for one in taken] == ["DML", "DDL", "DML", "DDL"]
    assert [one.dollars > 0 for one in taken] == [True, False, True, False]
    assert totals(taken).bytes_scanned == taken[2].bytes_scanned > 0
    for one in taken:
        assert one.total_milliseconds >= one.engine_milliseconds >= 0
        assert [one.console_link in message for message in caplog.messages].count(True) == 1
        location = athena.execution(one.query_id)["ResultConfiguration"]["OutputLocation"]
        assert location.startswith(f"{athena.folder}/results/{one.query_id}")


def test_the_time_in_the_queue_is_counted(athena: fixtures.AthenaClient) -> None:
    athena.faults.queue(1, 0.3)
    assert client_of(athena).execute("SELECT 1").queue_milliseconds >= 300


# --- unloading


def test_unload_writes_compressed_parquet_into_the_folder_that_it_names(athena: fixtures.AthenaClient) -> None:
    folder = client_of(athena).unload("WITH t AS (SELECT 1 AS a) SELECT a, 'x''y' AS b FROM t", f"{athena.folder}/files/")
    assert re.fullmatch(re.escape(f"{athena.folder}/files/") + "[0-9a-f]{32}/", folder)
    [file] = athena.files(folder)
    content = io.BytesIO(athena.content(file))
    assert pq.read_table(content).to_pylist() == [{"a": 1, "b": "x'y"}]
    assert pq.read_metadata(content).row_group(0).column(0).compression == "ZSTD"


def test_an_unload_that_failed_half_way_leaves_no_file_in_the_result(athena: fixtures.AthenaClient) -> None:
    athena.faults.fail(1, retryable=True, after_work=True, containing="UNLOAD")
    folder = client_of(athena).unload("SELECT 1 AS a", f"{athena.folder}/files")
    assert len(athena.files(folder)) == 1
    assert len(athena.files(f"{athena.folder}/files/")) == 2


# --- faults


@pytest.mark.parametrize("code", ["ThrottlingException", "TooManyRequestsException"])
@pytest.mark.parametrize("operation", ["StartQueryExecution", "GetQueryExecution", "GetQueryResults"])
def test_what_is_throttled_passes_later(athena: fixtures.AthenaClient, code: Any, operation: str) -> None:
    athena.faults.throttle(3, code=code, operation=operation)
    assert client_of(athena).rows(f"SELECT '{athena.unique}' AS a") == [{"a": athena.unique}]
    assert athena.faults.switched_on() == []
    assert runs_of(athena) == 1


def test_what_is_throttled_for_long_may_be_tried_by_others_later(athena: fixtures.AthenaClient) -> None:
    athena.faults.throttle(100, operation="StartQueryExecution")
    with pytest.raises(ThrottledError):
        client_of(athena).execute("SELECT 1")


def test_an_answer_that_is_lost_starts_no_second_query(production: fixtures.AthenaClient) -> None:
    import boto3

    production.athena = boto3.client("athena")
    production.faults.lose_answers(1, operation="StartQueryExecution")
    production.faults.lose_answers(1, operation="GetQueryExecution")
    production.faults.lose_answers(1, operation="GetQueryResults")
    assert client_of(production).rows(f"SELECT '{production.unique}' AS a") == [{"a": production.unique}]
    assert production.faults.switched_on() == []
    assert runs_of(production) == 1


def test_what_fails_for_what_may_pass_is_started_again(athena: fixtures.AthenaClient) -> None:
    athena.faults.fail(2, retryable=True)
    client = client_of(athena)
    assert client.rows("SELECT 1 AS a") == [{"a": 1}]
    assert len(client.finished) == 1


def test_what_goes_on_failing_may_be_tried_by_others_later(athena: fixtures.AthenaClient) -> None:
    athena.faults.fail(4, retryable=True)
    with pytest.raises(PassingQueryError, match="failed in attempt 4 of 4: GENERIC_INTERNAL_ERROR"):
        client_of(athena).execute("SELECT 1")
    assert athena.faults.switched_on() == []


def test_what_fails_for_good_is_told_with_its_numbers(athena: fixtures.AthenaClient) -> None:
    athena.faults.fail(2)
    with pytest.raises(QueryError, match=r"GENERIC_USER_ERROR: .* \(category 2, type 1100; ") as caught:
        client_of(athena).execute("SELECT 1")
    assert "#/query-editor/history/" + query_id(caught) in str(caught.value)
    assert [one["remaining"] for one in athena.faults.switched_on()] == [1]


def test_what_somebody_else_cancels_is_not_started_again(athena: fixtures.AthenaClient) -> None:
    athena.faults.cancel(2)
    with pytest.raises(QueryError, match=r"was cancelled, not by this run: Query was cancelled."):
        client_of(athena).execute("SELECT 1")
    assert [one["remaining"] for one in athena.faults.switched_on()] == [1]


def test_a_query_of_which_athena_says_nothing_in_its_time_may_be_tried_later(athena: fixtures.AthenaClient) -> None:
    athena.faults.throttle(1000, operation="GetQueryExecution")
    with pytest.raises(ThrottledError, match=r"stopped after 1 seconds, because Athena has too many calls"):
        client_of(athena, timeout_seconds=1).execute("SELECT 1")


def test_a_query_that_takes_too_long_is_stopped(athena: fixtures.AthenaClient) -> None:
    athena.faults.hang(1)
    with pytest.raises(
        QueryError, match=r"was not over after 0\.3 seconds and was stopped; allowed: timeout_seconds"
    ) as caught:
        client_of(athena, timeout_seconds=0.3, sleep=time.sleep).execute("SELECT 1")
    assert athena.wait(query_id(caught))["Status"]["State"] == "CANCELLED"


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """A signal comes after this time, whose handler raises as Python's and Dagster's do."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_interrupt_stops_the_query(athena: fixtures.AthenaClient, caplog: pytest.LogCaptureFixture) -> None:
    athena.faults.hang(1)
    with caplog.at_level(logging.INFO), pytest.raises(KeyboardInterrupt), interrupted_after(0.5):
        client_of(athena, sleep=time.sleep).execute("SELECT 1")
    [message] = caplog.messages
    found = re.match(r"Athena query (\S+) was stopped: ", message)
    assert found is not None
    assert athena.wait(found[1])["Status"]["State"] == "CANCELLED"


# --- refusals


def test_a_query_that_is_too_long_is_refused_before_any_call(athena: fixtures.AthenaClient) -> None:
    sql = f"SELECT '{'é' * 131_000}' AS a --".ljust(131_144, "-")
    assert len(sql.encode()) == MAXIMUM_QUERY_BYTES
    assert client_of(athena).rows(sql) == [{"a": "é" * 131_000}]
    athena.faults.throttle(1)
    with pytest.raises(QueryError, match="found a query of 262,145 bytes"):
        client_of(athena).execute(sql + "-")
    assert [one["remaining"] for one in athena.faults.switched_on()] == [1]


def test_a_workgroup_that_is_not_there_names_its_setting(athena: fixtures.AthenaClient) -> None:
    with pytest.raises(SettingsError, match="SEQ_ASSETS_WORKGROUP: found 'nobody'"):
        client_of(athena, workgroup="nobody").execute("SELECT 1")


def test_a_workgroup_without_a_place_for_results_names_its_setting(athena: fixtures.AthenaClient) -> None:
    with pytest.raises(SettingsError, match="SEQ_ASSETS_WORKGROUP: found 'primary', of which Athena says: No output location"):
        client_of(athena, workgroup="primary", output_location=None).execute("SELECT 1")


def test_a_database_that_is_not_there_names_its_setting(athena: fixtures.AthenaClient) -> None:
    with pytest.raises(QueryError, match=r"SEQ_ASSETS_DATABASE"):
        client_of(athena, database="nowhere").execute("SELECT * FROM t")


def test_what_athenas_grammar_does_not_know_is_refused_in_its_words(athena: fixtures.AthenaClient) -> None:
    with pytest.raises(QueryError, match="line 1:1: mismatched input 'SELEC'"):
        client_of(athena).execute("SELEC 1")
