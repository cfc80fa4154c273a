"""Whatever happens to a run in production: the last version stands, whole, and the error says what to do.

All tests share one place, in which the first version of a model is published; each leaves it whole, perhaps with newer ones.
"""

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from pyiceberg.catalog.glue import GlueCatalog

from seq_assets.environments import current_environment
from seq_assets.errors import (
    ConflictError,
    LostRaceError,
    PassingQueryError,
    QueryError,
    RetryableError,
    SeqAssetsError,
    SettingsError,
    SourceError,
    ThrottledError,
)
from seq_assets.models import ModelSpec, Subset
from seq_assets.sequencing.plans import Dataset, SequencePlan
from seq_assets.warehouse.athena.client import ATTEMPTS, AthenaClient
from seq_assets.warehouse.athena.external_tables import SCRATCH_TABLE_PREFIX
from seq_assets.warehouse.athena.warehouse import AthenaWarehouse
from seq_assets.warehouse.interface import Version, no_progress
from seq_assets.warehouse.storage.cloud import Cloud
from seq_assets.warehouse.storage.iceberg_tables import Tables
from seq_assets.warehouse.storage.parquet_files import write_parquet
from seq_assets_tests.athena import fixtures
from seq_assets_tests.cli.running import PATIENT
from seq_assets_tests.warehouse import processes
from seq_assets_tests.warehouse.building import PLAIN_COLUMNS, Workspace
from seq_assets_tests.warehouse.processes import NUMBERS

if TYPE_CHECKING:
    from seq_assets_tests.athena.stack import Stack

pytestmark = pytest.mark.athena

RAW, REJECTED, SEQUENCED = Dataset.raw("plain"), Dataset.rejected("plain"), Dataset.sequenced("plain", "train", 4)
SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAHUSHHUSHHUSH0001",
    "AWS_SECRET_ACCESS_KEY": "hush-this-is-the-secret-key",
    "AWS_SESSION_TOKEN": "hush-this-is-the-session-token",
}
HOSTILE_ENTITIES = [
    "it's",
    '"quoted"',
    "semi;--",
    "tab\there",
    "line\nbreak",
    "bell\x07",
    "back\\slash",
    "é中\U0001f600",
    "%_?",
]


@dataclass(frozen=True)
class Place:
    """A database and a prefix that only this module has, and the model that is published there.

    Attributes:
        client: Of the stack, with its faults.
        settings: The environment's variables.
        workspace: The model file, its source, and a warehouse.
        spec: The model.
    """

    client: fixtures.AthenaClient
    settings: dict[str, str]
    workspace: Workspace
    spec: ModelSpec

    @property
    def root(self) -> str:
        """Below which everything of the place is."""
        return f"s3://{self.client.bucket}/{self.client.unique}/{self.client.unique}"

    def warehouse(self) -> AthenaWarehouse:
        """A warehouse that knows nothing yet."""
        warehouse = current_environment().warehouse()
        assert isinstance(warehouse, AthenaWarehouse)
        return warehouse

    def change_source(self) -> None:
        """Another source, of which every tenth record is rejected."""
        write_source(self.workspace, f"0,{uuid.uuid4().int % 10**9},1\n")

    def plan(self) -> SequencePlan:
        """The cell of the newest raw observations."""
        return SequencePlan.of(self.spec, "train", 4, self.warehouse().find(RAW).id)

    def newest(self) -> dict[Dataset, int]:
        """The newest version of each table."""
        warehouse = self.warehouse()
        return {dataset: warehouse.versions(dataset)[0].id for dataset in warehouse.datasets()}

    def left(self) -> "Left":
        """What is there now."""
        pages = self.client.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.client.bucket, Prefix=f"{self.client.unique}/"
        )
        found = {f"s3://{self.client.bucket}/{one['Key']}" for page in pages for one in page.get("Contents", ())}
        tables = self.client.glue.get_tables(DatabaseName=self.client.database)["TableList"]
        scratch = {table["Name"] for table in tables if table["Name"].startswith(SCRATCH_TABLE_PREFIX)}
        return Left(frozenset(file for file in found if not file.startswith(f"{self.root}/query_results/")), frozenset(scratch))

    def assert_whole(self) -> None:
        """Every newest version can be read, by Athena and from its files, and raw names a version of rejected that is there."""
        warehouse = self.warehouse()
        for dataset in (RAW, REJECTED, SEQUENCED):
            version = warehouse.find(dataset)
            assert rows_of(warehouse, version) == version.rows
            [counted] = warehouse.athena.rows(f'SELECT count(*) AS n FROM "{self.client.database}"."{dataset.table}"')
            assert counted == {"n": version.rows}
        raw = warehouse.find(RAW)
        assert warehouse.find(REJECTED, raw.metadata["rejected_version"]).rows == raw.metadata["accounting"]["rejected"]


