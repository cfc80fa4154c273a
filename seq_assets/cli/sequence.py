"""The command that needs no platform: `sequence` cuts one data set and keeps no tables."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from seq_assets.cli.chosen import complete_length, complete_model, spec_for
from seq_assets.environments import current_environment
from seq_assets.models import SUBSETS, ModelRegistry, ModelSpec, bundled_models_folder
from seq_assets.models.spec import LONGEST_SEQUENCE

if TYPE_CHECKING:
    from seq_assets.warehouse.ad_hoc import Written

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _flag(name: str, **settings: Any) -> Callable[[_Command], _Command]:
    """An option of `sequence`: a flag beats its environment variable, which beats the default; `--help` shows all three."""
    return click.option(f"--{name}", envvar=f"SEQ_ASSETS_{name.upper()}", show_envvar=True, show_default=True, **settings)


@click.command(context_settings={"token_normalize_func": lambda token: token.replace("-", "_")})
@_flag(
    "s3_data_location",
    default="data/raw",
    help="IN: a file, folder or glob, here or on S3 (s3://…); in prod also glue://database/table.",
)
@_flag(
    "sequence_length",
    type=click.IntRange(1, LONGEST_SEQUENCE),
    default=5,
    shell_complete=complete_length,
    help="Positions of each sequence.",
)
@_flag("output_s3_location", default="data/sequenced", help="OUT: a folder, here or on S3 (s3://…).")
@_flag("model", default="dkt", shell_complete=complete_model, help="The model whose contract, features and split apply.")
@_flag("subset", type=click.Choice([*SUBSETS, "all"]), default="all", help="What to write.")
def sequence(s3_data_location: str, sequence_length: int, output_s3_location: str, model: str, subset: str) -> None:
    """Cuts the observations at IN into sequences of one length, without keeping tables.

    Writes OUT/train_sequenced_<L>/*.parquet and OUT/validation_sequenced_<L>/*.parquet, and OUT/vocabulary/*.parquet where the
    model encodes features, and replaces what it has written there before, once everything is made and audited; it refuses
    folders with files of others. IN has the columns of the model's source; those of the default model are the sample school's.
    In the environments local and staging this machine does the work, in prod Athena. Rejected records, and subsets that came
    out empty, are said on standard error.
    """
    context = click.get_current_context()
    names = [str(parameter.name) for parameter in context.command.params]
    click.echo("\n".join(f"{name}: {context.params[name]}" for name in names if name in context.params))
    environment = current_environment()
    spec = spec_for(_model_or_bundled(environment.registry(), model), sequence_length)
    wanted = SUBSETS if subset == "all" else [s for s in SUBSETS if s == subset]
    from seq_assets.io_managers.progress import progress_of, terminal_progress
    from seq_assets.warehouse.ad_hoc import AdHocSequences

    sequences = AdHocSequences(spec, s3_data_location, Path.cwd(), sequence_length, wanted, output_s3_location)
    with terminal_progress():
        written = sequences.write(environment.temporary_warehouse, progress_of(spec.name, click.echo))
    for warning in _warnings(spec, written):
        click.echo(f"warn: {warning}", err=True)
    for place in written.places:
        click.echo(place)


def _warnings(spec: ModelSpec, written: "Written") -> Iterator[str]:
    """What is not in the results although somebody may look for it there."""
    from seq_assets.assets.emptiness import empty_sequences

    if written.ingest.rejected:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in written.ingest.rejected_by_reason.items())
        yield (
            f"{written.ingest.rejected:,} of {written.ingest.read:,} records were rejected ({reasons}), within "
            f"checks.rejected_ratio.max, {spec.checks.rejected_ratio.max:g}"
        )
    for empty in written.empty:
        problem = empty_sequences(spec, empty.plan, written.ingest, empty.accounting, empty.longest)
        if problem is not None:
            yield problem


def _model_or_bundled(registry: ModelRegistry, name: str) -> ModelSpec:
    """A model of the registry, or else the bundled one of that name."""
    if name in registry.names:
        return registry[name]
    bundled = ModelRegistry.of_folder(bundled_models_folder())
    return bundled[name] if name in bundled else registry[name]
