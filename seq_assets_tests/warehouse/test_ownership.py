"""Processes that made something: told apart, and dead only where that is certain."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from subprocess import CompletedProcess
from typing import Any

import pytest

from seq_assets.warehouse import ownership
from seq_assets.warehouse.ownership import Process


def write_own_name(read: int, write: int) -> None:
    """What a child says of itself."""
    os.close(read)
    os.write(write, Process.current().to_text().encode())


def forked(then: Callable[[], None]) -> tuple[int, Process]:
    """A child of this process that says who it is, and does something; it is not waited for."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        write_own_name(read, write)
        os.close(write)
        then()
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as opened:
        found = Process.from_text(opened.read())
    assert found is not None
    return pid, found


def test_this_process_lives_and_is_the_one_that_its_text_says() -> None:
    process = Process.current()
    assert process.pid == os.getpid()
    assert not process.is_dead
    assert Process.from_text(process.to_text()) == process
    assert "/" not in process.to_text()


@pytest.mark.parametrize("text", ["", "x", "a_b_c_d", "a_b_c_1x_d", "0123456789abcdef0123456789abcdef"])
def test_other_texts_name_no_process(text: str) -> None:
    assert Process.from_text(text) is None


def test_a_process_that_was_killed_is_dead_before_its_parent_takes_notice_and_after() -> None:
    pid, process = forked(signal.pause)
    assert not process.is_dead
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert process.is_dead
    os.waitpid(pid, 0)
    assert process.is_dead


def test_another_process_of_the_same_number_does_not_make_the_first_one_live() -> None:
    assert replace(Process.current(), started="1").is_dead


def test_what_ran_before_the_machine_was_started_is_dead() -> None:
    assert replace(Process.current(), boot="another").is_dead


@pytest.mark.parametrize("elsewhere", [{"host": "other-0"}, {"host": "other-0", "boot": "b"}, {"namespace": "another"}])
def test_a_process_of_another_host_or_container_is_never_judged(elsewhere: dict[str, str]) -> None:
    assert not replace(Process.current(), pid=2**22 + 1, **elsewhere).is_dead


def test_what_the_system_does_not_say_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    current = Process.current()
    assert not replace(current, started=None, boot="another").is_dead
    # A process of another user may be hidden.
    monkeypatch.setattr(ownership, "_content", lambda _: None)
    assert not current.is_dead


@pytest.mark.parametrize(
    ("shown", "is_dead"),
    [
        ("Ss   Sat Nov 29 18:20:11 2025\n", False),
        ("R+   Sun Nov 30 18:20:11 2025\n", True),
        ("Z    Sat Nov 29 18:20:11 2025\n", True),
    ],
)
def test_ps_tells_the_same_where_there_is_no_proc(shown: str, is_dead: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def says(text: str) -> None:
        answer = CompletedProcess([], 0, stdout=text)
        monkeypatch.setattr(ownership.subprocess, "run", lambda *_, **__: answer)  # type: ignore[attr-defined]

    monkeypatch.setattr(ownership, "_started", ownership._started_by_ps)
    says("S    Sat Nov 29 18:20:11 2025\n")
    process = Process.current()
    says(shown)
    assert process.is_dead == is_dead
    says("")
    assert not process.is_dead, "this process is there, whatever ps says"


def test_without_ps_nothing_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise FileNotFoundError("ps")

    monkeypatch.setattr(ownership.subprocess, "run", missing)  # type: ignore[attr-defined]
    assert ownership._started_by_ps(os.getpid()) is None
