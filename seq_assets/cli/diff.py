"""The command that compares two versions: `diff`."""

import json

import click

from seq_assets.cli.chosen import TABLE_LENGTH_OPTION, complete_model, require_possible
from seq_assets.cli.shown import JSON_OPTION
from seq_assets.models import SUBSETS, Subset


@click.command()
@click.argument("model", shell_complete=complete_model)
@TABLE_LENGTH_OPTION
@click.option("--subset", type=click.Choice(SUBSETS), help="Default: train; of raw observations, both.")
@click.option("--from", "from_version", type=int, help="A version's id; default: the one before the other.")
@click.option("--to", "to_version", type=int, help="A version's id; default: the newest.")
@JSON_OPTION
def diff(
    model: str,
    sequence_length: int | None,
    subset: Subset | None,
    from_version: int | None,
    to_version: int | None,
    as_json: bool,
) -> None:
    """What changed between two versions: schema, rows, entities added, removed and altered, and what was measured.

    An entity is altered where its rows differ in the columns that both versions have. `seq-assets versions` shows the ids.
    """
    from seq_assets.client.diff import diff as compare

    require_possible(model, with_sequences=sequence_length is not None)
    found = compare(model, sequence_length=sequence_length, subset=subset, from_version=from_version, to_version=to_version)
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else repr(found))
