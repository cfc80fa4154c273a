"""Telling people of damaged tables where they look at a run: in its log."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from seq_assets.errors import DamagedWarning


@contextmanager
def damage_logged(log: dg.DagsterLogManager) -> Iterator[None]:
    """Within it, a warning that an older state of a table is read goes to the log, each once."""
    with warnings.catch_warnings():
        show = warnings.showwarning
        warnings.simplefilter("default", DamagedWarning)

        def logged(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, DamagedWarning):
                log.warning(str(message))
            else:
                show(message, category, *place, **more)

        warnings.showwarning = logged
        yield
