"""The stack as a whole: what is started in which order, what it is called, and that it leaves nothing behind.

Belongs here: putting the parts together. Not here: any part.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from seq_assets_tests.athena.api import AthenaApi, WorkGroup
from seq_assets_tests.athena.aws import REGION, Clients, Endpoint
from seq_assets_tests.athena.faults import Faults
from seq_assets_tests.athena.queries import Executions
from seq_assets_tests.athena.trino import Trino, cache_folder, installed

BUCKET, PREFIX, DATABASE, WORKGROUP = "seq-assets", "platform", "seq_assets_prod", "seq_assets"


class Stack:
    """S3, Glue and Athena on this machine, from entry to exit of the context."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        self.faults = Faults()
        self.settings: dict[str, str] = {}
        self.trino: Trino | None = None
        self._parts = ExitStack()

    def __enter__(self) -> Self:
        """Start everything; what was started is stopped again if a later part fails."""
        with ExitStack() as parts:
            parts.enter_context(_without_a_profile())
            home = installed(cache_folder())
            folder = parts.enter_context(tempfile.TemporaryDirectory(prefix="seq_assets_athena_", ignore_cleanup_errors=True))
            endpoint = parts.enter_context(Endpoint(self.faults))
            self.settings = _settings(endpoint.url)
            clients = Clients(self.settings)
            clients.make(BUCKET, DATABASE)
            trino = parts.enter_context(Trino(home, Path(folder), self.settings))
            self.trino = trino
            executions = Executions(trino, clients, clients, self.faults)
            parts.callback(executions.stop_all)
            workgroup = WorkGroup(WORKGROUP, f"s3://{BUCKET}/athena-results/")
            endpoint.api = AthenaApi(executions, self.faults, [workgroup])
            self._parts = parts.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Stop everything, last started first."""
        self._parts.close()


@contextmanager
def _without_a_profile() -> Iterator[None]:
    """The user's AWS profile is out of sight: moto asks for it in this process, where it may not exist."""
    profiles = {name: os.environ.pop(name) for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE") if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(profiles)


def _settings(url: str) -> dict[str, str]:
    """The environment variables that point a program at the stack."""
    return {
        "SEQ_ASSETS_ENV": "prod",
        "SEQ_ASSETS_BUCKET": BUCKET,
        "SEQ_ASSETS_PREFIX": PREFIX,
        "SEQ_ASSETS_DATABASE": DATABASE,
        "SEQ_ASSETS_WORKGROUP": WORKGROUP,
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        # Else clients that look for further credentials wait for a machine that is not there.
        "AWS_EC2_METADATA_DISABLED": "true",
    }
