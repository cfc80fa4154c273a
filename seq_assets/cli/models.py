"""The commands about model files: `models` and `validate`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seq_assets.cli.shown import JSON_OPTION, describe_versions, echo_table
from seq_assets.environments import current_environment
from seq_assets.errors import Mistake, ModelFileError
from seq_assets.models import ModelRegistry, model_files

if TYPE_CHECKING:
    from seq_assets.warehouse.interface import Warehouse


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
def validate(files: tuple[Path, ...]) -> None:
    """Checks model files (all of the models folder by default) and shows every mistake at once."""
    mistakes: list[Mistake] = []
    registry = ModelRegistry.of_files(files or model_files(current_environment().models_folder))
    for error in registry.broken.values():
        mistakes += error.mistakes
    for name in registry:
        click.echo(f"{registry.files[name]}: ok")
    if mistakes:
        raise ModelFileError(mistakes)
