"""Running a command in this process: no mistake of a user ends in a traceback."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from seq_assets.cli.commands import cli

SOURCE = "pupil,time,item\n1,1,10\n1,2,20\n1,3,30\n2,1,40\n"
PATIENT = "import seq_assets.cli as cli; cli._seconds_to_stop = lambda: 100.0; cli.main()"
"""The command line, whose work has as long to end as a busy machine may need."""


def run(*arguments: str | Path, code: int = 0) -> Result:
    """Runs a command that must end with this exit code, and never with a traceback."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="seq-assets")
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def run_json(*arguments: str | Path, code: int = 0) -> Any:
    """What a command prints with `--json`, and nothing but that on standard output."""
    return json.loads(run(*arguments, "--json", code=code).stdout)
