"""The group of all commands, and how it shows errors."""

from typing import Any

import click

from seq_assets.cli.building import materialize
from seq_assets.cli.init import init
from seq_assets.cli.models import models, validate
from seq_assets.cli.published import advise, versions
from seq_assets.cli.sequence import sequence
from seq_assets.errors import SeqAssetsError


class _Group(click.Group):
    """Shows an error that was written for the user as its message alone."""

    def invoke(self, ctx: click.Context) -> Any:
        """As click does, with exit code 1 and a message for such errors and for what the machine refuses (a full disk, …)."""
        try:
            return super().invoke(ctx)
        except (SeqAssetsError, OSError) as error:
            raise click.ClickException(str(error)) from error


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


for _command in (init, models, validate, materialize, advise, versions, sequence):
    cli.add_command(_command)
