"""Which subset an accepted row belongs to, from the row and the name of its file alone."""

import hashlib
from typing import Any, Literal

from seq_assets_tests.reference.contract import Model, contract_value
from seq_assets_tests.reference.reading import DAY, EPOCH, read_text
from seq_assets_tests.reference.windows import Row

Subset = Literal["train", "validation"]


def subset_of(row: Row, file: str, model: Model) -> Subset:
    """The subset of an accepted row of a file, whose name is relative to the source's location."""
    split = model["split"]
    match split["strategy"]:
        case "entity_hash":
            is_validation = entity_share(row[model["entity"]], split.get("seed", 0)) < split.get("validation_fraction", 0.2)
        case "column":
            type_ = model["columns"][split["column"]]["type"]
            is_validation = row[split["column"]] in [contract_value(value, type_) for value in split["validation"]]
        case "time":
            value, type_ = row[split["column"]], model["columns"][split["column"]]["type"]
            microseconds = (value - EPOCH.date()).days * DAY if type_ == "date" else value
            is_validation = microseconds >= read_text(split["cutoff"], "timestamp")
        case _:
            is_validation = file.startswith("validation/")
    return "validation" if is_validation else "train"


def entity_share(entity: Any, seed: int) -> float:
    """Where an entity stands between 0 and 1: the first 8 hex digits of the md5 of `seed:entity`, divided by 2^32."""
    return int(hashlib.md5(f"{seed}:{entity}".encode()).hexdigest()[:8], 16) / 2**32