@dataclass(frozen=True)
class Left:
    """What lies in a place, the results of queries apart.

    Attributes:
        files: All objects.
        tables: Scratch tables.
    """

    files: frozenset[str]
    tables: frozenset[str]


def rows_of(warehouse: AthenaWarehouse, version: Version) -> int:
    """The rows in the files of a version."""
    rows = 0
    for file in version.files:
        with warehouse.open_input(file) as opened:
            rows += pq.read_metadata(opened).num_rows
    return rows


def write_source(workspace: Workspace, more: str = "") -> None:
    """Twenty records, of which every tenth is rejected, and perhaps another."""
    records = "".join(f"{number % 7},{number},{'' if number % 10 == 9 else number}\n" for number in range(20))
    workspace.write("source.csv", f"pupil,time,item\n{records}{more}")


@pytest.fixture(scope="module")
def shared(athena_stack: "Stack", tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The place, with the first version of a model, raw and sequenced."""
    client = fixtures.AthenaClient(athena_stack)
    client.database = client.unique
    folder = tmp_path_factory.mktemp("prepared")
    settings = {
        **client.settings,
        **SECRETS,
        "SEQ_ASSETS_DATABASE": client.unique,
        "SEQ_ASSETS_PREFIX": client.unique,
        "SEQ_ASSETS_HOME": str(folder / "home"),
        "SEQ_ASSETS_MODELS": str(folder / "models"),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    # A region by its newer name alone is enough for everything.
    del settings["AWS_DEFAULT_REGION"]
    with pytest.MonkeyPatch.context() as patched:
        apply(patched, settings)
        workspace = Workspace(folder / "models", current_environment().warehouse())
        (folder / "models").mkdir()
        write_source(workspace)
        spec = workspace.sequence_model(
            checks={"rejected_ratio": {"max": 0.9}}, split={"strategy": "entity_hash", "validation_fraction": 0.5}
        )
        workspace.ingest(spec)
        workspace.sequence(spec)
    return Place(client, settings, workspace, spec)


def apply(patched: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    """Has the environment be one place's."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3"):
        patched.delenv(name, raising=False)
    for name, value in settings.items():
        patched.setenv(name, value)


@pytest.fixture
def place(shared: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Place]:
    """The place, with no fault switched on before or after; no log may show a secret."""
    apply(monkeypatch, shared.settings)
    shared.client.faults.clear()
    with caplog.at_level(logging.INFO), caplog.at_level(logging.DEBUG, "seq_assets"):
        yield shared
    shared.client.faults.clear()
    assert_no_secret(caplog.text)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long before trying again."""
    monkeypatch.setattr("seq_assets.warehouse.athena.client._FIRST_BACKOFF", 0.05)
    monkeypatch.setattr("seq_assets.warehouse.athena.client._LONGEST_PAUSE", 0.2)


def assert_no_secret(text: str) -> None:
    """A text shows neither key nor token."""
    assert [name for name, secret in SECRETS.items() if secret in text] == []


def sequence(place: Place, warehouse: AthenaWarehouse | None = None) -> Version:
    """Sequences anew."""
    return (warehouse or place.warehouse()).execute(place.plan(), force=True).version


def stopped_query(log: str) -> str:
    """The query that the log says was stopped."""
    found = re.search(r"Athena query ([0-9a-f-]{36}) was stopped", log)
    assert found is not None
    return found[1]


@contextmanager
def leaving_nothing(place: Place) -> Iterator[None]:
    """What fails inside must leave no version, no file and no table."""
    newest, left = place.newest(), place.left()
    yield
    assert (place.newest(), place.left()) == (newest, left)
    place.client.faults.clear()
    place.assert_whole()


# Throttled, failed, hung, cancelled


@pytest.mark.usefixtures("impatient")
def test_what_is_throttled_or_loses_an_answer_publishes_in_the_end(place: Place) -> None:
    place.change_source()
    for operation in ("StartQueryExecution", "GetQueryExecution", "GetQueryResults", "glue:UpdateTable", "glue:GetTable"):
        place.client.faults.throttle(2, operation=operation)
    for operation in ("StartQueryExecution", "GetQueryExecution", "GetQueryResults", "glue:GetTable"):
        place.client.faults.lose_answers(1, operation=operation)
    assert not place.workspace.ingest(place.spec).unchanged
    for operation in ("StartQueryExecution", "GetQueryExecution", "GetQueryResults", "glue:UpdateTable"):
        place.client.faults.throttle(2, operation=operation)
    sequence(place)
    assert place.client.faults.switched_on() == []
    place.assert_whole()


@pytest.mark.usefixtures("impatient")
def test_throttling_that_lasts_may_be_tried_by_dagster_later(place: Place) -> None:
    with leaving_nothing(place):
        warehouse = place.warehouse()
        _ = warehouse.athena
        place.client.faults.throttle(1000, operation="StartQueryExecution")
        with pytest.raises(ThrottledError, match="StartQueryExecution"):
            sequence(place, warehouse)


@pytest.mark.usefixtures("impatient")
def test_queries_that_fail_half_way_for_what_may_pass_leave_only_the_last_attempts_files(place: Place) -> None:
    place.client.faults.fail(1, retryable=True, after_work=True, containing="UNLOAD")
    place.client.faults.lose_answers(1, operation="glue:CreateTable")
    place.client.faults.lose_answers(1, operation="glue:DeleteTable")
    before = place.left()
    version = sequence(place)
    assert place.client.faults.switched_on() == []
    after = place.left()
    assert {file for file in after.files - before.files if "/data/" in file} == set(version.files)
    assert after.tables == before.tables
    place.assert_whole()


@pytest.mark.usefixtures("impatient")
def test_a_query_that_goes_on_failing_leaves_nothing_and_may_be_tried_later(place: Place) -> None:
    with leaving_nothing(place):
        place.client.faults.fail(ATTEMPTS, retryable=True, after_work=True, containing="UNLOAD")
        with pytest.raises(PassingQueryError, match=f"attempt {ATTEMPTS} of {ATTEMPTS}"):
            sequence(place)


@pytest.mark.parametrize("containing", ["/stage_0/", f"{RAW.table}/data/", f"{REJECTED.table}/data/", "max_by"])
def test_an_ingest_that_fails_half_way_leaves_nothing(place: Place, containing: str) -> None:
    place.change_source()
    with leaving_nothing(place):
        place.client.faults.fail(1, after_work=True, containing=containing if containing != "max_by" else "FROM (SELECT")
        with pytest.raises(QueryError, match="another attempt would not help"):
            place.workspace.ingest(place.spec)
        assert place.client.faults.switched_on() == []


def test_an_ingest_that_may_make_no_scratch_table_says_so_and_leaves_nothing(place: Place) -> None:
    place.change_source()
    with leaving_nothing(place):
        place.client.faults.refuse(1, "AccessDeniedException", operation="glue:CreateTable")
        with pytest.raises(SettingsError, match=SCRATCH_TABLE_PREFIX):
            place.workspace.ingest(place.spec)
        assert place.client.faults.switched_on() == []


def test_a_scratch_table_that_cannot_be_dropped_spoils_no_run(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.client.faults.refuse(1, "AccessDeniedException", operation="glue:DeleteTable")
    before = place.left()
    sequence(place)
    [left] = place.left().tables - before.tables
    assert f"{left} is left for gc" in caplog.text
    place.client.glue.delete_table(DatabaseName=place.client.database, Name=left)


def test_a_query_that_hangs_is_stopped_after_its_time_and_leaves_nothing(place: Place) -> None:
    warehouse = place.warehouse()
    warehouse.athena._timeout_seconds = 3
    with leaving_nothing(place):
        place.client.faults.hang(1, after_work=True, containing="UNLOAD")
        with pytest.raises(QueryError, match="was not over after 3 seconds and was stopped") as caught:
            sequence(place, warehouse)
    found = re.search(r"Athena query ([0-9a-f-]{36})", str(caught.value))
    assert found is not None
    assert place.client.state(found[1]) == "CANCELLED"


def test_a_query_that_somebody_cancels_leaves_nothing_and_is_not_started_again(place: Place) -> None:
    with leaving_nothing(place):
        place.client.faults.cancel(1, after_work=True, containing="UNLOAD")
        with pytest.raises(QueryError, match=r"was cancelled, not by this run.*\(SEQ_ASSETS_WORKGROUP\)"):
            sequence(place)


# Told to stop


def told_to_stop(settings: dict[str, str], plan: SequencePlan, log: str) -> None:
    """Ends by SIGTERM as programs do, with code 143."""
    logging.basicConfig(filename=log, level=logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.update(settings)
    current_environment().warehouse().execute(plan, force=True)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + processes.PATIENCE
    while not condition():
        assert time.monotonic() < end, "what should happen did not happen"
        time.sleep(0.05)


def running_queries() -> list[str]:
    """The queries that the stack, which is in this process, executes in threads of theirs."""
    name = "athena-query-"
    return [thread.name.removeprefix(name) for thread in threading.enumerate() if thread.name.startswith(name)]


def test_sigterm_stops_the_query_and_leaves_nothing(place: Place, tmp_path: Path) -> None:
    with leaving_nothing(place):
        place.client.faults.hang(1, after_work=True, containing="UNLOAD")
        arguments = (place.settings, place.plan(), str(tmp_path / "log"))
        process = processes.context().Process(target=told_to_stop, args=arguments)
        process.start()
        wait_for(lambda: place.client.faults.switched_on() == [])
        time.sleep(1)
        process.terminate()
        process.join(processes.PATIENCE)
        assert process.exitcode == 143
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert place.client.state(stopped_query(log)) == "CANCELLED"
    assert_no_secret(log)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_is_told_to_stop_stops_its_query_and_its_run_is_canceled(
    place: Place, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    import dagster as dg

    home = tmp_path / "dagster"
    with leaving_nothing(place):
        place.client.faults.hang(1, after_work=True, containing="UNLOAD")
        command = subprocess.Popen(
            [sys.executable, "-c", PATIENT, "materialize", "plain", "--force"],
            env={**os.environ, **place.settings, "DAGSTER_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for(lambda: place.client.faults.switched_on() == [] and len(running_queries()) == 1)
        [query] = running_queries()
        command.send_signal(number)
        _, shown = command.communicate(timeout=processes.PATIENCE)
    assert command.returncode == code
    assert shown.splitlines()[-1].startswith("Stopped in the job ingest of plain: what is published stands")
    assert place.client.state(query) == "CANCELLED"
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.CANCELED]
    assert_no_secret(shown)


@pytest.mark.usefixtures("interruptible")
def test_a_run_that_is_terminated_stops_its_query_and_is_canceled(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Of a run that somebody terminates, Dagster notes that it is canceling, and interrupts its step by a signal; as here."""
    import dagster as dg

    from seq_assets.assets import build_definitions
    from seq_assets.io_managers.plan_io_manager import FORCE_TAG
    from seq_assets_tests.assets.building import NO_TELEMETRY, Runner

    definitions = build_definitions(current_environment())
    with leaving_nothing(place), dg.DagsterInstance.ephemeral(settings=NO_TELEMETRY) as instance:
        place.client.faults.hang(1, after_work=True, containing="UNLOAD")

        def terminate() -> None:
            wait_for(lambda: place.client.faults.switched_on() == [])
            time.sleep(0.5)
            [run] = instance.get_runs()
            instance.report_run_canceling(run)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=terminate)
        thread.start()
        assert not Runner(definitions, instance).assets(["sequenced_train"], "plain|4", **{FORCE_TAG: "true"}).success
        thread.join()
        [record] = instance.get_run_records()
        assert record.dagster_run.status == dg.DagsterRunStatus.CANCELED
        events = "\n".join(str(entry) for entry in instance.all_logs(record.dagster_run.run_id))
    assert_no_secret(events)
    assert place.client.state(stopped_query(caplog.text)) == "CANCELLED"


