"""Models: consumers with a data contract, one YAML file each.

Belongs here: what a model file may say, how it is read, and the registry over a folder of them. Not here: data files, Arrow,
engines, Dagster; what a model *means* as work to do is a plan (`seq_assets.sequencing.plans`).
"""

from seq_assets.models.columns import ColumnSpec, ColumnType, Scalar
from seq_assets.models.parsing import parse_model, read_model_file
from seq_assets.models.registry import ModelRegistry, bundled_models_folder, model_files
from seq_assets.models.spec import SUBSETS, ModelSpec, Subset, TimeUnit

__all__ = [
    "SUBSETS",
    "ColumnSpec",
    "ColumnType",
    "ModelRegistry",
    "ModelSpec",
    "Scalar",
    "Subset",
    "TimeUnit",
    "bundled_models_folder",
    "model_files",
    "parse_model",
    "read_model_file",
]
