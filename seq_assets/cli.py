"""The command line, `seq-assets`: exit code 0 done, 1 failed, 2 wrong usage.

Belongs here: arguments, and how results are shown. The work is done by the graph (`materialize`), the client and the warehouse.
"""

import json
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from seq_assets.environments import Environment, current_environment, prepare_dagster_home
from seq_assets.errors import Mistake, ModelFileError, SeqAssetsError, SettingsError
from seq_assets.models import SUBSETS, ModelRegistry, ModelSpec, Subset, bundled_models_folder, model_files
from seq_assets.models.cross_checks import nearest
from seq_assets.models.spec import LONGEST_SEQUENCE

if TYPE_CHECKING:
    from seq_assets.sequencing.advice import Advice
    from seq_assets.warehouse.interface import Version, Warehouse

_Command = TypeVar("_Command", bound=Callable[..., Any])
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


class _Group(click.Group):
    """Shows an error that was written for the user as its message alone."""

    def invoke(self, ctx: click.Context) -> Any:
        """As click does, with exit code 1 and a message for such errors and for what the machine refuses (a full disk, …)."""
        try:
            return super().invoke(ctx)
        except (SeqAssetsError, OSError) as error:
            raise click.ClickException(str(error)) from error


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(package_name="seq-assets")
def cli() -> None:
    """Raw observations in, padded and versioned sequence datasets out.

    Settings: SEQ_ASSETS_ENV (local, staging or prod), SEQ_ASSETS_HOME (where local tables live), SEQ_ASSETS_MODELS (a folder
    of model files).
    """


@cli.command()
@JSON_OPTION
def models(as_json: bool) -> None:
    """The models, their lengths, what is built and at which version."""
    environment = current_environment()
    registry = environment.registry()
    warehouse = environment.warehouse()
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
        _echo_table(model["built"], indent="  ")


def _describe_model(name: str, registry: ModelRegistry, warehouse: "Warehouse") -> dict[str, Any]:
    spec = registry.specs.get(name)
    built = [_describe_version(warehouse.find(dataset)) for dataset in warehouse.datasets() if dataset.model == name]
    return {
        "model": name,
        "description": spec.description if spec else "",
        "file": str(registry.files[name]),
        "sequence_lengths": list(spec.lengths) if spec else [],
        "error": str(registry.broken[name]) if name in registry.broken else None,
        "built": built,
    }


def _describe_version(version: "Version") -> dict[str, Any]:
    from seq_assets.sequencing.accounting import SequenceAccounting

    sequenced = version.dataset.sequence_length is not None
    ratio = round(SequenceAccounting(**version.metadata["accounting"]).pad_ratio, 4) if sequenced else None
    return {
        "table": version.dataset.table,
        "version": version.id,
        "committed_at": version.committed_at.isoformat(timespec="seconds"),
        "rows": version.rows,
        "pad_ratio": ratio,
        "raw_version": version.raw_version,
        "source_fingerprint": version.metadata["source_fingerprint"][:12],
    }


@cli.command()
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


@cli.command()
@click.argument("names", metavar="[MODEL]...", nargs=-1)
@click.option("--sequence-length", "lengths", type=int, multiple=True, help="Only this length (repeatable); default: all.")
@click.option("--force", is_flag=True, help="Build even what is unchanged.")
@JSON_OPTION
def materialize(names: tuple[str, ...], lengths: tuple[int, ...], force: bool, as_json: bool) -> None:
    """Builds models (all by default) through Dagster; the runs appear in its UI."""
    environment = current_environment()
    registry = environment.registry()
    chosen = names or registry.names
    _require_known(chosen, lengths, registry)
    import os

    os.environ["DAGSTER_HOME"] = str(prepare_dagster_home(environment))
    from seq_assets.materialize import materialize_models

    outcomes = materialize_models(environment, registry, chosen, lengths, force)
    built = [_describe_version(version) for outcome in outcomes for version in outcome.versions]
    failures = {outcome.model: outcome.failures for outcome in outcomes if outcome.failures}
    if as_json:
        click.echo(json.dumps({"built": built, "failed": failures}, indent=2))
    else:
        _echo_table(built)
        click.echo(f"Tables are in {environment.place_of_tables}")
    for model, messages in failures.items():
        click.echo(f"{model} failed:\n" + "\n".join(messages), err=True)
    if failures:
        sys.exit(1)


def _require_known(names: Iterable[str], lengths: Sequence[int], registry: ModelRegistry) -> None:
    for name in names:
        if name not in registry.names:
            known = ", ".join(registry.names)
            raise click.UsageError(f"No model {name!r}; allowed: {known}{nearest(name, registry.names)}")
    for length in lengths:
        if not any(length in registry.specs[name].lengths for name in names if name in registry.specs):
            known = ", ".join(map(str, registry.lengths))
            raise click.UsageError(f"No chosen model declares the sequence length {length}; declared lengths: {known}")


@cli.command()
@click.argument("model")
@click.option(
    "--sequence-length",
    "lengths",
    type=click.IntRange(1, LONGEST_SEQUENCE),
    multiple=True,
    help="Only this length, declared or not (repeatable); default: the declared ones and round ones.",
)
@JSON_OPTION
def advise(model: str, lengths: tuple[int, ...], as_json: bool) -> None:
    """What each sequence length would give: rows, padding, bytes, and what is lost; from the raw observations alone.

    `mostly_padding` is the share of sequences at least half of whose positions are padding. To add a length, write it into
    sequence_lengths of the model file.
    """
    environment = current_environment()
    _require_known([model], (), environment.registry())
    rows = _advice(environment.warehouse(), environment.registry()[model], lengths)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        _echo_table(rows)


