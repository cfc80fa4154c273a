"""The command that runs the graph: `materialize`."""

import json
import sys

import click

from seq_assets.cli.chosen import complete_length, complete_model, require_known
from seq_assets.cli.shown import JSON_OPTION, describe_version, echo_table
from seq_assets.environments import current_environment, prepare_dagster_home


@click.command()
@click.argument("models", metavar="[MODEL]...", nargs=-1, shell_complete=complete_model)
@click.option(
    "--sequence-length",
    "lengths",
    type=int,
    multiple=True,
    shell_complete=complete_length,
    help="Only this length (repeatable); default: all.",
)
@click.option("--force", is_flag=True, help="Build even what is unchanged.")
@JSON_OPTION
def materialize(models: tuple[str, ...], lengths: tuple[int, ...], force: bool, as_json: bool) -> None:
    """Builds models (all by default) through Dagster; the runs appear in its UI."""
    environment = current_environment()
    registry = environment.registry()
    chosen = models or registry.names
    require_known(chosen, lengths, registry)
    import os

    os.environ["DAGSTER_HOME"] = str(prepare_dagster_home(environment))
    from seq_assets.materialize import materialize_models

    outcomes = materialize_models(environment, registry, chosen, lengths, force)
    built = [describe_version(version) for outcome in outcomes for version in outcome.versions]
    failures = {outcome.model: outcome.failures for outcome in outcomes if outcome.failures}
    if as_json:
        click.echo(json.dumps({"built": built, "failed": failures}, indent=2))
    else:
        echo_table(built)
        click.echo(f"Tables are in {environment.place_of_tables}")
    for model, messages in failures.items():
        click.echo(f"{model} failed:\n" + "\n".join(messages), err=True)
    if failures:
        sys.exit(1)
