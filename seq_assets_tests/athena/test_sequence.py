"""`sequence` wherever its data set is and its result goes, in every environment: the same rows, and nothing else is left.

Belongs here: what needs S3, or Athena too. Not here: the command's arguments (`cli/test_sequence.py`), how results are put in
place (`test_s3_delivery.py`).
"""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from seq_assets.environments import current_environment
from seq_assets_tests.athena.fixtures import AthenaClient
from seq_assets_tests.athena.object_storage import ObjectStorage, object_storage, s3_endpoint
from seq_assets_tests.athena.test_s3_delivery import refused
from seq_assets_tests.cli.running import PATIENT, run
from seq_assets_tests.warehouse import processes
from seq_assets_tests.warehouse.building import Workspace

pytestmark = pytest.mark.athena
__all__ = ["object_storage", "s3_endpoint"]

ROWS = [(pupil, time, 10 * (pupil % 7) + time) for pupil in range(1, 13) for time in range(1, 2 + pupil % 5)]
RECORDS = "".join(f"{pupil},{time},{item}\n" for pupil, time, item in ROWS)
FOLDERS = ["train_sequenced_3", "validation_sequenced_3", "vocabulary"]
STOPPED_IN_THE_MIDST = """
import os, threading, time
from seq_assets import cli
from seq_assets.cli import stopping
from seq_assets.warehouse.storage.uploads import Upload
heard, end, complete = threading.Event(), stopping._end, Upload.complete
def hearing(*arguments):
    heard.set()
    end(*arguments)
def told_to_stop(upload):
    if not heard.is_set():
        os.kill(os.getpid(), NUMBER)
    assert heard.wait(100)
    time.sleep(0.2)
    complete(upload)
stopping._end, Upload.complete, cli._seconds_to_stop = hearing, told_to_stop, lambda: 0.0
cli.main()
"""
"""The command, told to stop in the midst of what must not be torn, and with no time to end."""


@dataclass(frozen=True)
class Store:
    """A part of a store that a test has alone.

    Attributes:
        client: boto3's.
        bucket: The bucket.
        prefix: Below which everything of the test is; empty for the bucket, else with a slash at its end.
    """

    client: Any
    bucket: str
    prefix: str

    @property
    def address(self) -> str:
        """Without a slash at its end."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def put(self, name: str, content: str) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"{self.prefix}{name}", Body=content.encode())

    def read(self) -> dict[str, bytes]:
        """All objects, by the rest of their keys."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
        return {
            key.removeprefix(self.prefix): self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys
        }

    def uploads(self) -> int:
        """How many are neither completed nor given up."""
        found = self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ())
        return sum(one["Key"].startswith(self.prefix) for one in found)


@pytest.fixture
def data(workspace: Workspace, tmp_path: Path) -> Path:
    """A data set on this machine, and the model `plain` that reads it, whose items are encoded."""
    workspace.sequence_model(
        features={"item": {"encode": "vocabulary"}}, split={"strategy": "entity_hash", "validation_fraction": 0.4}
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "answers.csv").write_text(f"pupil,time,item\n{RECORDS}", encoding="utf-8")
    return tmp_path / "data"


def arguments(location: str | Path, out: str | Path) -> list[str]:
    """Of the command."""
    places = ["--s3_data_location", str(location), "--output_s3_location", str(out)]
    return ["sequence", *places, "--sequence_length", "3", "--model", "plain"]


def rows_here(out: Path) -> dict[str, list[dict[str, Any]]]:
    return rows({str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()})


