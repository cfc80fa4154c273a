"""The commands about model files: `models` and `validate`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from seq_assets.cli.shown import JSON_OPTION, describe_versions, echo_table
from seq_assets.environments import current_environment
from seq_assets.errors import SeqAssetsError, SourceError
from seq_assets.models import ModelRegistry, ModelSpec, model_files

if TYPE_CHECKING:
    from seq_assets.warehouse.interface import SourceSample, Warehouse

_SAMPLE_RECORDS: Final = 1_000
"""Of a source, that `validate` looks at."""


@click.command()
@JSON_OPTION
def models(as_json: bool) -> None:
    """The models, their lengths, what is built and at which version."""
    environment = current_environment()
    registry = environment.registry()
    warehouse = environment.warehouse()
    with warehouse.at_rest():
        shown = [_describe_model(name, registry, warehouse) for name in registry.names]
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    for model in shown:
        lengths = ", ".join(map(str, model["sequence_lengths"])) or "none (a raw model)"
        click.secho(model["model"], bold=True, nl=False)
        click.echo(f"  {model['error'] or model['description']}")
        if not model["error"]:
            click.echo(f"  lengths: {lengths}")
        echo_table(model["built"], indent="  ")


def _describe_model(name: str, registry: ModelRegistry, warehouse: "Warehouse") -> dict[str, Any]:
    spec = registry.specs.get(name)
    built = [warehouse.find(dataset) for dataset in warehouse.datasets() if dataset.model == name]
    return {
        "model": name,
        "description": spec.description if spec else "",
        "file": str(registry.files[name]),
        "sequence_lengths": list(spec.lengths) if spec else [],
        "error": str(registry.broken[name]) if name in registry.broken else None,
        "built": describe_versions(built),
    }


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--no-source", is_flag=True, help="Only check the text of the files, and look at no source.")
def validate(files: tuple[Path, ...], no_source: bool) -> None:
    """Checks model files (all of the models folder by default) and shows every mistake at once.

    Looks at each model's source, too: whether it is there, its columns, and what the contract says of its first records.
    Nothing is written or published. Where there is no mistake, what was seen is said on standard error.
    """
    registry = ModelRegistry.of_files(files or model_files(current_environment().models_folder))
    problems = [str(mistake) for error in registry.broken.values() for mistake in error.mistakes]
    said: list[str] = []
    for name in registry:
        file = registry.files[name]
        try:
            notes = [] if no_source else _look_at_source(registry[name], registry.folder_of(name))
        except SeqAssetsError as error:
            problems.append(f"{file}: {error}")
            continue
        click.echo(f"{file}: ok")
        if notes:
            said.append(f"{file}: " + "\n  ".join(notes))
    if problems:
        raise click.ClickException("\n".join(problems))
    for note in said:
        click.echo(note, err=True)


def _look_at_source(spec: ModelSpec, folder: Path) -> list[str]:
    """What there is to say about a model's source.

    Raises:
        SourceError: A run of the model would fail by what was seen.
    """
    from seq_assets.sequencing.plans import IngestPlan

    environment = current_environment()
    location = spec.location(environment.name)
    if location is None:
        return [f"its source was not looked at, because source.location names none for the environment {environment.name}"]
    if location.startswith("glue://") and environment.name != "prod":
        return [f"its source was not looked at, because {location} is a table, which the environment prod alone can read"]
    sample = environment.warehouse().sample_source(IngestPlan(spec, location, str(folder)), _SAMPLE_RECORDS)
    if sample.problem:
        raise SourceError(f"of the first records of {location}, {sample.problem}")
    return list(_notes(spec, location, sample))


def _notes(spec: ModelSpec, location: str, sample: "SourceSample") -> Iterator[str]:
    yield f"its source, {location}, is {sample.described}"
    if sample.ignored:
        yield f"columns that the contract does not read: {', '.join(sample.ignored)}"
    if sample.absent:
        yield f"columns that were not found, and are null: {', '.join(sample.absent)}"
    accounting = sample.accounting
    if accounting is None:
        yield "records: none were read, because only a query could"
    elif not accounting.rejected:
        yield f"records: the first {accounting.read:,} meet the contract"
    else:
        reasons = ", ".join(f"{reason} {count}" for reason, count in accounting.rejected_by_reason.items())
        yield (
            f"records: {accounting.rejected:,} of the first {accounting.read:,} are rejected ({reasons}), within "
            f"checks.rejected_ratio.max, {spec.checks.rejected_ratio.max:g}; the first of them:"
        )
        yield from (f"  {line}" for line in sample.rejected)
