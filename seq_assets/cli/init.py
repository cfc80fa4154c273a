"""The command that writes a first model file for a source: `init`."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from seq_assets.models.proposal import model_name, propose
from seq_assets.models.spec import NAME_PATTERN

_ADDRESSES: Final = ("s3://", "sample://", "glue://")


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option("--name", help="Of the model; default: from the name of the file or folder.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the model file is written, never over an existing one; default: standard output.",
)
def init(files: tuple[str, ...], name: str | None, output: Path | None) -> None:
    """Proposes a model file for a source, each line explained.

    FILE is a file, a folder, a glob, or an address (s3://bucket/prefix/, sample://school); several files are one source.
    Columns and types are found in a sample of the records; entity, order and features are proposed.
    """
    if output is not None and output.exists():
        raise click.UsageError(f"--output: {output} exists, and is not overwritten; name another file, or remove it")
    location = _location(files)
    chosen = name if name is not None else model_name(_stem(location)) or "model"
    if not re.fullmatch(NAME_PATTERN, chosen):
        allowed = f"a to z first, then a to z, 0 to 9 and _, such as {model_name(chosen) or 'answers'}"
        raise click.UsageError(f"--name: found {chosen!r}; allowed: {allowed}")
    from seq_assets.warehouse.local.profiling import sample_source

    sampled = sample_source(location, ".", _shown(location, output))
    try:
        text = propose(sampled, chosen)
    except ValueError as error:
        raise click.ClickException(f"{location}: {error}") from error
    if output is None:
        click.echo(text, nl=False)
        return
    with output.open("x", encoding="utf-8") as opened:
        opened.write(text)
    click.echo(f"{output} is written; check it by `seq-assets validate {output}`")


def _location(files: Sequence[str]) -> str:
    """The one location that has exactly the given files.

    Raises:
        click.UsageError: There is none.
    """
    if len(files) == 1:
        return files[0]
    given = {Path(file) for file in files}
    folder = Path(os.path.commonpath([file.parent for file in given]))
    suffixes = {file.suffix for file in given}
    patterns = [folder, *(folder / pattern for suffix in suffixes for pattern in (f"*{suffix}", f"**/*{suffix}"))]
    for pattern in patterns:
        found = pattern.rglob("*") if pattern == folder else folder.glob(str(pattern.relative_to(folder)))
        if {file for file in found if file.is_file() and not file.name.startswith((".", "_"))} == given:
            return str(pattern)
    raise click.UsageError(
        f"{len(files)} files of {folder} are neither all of a folder nor all of an extension there; a source has one location: "
        "move them into a folder of their own"
    )


def _stem(location: str) -> str:
    """What a source is called: its file without extension, else its folder."""
    parts = [part for part in location.rstrip("/").split("/") if part and not any(sign in part for sign in "*?[")]
    last = parts[-1] if parts else Path.cwd().name
    return last.split(".", maxsplit=1)[0] or Path(location).resolve().name


def _shown(location: str, output: Path | None) -> str:
    """The location as the model file gives it: relative to the file where it is below its folder, else from the root."""
    if location.startswith(_ADDRESSES):
        return location
    absolute = Path(location).expanduser().absolute()
    if output is not None and absolute.is_relative_to(output.absolute().parent):
        return str(absolute.relative_to(output.absolute().parent))
    return str(absolute)
