"""The commands about what is published: `versions`, and `advise`, which needs the raw observations alone."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from seq_assets.cli.chosen import TABLE_LENGTH_OPTION, complete_length, complete_model, require_known, spec_for
from seq_assets.cli.shown import JSON_OPTION, echo_table
from seq_assets.client.versions import describe_version
from seq_assets.environments import current_environment
from seq_assets.models import SUBSETS, ModelSpec, Subset
from seq_assets.models.spec import LONGEST_SEQUENCE

if TYPE_CHECKING:
    from seq_assets.sequencing.advice import Advice
    from seq_assets.warehouse.interface import Warehouse


@click.command()
@click.argument("model", shell_complete=complete_model)
@click.option(
    "--sequence-length",
    "lengths",
    type=click.IntRange(1, LONGEST_SEQUENCE),
    multiple=True,
    shell_complete=complete_length,
    help="Only this length, declared or not (repeatable); default: the declared ones and round ones.",
)
@JSON_OPTION
def advise(model: str, lengths: tuple[int, ...], as_json: bool) -> None:
    """What each sequence length would give: rows, padding, bytes, and what is lost; from the raw observations alone.

    `declared` lengths are those of the model file; `pad_ratio_check` says what the check will: ok, above_warn or above_max, by
    checks.pad_ratio of the model file. `mostly_padding` is the share of sequences at least half of whose
    positions are padding. To add a length, write it into sequence_lengths of the model file.
    """
    environment = current_environment()
    require_known([model], (), environment.registry())
    rows = _advice(environment.warehouse(), environment.registry()[model], lengths)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        echo_table(rows)


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
            advice = advise(SequencePlan.of(spec_for(spec, length), subset, length, raw.id), histories)
            rows.append({"subset": subset, **_describe_advice(advice, spec)})
    return rows


def _describe_advice(advice: "Advice", spec: ModelSpec) -> dict[str, Any]:
    exceeded = spec.checks.pad_ratio.exceeded(round(advice.accounting.pad_ratio, 6))
    return {
        "sequence_length": advice.sequence_length,
        "declared": advice.sequence_length in spec.lengths,
        "pad_ratio_check": f"above_{exceeded}" if exceeded else "ok",
        "sequences": advice.accounting.sequences,
        "pad_ratio": round(advice.accounting.pad_ratio, 4),
        "mostly_padding": round(advice.mostly_padding_ratio, 4),
        "dropped_min_length": advice.accounting.dropped_min_length,
        "dropped_truncation": advice.accounting.dropped_truncation,
        "bytes": advice.bytes,
    }


@click.command()
@click.argument("model", shell_complete=complete_model)
@TABLE_LENGTH_OPTION
@click.option("--subset", type=click.Choice(SUBSETS), help="Only this subset; default: both.")
@JSON_OPTION
def versions(model: str, sequence_length: int | None, subset: Subset | None, as_json: bool) -> None:
    """The published versions, newest first: id, time, rows, pad ratio, source, and tags, if any has one."""
    from seq_assets.client.naming import what_is_wrong_with
    from seq_assets.errors import NotPublishedError
    from seq_assets.sequencing.plans import Dataset

    if subset and sequence_length is None:
        raise click.UsageError("--subset needs --sequence-length")
    environment = current_environment()
    warehouse = environment.warehouse()
    subsets = [subset] if subset else SUBSETS
    datasets = (
        [Dataset.raw(model)] if sequence_length is None else [Dataset.sequenced(model, s, sequence_length) for s in subsets]
    )
    found = [
        {**describe_version(version), "tags": list(version.tags)}
        for dataset in datasets
        for version in warehouse.versions(dataset)
    ]
    if not found:
        if wrong := what_is_wrong_with(model, environment, warehouse, with_sequences=sequence_length is not None):
            raise click.UsageError(wrong)
        raise NotPublishedError(f"{' and '.join(d.table for d in datasets)}: no published version; materialize {model} first.")
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        echo_table(_with_tags_if_any(found))


def _with_tags_if_any(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows for people, with a column of tags where any version has one."""
    if any(row["tags"] for row in rows):
        return [{**row, "tags": ",".join(row["tags"]) or None} for row in rows]
    return [{name: value for name, value in row.items() if name != "tags"} for row in rows]
