"""The command that needs no platform: `sequence` cuts one data set and keeps no tables."""

import tempfile
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from seq_assets.cli.chosen import complete_length, complete_model, spec_for
from seq_assets.environments import Environment, current_environment
from seq_assets.errors import SettingsError
from seq_assets.models import SUBSETS, ModelRegistry, ModelSpec, Subset, bundled_models_folder
from seq_assets.models.spec import LONGEST_SEQUENCE

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _flag(name: str, **settings: Any) -> Callable[[_Command], _Command]:
    """An option of `sequence`: a flag beats its environment variable, which beats the default; `--help` shows all three."""
    return click.option(f"--{name}", envvar=f"SEQ_ASSETS_{name.upper()}", show_envvar=True, show_default=True, **settings)


@click.command(context_settings={"token_normalize_func": lambda token: token.replace("-", "_")})
@_flag("s3_data_location", default="data/raw", help="IN: a file, folder or glob.")
@_flag(
    "sequence_length",
    type=click.IntRange(1, LONGEST_SEQUENCE),
    default=5,
    shell_complete=complete_length,
    help="Positions of each sequence.",
)
@_flag("output_s3_location", default="data/sequenced", help="OUT: a folder.")
@_flag("model", default="dkt", shell_complete=complete_model, help="The model whose contract, features and split apply.")
@_flag("subset", type=click.Choice([*SUBSETS, "all"]), default="all", help="What to write.")
def sequence(s3_data_location: str, sequence_length: int, output_s3_location: str, model: str, subset: str) -> None:
    """Cuts the observations at IN into sequences of one length, without keeping tables.

    Writes OUT/train_sequenced_<L>/*.parquet and OUT/validation_sequenced_<L>/*.parquet, and OUT/vocabulary/*.parquet where the
    model encodes features, and replaces what stands there. IN has the columns of the model's source; those of the default model
    are the sample school's.
    """
    context = click.get_current_context()
    names = [str(parameter.name) for parameter in context.command.params]
    click.echo("\n".join(f"{name}: {context.params[name]}" for name in names))
    environment = current_environment()
    spec = spec_for(_model_or_bundled(environment.registry(), model), sequence_length)
    wanted = SUBSETS if subset == "all" else [s for s in SUBSETS if s == subset]
    for written in _write_sequences(environment, spec, s3_data_location, sequence_length, wanted, output_s3_location):
        click.echo(written)


def _model_or_bundled(registry: ModelRegistry, name: str) -> ModelSpec:
    """A model of the registry, or else the bundled one of that name."""
    if name in registry.names:
        return registry[name]
    bundled = ModelRegistry.of_folder(bundled_models_folder())
    return bundled[name] if name in bundled else registry[name]


def _write_sequences(
    environment: Environment, spec: ModelSpec, location: str, sequence_length: int, subsets: Iterable[Subset], output: str
) -> list[Path]:
    """Ingests and sequences in a warehouse that exists for this call, and moves the finished files to their place."""
    from dataclasses import replace

    from seq_assets.io_managers.progress import progress_of, terminal_progress
    from seq_assets.sequencing.plans import Dataset, IngestPlan, SequencePlan
    from seq_assets.warehouse.cancellation import Work, doing

    for address in (location, output):
        if address.startswith("s3://"):
            raise SettingsError(f"{address!r}: the environment {environment.name} reads and writes local paths; give one.")
    out = Path(output)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    work = Work(f"Stopped while {location} was sequenced: what stood in {output} is whole. Run the same command again.")
    with doing(work), tempfile.TemporaryDirectory(prefix=".seq_assets_", dir=out) as home, terminal_progress():
        # Whatever the environment: no table of it is to hear of this.
        warehouse = replace(environment, name="local", home=Path(home)).warehouse()
        progress = progress_of(spec.name, click.echo)
        source = spec.source.model_copy(update={"location": location, "format": "auto"})
        plan = IngestPlan(spec.model_copy(update={"source": source}), location, str(Path.cwd()))
        raw = warehouse.execute(plan, progress=progress).version
        for subset in subsets:
            version = warehouse.execute(SequencePlan.of(spec, subset, sequence_length, raw.id), progress=progress).version
            written.append(_replace_folder(out / f"{subset}_sequenced_{sequence_length}", version.files, Path(home)))
        if spec.encoded:
            vocabulary = warehouse.find(Dataset.vocabulary(spec.name), raw.metadata["vocabulary_version"])
            written.append(_replace_folder(out / "vocabulary", vocabulary.files, Path(home)))
    return written


def _replace_folder(folder: Path, files: Iterable[str], scratch: Path) -> Path:
    """Puts finished files into a folder, instead of what stood there, by renaming."""
    fresh = scratch / uuid.uuid4().hex
    fresh.mkdir()
    for number, file in enumerate(files):
        Path(file).rename(fresh / f"part-{number}.parquet")
    if folder.exists():
        folder.rename(scratch / uuid.uuid4().hex)
    fresh.rename(folder)
    return folder
