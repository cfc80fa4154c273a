"""The command that names versions: `tag`."""

import json
from typing import TYPE_CHECKING

import click

from seq_assets.cli.chosen import complete_length, complete_model
from seq_assets.cli.shown import JSON_OPTION
from seq_assets.environments import current_environment
from seq_assets.models import SUBSETS

if TYPE_CHECKING:
    from seq_assets.sequencing.plans import Dataset
    from seq_assets.warehouse.interface import Version, Warehouse


@click.command()
@click.argument("model", shell_complete=complete_model)
@click.argument("name")
@click.option(
    "--sequence-length", type=int, required=True, shell_complete=complete_length, help="The sequences of this length."
)
@click.option("--version", help="The version that gets the name, of either subset: its id, or another name of it.")
@click.option("--force", is_flag=True, help="Move the name where another version has it.")
@click.option("--delete", is_flag=True, help="Take the name away in place of giving it.")
@JSON_OPTION
def tag(model: str, name: str, sequence_length: int, version: str | None, force: bool, delete: bool, as_json: bool) -> None:
    """Names a version: `gc` keeps it with all that it needs, and `load(version="NAME")` loads it.

    The sequences of all subsets that were made from the same raw observations get the name, as a tag of Iceberg. NAME begins
    with a letter; then letters, digits and _ . - may follow. A name that another version has is moved only with --force; the
    version that loses it goes like others, when there are newer ones enough.
    """
    from seq_assets.sequencing.plans import Dataset

    if delete == (version is not None):
        raise click.UsageError("name a version with --version, or take a name away with --delete")
    warehouse = current_environment().warehouse()
    datasets = [Dataset.sequenced(model, subset, sequence_length) for subset in SUBSETS]
    if version is None:
        changed = _without(warehouse, datasets, name)
    else:
        versions = _of_one_raw_version(warehouse, datasets, version)
        warehouse.tag(versions, name, move=force)
        changed = [{"table": found.dataset.table, "version": str(found.id), "tag": name} for found in versions]
    if as_json:
        click.echo(json.dumps(changed, indent=2))
    else:
        for one in changed:
            said = f"no version is named {name} any more" if delete else f"version {one['version']} is named {name}"
            click.echo(f"{one['table']}: {said}")


def _without(warehouse: "Warehouse", datasets: "list[Dataset]", name: str) -> list[dict[str, str]]:
    from seq_assets.errors import NotPublishedError

    changed = [{"table": dataset.table, "tag": name} for dataset in datasets if warehouse.untag(dataset, name)]
    if not changed:
        raise NotPublishedError(f"{' and '.join(dataset.table for dataset in datasets)}: no version is named {name!r}.")
    return changed


def _of_one_raw_version(warehouse: "Warehouse", datasets: "list[Dataset]", version: str) -> "list[Version]":
    """Of each subset the version that was made with the one that is named."""
    from seq_assets.errors import NotPublishedError

    named, missing = None, None
    for dataset in datasets:
        try:
            named = warehouse.find(dataset, version)
            break
        except NotPublishedError as error:
            missing = missing or error
    if named is None:
        assert missing is not None, "there are subsets"
        raise missing
    found = []
    for dataset in datasets:
        made = [one for one in warehouse.versions(dataset) if one.raw_version == named.raw_version]
        if not made:
            raise NotPublishedError(
                f"{dataset.table} has no version that was made from the raw version {named.raw_version}, as version "
                f"{named.id} of {named.dataset.table} was; materialize {dataset.model}, and name a version that both have."
            )
        found.append(named if dataset == named.dataset else made[0])
    return found