def test_a_run_of_dagster_shows_no_secret_and_needs_the_region_by_one_name_only(place: Place) -> None:
    import dagster as dg

    from seq_assets.assets import build_definitions
    from seq_assets.io_managers.plan_io_manager import FORCE_TAG
    from seq_assets_tests.assets.building import NO_TELEMETRY, Runner

    assert "AWS_DEFAULT_REGION" not in os.environ
    definitions = build_definitions(current_environment())
    with dg.DagsterInstance.ephemeral(settings=NO_TELEMETRY) as instance:
        runner = Runner(definitions, instance)
        run = runner.assets(["sequenced_train"], "plain|4", **{FORCE_TAG: "true"})
        assert run.success
        place.client.faults.fail(1, containing="UNLOAD")
        failed = runner.assets(["sequenced_train"], "plain|4", **{FORCE_TAG: "true"})
        assert not failed.success
        assert "another attempt would not help" in str(failed.failure("sequenced_train").description)
        events = [str(entry) for one in (run, failed) for entry in instance.all_logs(one.run_id)]
        assert_no_secret("\n".join([*events, str(instance.get_runs())]))
    version = place.warehouse().find(SEQUENCED)
    table = place.client.glue.get_table(DatabaseName=place.client.database, Name=SEQUENCED.table)["Table"]
    metadata = place.client.content(table["Parameters"]["metadata_location"]).decode()
    assert str(version.id) in metadata
    assert_no_secret(f"{version}{table}{metadata}")


