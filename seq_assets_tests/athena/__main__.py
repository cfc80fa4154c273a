"""Start the stack: `python -m seq_assets_tests.athena` serves it, `… -- COMMAND` runs a command against it.

Belongs here: the command line and signals. Not here: the stack.
"""

import os
import shlex
import signal
import subprocess
import sys
from types import FrameType
from typing import NoReturn

from seq_assets_tests.athena.errors import StackFailedError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_USAGE = "usage: python -m seq_assets_tests.athena [-- COMMAND [ARGUMENT …]]"


class _InterruptedError(BaseException):
    """A signal asks this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(arguments: list[str]) -> int:
    """Serve the stack until a signal comes, or run a command against it; the exit code is the command's."""
    if arguments and (arguments[0] != "--" or len(arguments) == 1):
        print(_USAGE, file=sys.stderr)
        return 2
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    command, is_up = arguments[1:], False
    try:
        # What this imports takes a second or two, in which a signal may come.
        from seq_assets_tests.athena.stack import Stack

        with Stack() as stack:
            is_up = True
            code = run_command(command, stack.settings) if command else _serve(stack.settings)
            # The answer stands; nothing is to disturb the end.
            _ignore_signals()
            return code
    except StackFailedError as error:
        print(error, file=sys.stderr)
        return 1
    except _InterruptedError as interrupt:
        # A server is there to be interrupted.
        return 0 if is_up and not command else 128 + interrupt.number


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    _ignore_signals()
    raise _InterruptedError(number)


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _serve(settings: dict[str, str]) -> NoReturn:
    print("unset AWS_PROFILE AWS_SESSION_TOKEN")
    for name, value in settings.items():
        print(f"export {name}={shlex.quote(value)}")
    print("The stack is up; Ctrl-C stops it.", file=sys.stderr)
    sys.stdout.flush()
    while True:
        signal.pause()


def run_command(command: list[str], settings: dict[str, str]) -> int:
    """Run the command with the user's environment, except for what would point it at another AWS."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | settings
    try:
        process = subprocess.Popen(command, env=environment)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127 if isinstance(error, FileNotFoundError) else 126

    def pass_on(number: int, frame: FrameType | None) -> None:
        # A terminal gives its interrupt to the command as well; twice would mean something else.
        if number != signal.SIGINT or not sys.stdin.isatty():
            process.send_signal(number)

    for number in _SIGNALS:
        signal.signal(number, pass_on)
    code = process.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