def _advice(warehouse: "Warehouse", spec: ModelSpec, lengths: Sequence[int]) -> list[dict[str, Any]]:
    from seq_assets.sequencing.advice import advise, advised_lengths
    from seq_assets.sequencing.plans import Dataset, SequencePlan

    if not spec.features:
        raise click.UsageError(f"{spec.name} is a raw model, without features to sequence")
    raw = warehouse.find(Dataset.raw(spec.name))
    rows = []
    for subset in SUBSETS:
        histories = warehouse.histories(raw, subset)
        declared = SequencePlan.of(spec, subset, 1, raw.id)
        for length in lengths or advised_lengths(declared, histories, spec.lengths):
            advice = advise(SequencePlan.of(_spec_for(spec, length), subset, length, raw.id), histories)
            rows.append({"subset": subset, "declared": length in spec.lengths, **_describe_advice(advice)})
    return rows


def _describe_advice(advice: "Advice") -> dict[str, Any]:
    return {
        "sequence_length": advice.sequence_length,
        "sequences": advice.accounting.sequences,
        "pad_ratio": round(advice.accounting.pad_ratio, 4),
        "mostly_padding": round(advice.mostly_padding_ratio, 4),
        "dropped_min_length": advice.accounting.dropped_min_length,
        "dropped_truncation": advice.accounting.dropped_truncation,
        "bytes": advice.bytes,
    }


@cli.command()
@click.argument("model")
@click.option("--sequence-length", type=int, help="The sequences of this length; default: the raw observations.")
@click.option("--subset", type=click.Choice(SUBSETS), help="Only this subset; default: both.")
@JSON_OPTION
def versions(model: str, sequence_length: int | None, subset: Subset | None, as_json: bool) -> None:
    """The published versions, newest first: id, time, rows, pad ratio, source."""
    from seq_assets.errors import NotPublishedError
    from seq_assets.sequencing.plans import Dataset

    if subset and sequence_length is None:
        raise click.UsageError("--subset needs --sequence-length")
    warehouse = current_environment().warehouse()
    subsets = [subset] if subset else SUBSETS
    datasets = (
        [Dataset.raw(model)] if sequence_length is None else [Dataset.sequenced(model, s, sequence_length) for s in subsets]
    )
    found = [_describe_version(version) for dataset in datasets for version in warehouse.versions(dataset)]
    if not found:
        raise NotPublishedError(f"{' and '.join(d.table for d in datasets)}: no published version; materialize {model} first.")
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _echo_table(found)


def _flag(name: str, **settings: Any) -> Callable[[_Command], _Command]:
    """An option of `sequence`: a flag beats its environment variable, which beats the default; `--help` shows all three."""
    return click.option(f"--{name}", envvar=f"SEQ_ASSETS_{name.upper()}", show_envvar=True, show_default=True, **settings)


@cli.command(context_settings={"token_normalize_func": lambda token: token.replace("-", "_")})
@_flag("s3_data_location", default="data/raw", help="IN: a file, folder or glob.")
@_flag("sequence_length", type=click.IntRange(1, LONGEST_SEQUENCE), default=5, help="Positions of each sequence.")
@_flag("output_s3_location", default="data/sequenced", help="OUT: a folder.")
@_flag("model", default="dkt", help="The model whose contract, features and split apply.")
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
    spec = _spec_for(_model_or_bundled(environment.registry(), model), sequence_length)
    wanted = SUBSETS if subset == "all" else [s for s in SUBSETS if s == subset]
    for written in _write_sequences(environment, spec, s3_data_location, sequence_length, wanted, output_s3_location):
        click.echo(written)


def _model_or_bundled(registry: ModelRegistry, name: str) -> ModelSpec:
    """A model of the registry, or else the bundled one of that name."""
    if name in registry.names:
        return registry[name]
    bundled = ModelRegistry.of_folder(bundled_models_folder())
    return bundled[name] if name in bundled else registry[name]


def _spec_for(spec: ModelSpec, sequence_length: int) -> ModelSpec:
    """The model's rules for an ad-hoc length.

    Raises:
        click.UsageError: They do not fit the length.
    """
    if not spec.features:
        raise click.UsageError(f"--model: {spec.name} is a raw model, without features to sequence")
    smallest = max(spec.min_length, spec.window.stride or 1)
    if sequence_length < smallest:
        raise click.UsageError(f"--sequence_length: found {sequence_length}; allowed for {spec.name}: at least {smallest}")
    return spec


def _write_sequences(
    environment: Environment, spec: ModelSpec, location: str, sequence_length: int, subsets: Iterable[Subset], output: str
) -> list[Path]:
    """Ingests and sequences in a warehouse that exists for this call, and moves the finished files to their place."""
    from dataclasses import replace

    from seq_assets.progress import progress_of, terminal_progress
    from seq_assets.sequencing.plans import Dataset, IngestPlan, SequencePlan

    for address in (location, output):
        if address.startswith("s3://"):
            raise SettingsError(f"{address!r}: the environment {environment.name} reads and writes local paths; give one.")
    out = Path(output)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    with tempfile.TemporaryDirectory(prefix=".seq_assets_", dir=out) as home, terminal_progress():
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


def _echo_table(rows: Sequence[Mapping[str, Any]], indent: str = "") -> None:
    """Rows under their column names, aligned."""
    if not rows:
        return
    cells = [list(rows[0]), *([("" if value is None else str(value)) for value in row.values()] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        click.echo(indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def main() -> None:
    """The console script."""
    cli(prog_name="seq-assets")