def rows(files: dict[str, bytes]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each folder's files, in the order of the table."""
    found: dict[str, list[dict[str, Any]]] = {folder: [] for folder in {name.rsplit("/", maxsplit=1)[0] for name in files}}
    for name, content in files.items():
        found[name.rsplit("/", maxsplit=1)[0]] += pq.ParquetFile(io.BytesIO(content)).read().to_pylist()
    return {folder: sorted(some, key=lambda row: tuple(row.values())[:2]) for folder, some in found.items()}


@pytest.fixture
def expected(data: Path, tmp_path: Path) -> dict[str, list[dict[str, Any]]]:
    """What a laptop makes of the data set."""
    with pytest.MonkeyPatch.context() as laptop:
        laptop.setenv("SEQ_ASSETS_ENV", "local")
        run(*arguments(data, tmp_path / "expected"))
    found = rows_here(tmp_path / "expected")
    assert sorted(found) == FOLDERS
    assert {row["pupil"] for row in found["train_sequenced_3"] + found["validation_sequenced_3"]} == set(range(1, 13))
    return found


def sequence_everywhere(store: Store, data: Path, tmp_path: Path, reads: str, writes: str) -> dict[str, list[dict[str, Any]]]:
    """Runs the command twice, which leaves one result; the rows of that. Nothing else may be there.

    The result is below folders that look like columns of it, and change none.
    """
    location = {"local": str(data), "s3": f"{store.address}/data/", "glue": f"glue://{store.prefix.rstrip('/')}/answers"}[reads]
    folder = "out/item=9/pupil=3"
    out = str(tmp_path / folder) if writes == "local" else f"{store.address}/{folder}"
    for name in ("data/answers.csv", "table/answers.csv"):
        content = (data / "answers.csv").read_text(encoding="utf-8")
        store.put(name, content if name.startswith("data") else RECORDS)
    inputs = set(store.read())
    for _ in range(2):
        shown = run(*arguments(location, out)).stdout.splitlines()
        assert shown[0] == f"s3_data_location: {location}"
        assert shown[-3:] == [f"{out}/{folder}" for folder in FOLDERS]
    below = {key.removeprefix(f"{folder}/"): content for key, content in store.read().items() if key not in inputs}
    found = rows_here(tmp_path / folder) if writes == "local" else rows(below)
    assert {key.split("/")[0] for key in below} == (set(FOLDERS) if writes == "s3" else set())
    assert store.uploads() == 0
    assert not (tmp_path / "home").exists(), "it keeps no tables"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".", "tmp"))] == []
    return found


# On this machine


@pytest.fixture
def store(object_storage: ObjectStorage) -> Store:
    """S3 without Glue and Athena."""
    return Store(object_storage.client, object_storage.bucket, "")


