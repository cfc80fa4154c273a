"""What commands share in choosing models and lengths: what the shell completes a word to, and which word is wrong usage."""

from collections.abc import Iterable, Sequence

import click
from click.shell_completion import CompletionItem

from seq_assets.environments import current_environment
from seq_assets.errors import SeqAssetsError
from seq_assets.models import ModelRegistry, ModelSpec
from seq_assets.models.cross_checks import nearest


def complete_model(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The models whose names begin so, with their descriptions, but for those that the command has already."""
    registry = _registry()
    chosen = _chosen(context) if parameter.nargs == -1 else ()
    return [
        CompletionItem(name, help=registry.specs[name].description if name in registry else "Its file has mistakes.")
        for name in registry.names
        if name.startswith(incomplete) and name not in chosen
    ]


def complete_length(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The lengths that the chosen models declare, or any model where none is chosen."""
    registry = _registry()
    chosen = [registry.specs[name] for name in _chosen(context) if name in registry]
    lengths = sorted({length for spec in chosen for length in spec.lengths}) if chosen else registry.lengths
    return [CompletionItem(str(length)) for length in lengths if str(length).startswith(incomplete)]


TABLE_LENGTH_OPTION = click.option(
    "--sequence-length",
    type=int,
    shell_complete=complete_length,
    help="The sequences of this length; default: the raw observations.",
)
"""Of commands that are about one table."""


def _registry() -> ModelRegistry:
    """The models; none where the settings are wrong, which the command itself says."""
    try:
        return current_environment().registry()
    except SeqAssetsError:
        return ModelRegistry({}, {}, {})


def _chosen(context: click.Context) -> tuple[str, ...]:
    """The models that stand in the unfinished command."""
    given = context.params.get("models") or context.params.get("model")
    if given:
        return (given,) if isinstance(given, str) else tuple(given)
    # Where an option still lacks its value, click leaves the words before it as they are.
    return tuple(context.args)


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


def require_possible(model: str, *, with_sequences: bool) -> None:
    """Refuses a model that there is not, or one without sequences where those are wanted, whatever is built.

    Raises:
        click.UsageError: With what is allowed.
    """
    from seq_assets.client.naming import what_is_wrong_with

    environment = current_environment()
    if wrong := what_is_wrong_with(model, environment, environment.warehouse(), with_sequences=with_sequences):
        raise click.UsageError(wrong)


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
