"""The command that brings a version out of the platform: `export`."""

import json
from collections.abc import Iterable

import click

from seq_assets.cli.chosen import TABLE_LENGTH_OPTION, complete_model, require_possible
from seq_assets.cli.shown import JSON_OPTION
from seq_assets.client.export import FORMATS, ExportFormat
from seq_assets.models import SUBSETS, Subset


@click.command()
@click.argument("model", shell_complete=complete_model)
@click.argument("out")
@TABLE_LENGTH_OPTION
@click.option("--subset", type=click.Choice(SUBSETS), help="Default: train; of raw observations, both.")
@click.option("--version", type=int, help="A version's id; default: the newest.")
@click.option("--format", "format_", type=click.Choice(FORMATS), required=True, help="What OUT will be.")
@click.option(
    "--column",
    "columns",
    metavar="ROLE=COLUMN",
    multiple=True,
    help="Of dkt (skill, answer), pykt (concepts, responses, questions, timestamps, usetimes) and recbole (item_id, timestamp, "
    "rating, label): which column plays a role (repeatable).",
)
@click.option("--force", is_flag=True, help="Replace OUT where it is there.")
@JSON_OPTION
def export(
    model: str,
    out: str,
    sequence_length: int | None,
    subset: Subset | None,
    version: int | None,
    format_: ExportFormat,
    columns: tuple[str, ...],
    force: bool,
    as_json: bool,
) -> None:
    """Writes a version to OUT, a file here or on S3 (s3://…), for other programs.

    parquet, csv and jsonl hold all columns; npz holds an array per column. dkt (three-line text), pykt (a *_sequences.csv) and
    recbole (an .inter) hold the columns that --column names, without padding. OUT is there whole or not at all.
    """
    from seq_assets.client.datasets import load, load_observations

    roles = _roles(columns)
    require_possible(model, with_sequences=sequence_length is not None)
    rows = (
        load_observations(model, subset=subset, version=version)
        if sequence_length is None
        else load(model, sequence_length=sequence_length, subset=subset or "train", version=version)
    )
    written = rows.export(out, format_, columns=roles, force=force)
    if as_json:
        click.echo(json.dumps(written.to_dict(), indent=2))
    else:
        source = f"{written.table} {written.version}"
        click.echo(f"{written.path}: {written.records:,} records, {written.bytes:,} bytes, of {source}")


def _roles(columns: Iterable[str]) -> dict[str, str]:
    roles: dict[str, str] = {}
    for given in columns:
        role, is_there, column = given.partition("=")
        if not (role and is_there and column):
            raise click.UsageError(f"--column: found {given!r}; allowed: ROLE=COLUMN, such as answer=correct")
        if role in roles:
            raise click.UsageError(f"--column: found {role} twice; allowed: once")
        roles[role] = column
    return roles
