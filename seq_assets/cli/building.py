"""The command that runs the graph: `materialize`."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from seq_assets.cli.chosen import complete_length, complete_model, require_known
from seq_assets.cli.shown import JSON_OPTION, echo_table
from seq_assets.client.versions import describe_version
from seq_assets.environments import current_environment, prepare_dagster_home

if TYPE_CHECKING:
    from dagster import AssetCheckEvaluation

    from seq_assets.materialize import Outcome
    from seq_assets.warehouse.interface import Version

_SHOWN = ("table", "version", "state", "rows", "rejected", "excluded", "pad_ratio")
"""Of a table that stands now, where there is anything to show."""


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
    built = [_describe_built(outcome, version) for outcome in outcomes for version in outcome.versions]
    checks = [_describe_check(evaluation) for outcome in outcomes for evaluation in outcome.checks]
    failures = {outcome.model: outcome.failures for outcome in outcomes if outcome.failures}
    if as_json:
        click.echo(json.dumps({"built": built, "checks": checks, "failed": failures}, indent=2))
    else:
        echo_table([_shown(row, built) for row in built])
        for check in checks:
            click.echo("{severity}: {check} of {asset}, {partition}: {message}".format_map(check))
        click.echo(f"Tables are in {environment.place_of_tables}")
    for model, messages in failures.items():
        click.echo(f"{model} failed:\n" + "\n".join(messages), err=True)
    if failures:
        sys.exit(1)


def _describe_built(outcome: "Outcome", version: "Version") -> dict[str, Any]:
    """A table that stands now, and how it came to be; `excluded` is there where the accounting has it."""
    accounting = version.metadata["accounting"]
    excluded = {"excluded": accounting["excluded"]} if "excluded" in accounting else {}
    return {
        **describe_version(version),
        "unchanged": version.id not in outcome.built,
        "rejected": accounting.get("rejected"),
        **excluded,
    }


def _shown(row: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A row for people, with the columns that any row has."""
    names = {name for other in rows for name in other} | {"state"}
    described = row | {"state": "unchanged" if row["unchanged"] else "built"}
    return {name: described.get(name) for name in _SHOWN if name in names}


def _describe_check(evaluation: "AssetCheckEvaluation") -> dict[str, Any]:
    """A check that failed or warns: which, of what, its sentence and its numbers."""
    return {
        "check": evaluation.check_name,
        "asset": evaluation.asset_key.to_user_string(),
        "partition": evaluation.partition,
        "severity": evaluation.severity.value.lower(),
        "message": evaluation.description or "",
        "numbers": {name: value.value for name, value in evaluation.metadata.items()},
    }
