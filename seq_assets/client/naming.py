"""What the name of a model that has no such table may mean: a typo, a raw model, or one that is not built yet.

Belongs here: answers for people who ask for what is not there. Not here: how what is there is found (`datasets`).
"""

from typing import TYPE_CHECKING

from seq_assets.errors import SettingsError
from seq_assets.models import ModelRegistry, ModelSpec
from seq_assets.models.cross_checks import nearest

if TYPE_CHECKING:
    from seq_assets.environments import Environment
    from seq_assets.warehouse.interface import Warehouse


def what_is_wrong_with(
    model: str, environment: "Environment", warehouse: "Warehouse", *, with_sequences: bool = False
) -> str | None:
    """Why there can be no such table of a model, whatever is built; None where there can.

    Args:
        model: The name that was asked for.
        environment: Whose model files count.
        warehouse: Whose tables count too: a model whose file is gone still has them.
        with_sequences: Whether sequences were asked for.
    """
    registry = _registry(environment)
    published = {dataset.model for dataset in warehouse.datasets()}
    known = sorted({*(registry.names if registry else ()), *published})
    if model not in known:
        allowed = ", ".join(known) or "none, as no model has a file or a table"
        return f"No model {model!r}; allowed: {allowed}{nearest(model, known)}"
    if with_sequences and _is_raw(model, registry, warehouse):
        return (
            f"{model} is a raw model, without sequences; its observations are loaded by "
            f"seq_assets.load_observations({model!r})."
        )
    return None


def _registry(environment: "Environment") -> ModelRegistry | None:
    """The models; None where there are no files of them, as on a machine that only trains."""
    try:
        return environment.registry()
    except SettingsError:
        return None


def _is_raw(model: str, registry: ModelRegistry | None, warehouse: "Warehouse") -> bool:
    """Whether the model is declared without sequences: by its file, or by its newest raw observations where there is none."""
    from seq_assets.sequencing.plans import Dataset

    if registry and model in registry.names:
        return model in registry and registry[model].is_raw
    newest = next(iter(warehouse.versions(Dataset.raw(model))), None)
    return newest is not None and ModelSpec.model_validate(newest.metadata["model"]).is_raw
