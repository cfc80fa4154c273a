"""The command line, `seq-assets`: exit code 0 done, 1 failed, 2 wrong usage, 130 or 143 told to stop by SIGINT or SIGTERM.

Belongs here: arguments, and how results are shown, one module per group of commands. The work is done by the graph
(`materialize`), the client and the warehouse.
"""

import gc
import signal
from typing import Final

OBJECTS_BETWEEN_COLLECTIONS: Final = 100_000
"""Python's own, 700, has the collector look through all that Dagster defines again and again: 7 % of the CPU of a small run."""


def main() -> None:
    """The console script. What is heavy is imported when signals are heard already."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Until then, the process dies of one as others do, without a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    from seq_assets.cli.stopping import run_stoppable

    run_stoppable(_run_command, _seconds_to_stop)


def _run_command() -> None:
    from seq_assets.cli.commands import cli

    cli(prog_name="seq-assets")


def _seconds_to_stop() -> float:
    from seq_assets.environments import current_environment
    from seq_assets.errors import SettingsError

    try:
        return current_environment().seconds_to_stop
    except SettingsError:
        return 0  # the command is about to say so itself
