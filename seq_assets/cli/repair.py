"""The command that mends a damaged catalog: `repair`."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from seq_assets.cli.shown import JSON_OPTION
from seq_assets.environments import current_environment

if TYPE_CHECKING:
    from seq_assets.warehouse.interface import Repair, TableRepair


@click.command()
@JSON_OPTION
def repair(as_json: bool) -> None:
    """Registers tables again whose catalog is lost or broken, from their newest whole metadata.

    Ids and history are as before. A broken catalog.db is kept under another name, and no file of a table is removed. Safe at
    any time, also while others publish, and when it is stopped and run again; where nothing is damaged, nothing is changed.
    Exit code 1 where a table could not be repaired.
    """
    environment = current_environment()
    done = environment.warehouse().repair()
    if as_json:
        click.echo(json.dumps(_described(done), indent=2))
    else:
        _echo(done, environment.place_of_tables)
    for sentence in done.missing:
        click.echo(sentence, err=True)
    if not all(table.is_repaired for table in done.tables):
        sys.exit(1)


def _described(done: "Repair") -> dict[str, Any]:
    return {
        "catalog": done.catalog,
        "tables": [_described_table(table) for table in done.tables],
        "missing": list(done.missing),
    }


def _described_table(table: "TableRepair") -> dict[str, Any]:
    return {
        "table": table.dataset.table,
        "found": table.found,
        "done": table.done,
        "repaired": table.is_repaired,
        "versions": [str(version) for version in table.versions],
        "given_up": list(table.given_up),
    }


def _echo(done: "Repair", place: str) -> None:
    if done.catalog is None and not done.tables:
        click.echo(f"Nothing to repair: the catalog lists every table in {place}, and its metadata can be read.")
        return
    if done.catalog is not None:
        click.echo(f"{done.catalog}. A new one stands in its place.")
    for table in done.tables:
        click.echo(f"{table.dataset.table}: {table.found}")
        for reason in table.given_up:
            click.echo(f"  given up: {reason}")
        versions = ", ".join(map(str, table.versions[:1])) or "none"
        click.echo(f"  done: {table.done}; versions: {len(table.versions)}, the newest: {versions}")