# Killed


def killed(settings: dict[str, str], plan: Any, where: str) -> None:
    """Dies when a stage's progress is told, or when all that is left to do is the commit of one table."""
    commit_table = GlueCatalog.commit_table

    def dying(self: GlueCatalog, table: Any, *arguments: Any) -> Any:
        if table.name()[-1] == where:
            processes.die()
        return commit_table(self, table, *arguments)

    def progress(stage: str, rows: int) -> None:
        if stage == where:
            processes.die()

    os.environ.update(settings)
    processes._replace(GlueCatalog, "commit_table", dying)
    current_environment().warehouse().execute(plan, force=True, progress=progress)


def test_a_killed_ingest_leaves_the_last_version_and_only_what_gc_finds(place: Place) -> None:
    place.change_source()
    for where in ("sort and write train", REJECTED.table, RAW.table):
        newest, before = place.newest(), place.left()
        assert processes.run(killed, place.settings, place.workspace.ingest_plan(place.spec), where) == -signal.SIGKILL
        after = place.newest()
        # Readers follow raw, which is published last.
        assert (after[RAW], after[REJECTED] == newest[REJECTED]) == (newest[RAW], where != RAW.table)
        places = re.compile(rf"{re.escape(place.root)}/(scratch|leases|({RAW.table}|{REJECTED.table})/(data|metadata))/")
        assert [file for file in place.left().files - before.files if not places.match(file)] == []
    assert place.left().tables != frozenset()
    assert not place.workspace.ingest(place.spec).unchanged
    place.assert_whole()


