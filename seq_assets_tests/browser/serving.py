"""The servers of the UI, started as `make dev` starts them: the webserver, the daemon and the code location."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from seq_assets_tests.assets.building import School

SECONDS_TO_START: Final = 180
SECONDS_TO_END: Final = 30
_SETTINGS: Final = ("SEQ_ASSETS_", "DAGSTER_", "MODE")


@contextmanager
def served(school: School, checkout: Path) -> Iterator[str]:
    """Serves the UI over a school's model files, and ends all its processes.

    Args:
        school: The model files and their sources; the servers' log, `servers.log`, is written beside them.
        checkout: Where the `pyproject.toml` is that says what `dg` loads.

    Yields:
        The address of the UI.
    """
    port = _free_port()
    variables = _variables(school)
    command = [sys.executable, "-m", "dagster_dg_cli.cli", "dev", "--host", "127.0.0.1", "--port", str(port)]
    log = school.folder / "servers.log"
    with log.open("wb") as opened:
        # In a group of their own, so that they can be ended together with the processes of their runs.
        servers = subprocess.Popen(
            command, cwd=checkout, env=variables, stdout=opened, stderr=subprocess.STDOUT, process_group=0
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address, servers, log)
            yield address
        finally:
            _end(servers)


def _variables(school: School) -> Mapping[str, str]:
    """The environment of `make dev`, with the school's settings in place of this machine's."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
    variables |= {"SEQ_ASSETS_HOME": str(school.environment.home), "SEQ_ASSETS_MODELS": str(school.models_folder)}
    command = [sys.executable, "-m", "seq_assets.environments"]
    home = subprocess.run(command, env=variables, capture_output=True, check=True, text=True).stdout.strip()
    return variables | {"DAGSTER_HOME": home}


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def _wait_for(address: str, servers: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and servers.poll() is None:
        with suppress(urllib.error.URLError), urllib.request.urlopen(f"{address}/server_info", timeout=10):
            return
        time.sleep(0.5)
    raise AssertionError(f"the webserver does not answer; its log ends with:\n{log.read_text(encoding='utf-8')[-3000:]}")


def _end(servers: subprocess.Popen[bytes]) -> None:
    """Has the servers end by themselves; what is left of their group after a while is killed."""
    servers.terminate()
    with suppress(subprocess.TimeoutExpired):
        servers.wait(SECONDS_TO_END)
    with suppress(ProcessLookupError):
        os.killpg(servers.pid, signal.SIGKILL)
    servers.wait()
