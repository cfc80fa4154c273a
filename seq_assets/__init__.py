"""One data platform for sequence models: raw observations in, padded and versioned sequence datasets out.

The names below are loaded when they are first used, so that `import seq_assets` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seq_assets.client.catalog import catalog
    from seq_assets.client.datasets import (
        ObservationDataset,
        RejectedDataset,
        SequenceDataset,
        connect,
        load,
        load_observations,
        load_split,
        versions,
    )
    from seq_assets.client.diff import Difference, diff
    from seq_assets.client.export import Export
    from seq_assets.component import SequenceModels
    from seq_assets.errors import SeqAssetsError
    from seq_assets.sequencing.operation import sequence

__all__ = [
    "Difference",
    "Export",
    "ObservationDataset",
    "RejectedDataset",
    "SeqAssetsError",
    "SequenceDataset",
    "SequenceModels",
    "catalog",
    "connect",
    "diff",
    "load",
    "load_observations",
    "load_split",
    "sequence",
    "versions",
]

_MODULES = dict.fromkeys(__all__, "seq_assets.client.datasets") | {
    "Difference": "seq_assets.client.diff",
    "Export": "seq_assets.client.export",
    "SeqAssetsError": "seq_assets.errors",
    "SequenceModels": "seq_assets.component",
    "catalog": "seq_assets.client.catalog",
    "diff": "seq_assets.client.diff",
    "sequence": "seq_assets.sequencing.operation",
}


def __getattr__(name: str) -> Any:
    """Loads a public name on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
