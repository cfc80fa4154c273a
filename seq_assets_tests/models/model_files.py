"""Texts of model files for tests: one that is right, and any change of it."""

import copy
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import pytest
import yaml

from seq_assets.errors import Mistake, ModelFileError
from seq_assets.models import ModelSpec, parse_model

FILE = "pupils.yaml"


class Removed(Enum):
    """As the value of a change: the field is not there."""

    REMOVED = "removed"


REMOVED: Final = Removed.REMOVED

MODEL: Mapping[str, Any] = {
    "name": "pupils",
    "description": "What pupils answer.",
    "owner": "team:learning",
    "source": {
        "location": "answers/*.csv",
        "format": "csv",
        "options": {"delimiter": ";", "null_values": ["", "NA"], "encoding": "latin-1", "header": True},
    },
    "entity": "pupilid",
    "order_by": ["timestamp"],
    "columns": {
        "pupilid": {"type": "int64", "from": "Anon Student Id"},
        "timestamp": {"type": "timestamp"},
        "skillid": {"type": "int32"},
        "correct": {"type": "int8", "is_in": [0, 1]},
        "elapsed": {"type": "float32", "nullable": True, "is_between": [0, 86400]},
        "school": {"type": "string"},
        "birthday": {"type": "date"},
        "active": {"type": "bool"},
    },
    "features": {
        "pupilid": {"pad_value": -1},
        "correct": {"pad_value": 0},
        "elapsed": {"pad_value": 0.0, "fill_null": 0.0},
    },
    "split": {"strategy": "entity_hash", "validation_fraction": 0.2, "seed": 0},
    "window": {"mode": "chunk"},
    "padding": {"side": "right"},
    "min_length": 1,
    "sequence_lengths": [50, 100],
    "checks": {"pad_ratio": {"warn": 0.5, "max": 0.9}, "rejected_ratio": {"max": 0.0}},
}


def model_text(changes: Mapping[str, Any] | None = None) -> str:
    """The text of a model file; `changes` maps paths such as `columns.correct.type` to what shall stand there."""
    content = copy.deepcopy(dict(MODEL))
    for path, value in (changes or {}).items():
        *parents, last = path.split(".")
        part = content
        for parent in parents:
            part = part.setdefault(parent, {})
        if value is REMOVED:
            del part[last]
        else:
            part[last] = value
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def model(changes: Mapping[str, Any] | None = None) -> ModelSpec:
    """The model of such a text."""
    return parse_model(model_text(changes), FILE)


def mistakes_of(text: str) -> tuple[Mistake, ...]:
    """The mistakes of a text, of which there must be some."""
    with pytest.raises(ModelFileError) as error:
        parse_model(text, FILE)
    return error.value.mistakes