@pytest.mark.parametrize("writes", ["local", "s3"])
@pytest.mark.parametrize("reads", ["local", "s3"])
@pytest.mark.parametrize("environment", ["local", "staging"])
def test_this_machine_reads_and_writes_here_and_on_s3(
    environment: str,
    reads: str,
    writes: str,
    store: Store,
    data: Path,
    expected: dict[str, list[dict[str, Any]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEQ_ASSETS_ENV", environment)
    monkeypatch.setenv("SEQ_ASSETS_BUCKET", store.bucket)
    assert sequence_everywhere(store, data, tmp_path, reads, writes) == expected


@pytest.mark.parametrize(
    ("location", "out"), [("data/", "data/out"), ("data", "data"), ("data/*/*", "data"), ("out/train_sequenced_3", "out")]
)
def test_what_would_read_its_own_output_on_s3_is_refused(location: str, out: str, store: Store, data: Path) -> None:
    store.put("data/answers.csv", "pupil,time,item\n1,1,10\n")
    message = run(*arguments(f"{store.address}/{location}", f"{store.address}/{out}"), code=1).stderr
    assert f"'{store.address}/{out}/train_sequenced_3' will be written, and is read as part of" in message
    assert list(store.read()) == ["data/answers.csv"]


@pytest.mark.usefixtures("data")
def test_the_place_of_the_output_may_hold_other_things(store: Store) -> None:
    store.put("answers.csv", "pupil,time,item\n1,1,10\n")
    run(*arguments(f"{store.address}/answers.csv", store.address))
    assert {key.split("/")[0] for key in store.read()} == {"answers.csv", *FOLDERS}


def test_credentials_that_may_nothing_are_one_sentence(object_storage: ObjectStorage, store: Store, data: Path) -> None:
    with object_storage.refusing():
        message = run(*arguments(data, f"{store.address}/out"), code=1).stderr
    assert f"'{store.address}/out/train_sequenced_3/' cannot be used: the credentials are refused" in message
    assert message.count("\n") == 1


@pytest.mark.usefixtures("interruptible", "store")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_waits_until_the_result_is_in_place(
    number: signal.Signals, code: int, store: Store, data: Path, expected: dict[str, list[dict[str, Any]]]
) -> None:
    run(*arguments(data, f"{store.address}/out"))
    before = set(store.read())
    program = STOPPED_IN_THE_MIDST.replace("NUMBER", str(int(number)))
    command = [sys.executable, "-c", program, *arguments(data, f"{store.address}/out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert f"Stopped when {data} was sequenced already: what is new is in {store.address}/out, whole." in done.stderr
    after = store.read()
    assert not before & set(after)
    assert rows({key.removeprefix("out/"): content for key, content in after.items()}) == expected
    assert store.uploads() == 0


@pytest.mark.usefixtures("interruptible")
def test_a_signal_while_this_machine_computes_leaves_what_stood(store: Store, data: Path, tmp_path: Path) -> None:
    run(*arguments(data, f"{store.address}/out"))
    before = store.read()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    many = "".join(f"{number % 9973},{number},{number % 97}\n" for number in range(300_000))
    (data / "answers.csv").write_text(f"pupil,time,item\n{many}", encoding="utf-8")

    def reads() -> bool:
        return any(temporary.glob("*/scratch/*"))

    ended, shown = interrupted(
        PATIENT, arguments(data, f"{store.address}/out"), signal.SIGINT, reads, {"TMPDIR": str(temporary)}
    )
    assert (ended, "Traceback" in shown) == (130, False)
    assert f"what stood in {store.address}/out is whole. Run the same command again." in shown
    assert store.read() == before
    assert store.uploads() == 0
    assert list(temporary.iterdir()) == []


def interrupted(
    program: str,
    arguments: list[str],
    number: signal.Signals,
    condition: Callable[[], bool],
    settings: dict[str, str] | None = None,
) -> tuple[int, str]:
    """Signals a command as soon as something is so; its exit code, and what people see."""
    command = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | (settings or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + processes.PATIENCE
    while not condition():
        assert command.poll() is None, command.communicate()
        assert time.monotonic() < end, "what should happen did not happen"
        time.sleep(0.02)
    command.send_signal(number)
    _, shown = command.communicate(timeout=processes.PATIENCE)
    return command.returncode, shown


# On Athena


@pytest.fixture
def athenas(production: AthenaClient) -> Iterator[Store]:
    """The part of the stack's bucket that this test has, with a table over `table/`; no database or table may be left there."""
    production.glue.create_table(
        DatabaseName=production.database,
        TableInput={
            "Name": "answers",
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"EXTERNAL": "TRUE"},
            "StorageDescriptor": {
                "Columns": [{"Name": name, "Type": "string"} for name in ("pupil", "time", "item")],
                "Location": f"{production.folder}/table/",
                "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
                "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                "SerdeInfo": {
                    "SerializationLibrary": "org.apache.hadoop.hive.serde2.OpenCSVSerde",
                    "Parameters": {"separatorChar": ","},
                },
            },
        },
    )
    yield Store(production.s3, production.bucket, f"{production.unique}/")
    assert databases(production) == [production.database]
    tables = production.glue.get_tables(DatabaseName=production.database)["TableList"]
    assert [table["Name"] for table in tables] == ["answers"]


def databases(client: AthenaClient) -> list[str]:
    """Those of this test, by name."""
    pages = client.glue.get_paginator("get_databases").paginate()
    return sorted(one["Name"] for page in pages for one in page["DatabaseList"] if one["Name"].startswith(client.database))


@pytest.mark.parametrize(
    ("reads", "writes"), [("local", "local"), ("local", "s3"), ("s3", "local"), ("s3", "s3"), ("glue", "s3")]
)
def test_athena_makes_the_same_rows_and_keeps_nothing(
    reads: str, writes: str, athenas: Store, data: Path, expected: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    assert sequence_everywhere(athenas, data, tmp_path, reads, writes) == expected


def test_a_subset_without_rows_has_a_file_on_athena_too(athenas: Store, data: Path) -> None:
    (data / "answers.csv").write_text("pupil,time,item\n1,1,10\n", encoding="utf-8")
    run(*arguments(data, f"{athenas.address}/out"))
    assert {folder.removeprefix("out/"): len(found) for folder, found in rows(athenas.read()).items()} == {
        "train_sequenced_3": 1,
        "validation_sequenced_3": 0,
        "vocabulary": 1,
    }


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("containing", ["_malformed", "is_pad_sequence"], ids=["while it ingests", "while it sequences"])
def test_a_signal_stops_the_query_and_leaves_nothing_but_what_stood(
    number: signal.Signals, code: int, containing: str, athenas: Store, production: AthenaClient, data: Path
) -> None:
    athenas.put("out/other", "theirs")
    production.faults.hang(1, after_work=True, containing=containing)

    def hangs() -> bool:
        return production.faults.switched_on() == [] and len(running_queries()) == 1

    before = time.monotonic()
    ended, shown = interrupted(PATIENT, arguments(data, f"{athenas.address}/out"), number, hangs)
    assert time.monotonic() - before < processes.PATIENCE
    assert (ended, "Traceback" in shown) == (code, False)
    assert f"what stood in {athenas.address}/out is whole" in shown
    assert running_queries() == []
    assert list(athenas.read()) == ["out/other"]
    assert athenas.uploads() == 0


def running_queries() -> list[str]:
    """Those of the stack, which is in this process and executes them in threads."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("athena-query-")]


def test_a_query_that_fails_leaves_nothing(athenas: Store, production: AthenaClient, data: Path) -> None:
    production.faults.fail(1, after_work=True, containing="is_pad_sequence")
    message = run(*arguments(data, f"{athenas.address}/out"), code=1).stderr
    assert "another attempt would not help" in message
    assert (athenas.read(), athenas.uploads()) == ({}, 0)


def test_what_a_kill_leaves_is_found_by_its_name(production: AthenaClient, data: Path, tmp_path: Path) -> None:
    production.faults.hang(1, after_work=True, containing="is_pad_sequence")
    store = Store(production.s3, production.bucket, f"{production.unique}/")

    def hangs() -> bool:
        return production.faults.switched_on() == [] and len(running_queries()) == 1

    ended, _ = interrupted(PATIENT, arguments(data, tmp_path / "out"), signal.SIGKILL, hangs)
    for query in running_queries():
        production.athena.stop_query_execution(QueryExecutionId=query.removeprefix("athena-query-"))
    assert ended == -signal.SIGKILL
    [_, left] = databases(production)
    assert left.startswith(f"{production.database}_sequence_")
    scratch = f"{production.database}/scratch/{left}/"
    leases = f"{production.database}/leases/"
    assert {key[: len(scratch)] for key in store.read() if not key.startswith(leases)} == {scratch}
    assert [key.startswith(leases) for key in store.read()].count(True) == 1
    assert [path.name[:12] for path in (tmp_path / "out").iterdir()] == [".seq_assets_"]
    production.glue.delete_database(Name=left)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("SEQ_ASSETS_WORKGROUP", "nobodys", "SEQ_ASSETS_WORKGROUP: found 'nobodys'; allowed: a workgroup of this account"),
        ("SEQ_ASSETS_BUCKET", "no-such-bucket", "SEQ_ASSETS_BUCKET: 's3://no-such-bucket/"),
    ],
)
def test_a_setting_that_is_wrong_is_one_sentence(
    variable: str, value: str, message: str, athenas: Store, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    shown = run(*arguments(data, f"{athenas.address}/out"), code=1).stderr
    assert message in shown
    assert (athenas.read(), athenas.uploads()) == ({}, 0)


def test_a_database_that_may_not_be_made_is_one_sentence(athenas: Store, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with refused("CreateDatabase", monkeypatch):
        shown = run(*arguments(data, f"{athenas.address}/out"), code=1).stderr
    assert f"SEQ_ASSETS_DATABASE: 'glue://{current_environment().database}_sequence_" in shown
    assert "permission denied; allow glue:CreateDatabase for these credentials" in shown
    assert (athenas.read(), athenas.uploads()) == ({}, 0)


def test_a_database_that_may_not_be_removed_is_told_and_spoils_no_result(
    production: AthenaClient, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with refused("DeleteDatabase", monkeypatch):
        run(*arguments(data, tmp_path / "out"))
    [_, left] = databases(production)
    assert f"The database {left} and what is below s3://" in caplog.text
    assert sorted(rows_here(tmp_path / "out")) == FOLDERS
    production.glue.delete_database(Name=left)
