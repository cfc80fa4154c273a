"""Commands that are told to stop: by which signals, how they end, and what is left of it."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
from dagster import DagsterInstance, DagsterRunStatus

from seq_assets.cli.stopping import SECONDS_TO_GIVE_UP, run_stoppable
from seq_assets.environments import current_environment
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.cancellation import Work, doing, pause
from seq_assets_tests.cli.running import PATIENT, SOURCE, run
from seq_assets_tests.warehouse import processes
from seq_assets_tests.warehouse.building import Workspace, read_rows

LONG = 100.0
RAW = Dataset.raw("plain")
ROWS = 300_000
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


# In a process of their own


def stopped(command: Callable[[Path], None], seconds: float, folder: Path, signals: list[signal.Signals]) -> None:
    """Runs a command that signals itself, with its standard error in a file."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.dup2(os.open(folder / "stderr", os.O_CREAT | os.O_WRONLY), 2)

    def signaled() -> None:
        for number in signals:
            os.kill(os.getpid(), number)
        command(folder)

    run_stoppable(signaled, lambda: seconds)


def that_listens(folder: Path) -> None:
    """Tidies up when it is told to stop."""
    with doing(Work("Stopped while it waited.")):
        try:
            pause(LONG)
        finally:
            (folder / "tidied").touch()


def that_hears_more(folder: Path) -> None:
    """Tidies up when it is told to stop, and is told so again meanwhile."""
    with doing(Work("Stopped while it waited.")):
        try:
            pause(LONG)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                os.kill(os.getpid(), number)
            (folder / "tidied").touch()


def that_is_deaf(folder: Path) -> None:
    """Hears nothing."""
    with doing(Work("Stopped while it slept.", give_up=(folder / "given up").touch)):
        time.sleep(LONG)


def that_cannot_be_given_up(folder: Path) -> None:
    """Hears nothing, and what would be left to do for others does not end either."""
    with doing(Work("Stopped for good.", give_up=lambda: time.sleep(LONG))):
        time.sleep(LONG)


def that_gets_the_signal(folder: Path) -> None:
    """Hears nothing, in the thread that the system gives the signal to."""
    with doing(Work("Stopped while it slept, which the main thread heard.")):
        time.sleep(1)  # by then the main thread waits
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        time.sleep(LONG)


def whose_child_is_stopped(folder: Path) -> None:
    """Forks, and stops what it has forked."""
    child = os.fork()
    if not child:
        (folder / "forked").touch()
        time.sleep(LONG)
    while not (folder / "forked").exists():
        time.sleep(0.01)
    os.kill(child, signal.SIGTERM)
    time.sleep(0.2)  # so long, this process hears nothing of it
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def that_exits(folder: Path) -> NoReturn:
    """Wrong usage."""
    sys.exit(2)


def that_ends(folder: Path) -> None:
    """Is done at once."""


def run_stopped(command: Callable[[Path], None], seconds: float, folder: Path, *signals: signal.Signals) -> tuple[int, str]:
    """The exit code, and what people see."""
    before = time.monotonic()
    code = processes.run(stopped, command, seconds, folder, list(signals))
    assert time.monotonic() - before < LONG
    return code, (folder / "stderr").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_command_that_listens_ends_by_itself_with_a_sentence(number: signal.Signals, code: int, tmp_path: Path) -> None:
    assert run_stopped(that_listens, LONG, tmp_path, number) == (code, "Stopped while it waited.\n")
    assert (tmp_path / "tidied").exists()


def test_a_command_that_does_not_end_in_time_is_left(tmp_path: Path) -> None:
    assert run_stopped(that_is_deaf, 0.1, tmp_path, signal.SIGINT) == (130, "Stopped while it slept.\n")
    assert (tmp_path / "given up").exists()


def test_a_command_has_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQ_ASSETS_BUCKET", "school")
    for environment, seconds in {"local": 3, "staging": 3, "prod": 5}.items():
        monkeypatch.setenv("SEQ_ASSETS_ENV", environment)
        assert current_environment().seconds_to_stop + SECONDS_TO_GIVE_UP < seconds


@pytest.mark.slow
def test_the_bound_holds_whatever_happens(tmp_path: Path) -> None:
    assert run_stopped(that_cannot_be_given_up, 0.1, tmp_path, signal.SIGTERM) == (143, "Stopped for good.\n")


def test_a_signal_is_heard_whichever_thread_gets_it(tmp_path: Path) -> None:
    said = "Stopped while it slept, which the main thread heard.\n"
    assert run_stopped(that_gets_the_signal, 0.1, tmp_path) == (143, said)


def test_a_signal_to_a_process_that_the_command_forked_is_not_for_the_command(tmp_path: Path) -> None:
    assert run_stopped(whose_child_is_stopped, LONG, tmp_path) == (0, "")


def test_a_second_signal_changes_nothing(tmp_path: Path) -> None:
    assert run_stopped(that_hears_more, LONG, tmp_path, signal.SIGINT) == (130, "Stopped while it waited.\n")
    assert (tmp_path / "tidied").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("command", "code"), [(that_exits, 2), (that_ends, 0)])
def test_a_command_that_nobody_stops_ends_as_it_does(command: Callable[[Path], None], code: int, tmp_path: Path) -> None:
    assert run_stopped(command, LONG, tmp_path) == (code, "")


