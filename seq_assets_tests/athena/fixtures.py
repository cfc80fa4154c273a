"""The stack for tests that need it, started once, and a client that says what tests want to say.

Belongs here: what tests of every folder can use. A `conftest.py` that imports the fixtures gives them to the tests below it.
"""

import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

# Tests without the stack run on machines without what it needs.
if TYPE_CHECKING:
    from seq_assets_tests.athena.stack import Stack

PATIENCE_SECONDS = 60
SHOWN_AT_THE_END = "shown at the end"
"""The property of a test whose text the run shows, because what a test of another process prints is lost."""


class AthenaClient:
    """boto3 against the stack, without retries, and what tests do again and again."""

    def __init__(self, stack: "Stack") -> None:
        """A client of its own, with a name and a folder that no other has."""
        import boto3
        from botocore.config import Config

        session = boto3.Session(
            aws_access_key_id=stack.settings["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=stack.settings["AWS_SECRET_ACCESS_KEY"],
            region_name=stack.settings["AWS_REGION"],
        )
        settings: dict[str, Any] = {
            "endpoint_url": stack.settings["AWS_ENDPOINT_URL"],
            "config": Config(retries={"total_max_attempts": 1}),
        }
        self.faults = stack.faults
        self.settings = dict(stack.settings)
        self.athena, self.s3, self.glue = (session.client(name, **settings) for name in ("athena", "s3", "glue"))
        self.bucket, self.database = stack.settings["SEQ_ASSETS_BUCKET"], stack.settings["SEQ_ASSETS_DATABASE"]
        # Files and tables of one test are not another's.
        self.unique = f"test_{uuid.uuid4().hex[:12]}"
        self.folder = f"s3://{self.bucket}/{self.unique}"

    def start(self, sql: str, **arguments: Any) -> str:
        """Start a query in the database and the workgroup of the settings."""
        arguments = {
            "WorkGroup": self.settings["SEQ_ASSETS_WORKGROUP"],
            "QueryExecutionContext": {"Database": self.database},
        } | arguments
        identifier: str = self.athena.start_query_execution(QueryString=sql, **arguments)["QueryExecutionId"]
        return identifier

    def execution(self, identifier: str) -> dict[str, Any]:
        """What is known of a query now."""
        execution: dict[str, Any] = self.athena.get_query_execution(QueryExecutionId=identifier)["QueryExecution"]
        return execution

    def state(self, identifier: str) -> str:
        """A query's state now."""
        return str(self.execution(identifier)["Status"]["State"])

    def wait(self, identifier: str, *states: str) -> dict[str, Any]:
        """Wait for a state, a final one if none is named."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            execution = self.execution(identifier)
            if execution["Status"]["State"] in (states or ("SUCCEEDED", "FAILED", "CANCELLED")):
                return execution
            time.sleep(0.02)
        raise AssertionError(f"still {self.state(identifier)}")

    def run(self, sql: str) -> dict[str, Any]:
        """Run a query that must succeed."""
        execution = self.wait(self.start(sql))
        assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
        return execution

    def rows(self, sql: str) -> list[list[str | None]]:
        """The rows of a query, without the header."""
        identifier = self.run(sql)["QueryExecutionId"]
        answer = self.athena.get_query_results(QueryExecutionId=identifier)
        return texts(answer)[1:]

    def failure(self, sql: str) -> dict[str, Any]:
        """Run a query that must fail; its status."""
        execution = self.wait(self.start(sql))
        assert execution["Status"]["State"] == "FAILED", execution["Status"]
        status: dict[str, Any] = execution["Status"]
        return status

    def content(self, location: str) -> bytes:
        """What an object on S3 holds."""
        bucket, key = location.removeprefix("s3://").split("/", 1)
        content: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def files(self, location: str) -> list[str]:
        """The objects below a location."""
        bucket, prefix = location.removeprefix("s3://").split("/", 1)
        found = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        return [f"s3://{bucket}/{one['Key']}" for one in found]


def texts(answer: dict[str, Any]) -> list[list[str | None]]:
    """The rows of GetQueryResults' answer."""
    return [[cell.get("VarCharValue") for cell in row["Data"]] for row in answer["ResultSet"]["Rows"]]


@pytest.fixture(scope="session")
def athena_stack() -> "Iterator[Stack]":
    """The stack; starting it takes half a minute, so all tests share it."""
    from seq_assets_tests.athena.stack import Stack

    with Stack() as stack:
        yield stack


@pytest.fixture
def athena(athena_stack: "Stack") -> Iterator[AthenaClient]:
    """A client of the stack, with no fault switched on before or after."""
    athena_stack.faults.clear()
    yield AthenaClient(athena_stack)
    athena_stack.faults.clear()


@pytest.fixture
def production(athena: AthenaClient, monkeypatch: pytest.MonkeyPatch) -> AthenaClient:
    """The environment of this test is production on the stack, with a database and a prefix that no other test has."""
    athena.database = athena.unique
    athena.settings |= {"SEQ_ASSETS_DATABASE": athena.unique, "SEQ_ASSETS_PREFIX": athena.unique}
    athena.glue.create_database(DatabaseInput={"Name": athena.database})
    for name, value in athena.settings.items():
        monkeypatch.setenv(name, value)
    return athena
