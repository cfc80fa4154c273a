"""The group of all commands, and how it shows errors: one sentence each; where they come from is shown with `--debug`."""

import errno
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click
from click.exceptions import Exit

from seq_assets.cli.building import materialize
from seq_assets.cli.diff import diff
from seq_assets.cli.export import export
from seq_assets.cli.garbage import gc
from seq_assets.cli.init import init
from seq_assets.cli.models import models, validate
from seq_assets.cli.published import advise, versions
from seq_assets.cli.repair import repair
from seq_assets.cli.sequence import sequence
from seq_assets.cli.tags import tag
from seq_assets.errors import DamagedWarning, SeqAssetsError

_DEBUG: Final = "debug"


class _Group(click.Group):
    """Shows an error as its message alone."""

    def invoke(self, ctx: click.Context) -> Any:
        """As click does, with exit code 1 and a message for whatever goes wrong, whoever's mistake it is."""
        try:
            with _shown_warnings():
                return super().invoke(ctx)
        except (click.ClickException, click.Abort, Exit):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # nobody reads what the command says; click ends it
            if ctx.meta.get(_DEBUG):
                click.echo("".join(traceback.format_exception(error)), err=True)
            raise click.ClickException(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    if isinstance(error, SeqAssetsError):
        return str(error)
    from seq_assets.warehouse.host_faults import refusal

    refused = refusal(error)
    if refused is not None:
        place = f"{refused.path!r} cannot be used: " if refused.path else ""
        return f"{place}{refused.what}; {refused.remedy}, or choose another place."
    return (
        f"{type(error).__name__}: {error}. This is a mistake of the program; run the same command with --debug to see where it "
        "comes from, and tell those who maintain it."
    )


def _remember(ctx: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    # Shared by the contexts of the group and of its command.
    ctx.meta[_DEBUG] = ctx.meta.get(_DEBUG, False) or is_wanted


_debug_option: Final = click.option(
    "--debug", is_flag=True, expose_value=False, callback=_remember, help="Show where an error comes from, too."
)


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
@_debug_option
def cli() -> None:
    """Raw observations in, padded and versioned sequence datasets out.

    Settings: SEQ_ASSETS_ENV (local, staging or prod), SEQ_ASSETS_HOME (where local tables live), SEQ_ASSETS_MODELS (a folder
    of model files).
    """


for _command in (init, models, validate, materialize, advise, versions, tag, diff, export, sequence, gc, repair):
    # It may stand before the command's name, or behind it.
    cli.add_command(_debug_option(_command))
