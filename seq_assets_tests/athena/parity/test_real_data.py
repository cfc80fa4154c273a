"""Real data, with their dirt: what the local environment publishes, and what production does, to the last value.

The data are not part of the repository. `SEQ_ASSETS_TEST_DATA` names the folder that has them; without it, these tests are
skipped.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from seq_assets.models import SUBSETS
from seq_assets_tests.athena.fixtures import AthenaClient
from seq_assets_tests.athena.parity.comparing import assert_ingested_alike, assert_published_alike, cloud_side, local_side

FOLDER: Final = os.environ.get("SEQ_ASSETS_TEST_DATA", "")

pytestmark = [
    pytest.mark.athena,
    pytest.mark.skipif(
        not Path(FOLDER, "ednet_small").is_dir(), reason="SEQ_ASSETS_TEST_DATA names no folder with ednet_small and the others"
    ),
]

ENTITY_HASH: Final = {"strategy": "entity_hash"}
MODELS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ednet": {
        "source": {
            "location": str(Path(FOLDER, "ednet_small", "preprocessed_data_test.csv")),
            "options": {"delimiter": "\t"},
        },
        "entity": "user_id",
        "order_by": ["timestamp"],
        "columns": {
            "user_id": {"type": "int64"},
            "timestamp": {"type": "timestamp", "unit": "s"},
            "item_id": {"type": "int32"},
            "skill_id": {"type": "int16"},
            "correct": {"type": "int8", "is_in": [0, 1]},
        },
        "features": {"item_id": {"encode": "vocabulary"}, "correct": {"pad_value": 0}, "timestamp": {"pad_value": 0}},
        "split": ENTITY_HASH,
        "window": {"mode": "sliding", "stride": 40},
        "padding": {"side": "left"},
        "sequence_lengths": [100],
    },
    "algebra": {
        "source": {
            "location": str(Path(FOLDER, "algebra2005_kdd", "algebra_2005_2006_master.txt")),
            "format": "csv",
            "options": {"delimiter": "\t"},
        },
        "entity": "pupil",
        "order_by": ["at", "number"],
        "columns": {
            "pupil": {"type": "string", "from": "Anon Student Id"},
            "at": {"type": "timestamp", "from": "First Transaction Time"},
            "number": {"type": "int64", "from": "Row"},
            "skills": {"type": "string", "from": "KC(Default)"},
            "correct": {"type": "int8", "from": "Correct First Attempt", "is_in": [0, 1]},
            "started": {"type": "timestamp", "from": "Step Start Time", "nullable": True},
            "seconds": {"type": "float32", "from": "Step Duration (sec)", "nullable": True},
        },
        "features": {
            "skills": {"encode": "vocabulary"},
            "correct": {"pad_value": 0},
            "seconds": {"pad_value": -1.0, "fill_null": 0.0},
            "started": {"pad_value": 0, "fill_null": -1},
        },
        "split": {"strategy": "time", "column": "at", "cutoff": "2005-10-01"},
        "window": {"mode": "prefix"},
        "min_length": 2,
        "sequence_lengths": [5],
        "checks": {"rejected_ratio": {"max": 0.26}},
    },
    "statics": {
        "source": {"location": str(Path(FOLDER, "statics2011_3line")), "format": "dkt"},
        "entity": "entity",
        "order_by": ["position"],
        "columns": {
            "entity": {"type": "string"},
            "position": {"type": "int32"},
            "skill": {"type": "int16"},
            "answer": {"type": "int8", "is_in": [0, 1]},
        },
        "features": {"skill": {"pad_value": -1}, "answer": {"pad_value": 0}},
        "split": ENTITY_HASH,
        "window": {"mode": "chunk"},
        "min_length": 10,
        "sequence_lengths": [200],
    },
}
RECORDS: Final = {"ednet": 87_210, "algebra": 3_967, "statics": 189_297}


@pytest.mark.parametrize("name", MODELS)
def test_real_data_are_the_same_everywhere(athena: AthenaClient, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    local = local_side(folder, tmp_path / "home")
    clouds = [cloud_side(environment, folder, athena) for environment in ("prod", "staging")]
    spec = local.workspace.model(name=name, **MODELS[name])
    for side in (local, *clouds):
        with side.entered():
            assert side.workspace.ingest(spec).version.metadata["accounting"]["read"] == RECORDS[name]
            for subset in SUBSETS:
                side.workspace.sequence(spec, subset)
    for side in clouds:
        assert_ingested_alike(local, side, spec)
        assert_published_alike(local, side, spec, spec.lengths[0])