def test_an_error_is_raised_where_the_command_was_called_and_the_handlers_are_those_before() -> None:
    before = [signal.getsignal(number) for number, _ in SIGNALS]

    def failing() -> None:
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        run_stoppable(failing, lambda: 0)
    assert [signal.getsignal(number) for number, _ in SIGNALS] == before


# The real command


@dataclass(frozen=True)
class Command:
    """A running `seq-assets` on a workspace, which the environment's variables name.

    Attributes:
        process: It.
        home: Where it works.
    """

    process: "subprocess.Popen[str]"
    home: Path

    @classmethod
    def start(cls, home: Path, *arguments: str) -> "Command":
        """Starts it."""
        process = subprocess.Popen(
            [sys.executable, "-c", PATIENT, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return cls(process, home)

    def signal_once(self, condition: Callable[[Path], bool], *numbers: signal.Signals) -> tuple[int, str]:
        """Signals it as soon as something is so in its home; its exit code, and what people see."""
        end = time.monotonic() + processes.PATIENCE
        while not condition(self.home):
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end, "what should happen did not happen"
            time.sleep(0.005)
        for number in numbers:
            self.process.send_signal(number)
        return self.end()

    def end(self) -> tuple[int, str]:
        """Its exit code, and what people see."""
        _, shown = self.process.communicate(timeout=processes.PATIENCE)
        return self.process.returncode, shown


def has_begun(home: Path) -> bool:
    return (home / "dagster" / "dagster.yaml").exists()


def reads(home: Path) -> bool:
    return any(home.glob("scratch/*"))


def sequences(home: Path) -> bool:
    return any(home.glob("warehouse/*/plain_sequenced_train_2/data/*/*.parquet"))


def statuses(home: Path) -> list[DagsterRunStatus]:
    """Of the runs, oldest first."""
    with DagsterInstance.from_config(str(home / "dagster")) as instance:
        return [run.status for run in reversed(instance.get_runs())]


@pytest.fixture
def large(plain: Workspace) -> Workspace:
    """The model `plain` with a version of a few rows, whose source now has many, and `zzz` after it."""
    plain.ingest(plain.sequence_model(sequence_lengths=[2, 4]))
    rows = "".join(f"{number % 9973},{number},{number % 97}\n" for number in range(ROWS))
    plain.write("source.csv", f"pupil,time,item\n{rows}")
    plain.model(name="zzz")
    return plain


CANCELED, SUCCESS = DagsterRunStatus.CANCELED, DagsterRunStatus.SUCCESS
STAGES: list[Any] = [
    pytest.param(has_begun, [signal.SIGTERM], 143, [[], [CANCELED]], id="before the first run"),
    pytest.param(reads, [signal.SIGINT], 130, [[CANCELED]], id="while a source is read"),
    pytest.param(sequences, [signal.SIGINT, signal.SIGINT], 130, [[SUCCESS, CANCELED]], id="while sequences are made"),
]


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("condition", "numbers", "code", "runs"), STAGES)
def test_materialize_that_is_told_to_stop_publishes_nothing_half_and_can_go_on(
    large: Workspace,
    tmp_path: Path,
    condition: Callable[[Path], bool],
    numbers: list[signal.Signals],
    code: int,
    runs: list[list[DagsterRunStatus]],
) -> None:
    home = tmp_path / "home"
    [before] = large.warehouse.versions(RAW)
    ended, shown = Command.start(home, "materialize").signal_once(condition, *numbers)
    assert ended == code
    assert "Stopped" in shown.splitlines()[-1]
    assert "Traceback" not in shown
    assert statuses(home) in runs
    # Whole, and nothing of the run after it.
    assert large.warehouse.versions(RAW)[-1] == before
    assert len(read_rows(before)) == len(SOURCE.splitlines()) - 1
    for version in map(large.warehouse.find, large.warehouse.datasets()):
        assert len(read_rows(version)) == version.rows
    # Small models share the run that ingests them.
    assert {dataset for dataset in large.warehouse.datasets() if dataset.model == "zzz"} == (
        {Dataset.raw("zzz"), Dataset.rejected("zzz")} if SUCCESS in statuses(home) else set()
    )
    assert sqlite3.connect(home / "catalog.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)

    large.write("source.csv", SOURCE)
    run("materialize", "plain", "--sequence-length", "2")
    assert statuses(home)[-2:] == [SUCCESS, SUCCESS]
    assert read_rows(large.warehouse.find(Dataset.sequenced("plain", "train", 2)))


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
def test_sequence_that_is_told_to_stop_leaves_what_stood(large: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "train_sequenced_3").mkdir(parents=True)
    arguments = ("--model", "plain", "--sequence-length", "3", "--output-s3-location", str(out))
    command = Command.start(out, "sequence", "--s3-data-location", str(large.folder / "source.csv"), *arguments)
    ended, shown = command.signal_once(lambda out: any(out.glob(".seq_assets_*/scratch/*")), signal.SIGINT)
    assert (ended, "Traceback" in shown) == (130, False)
    assert f"what stood in {out} is whole" in shown
    assert [path.name for path in out.iterdir()] == ["train_sequenced_3"]
