"""The command line: exit codes, and that nothing is left behind, however it ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seq_assets_tests.athena.__main__ import main, run_command
from seq_assets_tests.athena.errors import StackFailedError

needs_stack = pytest.mark.athena
STACK = [sys.executable, "-m", "seq_assets_tests.athena"]
PATIENCE_SECONDS = 90
INTERRUPTED = "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGINT)"
"""Dies of SIGINT also where a shell, which has it ignored in what it starts in the background, started all this."""
QUERY = """
import boto3, os
athena = boto3.client("athena")
assert os.environ["SEQ_ASSETS_ENV"] == "prod" and "AWS_PROFILE" not in os.environ
found = athena.start_query_execution(QueryString="SELECT 1", WorkGroup=os.environ["SEQ_ASSETS_WORKGROUP"])
boto3.client("s3").list_objects_v2(Bucket=os.environ["SEQ_ASSETS_BUCKET"])
boto3.client("glue").get_database(Name=os.environ["SEQ_ASSETS_DATABASE"])
raise SystemExit(7)
"""


def descendants(pid: int) -> set[int]:
    """The processes that a process started, and theirs."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listed.splitlines())}
    found, last = {pid}, 0
    while len(found) > last:
        last = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found - {pid}


def is_alive(pid: int) -> bool:
    """Whether there is a process, and it is none that only waits for its parent to notice its end."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()
    return bool(state) and not state.startswith("Z")


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that must happen."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class Run:
    """One run of the command line, whose temporary files are in a folder of the test."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        """Start it."""
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        environment = os.environ | {"TMPDIR": str(self.temporary), "AWS_PROFILE": "somebody"}
        self.process = subprocess.Popen(
            [*STACK, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
        )
        self.seen: set[int] = set()

    def wait_for_java(self) -> None:
        """Wait until Trino's process runs, that is not yet until it is up."""
        wait_until(lambda: self.process.poll() is not None or len(descendants(self.process.pid)) == 2)
        assert self.process.poll() is None, self.end()
        self.seen |= descendants(self.process.pid)

    def end(self) -> tuple[int, str, str]:
        """Wait for its end: exit code, output, errors."""
        output, errors = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, output, errors

    def assert_nothing_is_left(self) -> None:
        """No process that was seen, and no file."""
        assert len(self.seen) >= 2, "the processes were seen"
        assert [pid for pid in self.seen if is_alive(pid)] == []
        assert list(self.temporary.iterdir()) == []


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Run]:
    return lambda *arguments: Run(tmp_path, *arguments)


@needs_stack
def test_a_command_runs_against_the_stack(start: Callable[..., Run]) -> None:
    run = start("--", sys.executable, "-c", QUERY)
    run.wait_for_java()
    code, output, errors = run.end()
    assert (code, output, errors) == (7, "", "")
    run.assert_nothing_is_left()


@needs_stack
def test_a_signal_reaches_the_command(start: Callable[..., Run]) -> None:
    run = start("--", sys.executable, "-c", "import time; print('runs', flush=True); time.sleep(600)")
    run.wait_for_java()
    assert run.process.stdout is not None
    assert run.process.stdout.readline() == "runs\n"
    run.seen |= descendants(run.process.pid)
    run.process.send_signal(signal.SIGTERM)
    assert run.end()[0] == 128 + signal.SIGTERM
    run.assert_nothing_is_left()


@needs_stack
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_starting(start: Callable[..., Run], number: signal.Signals) -> None:
    run = start()
    run.wait_for_java()
    run.process.send_signal(number)
    code, output, errors = run.end()
    assert (code, output, errors) == (128 + number, "", "")
    run.assert_nothing_is_left()


@needs_stack
def test_serving_until_an_interrupt(start: Callable[..., Run]) -> None:
    run = start()
    run.wait_for_java()
    assert run.process.stdout is not None
    lines = [run.process.stdout.readline().rstrip() for _ in range(12)]
    assert lines[0] == "unset AWS_PROFILE AWS_SESSION_TOKEN"
    assert {line.split("=")[0] for line in lines[1:]} == {
        f"export {name}"
        for name in (
            "SEQ_ASSETS_ENV",
            "SEQ_ASSETS_BUCKET",
            "SEQ_ASSETS_PREFIX",
            "SEQ_ASSETS_DATABASE",
            "SEQ_ASSETS_WORKGROUP",
            "AWS_ENDPOINT_URL",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_DEFAULT_REGION",
            "AWS_REGION",
            "AWS_EC2_METADATA_DISABLED",
        )
    }
    query = "\n".join([*lines, f"exec {sys.executable} -c '{QUERY}'"])
    assert subprocess.run(["sh", "-c", query], check=False).returncode == 7
    run.process.send_signal(signal.SIGINT)
    assert run.end()[0] == 0
    run.assert_nothing_is_left()


@needs_stack
def test_a_kill_that_nobody_can_catch(start: Callable[..., Run]) -> None:
    run = start()
    run.wait_for_java()
    run.process.kill()
    run.end()
    wait_until(lambda: not any(is_alive(pid) for pid in run.seen))
    run.assert_nothing_is_left()


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["now"], ["--"], ["--help"]):
        assert main(arguments) == 2
    assert capsys.readouterr().err.count("usage: python -m seq_assets_tests.athena") == 3


@pytest.fixture
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals")
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "kill -9 $$"], 137),
        ([sys.executable, "-c", INTERRUPTED], 130),
        (["no-such-command"], 127),
        (["/"], 126),
        (["sh", "-c", 'test "$SEQ_ASSETS_ENV-$AWS_PROFILE-$HERE" = prod--yes'], 0),
    ],
)
def test_the_exit_code_is_the_commands(command: list[str], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    monkeypatch.setenv("HERE", "yes")
    assert run_command(command, {"SEQ_ASSETS_ENV": "prod"}) == code


@needs_stack
def test_a_trino_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    from seq_assets_tests.athena.trino import Trino

    aws = {
        "AWS_ENDPOINT_URL": "",
        "AWS_REGION": "",
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "SEQ_ASSETS_BUCKET": "",
    }
    threads = threading.active_count()
    with (
        pytest.raises(StackFailedError, match=r"its log ends with:\n.*io\.trino\.server\.TrinoServer"),
        Trino(tmp_path, tmp_path / "of_trino", aws),
    ):
        pass
    assert threading.active_count() == threads
