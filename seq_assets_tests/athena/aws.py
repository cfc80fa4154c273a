"""S3 and Glue on this machine, and the one endpoint in front of them and of Athena.

Belongs here: everything that knows moto, boto3 and HTTP. Not here: what Athena does.
"""

import io
import json
import logging
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.exceptions import ClientError
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from seq_assets_tests.athena.api import AthenaApi
from seq_assets_tests.athena.errors import QueryFailedError, StackFailedError
from seq_assets_tests.athena.faults import Faults
from seq_assets_tests.athena.s3_faults import StartResponse, damaged, operation_of, refused
from seq_assets_tests.athena.statements import CreateExternalTable, bucket_and_key

CONTROL_PATH = "/_control"
REGION = "us-east-1"
_ATHENA, _GLUE = "AmazonAthena.", "AWSGlue."
_ANSWER_TYPE = "application/x-amz-json-1.1"
_PARQUET_INPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
_PARQUET_OUTPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
_PARQUET_SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
_ONE_AT_A_TIME = threading.Lock()


class Endpoint:
    """One HTTP server for S3, Glue, Athena and the switches for faults; it serves from entry to exit."""

    def __init__(self, faults: Faults) -> None:
        """A free port is taken at once; `api` is set before the first request to Athena."""
        self.api: AthenaApi | None = None
        self._faults = faults
        # moto looks and then acts, without a lock; in Glue, one of two that act at once must learn of the other.
        self._glue_lock = threading.Lock()
        self._aws = DomainDispatcherApplication(create_backend_app)
        # One line per request would hide everything else.
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server("127.0.0.1", 0, self._application, threaded=True, request_handler=MotoRequestHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="aws-endpoint", daemon=True)

    @property
    def url(self) -> str:
        """The address for AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Serve; moto keeps its state in the process, so there is one endpoint at a time."""
        if not _ONE_AT_A_TIME.acquire(blocking=False):
            raise StackFailedError("there is a stack in this process already")
        _forget_everything()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Stop serving, give the port back, and forget all buckets and tables."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        _forget_everything()
        _ONE_AT_A_TIME.release()

    def _application(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if environ["PATH_INFO"] == CONTROL_PATH:
            return _answered(start_response, *self._control(environ))
        if target.startswith(_ATHENA):
            assert self.api is not None, "the stack sets the API before it gives the address away"
            authorization = environ.get("HTTP_AUTHORIZATION", "")
            return _answered(start_response, *self.api.answer(target.removeprefix(_ATHENA), _body(environ), authorization))
        if target.startswith(_GLUE):
            with self._glue_lock:
                return self._glue(target.removeprefix(_GLUE), environ, start_response)
        return self._s3(environ, start_response)

    def _s3(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """S3 is moto's, but for the faults."""
        operation = operation_of(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING", ""))
        fault = self._faults.of_call(f"s3:{operation}", environ.get("HTTP_AUTHORIZATION", ""))
        if fault and fault.code:
            _body(environ)
            return refused(start_response, fault)
        if fault:
            return damaged(self._aws, environ, start_response, fault.damage)
        answer: Iterable[bytes] = self._aws(environ, start_response)
        return answer

    def _glue(self, operation: str, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Glue is moto's, but for the faults, what moto lacks, and a lost race, which moto does not notice."""
        fault = self._faults.of_call(f"glue:{operation}", environ.get("HTTP_AUTHORIZATION", ""))
        if fault and fault.code:
            return _answered(start_response, fault.status, {"__type": fault.code, "message": fault.message})
        if "ColumnStatistics" in operation:
            return _answered(start_response, 200, {"ColumnStatisticsList": [], "Errors": []})
        body = _body(environ)
        if operation == "UpdateTable" and _is_outdated(json.loads(body)):
            message = "Update table failed due to concurrent modifications."
            return _answered(start_response, 400, {"__type": "ConcurrentModificationException", "message": message})
        environ["wsgi.input"] = io.BytesIO(body)
        if fault:
            self._aws(environ, lambda status, headers: None)
            return _answered(start_response, 500, {"__type": "InternalServiceException", "message": "the answer was lost"})
        answer: Iterable[bytes] = self._aws(environ, start_response)
        return answer

    def _control(self, environ: dict[str, Any]) -> tuple[int, Any]:
        """GET shows what is switched on, POST switches on, DELETE switches everything off."""
        try:
            if environ["REQUEST_METHOD"] == "POST":
                self._faults.switch(json.loads(_body(environ)))
            elif environ["REQUEST_METHOD"] == "DELETE":
                self._faults.clear()
        except (AttributeError, TypeError, ValueError) as error:
            return 400, {"message": str(error)}
        return 200, self._faults.switched_on()


def _body(environ: dict[str, Any]) -> bytes:
    content: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return content


def _answered(start_response: StartResponse, status: int, content: Any) -> Iterable[bytes]:
    body = json.dumps(content).encode()
    start_response(
        f"{status} {'OK' if status == 200 else 'Error'}", [("Content-Type", _ANSWER_TYPE), ("Content-Length", str(len(body)))]
    )
    return [body]


def _is_outdated(update: dict[str, Any]) -> bool:
    """Whether the table has another version by now than the one that an update is meant for."""
    expected = update.get("VersionId")
    if expected is None:
        return False
    database = get_backend("glue")[DEFAULT_ACCOUNT_ID][REGION].databases.get(update["DatabaseName"])
    table = database and database.tables.get(update["TableInput"]["Name"])
    return table is not None and table.as_dict()["VersionId"] != expected


def _forget_everything() -> None:
    for service in ("s3", "glue"):
        for account in get_backend(service).values():
            for backend in account.values():
                backend.reset()


class Clients:
    """The stack's own access to its S3 and its Glue."""

    def __init__(self, settings: dict[str, str]) -> None:
        """The settings are those of the environment that the stack prints."""
        session = boto3.Session(
            aws_access_key_id=settings["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
            region_name=settings["AWS_REGION"],
        )
        self._s3 = session.client("s3", endpoint_url=settings["AWS_ENDPOINT_URL"])
        self._glue = session.client("glue", endpoint_url=settings["AWS_ENDPOINT_URL"])

    def make(self, bucket: str, database: str) -> None:
        """The bucket and the database that everything else expects."""
        self._s3.create_bucket(Bucket=bucket)
        self._glue.create_database(DatabaseInput={"Name": database})

    def write(self, location: str, content: bytes) -> None:
        """Write one object."""
        bucket, key = bucket_and_key(location)
        try:
            self._s3.put_object(Bucket=bucket, Key=key, Body=content)
        except ClientError as error:
            raise _unusable(location, error) from error

    def objects(self, prefix: str) -> list[str]:
        """The locations of all objects below a prefix, in order."""
        bucket, key = bucket_and_key(prefix)
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
        try:
            return [f"s3://{bucket}/{found['Key']}" for page in pages for found in page.get("Contents", ())]
        except ClientError as error:
            raise _unusable(prefix, error) from error

    def create_table(self, database: str, statement: CreateExternalTable) -> None:
        """Register an external table, as Athena does: an operation of Glue alone."""
        table = {
            "Name": statement.name,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"EXTERNAL": "TRUE", **statement.properties},
            "PartitionKeys": [{"Name": name, "Type": hive_type} for name, hive_type in statement.partitions],
            "StorageDescriptor": {
                "Columns": [{"Name": name, "Type": hive_type} for name, hive_type in statement.columns],
                "Location": statement.location,
                "InputFormat": _PARQUET_INPUT,
                "OutputFormat": _PARQUET_OUTPUT,
                "SerdeInfo": {"SerializationLibrary": _PARQUET_SERDE, "Parameters": {"serialization.format": "1"}},
            },
        }
        try:
            self._glue.create_table(DatabaseName=database, TableInput=table)
        except self._glue.exceptions.AlreadyExistsException as error:
            if not statement.if_not_exists:
                raise QueryFailedError(f"FAILED: Execution Error, AlreadyExistsException: {error}") from error
        except self._glue.exceptions.EntityNotFoundException as error:
            raise QueryFailedError(f"FAILED: SemanticException [Error 10072]: Database does not exist: {database}") from error


def _unusable(location: str, error: ClientError) -> QueryFailedError:
    return QueryFailedError(f"Unable to use the location {location}: {error}")
