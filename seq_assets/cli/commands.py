"""The group of all commands, and how it shows errors."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from seq_assets.cli.building import materialize
from seq_assets.cli.init import init
from seq_assets.cli.models import models, validate
from seq_assets.cli.published import advise, versions
from seq_assets.cli.repair import repair
from seq_assets.cli.sequence import sequence
from seq_assets.errors import DamagedWarning, SeqAssetsError


class _Group(click.Group):
    """Shows an error that was written for the user as its message alone."""

    def invoke(self, ctx: click.Context) -> Any:
        """As click does, with exit code 1 and a message for such errors and for what the machine refuses (a full disk, …)."""
        try:
            with _shown_warnings():
                return super().invoke(ctx)
        except (SeqAssetsError, OSError) as error:
            raise click.ClickException(str(error)) from error


@contextmanager
def _shown_warnings() -> Iterator[None]:
    """Shows a warning that was written for the user as its message alone."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def shown(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, DamagedWarning):
                click.echo(f"Warning: {message}", err=True)
            else:
                show(message, category, *place, **more)

        warnings.showwarning = shown
        yield


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(package_name="seq-assets")
def cli() -> None:
    """Raw observations in, padded and versioned sequence datasets out.

    Settings: SEQ_ASSETS_ENV (local, staging or prod), SEQ_ASSETS_HOME (where local tables live), SEQ_ASSETS_MODELS (a folder
    of model files).
    """


for _command in (init, models, validate, materialize, advise, versions, sequence, repair):
    cli.add_command(_command)
