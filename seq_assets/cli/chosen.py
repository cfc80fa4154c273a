"""What commands share in choosing models and lengths: a word that names none is wrong usage."""

from collections.abc import Iterable, Sequence

import click

from seq_assets.models import ModelRegistry, ModelSpec
from seq_assets.models.cross_checks import nearest


def require_known(names: Iterable[str], lengths: Sequence[int], registry: ModelRegistry) -> None:
    """Refuses names and lengths that the registry does not have.

    Raises:
        click.UsageError: With what is allowed.
    """
    for name in names:
        if name not in registry.names:
            known = ", ".join(registry.names)
            raise click.UsageError(f"No model {name!r}; allowed: {known}{nearest(name, registry.names)}")
    for length in lengths:
        if not any(length in registry.specs[name].lengths for name in names if name in registry.specs):
            known = ", ".join(map(str, registry.lengths))
            raise click.UsageError(f"No chosen model declares the sequence length {length}; declared lengths: {known}")


def spec_for(spec: ModelSpec, sequence_length: int) -> ModelSpec:
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
