"""The Athena API on the wire: JSON 1.1 in, JSON 1.1 out, with Athena's checks and Athena's errors.

Belongs here: operations, their parameters and their answers. Not here: what a query does, and HTTP itself.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seq_assets_tests.athena.errors import RequestRefusedError
from seq_assets_tests.athena.faults import CallFault, Faults
from seq_assets_tests.athena.queries import FINAL_STATES, Execution, Executions
from seq_assets_tests.athena.results import MAXIMUM_PAGE
from seq_assets_tests.athena.statements import CreateExternalTable, DropTable, Query, Statement, statement_of

# Athena has one catalog; clients write it in any case.
DATA_CATALOG = "AwsDataCatalog"
ENGINE_VERSION = {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"}
_MAXIMUM_BATCH = 50
_START_PARAMETERS = {
    "QueryString",
    "ClientRequestToken",
    "QueryExecutionContext",
    "ResultConfiguration",
    "WorkGroup",
}
Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class WorkGroup:
    """A workgroup: where results go when the caller does not say, or even if the caller says."""

    name: str
    output_location: str | None = None
    is_enforced: bool = False


class AthenaApi:
    """Answers requests; knows its workgroups, its queries, and the tokens that it has seen."""

    def __init__(self, executions: Executions, faults: Faults, workgroups: list[WorkGroup]) -> None:
        """No request yet. As in every account there is the workgroup `primary`, here without an output location."""
        self._executions, self._faults = executions, faults
        self._workgroups = {workgroup.name: workgroup for workgroup in (WorkGroup("primary"), *workgroups)}
        self._lock = threading.Lock()
        self._started: dict[str, tuple[dict[str, Any], str]] = {}
        self._operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "StartQueryExecution": self._start_query_execution,
            "GetQueryExecution": self._get_query_execution,
            "BatchGetQueryExecution": self._batch_get_query_execution,
            "StopQueryExecution": self._stop_query_execution,
            "GetQueryResults": self._get_query_results,
            "GetWorkGroup": self._get_work_group,
        }

    def answer(self, operation: str, body: bytes, authorization: str = "") -> Answer:
        """The status and the content of the answer to one request, which may name the key that it is signed with."""
        fault = self._faults.of_call(operation, authorization)
        try:
            if fault and fault.code:
                raise _refused(fault)
            if operation not in self._operations:
                raise RequestRefusedError(f"this stack does not know {operation}", code="UnknownOperationException")
            content = self._operations[operation](_parsed(body))
            if fault:
                raise RequestRefusedError("the answer was lost", code="InternalServerException", status=500)
        except RequestRefusedError as error:
            return error.status, {"__type": error.code, "message": str(error), **error.details}
        return 200, content

    def _start_query_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        if unknown := sorted(set(request) - _START_PARAMETERS):
            raise _invalid(f"this stack does not know {', '.join(unknown)}")
        statement = statement_of(_required(request, "QueryString"))
        workgroup = self._workgroup(request.get("WorkGroup", "primary"))
        output_folder = _output_folder(request, workgroup)
        context = request.get("QueryExecutionContext", {})
        catalog = context.get("Catalog", DATA_CATALOG)
        if catalog.lower() != DATA_CATALOG.lower():
            raise _invalid(f"Catalog {catalog} is not found.")
        execution = Execution(
            text=request["QueryString"],
            statement=statement,
            database=context.get("Database", "default").lower(),
            catalog=catalog.lower(),
            workgroup=workgroup.name,
            output_folder=output_folder,
        )
        with self._lock:
            token = request.get("ClientRequestToken")
            if token in self._started:
                known, identifier = self._started[token]
                if known != request:
                    raise _invalid("Idempotent parameters do not match")
                return {"QueryExecutionId": identifier}
            if token is not None:
                self._started[token] = (request, execution.id)
            self._executions.start(execution)
        return {"QueryExecutionId": execution.id}

    def _get_query_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"QueryExecution": _shown(self._found(request))}

    def _batch_get_query_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        identifiers = _required(request, "QueryExecutionIds")
        if not 1 <= len(identifiers) <= _MAXIMUM_BATCH:
            raise _invalid(f"QueryExecutionIds has between 1 and {_MAXIMUM_BATCH} members.")
        found = {identifier: self._executions.find(identifier) for identifier in identifiers}
        return {
            "QueryExecutions": [_shown(execution) for execution in found.values() if execution],
            "UnprocessedQueryExecutionIds": [
                {
                    "QueryExecutionId": identifier,
                    "ErrorCode": "INTERNAL_FAILURE",
                    "ErrorMessage": f"QueryExecution {identifier} was not found",
                }
                for identifier, execution in found.items()
                if execution is None
            ],
        }

    def _stop_query_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        self._found(request).stopped.set()
        return {}

    def _get_query_results(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._found(request)
        if not execution.is_over:
            raise _invalid(f"Query has not yet finished. Current state: {execution.state}")
        if execution.state != "SUCCEEDED":
            raise _invalid(f"Query did not finish successfully. Final query state: {execution.state}")
        return execution.result.page(request.get("NextToken"), request.get("MaxResults", MAXIMUM_PAGE))

    def _get_work_group(self, request: dict[str, Any]) -> dict[str, Any]:
        workgroup = self._workgroup(_required(request, "WorkGroup"))
        location = {"OutputLocation": workgroup.output_location} if workgroup.output_location else {}
        configuration = {
            "ResultConfiguration": location,
            "EnforceWorkGroupConfiguration": workgroup.is_enforced,
            "PublishCloudWatchMetricsEnabled": False,
            "RequesterPaysEnabled": False,
            "EngineVersion": ENGINE_VERSION,
        }
        return {"WorkGroup": {"Name": workgroup.name, "State": "ENABLED", "Configuration": configuration}}

    def _found(self, request: dict[str, Any]) -> Execution:
        identifier = _required(request, "QueryExecutionId")
        execution = self._executions.find(identifier)
        if execution is None:
            raise _invalid(f"QueryExecution {identifier} was not found")
        return execution

    def _workgroup(self, name: str) -> WorkGroup:
        if name not in self._workgroups:
            raise _invalid("WorkGroup is not found.")
        return self._workgroups[name]


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body or b"{}")
    except ValueError as error:
        raise RequestRefusedError(str(error), code="SerializationException") from error
    if not isinstance(request, dict):
        raise RequestRefusedError("the request is no JSON object", code="SerializationException")
    return request


def _required(request: dict[str, Any], name: str) -> Any:
    if name not in request:
        raise _invalid(
            f"1 validation error detected: Value at '{name[0].lower()}{name[1:]}' failed to satisfy constraint: "
            "Member must not be null"
        )
    return request[name]


def _invalid(message: str) -> RequestRefusedError:
    return RequestRefusedError(message, AthenaErrorCode="INVALID_INPUT")


def _refused(fault: CallFault) -> RequestRefusedError:
    if fault.code == "TooManyRequestsException":
        return RequestRefusedError(
            "You have exceeded the limit for the number of queries you can run concurrently.",
            code=fault.code,
            Reason="CONCURRENT_QUERY_LIMIT_EXCEEDED",
        )
    return RequestRefusedError(fault.message, code=str(fault.code), status=fault.status)


def _output_folder(request: dict[str, Any], workgroup: WorkGroup) -> str:
    asked = request.get("ResultConfiguration", {}).get("OutputLocation")
    location = workgroup.output_location if workgroup.is_enforced or not asked else asked
    if not location:
        raise _invalid(
            "No output location provided. An output location is required either through the Workgroup result "
            "configuration setting or as an API input."
        )
    if not location.startswith("s3://"):
        raise _invalid(f"outputLocation is not a valid S3 path: {location}")
    return str(location).rstrip("/") + "/"


def _statement_type(statement: Statement) -> str:
    if isinstance(statement, CreateExternalTable | DropTable):
        return "DDL"
    return "UTILITY" if isinstance(statement, Query) and statement.kind == "EXPLAIN" else "DML"


def _shown(execution: Execution) -> dict[str, Any]:
    """GetQueryExecution's view of a query. The state is read first: what is read after a final one is final."""
    state = execution.state
    is_over = state in FINAL_STATES
    status: dict[str, Any] = {"State": state, "SubmissionDateTime": execution.submitted}
    if is_over:
        status["CompletionDateTime"] = execution.completed
    if is_over and execution.reason:
        status["StateChangeReason"] = execution.reason
    if state == "FAILED" and execution.error is not None:
        status["AthenaError"] = {
            "ErrorCategory": execution.error.category,
            "ErrorType": execution.error.error_type,
            "Retryable": execution.error.retryable,
            "ErrorMessage": execution.reason,
        }
    return {
        "QueryExecutionId": execution.id,
        "Query": execution.text,
        "StatementType": _statement_type(execution.statement),
        "SubstatementType": execution.statement.kind,
        "ResultConfiguration": {"OutputLocation": execution.output_location},
        "QueryExecutionContext": {"Database": execution.database, "Catalog": execution.catalog},
        "Status": status,
        "Statistics": _statistics(execution, is_over),
        "WorkGroup": execution.workgroup,
        "EngineVersion": ENGINE_VERSION,
    }


def _statistics(execution: Execution, is_over: bool) -> dict[str, Any]:
    submitted, started, completed = execution.submitted, execution.started, execution.completed
    statistics: dict[str, Any] = {"DataScannedInBytes": execution.scanned_bytes}
    if is_over and completed is not None:
        begun = started if started is not None else completed
        statistics |= {
            "EngineExecutionTimeInMillis": round(1000 * (completed - begun)),
            "QueryQueueTimeInMillis": round(1000 * (begun - submitted)),
            "TotalExecutionTimeInMillis": round(1000 * (completed - submitted)),
        }
        if execution.state == "SUCCEEDED" and execution.manifest_location:
            statistics["DataManifestLocation"] = execution.manifest_location
    return statistics
