"""A run that somebody terminates: Dagster notes that it is canceling, and interrupts its step by a signal; as here."""

import os
import signal
import threading
from pathlib import Path

import dagster as dg
import pytest

from seq_assets_tests.assets.building import NO_TELEMETRY, Runner, School
from seq_assets_tests.warehouse import processes


@pytest.mark.usefixtures("interruptible")
def test_it_stops_its_query_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    school, running = School(tmp_path), threading.Event()
    school.add_source()
    school.add_model("dkt")
    monkeypatch.setattr("seq_assets.warehouse.sources.reading.read_records", processes.endless_records(running))
    with dg.DagsterInstance.ephemeral(settings=NO_TELEMETRY) as instance:

        def terminate() -> None:
            assert running.wait(processes.PATIENCE)
            [run] = instance.get_runs()
            instance.report_run_canceling(run)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=terminate)
        thread.start()
        assert not Runner(school.definitions(), instance).ingest("dkt").success
        thread.join()
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.CANCELED]
    home = school.environment.home
    assert school.warehouse.datasets() == []
    assert list((home / "scratch").iterdir()) == []
    assert list(home.rglob("*.parquet")) == []