def test_a_killed_sequencing_leaves_the_last_version(place: Place) -> None:
    newest, before = place.newest(), place.left()
    assert processes.run(killed, place.settings, place.plan(), SEQUENCED.table) == -signal.SIGKILL
    assert place.newest() == newest
    left = place.left()
    assert {file for file in left.files - before.files if f"/{SEQUENCED.table}/data/" in file}
    assert left.tables == before.tables
    sequence(place)
    place.assert_whole()


# The catalog


@pytest.fixture
def cloud(place: Place) -> Cloud:
    """A database that nobody has made yet."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    return Cloud("prod", place.client.bucket, name, name)


def publish(tables: Tables, cloud: Cloud, identity: str, rows: int = 1) -> Version:
    """Publishes a small version."""
    file = f"{tables.location(SEQUENCED)}/data/{uuid.uuid4().hex}/x.parquet"
    batches = iter([pa.RecordBatch.from_pydict({"x": list(range(rows))}, NUMBERS.stored())])
    write_parquet(cloud.storage, file, NUMBERS.stored(), batches, no_progress, "write")
    return tables.publish(SEQUENCED, NUMBERS, [file], rows, {"identity": identity})


def read_by_athena(place: Place, cloud: Cloud) -> list[int]:
    """What the newest version holds, as Athena reads it."""
    found = place.client.rows(f'SELECT x FROM "{cloud.database}"."{SEQUENCED.table}" ORDER BY x')
    return [int(value or "") for [value] in found]


@pytest.mark.parametrize("operation", ["glue:CreateDatabase", "glue:CreateTable", "glue:UpdateTable"])
def test_a_change_of_the_catalog_whose_answer_is_lost_is_made_once(place: Place, cloud: Cloud, operation: str) -> None:
    """Repeated, it is refused because it was done; what it made must not be taken for a lost race, and removed."""
    tables = cloud.open_tables()
    if operation == "glue:UpdateTable":
        publish(tables, cloud, "a")
    place.client.faults.lose_answers(1, operation=operation)
    version = publish(tables, cloud, "b", 3)
    assert place.client.faults.switched_on() == []
    assert [found.metadata["identity"] for found in tables.versions(SEQUENCED)][:1] == ["b"]
    assert tables.versions(SEQUENCED)[0] == version
    assert len(tables.versions(SEQUENCED)) == 1 + (operation == "glue:UpdateTable")
    assert read_by_athena(place, cloud) == [0, 1, 2]
    publish(tables, cloud, "c", 2)
    assert read_by_athena(place, cloud) == [0, 1]


@pytest.mark.parametrize("operation", ["GetTable", "GetDatabase", "CreateDatabase", "CreateTable", "UpdateTable"])
def test_a_catalog_that_throttles_for_long_may_be_tried_later(
    place: Place, cloud: Cloud, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyiceberg.catalog.glue.MAX_RETRIES", 0)
    tables = cloud.open_tables()
    place.client.faults.throttle(100, operation=f"glue:{operation}")
    with pytest.raises(RetryableError, match=rf"'glue://{cloud.database}' .*too busy \(ThrottlingException in {operation}\)"):
        publish(tables, cloud, "a")
    place.client.faults.clear()
    assert tables.versions(SEQUENCED) == []
    publish(tables, cloud, "a")
    assert read_by_athena(place, cloud) == [0]


def test_writers_that_create_a_database_and_a_table_at_once_all_publish(place: Place, cloud: Cloud) -> None:
    barrier, errors = threading.Barrier(3), list[BaseException]()

    def write(name: str) -> None:
        try:
            tables = cloud.open_tables()
            barrier.wait(processes.PATIENCE)
            for turn in range(2):
                publish(tables, cloud, f"{name}{turn}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(processes.PATIENCE)
    assert errors == []
    tables = cloud.open_tables()
    versions = tables.versions(SEQUENCED)
    assert sorted(version.metadata["identity"] for version in versions) == ["a0", "a1", "b0", "b1", "c0", "c1"]
    table = tables._catalog.load_table((cloud.database, SEQUENCED.table))
    snapshots = {one.snapshot_id: one for one in table.metadata.snapshots}
    parents = [*(version.id for version in versions[1:]), None]
    assert [snapshots[version.id].parent_snapshot_id for version in versions] == parents
    assert read_by_athena(place, cloud) == [0]


@pytest.mark.parametrize("code", ["ConcurrentModificationException", "AlreadyExistsException", "ResourceNotReadyException"])
@pytest.mark.parametrize("operation", ["create_database", "create_table", "get_table", "update_table"])
def test_whatever_glue_calls_a_race_is_repeated(
    place: Place, cloud: Cloud, code: str, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = cloud.open_tables()
    catalog = tables._catalog
    assert isinstance(catalog, GlueCatalog)
    call, refusals = getattr(catalog.glue, operation), 2

    def refused(**arguments: Any) -> Any:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise ClientError({"Error": {"Code": code, "Message": "at once"}}, operation)
        return call(**arguments)

    monkeypatch.setattr(catalog.glue, operation, refused)
    tables.create_database()
    publish(tables, cloud, "a")
    assert refusals == 0
    assert [version.metadata["identity"] for version in tables.versions(SEQUENCED)] == ["a"]


def test_races_that_are_all_lost_may_be_tried_later(place: Place, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seq_assets.warehouse.storage.iceberg_tables.pause", lambda seconds: None)
    tables = cloud.open_tables()
    publish(tables, cloud, "a")

    def refused(**arguments: Any) -> NoReturn:
        raise ClientError({"Error": {"Code": "ResourceNotReadyException", "Message": "not yet"}}, "UpdateTable")

    with monkeypatch.context() as patched:
        patched.setattr(tables._catalog.glue, "update_table", refused)  # type: ignore[attr-defined]
        with pytest.raises(LostRaceError, match="20 attempts were lost"):
            publish(tables, cloud, "b")
    assert [version.metadata["identity"] for version in tables.versions(SEQUENCED)] == ["a"]
    assert read_by_athena(place, cloud) == [0]


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (
            ClientError({"Error": {"Code": "AccessDeniedException", "Message": "x"}}, "GetTable"),
            SettingsError,
            r"^SEQ_ASSETS_DATABASE: 'glue://.*' cannot be used: permission denied; .*AccessDeniedException in GetTable",
        ),
        (
            ClientError(
                {"Error": {"Code": "InvalidInputException"}, "ResponseMetadata": {"HTTPStatusCode": 400}},
                "GetTable",
            ),
            SettingsError,
            r"^SEQ_ASSETS_DATABASE: 'glue://.*the store refused \(InvalidInputException in GetTable\)",
        ),
        (
            ClientError({"Error": {"Code": "UnrecognizedClientException", "Message": "x"}}, "GetTable"),
            SettingsError,
            r"the credentials are refused; set AWS_PROFILE",
        ),
        (
            ClientError({"Error": {"Code": "OperationTimeoutException", "Message": "x"}}, "GetTable"),
            RetryableError,
            r"now: the store is out of reach or too busy \(OperationTimeoutException in GetTable\); try again",
        ),
        (EndpointConnectionError(endpoint_url="http://nowhere"), RetryableError, r"'glue://.*' cannot be reached"),
    ],
    ids=["denied", "refused", "unknown", "slow", "out of reach"],
)
def test_what_glue_refuses_names_the_setting(
    place: Place, cloud: Cloud, error: Exception, kind: type[SeqAssetsError], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = cloud.open_tables()

    def refused(**arguments: Any) -> NoReturn:
        raise error

    monkeypatch.setattr(tables._catalog.glue, "get_table", refused)  # type: ignore[attr-defined]
    for call in (lambda: tables.versions(SEQUENCED), lambda: publish(tables, cloud, "a")):
        with pytest.raises(kind, match=told):
            call()


def test_runs_on_one_partition_at_once_all_finish(place: Place) -> None:
    before = len(place.warehouse().versions(SEQUENCED))
    plan, errors = place.plan(), list[BaseException]()

    def run() -> None:
        try:
            place.warehouse().execute(plan, force=True)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(processes.PATIENCE)
    assert errors == []
    assert len(place.warehouse().versions(SEQUENCED)) == before + 2
    place.assert_whole()


# S3


@pytest.mark.parametrize("environment", ["staging", "prod"])
@pytest.mark.parametrize("stage", ["read", "sort and write train"])
def test_a_bucket_that_vanishes_in_the_middle_is_named(
    place: Place, environment: str, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"test-{uuid.uuid4().hex[:12]}"
    place.client.s3.create_bucket(Bucket=name)
    database = name.replace("-", "_")
    for variable, value in {"ENV": environment, "BUCKET": name, "DATABASE": database}.items():
        monkeypatch.setenv(f"SEQ_ASSETS_{variable}", value)

    def progress(found: str, rows: int) -> None:
        if found == stage and name in {bucket["Name"] for bucket in place.client.s3.list_buckets()["Buckets"]}:
            for page in place.client.s3.get_paginator("list_objects_v2").paginate(Bucket=name):
                for one in page.get("Contents", ()):
                    place.client.s3.delete_object(Bucket=name, Key=one["Key"])
            place.client.s3.delete_bucket(Bucket=name)

    plan = place.workspace.ingest_plan(place.spec)
    with pytest.raises(SeqAssetsError, match=rf"(?s){name}.*bucket|bucket.*{name}") as caught:
        current_environment().warehouse().execute(plan, progress=progress)
    assert_no_secret(str(caught.value))


# Settings


def unset(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        monkeypatch.delenv(name, raising=False)


def without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    unset(monkeypatch, *SECRETS)


def without_region(monkeypatch: pytest.MonkeyPatch) -> None:
    unset(monkeypatch, "AWS_REGION", "AWS_DEFAULT_REGION")


def with_another_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQ_ASSETS_BUCKET", "no-such-bucket")


def with_another_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    without_credentials(monkeypatch)
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")


def out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("seq_assets.warehouse.storage.object_store._ATTEMPTS", 1)


@pytest.mark.parametrize("environment", ["staging", "prod"])
@pytest.mark.parametrize(
    ("mistake", "kind", "told"),
    [
        (with_another_bucket, SettingsError, r"^SEQ_ASSETS_BUCKET: 's3://no-such-bucket/.*the bucket does not exist there"),
        (without_credentials, SettingsError, r"no credentials .*; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET"),
        (without_region, SettingsError, r"no region was found .*; set AWS_REGION"),
        (with_another_profile, SettingsError, r"ProfileNotFound.*; set AWS_PROFILE"),
        (out_of_reach, RetryableError, r"cannot be reached .*AWS_ENDPOINT_URL"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_mistake_in_the_settings_is_told_before_any_work(
    place: Place,
    environment: str,
    mistake: Callable[[pytest.MonkeyPatch], None],
    kind: type[SeqAssetsError],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place.change_source()
    plan, before = place.workspace.ingest_plan(place.spec), place.left()
    stages: list[str] = []
    with monkeypatch.context() as patched:
        patched.setenv("SEQ_ASSETS_ENV", environment)
        mistake(patched)
        with pytest.raises(kind, match=told) as caught:
            current_environment().warehouse().execute(plan, progress=lambda stage, rows: stages.append(stage))
    assert (stages, place.left()) == ([], before)
    assert_no_secret(str(caught.value))


def test_a_workgroup_that_is_not_there_is_told_before_any_work(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.change_source()
    stages: list[str] = []
    with leaving_nothing(place), monkeypatch.context() as patched:
        patched.setenv("SEQ_ASSETS_WORKGROUP", "nobodys")
        with pytest.raises(SettingsError, match=r"^SEQ_ASSETS_WORKGROUP: found 'nobodys'; allowed: a workgroup"):
            place.warehouse().execute(
                place.workspace.ingest_plan(place.spec), progress=lambda stage, rows: stages.append(stage)
            )
    assert stages == []


def test_the_database_of_another_environment_is_told_before_any_work(place: Place) -> None:
    place.change_source()
    warehouse = place.warehouse()
    cloud = warehouse.cloud
    other = AthenaWarehouse(
        warehouse.home,
        cloud=Cloud("other", cloud.bucket, cloud.prefix, cloud.database),
        workgroup=warehouse.workgroup,
    )
    with leaving_nothing(place):
        for plan in (place.workspace.ingest_plan(place.spec), place.plan()):
            _ = other.athena
            place.client.faults.fail(1)
            with pytest.raises(ConflictError, match=r"the environment 'prod', not to 'other'; set SEQ_ASSETS_DATABASE"):
                other.execute(plan, force=True)
            assert place.client.faults.switched_on() != []
            place.client.faults.clear()


@pytest.mark.parametrize(("code", "state"), [("AccessDeniedException", ""), ("", "ENABLED"), ("", "DISABLED")])
def test_who_may_not_look_at_a_workgroup_may_still_use_it(code: str, state: str) -> None:
    class Client:
        def get_work_group(self, **arguments: str) -> dict[str, Any]:
            if code:
                raise ClientError({"Error": {"Code": code, "Message": "no"}}, "GetWorkGroup")
            return {"WorkGroup": {"Name": arguments["WorkGroup"], "State": state}}

    client = AthenaClient(Client(), workgroup="team", database="d", output_location=None)
    if state == "DISABLED":
        with pytest.raises(SettingsError, match="SEQ_ASSETS_WORKGROUP: found 'team', which is disabled; enable it"):
            client.require_workgroup()
    else:
        client.require_workgroup()


# Sources that are unlike others


@pytest.fixture
def other(place: Place, tmp_path: Path) -> Workspace:
    """A folder for another model in the place."""
    return Workspace(tmp_path, place.warehouse())


def other_model(other: Workspace, **fields: Any) -> ModelSpec:
    return other.sequence_model(**{"name": f"m{uuid.uuid4().hex[:8]}", **fields})


def test_a_source_without_rows_leaves_nothing(place: Place, other: Workspace) -> None:
    other.write("source.csv", "pupil,time,item\n")
    with leaving_nothing(place), pytest.raises(SourceError, match=r"source.csv' has no rows; put some there"):
        other.ingest(other_model(other))


def test_a_source_of_which_nothing_is_accepted_has_empty_tables(place: Place, other: Workspace) -> None:
    other.write("source.csv", "pupil,time,item\n1,1,x\n2,2,y\n")
    spec = other_model(other, checks={"rejected_ratio": {"max": 1.0}})
    version = other.ingest(spec).version
    assert (version.rows, version.metadata["accounting"]["rejected"]) == (0, 2)
    assert other.warehouse.inspect(version)
    assert all(finding.passed for finding in other.warehouse.inspect(version))
    assert other.sequence(spec).version.rows == 0
    assert place.client.rows(f'SELECT count(*) FROM "{place.client.database}"."{version.dataset.table}"') == [["0"]]


def test_entities_may_have_any_character_and_a_subset_no_row(place: Place, other: Workspace) -> None:
    entities, times = HOSTILE_ENTITIES, list(range(len(HOSTILE_ENTITIES)))
    other.write("source.parquet", pa.table({"pupil": entities * 2, "time": times * 2, "item": pa.array(times * 2, pa.int32())}))
    spec = other_model(
        other,
        source={"location": "source.parquet"},
        columns={**PLAIN_COLUMNS, "pupil": {"type": "string"}},
        split={"strategy": "entity_hash", "validation_fraction": 0.0},
    )
    raw = other.ingest(spec).version
    assert raw.rows == 2 * len(entities)
    subsets: tuple[Subset, Subset] = ("train", "validation")
    train, validation = (other.sequence(spec, subset).version for subset in subsets)
    assert (train.rows, validation.rows) == (len(entities), 0)
    found: set[str] = set()
    for file in train.files:
        with other.warehouse.open_input(file) as opened:
            found |= set(pq.read_table(opened)["pupil"].to_pylist())
    assert found == set(entities)
    for version in (raw, train, validation):
        assert all(finding.passed for finding in other.warehouse.inspect(version))


def test_a_contract_that_is_too_long_for_a_query_is_told_before_any_work(place: Place, other: Workspace) -> None:
    columns = {f"column_{number}": {"type": "timestamp"} for number in range(200)}
    names = ",".join(columns)
    other.write("source.csv", f"pupil,time,item,{names}\n1,1,1,{','.join(['2020-01-01'] * 200)}\n")
    spec = other_model(other, columns={**PLAIN_COLUMNS, **columns})
    _ = other.warehouse.athena  # type: ignore[attr-defined]
    with leaving_nothing(place):
        place.client.faults.fail(1)
        with pytest.raises(QueryError, match=r"found a query of [0-9,]+ bytes; allowed: 262,144, Athena's limit"):
            other.ingest(spec)
        assert place.client.faults.switched_on() != []
