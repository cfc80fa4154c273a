"""Athena: a query from its start to its result, whatever becomes of it on the way.

Belongs here: the calls of Athena's API, waiting, retries, stopping, the values of results, statistics, and Athena's errors in
words that help. Not here: which SQL is run, and how the boto3 client comes to be.
"""

import logging
import re
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import count, islice
from typing import Any, Final, TypeAlias, TypeVar

from seq_assets.errors import (
    PassingQueryError,
    PermissionDeniedError,
    QueryError,
    RetryableError,
    SeqAssetsError,
    SettingsError,
    ThrottledError,
)
from seq_assets.warehouse.athena.sql import text_literal
from seq_assets.warehouse.cancellation import pause, tidying

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Work: TypeAlias = Generator[float, None, Result]
"""Work that gives the seconds that it wants to wait, again and again, until it is done; closed, it stops its query."""

MAXIMUM_QUERY_BYTES: Final = 262_144
MOST_AT_A_TIME: Final = 4
"""Queries that one client has running: an account has so many, for all who use it."""
TIMEOUT_SECONDS: Final = 3600.0
ATTEMPTS: Final = 4
# Athena's price list, https://aws.amazon.com/athena/pricing: per terabyte scanned, ten megabytes of it at least for every query
# that is not DDL. Some regions cost more.
_DOLLARS_PER_BYTE: Final = 5 / 10**12
_MINIMUM_BYTES: Final = 10 * 10**6
_SHORTEST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.05, 3.0, 1.5
_STOPPING_PAUSE, _STOPPING_SECONDS = 0.2, 5.0
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.5, 20.0
_LONGEST_REASON, _LONGEST_HEAD = 1000, 80
_FINAL_STATES: Final = ("SUCCEEDED", "FAILED", "CANCELLED")
_CONSOLES: Final = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}
_THROTTLING: Final = frozenset(
    {"RequestLimitExceeded", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequestsException"}
)
_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException"})
_BAD_CREDENTIALS: Final = frozenset(
    {
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException"})
_CREDENTIALS_REMEDY: Final = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
# Of all other types the values stay the text that Athena shows.
_VALUES: Final[Mapping[str, Callable[[str], Any]]] = {
    **dict.fromkeys(("tinyint", "smallint", "integer", "int", "bigint"), int),
    **dict.fromkeys(("float", "real", "double"), float),
    "boolean": lambda text: text == "true",
    "decimal": Decimal,
    "date": date.fromisoformat,
}


@dataclass(frozen=True)
class QueryStatistics:
    """What one query that succeeded took.

    Attributes:
        query_id: Athena's id of it.
        statement_type: DML, DDL or UTILITY.
        bytes_scanned: Bytes read from S3.
        queue_milliseconds: Waiting for Athena to begin.
        engine_milliseconds: Executing.
        total_milliseconds: From its start to its end.
        console_link: Where people see it in the AWS console.
        purpose: What it was for; empty where that was not said.
    """

    query_id: str
    statement_type: str
    bytes_scanned: int
    queue_milliseconds: int
    engine_milliseconds: int
    total_milliseconds: int
    console_link: str
    purpose: str = ""

    @property
    def dollars(self) -> float:
        """An estimate of its price in US dollars; only DML costs anything."""
        return max(self.bytes_scanned, _MINIMUM_BYTES) * _DOLLARS_PER_BYTE if self.statement_type == "DML" else 0.0


@dataclass(frozen=True)
class QueryTotals:
    """What several queries took together.

    Attributes:
        queries: How many.
        bytes_scanned: Bytes read from S3.
        queue_milliseconds: Waiting for Athena to begin, one after the other.
        engine_milliseconds: Executing, one after the other.
        total_milliseconds: From start to end, one after the other.
        dollars: An estimate of the price in US dollars.
        query_ids: Athena's ids, in the order in which the queries ended.
        console_links: Where people see them, in the same order.
        purposes: What they were for, in the same order.
    """

    queries: int
    bytes_scanned: int
    queue_milliseconds: int
    engine_milliseconds: int
    total_milliseconds: int
    dollars: float
    query_ids: tuple[str, ...]
    console_links: tuple[str, ...]
    purposes: tuple[str, ...]


def totals(statistics: Sequence[QueryStatistics]) -> QueryTotals:
    """The sums over queries."""
    return QueryTotals(
        queries=len(statistics),
        bytes_scanned=sum(one.bytes_scanned for one in statistics),
        queue_milliseconds=sum(one.queue_milliseconds for one in statistics),
        engine_milliseconds=sum(one.engine_milliseconds for one in statistics),
        total_milliseconds=sum(one.total_milliseconds for one in statistics),
        dollars=sum(one.dollars for one in statistics),
        query_ids=tuple(one.query_id for one in statistics),
        console_links=tuple(one.console_link for one in statistics),
        purposes=tuple(one.purpose for one in statistics),
    )


@dataclass(frozen=True)
class ResultColumn:
    """A column of a result: its name, and its type in Athena's words without arguments, such as `bigint` or `array`."""

    name: str
    type: str

    def value(self, cell: Mapping[str, str]) -> Any:
        """The value of a cell; a cell without text is null, and an empty text is a value."""
        text = cell.get("VarCharValue")
        return None if text is None else _VALUES.get(self.type, str)(text)


@dataclass(frozen=True)
class QueryResult:
    """A small result: its columns, which are there without rows too, and its rows by column."""

    columns: tuple[ResultColumn, ...]
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Select:
    """A query with a small result.

    Attributes:
        sql: The query.
        purpose: What it is for, in a few words without quotes.
    """

    sql: str
    purpose: str


@dataclass(frozen=True)
class Unload:
    """A query whose rows become Parquet files.

    Attributes:
        select: The query.
        folder: Where the folder of its result is made, `s3://…`.
        purpose: What it is for, in a few words without quotes.
    """

    select: str
    folder: str
    purpose: str


class AthenaClient:
    """Runs queries in one workgroup and database; every method returns when its queries are over.

    A query that is given up, because of its time limit, a signal, cancellation, an answer that never came, or the failure of
    one at its side, is stopped. One that fails is started again only where Athena says that this may help, as a query of its
    own.

    Attributes:
        finished: What each query took that succeeded since the last `taken`.
    """

    def __init__(
        self,
        client: Any,
        *,
        workgroup: str,
        database: str,
        output_location: str | None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = pause,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wraps a boto3 client of Athena.

        Args:
            client: The boto3 client; its own retries come first.
            workgroup: The workgroup of every query.
            database: Where tables without a database are looked for.
            output_location: Where results go, `s3://…`; None leaves it to the workgroup.
            timeout_seconds: How long one query may take, its time in the queue included.
            attempts: How often a query, or a call that is throttled, is tried.
            sleep: Waits for seconds; signals and cancellation must get through.
            clock: Seconds, from any start.
        """
        self._client = client
        self._workgroup = workgroup
        self._database = database
        self._output_location = output_location
        self._timeout_seconds = timeout_seconds
        self._attempts = attempts
        self._sleep = sleep
        self._clock = clock
        self.finished: list[QueryStatistics] = []
        self._stopped: list[str] = []

    def execute(self, sql: str, purpose: str = "") -> QueryStatistics:
        """Runs a statement of any kind to its end.

        Args:
            sql: The statement.
            purpose: What it is for, in a few words without quotes. They stand before it, so that Athena's history shows them; a
                statement of DDL, in which Athena knows no comments, has none.

        Raises:
            QueryError: It is too long, was refused, failed, was cancelled or took too long.
            RetryableError: Athena throttles or does not answer, or the query failed for what may pass.
            SettingsError: Credentials, permissions or the workgroup do not allow it.
        """
        return self._done(self._execute(lambda _: _commented(purpose, sql), purpose))

    def unload(self, select: str, folder: str, purpose: str = "") -> str:
        """Writes the rows of a query as Parquet files, into a folder of their own.

        An attempt that fails leaves its files behind, and Athena refuses a folder that has any: so each attempt has its own,
        and only the returned one holds the result.

        Args:
            select: The query.
            folder: Where the result's folder is made, `s3://…`.
            purpose: As of `execute`.

        Returns:
            The folder that holds the result, which ends with `/`. Without rows there may be no file in it.

        Raises:
            SeqAssetsError: As `execute`.
        """
        return self._done(self._unload(Unload(select, folder, purpose)))

    def side_by_side(
        self, selects: Sequence[Select], unloads: Sequence[Unload] = ()
    ) -> tuple[list[list[dict[str, Any]]], list[str]]:
        """Runs queries that do not need each other, a few at a time, started in their order.

        What one of them raises is raised here, after the others were stopped.

        Returns:
            As `rows` and `unload`: the rows of each, and the folder of each.

        Raises:
            SeqAssetsError: As `execute`.
        """
        done = self._all_done([*map(self._select, selects), *map(self._unload, unloads)])
        return [self._result(query_id).rows for query_id in done[: len(selects)]], done[len(selects) :]

    def result(self, sql: str, purpose: str = "") -> QueryResult:
        """The columns and all rows of a small result of a SELECT.

        Raises:
            SeqAssetsError: As `execute`.
        """
        return self._result(self.execute(sql, purpose).query_id)

    def _result(self, query_id: str) -> QueryResult:
        columns: tuple[ResultColumn, ...] = ()
        cells: list[list[dict[str, str]]] = []
        for page in self._pages(query_id):
            columns = tuple(ResultColumn(one["Name"], one["Type"]) for one in page["ResultSetMetadata"]["ColumnInfo"])
            cells.extend(row["Data"] for row in page["Rows"])
        names = [column.name for column in columns]
        # The first row of a SELECT holds the names.
        values = ([column.value(cell) for column, cell in zip(columns, row, strict=True)] for row in cells[1:])
        return QueryResult(columns, [dict(zip(names, row, strict=True)) for row in values])

    def rows(self, sql: str, purpose: str = "") -> list[dict[str, Any]]:
        """All rows of a small result of a SELECT, by column, as Python's values.

        Integers, floats, booleans, decimals and dates are those of Python; of all other types Athena shows a text.

        Raises:
            SeqAssetsError: As `execute`.
        """
        return self.result(sql, purpose).rows

    def taken(self) -> list[QueryStatistics]:
        """What each query took that succeeded since the last call; they are forgotten here."""
        taken, self.finished = self.finished, []
        return taken

    def require_workgroup(self) -> None:
        """Asks for the workgroup, before anything is done for queries that it would refuse.

        Raises:
            SettingsError: There is no such workgroup, it is disabled, or credentials are missing.
            RetryableError: Athena throttles or does not answer.
        """
        try:
            found = self._done(self._call("get_work_group", WorkGroup=self._workgroup))["WorkGroup"]
        except PermissionDeniedError:
            # Who may not look at a workgroup may still be allowed to run queries in it.
            return
        if found.get("State", "ENABLED") != "ENABLED":
            raise SettingsError(f"SEQ_ASSETS_WORKGROUP: found {self._workgroup!r}, which is disabled; enable it.")

    def console_link(self, query_id: str) -> str:
        """Where people see a query in the AWS console."""
        meta = self._client.meta
        console = _CONSOLES.get(meta.partition, "console.aws.amazon.com")
        return f"https://{console}/athena/home?region={meta.region_name}#/query-editor/history/{query_id}"

    def _done(self, work: Work[Result]) -> Result:
        [result] = self._all_done([work])
        return result

    def _all_done(self, works: Sequence[Work[Result]]) -> list[Result]:
        """What each work returns; they take turns, and wait together."""
        results: dict[int, Result] = {}
        pauses: dict[int, float] = {}
        numbers = iter(range(len(works)))
        with ExitStack() as given_up:
            if len(works) > 1:
                given_up.callback(self._await_stopped)
            # One that is done has nothing more to stop.
            for work in works:
                given_up.callback(work.close)
            while len(results) < len(works):
                pauses |= dict.fromkeys(islice(numbers, MOST_AT_A_TIME - len(pauses)), 0.0)
                shortest = min(pauses.values())
                if shortest > 0:
                    self._sleep(shortest)
                pauses = {number: pause - shortest for number, pause in pauses.items()}
                for number in [number for number, pause in pauses.items() if pause <= 0]:
                    try:
                        pauses[number] = next(works[number])
                    except StopIteration as done:
                        results[number] = done.value
                        del pauses[number]
        return [results[number] for number in range(len(works))]

    def _select(self, select: Select) -> Work[str]:
        statistics = yield from self._execute(lambda _: _commented(select.purpose, select.sql), select.purpose)
        return statistics.query_id

    def _unload(self, unload: Unload) -> Work[str]:
        tried: list[str] = []

        def statement(attempt: str) -> str:
            tried.append(f"{unload.folder.rstrip('/')}/{attempt}/")
            query = _commented(unload.purpose, unload.select)
            return f"UNLOAD ({query}) TO {text_literal(tried[-1])} WITH (format = 'PARQUET', compression = 'ZSTD')"

        yield from self._execute(statement, unload.purpose)
        return tried[-1]

    def _execute(self, statement: Callable[[str], str], purpose: str) -> Work[QueryStatistics]:
        """Runs a query, given by the name of its attempt, until an attempt succeeds or no other would help."""
        for number in count(1):
            attempt = uuid.uuid4().hex
            sql = statement(attempt)
            execution = yield from self._attempt(sql, attempt)
            if execution["Status"]["State"] == "SUCCEEDED":
                return self._recorded(execution, purpose)
            error = self._failure(execution, sql, number)
            if number == self._attempts or not isinstance(error, RetryableError):
                raise error
            logger.warning("%s It is started again.", error)
            yield _backoff(number)
        raise AssertionError("the last attempt returns or raises")

    def _attempt(self, sql: str, attempt: str) -> Work[dict[str, Any]]:
        """One query until it is over; whatever keeps us from waiting for that stops it."""
        refuse_if_too_long(sql)
        request: dict[str, Any] = {
            "QueryString": sql,
            # Athena answers the same request with the same query: an answer that is lost does not start a second one.
            "ClientRequestToken": attempt,
            "QueryExecutionContext": {"Database": self._database},
            "WorkGroup": self._workgroup,
        }
        if self._output_location is not None:
            request["ResultConfiguration"] = {"OutputLocation": self._output_location}
        query_id: str | None = None
        try:
            query_id = (yield from self._call("start_query_execution", **request))["QueryExecutionId"]
            return (yield from self._over(query_id, sql))
        except BaseException as error:
            with tidying():
                if query_id is not None:
                    self._stop(query_id)
                elif _is_unanswered(error):
                    self._stop_unseen(request)
            raise

    def _over(self, query_id: str, sql: str) -> Work[dict[str, Any]]:
        """The query in its final state, for which it is asked again and again, ever less often."""
        end, pause = self._clock() + self._timeout_seconds, _SHORTEST_PAUSE
        while True:
            execution = yield from self._known(query_id)
            if execution is not None and _is_over(execution):
                return execution
            left = end - self._clock()
            if left <= 0:
                seconds = f"{self._timeout_seconds:g}"
                if execution is None:
                    raise ThrottledError(
                        f"{self._named(query_id, sql)} was stopped after {seconds} seconds, because Athena has too many calls "
                        "of this account to say whether it is over. Try again later."
                    )
                raise QueryError(
                    f"{self._named(query_id, sql)} was not over after {seconds} seconds and was stopped; allowed: "
                    f"timeout_seconds of the Athena client, now {seconds}. Raise it, or see in the console whether the query "
                    "waited in the queue: then the workgroup needs more capacity."
                )
            yield min(pause, left)
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)

    def _known(self, query_id: str) -> Work[dict[str, Any] | None]:
        """What Athena knows of a query; None while it is too busy to say, which is no reason to give the query up."""
        try:
            answer = yield from self._call("get_query_execution", QueryExecutionId=query_id)
        except ThrottledError:
            return None
        execution: dict[str, Any] = answer["QueryExecution"]
        return execution

    def _stop(self, query_id: str) -> None:
        """Stops a query as well as it can: what made us stop it is told, not what came of that."""
        try:
            self._done(self._call("stop_query_execution", QueryExecutionId=query_id))
        except SeqAssetsError as error:
            logger.warning("Athena query %s could not be stopped: %s See %s", query_id, error, self.console_link(query_id))
        else:
            self._stopped.append(query_id)
            logger.info("Athena query %s was stopped: %s", query_id, self.console_link(query_id))

    def _await_stopped(self) -> None:
        """Waits a little for queries that were stopped: until they are over they may write files, which are to be removed."""
        stopped, self._stopped = self._stopped, []
        end = self._clock() + _STOPPING_SECONDS
        with tidying():
            try:
                while self._clock() < end and any(not _is_over(self._done(self._known(query_id))) for query_id in stopped):
                    self._sleep(_STOPPING_PAUSE)
            except SeqAssetsError as error:
                logger.warning("Athena does not say whether the queries that were stopped are over: %s", error)

    def _stop_unseen(self, request: dict[str, Any]) -> None:
        """Stops the query of a request whose answer did not come; asked again, Athena names the query that it has started."""
        try:
            query_id = self._done(self._call("start_query_execution", **request))["QueryExecutionId"]
        except SeqAssetsError as error:
            logger.warning("An Athena query may have been started that nobody waits for: %s", error)
        else:
            self._stop(query_id)

    def _recorded(self, execution: dict[str, Any], purpose: str) -> QueryStatistics:
        known, query_id = execution.get("Statistics", {}), execution["QueryExecutionId"]
        statistics = QueryStatistics(
            query_id=query_id,
            statement_type=execution.get("StatementType", "DML"),
            bytes_scanned=known.get("DataScannedInBytes", 0),
            queue_milliseconds=known.get("QueryQueueTimeInMillis", 0),
            engine_milliseconds=known.get("EngineExecutionTimeInMillis", 0),
            total_milliseconds=known.get("TotalExecutionTimeInMillis", 0),
            console_link=self.console_link(query_id),
            purpose=purpose,
        )
        self.finished.append(statistics)
        logger.info(
            "Athena query %s%s took %.1f seconds and scanned %d bytes: %s",
            query_id,
            f" ({purpose})" if purpose else "",
            statistics.total_milliseconds / 1000,
            statistics.bytes_scanned,
            statistics.console_link,
        )
        return statistics

    def _failure(self, execution: dict[str, Any], sql: str, number: int) -> QueryError:
        """What to tell of a query that ended without success."""
        status, named = execution["Status"], self._named(execution["QueryExecutionId"], sql)
        reason = status.get("StateChangeReason", "no reason is given")[:_LONGEST_REASON]
        if status["State"] == "CANCELLED":
            return QueryError(
                f"{named} was cancelled, not by this run: {reason} Either somebody stopped it, or it exceeded a limit of the "
                f"workgroup {self._workgroup!r} (SEQ_ASSETS_WORKGROUP)."
            )
        details = status.get("AthenaError", {})
        numbers = f"category {details.get('ErrorCategory', 'unknown')}, type {details.get('ErrorType', 'unknown')}"
        if details.get("Retryable") or "SlowDown" in reason:
            counted = f"attempt {number} of {self._attempts}"
            return PassingQueryError(f"{named} failed in {counted}: {reason} ({numbers}; it may pass).")
        remedy = ""
        if "SCHEMA_NOT_FOUND" in reason:
            remedy = f" The database of these queries is {self._database!r} (SEQ_ASSETS_DATABASE)."
        return QueryError(f"{named} failed: {reason} ({numbers}; another attempt would not help).{remedy}")

    def _named(self, query_id: str, sql: str) -> str:
        return f"Athena query {query_id}, {_head(sql)}, {self.console_link(query_id)}"

    def _pages(self, query_id: str) -> Iterator[dict[str, Any]]:
        arguments = {"QueryExecutionId": query_id}
        while True:
            answer = self._done(self._call("get_query_results", **arguments))
            yield answer["ResultSet"]
            if "NextToken" not in answer:
                return
            arguments["NextToken"] = answer["NextToken"]

    def _call(self, operation: str, **arguments: Any) -> Work[dict[str, Any]]:
        """One call, repeated while it is throttled or not answered, beyond boto3's own, few retries; each may be done twice."""
        for number in count(1):
            try:
                with clear_errors(self._workgroup):
                    answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
                    return answer
            except RetryableError:
                if number == self._attempts:
                    raise
            yield _backoff(number)
        raise AssertionError("the last attempt returns or raises")


@contextmanager
def clear_errors(workgroup: str) -> Iterator[None]:
    """Has errors of boto3 say which setting or service is to blame; also for where the boto3 client is made.

    Args:
        workgroup: The workgroup of the calls, for the message.

    Raises:
        SettingsError: Credentials, a region, permissions or the workgroup are missing.
        QueryError: Athena refuses the request.
        RetryableError: Athena throttles, or does not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _explained_refusal(error.response, error.operation_name, workgroup) from error
    except BotoCoreError as error:
        explained = _explained_trouble(error)
        if explained is None:
            raise
        raise explained from error


def _explained_refusal(response: Mapping[str, Any], operation: str, workgroup: str) -> SeqAssetsError:
    error = response.get("Error", {})
    code, message = error.get("Code", "unknown"), _first_line(error.get("Message", ""), _LONGEST_REASON)
    if code in _THROTTLING:
        return ThrottledError(f"Athena has too many calls or queries of this account ({operation}: {code}). Try again later.")
    if code in _EXPIRED:
        return SettingsError(
            f"The credentials for Athena have expired ({operation}: {code}); renew them, or {_CREDENTIALS_REMEDY}. Then run it "
            "again: what was published stands."
        )
    if code in _BAD_CREDENTIALS:
        # Athena's own message stays unsaid: it may repeat what was signed.
        return SettingsError(f"Athena does not accept the credentials ({operation}: {code}); {_CREDENTIALS_REMEDY}, valid now.")
    if code in _DENIED:
        return PermissionDeniedError(
            f"The credentials do not allow {operation} in the workgroup {workgroup!r} (SEQ_ASSETS_WORKGROUP): {message} Allow "
            "it in IAM, or choose others with AWS_PROFILE or AWS_ACCESS_KEY_ID."
        )
    if response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
        return RetryableError(f"Athena could not answer {operation}: {code}: {message}")
    if re.match(r"work ?group\b.*\bnot found", message, re.IGNORECASE):
        return SettingsError(f"SEQ_ASSETS_WORKGROUP: found {workgroup!r}; allowed: a workgroup of this account and region.")
    if re.search(r"output ?(location|bucket)", message, re.IGNORECASE):
        return SettingsError(
            f"SEQ_ASSETS_WORKGROUP: found {workgroup!r}, of which Athena says: {message} Results need a location on S3, of the "
            "workgroup or of this client, that the credentials can write."
        )
    return QueryError(f"Athena refuses {operation}: {code}: {message}")


def _explained_trouble(error: Exception) -> SeqAssetsError | None:
    """What hinders calls on this side of Athena; None for mistakes of the program."""
    from botocore import exceptions

    if isinstance(error, exceptions.ProfileNotFound):
        return SettingsError(f"AWS_PROFILE: {error}; allowed: a profile of ~/.aws/config.")
    if isinstance(error, exceptions.NoRegionError | exceptions.InvalidRegionError):
        return SettingsError(f"AWS_REGION: {error} Set it (or AWS_DEFAULT_REGION) to the region of the workgroup.")
    if isinstance(
        error,
        exceptions.NoCredentialsError
        | exceptions.PartialCredentialsError
        | exceptions.CredentialRetrievalError
        | exceptions.TokenRetrievalError
        | exceptions.SSOError,
    ):
        # The message may tell what the provider of credentials printed.
        return SettingsError(f"There are no credentials of AWS ({type(error).__name__}); {_CREDENTIALS_REMEDY}.")
    if isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError):
        return RetryableError(
            f"Athena does not answer ({type(error).__name__}). Try again later; if it lasts, check the network, AWS_REGION and "
            "AWS_ENDPOINT_URL."
        )
    return None


def _is_unanswered(error: BaseException) -> bool:
    """Whether a call may have been done although it raised: the answer was lost, or a signal came in its midst."""
    return not isinstance(error, Exception) or (isinstance(error, RetryableError) and not isinstance(error, ThrottledError))


def refuse_if_too_long(sql: str) -> None:
    """Refuses a statement that Athena would refuse for its length, without asking Athena.

    Raises:
        QueryError: With the limit.
    """
    size = len(sql.encode())
    if size > MAXIMUM_QUERY_BYTES:
        raise QueryError(
            f"{_head(sql)}: found a query of {size:,} bytes; allowed: {MAXIMUM_QUERY_BYTES:,}, Athena's limit. What a model "
            "declares stands in its queries: fewer columns, or shorter lists of values (is_in, split), shorten them."
        )


def _is_over(execution: Mapping[str, Any] | None) -> bool:
    """Whether a query is in its final state, as far as it is known."""
    return execution is not None and execution["Status"]["State"] in _FINAL_STATES


def _commented(purpose: str, sql: str) -> str:
    """A statement after a comment that says what it is for."""
    return f"/* {purpose} */ {sql.strip()}" if purpose else sql


def _backoff(number: int) -> float:
    return min(_FIRST_BACKOFF * 2.0 ** (number - 1), _LONGEST_BACKOFF)


def _head(sql: str) -> str:
    """The beginning of a statement, to know it again, without the values in it, which may be personal."""
    return "`" + _first_line(re.sub(r"'(?:[^']|'')*(?:'|$)", "'…'", sql), _LONGEST_HEAD) + "`"


def _first_line(text: str, most: int) -> str:
    first, *others = text.strip().splitlines() or [""]
    return first if len(first) <= most and not others else first[:most] + "…"
