"""The promise of production: one setting apart, the bundled models are what they are on a laptop.

Belongs here: whole builds through the command line, compared with local ones through the Python interface. Not here: single
plans (`contract`), or what the engines do with strange values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from dagster import DagsterInstance

import seq_assets
from seq_assets.cli.commands import cli
from seq_assets.client.datasets import ObservationDataset, SequenceDataset
from seq_assets.environments import current_environment
from seq_assets.models import SUBSETS
from seq_assets_tests.athena.fixtures import AthenaClient

pytestmark = pytest.mark.athena


@dataclass(frozen=True)
class Loaded:
    """What a training script sees of one version; nothing of it is read later."""

    table: pa.Table
    arrays: Mapping[str, np.ndarray]
    vocabulary: pa.Table | None
    metadata: Mapping[str, Any]

    @classmethod
    def of(cls, dataset: SequenceDataset | ObservationDataset) -> "Loaded":
        has_vocabulary = dataset.metadata.get("vocabulary_version") is not None
        vocabulary = dataset.vocabulary() if has_vocabulary else None
        return cls(dataset.to_arrow(), dataset.to_numpy(), vocabulary, dataset.metadata)


def materialize(*arguments: str) -> str:
    """Builds through the command line; the last line that it prints."""
    result = CliRunner().invoke(cli, ["materialize", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()[-1]


def load(models: tuple[str, ...]) -> dict[str, Loaded]:
    """All that is published of models, in the environment of the process."""
    registry, found = current_environment().registry(), {}
    for model in models or registry.names:
        found[model] = Loaded.of(seq_assets.load_observations(model))
        for subset in SUBSETS:
            found[f"{model} {subset}"] = Loaded.of(seq_assets.load_observations(model, subset=subset))
            for length in registry[model].lengths:
                dataset = seq_assets.load(model, sequence_length=length, subset=subset)
                found[f"{model} {subset} {length}"] = Loaded.of(dataset)
    return found


def require_equal(name: str, found: Loaded, expected: Loaded) -> None:
    assert found.table.schema.equals(expected.table.schema), f"{name}: {found.table.schema}"
    assert found.table.equals(expected.table), name
    assert list(found.arrays) == list(expected.arrays), name
    for column, array in expected.arrays.items():
        assert (found.arrays[column].dtype, found.arrays[column].shape) == (array.dtype, array.shape), f"{name}: {column}"
        np.testing.assert_array_equal(found.arrays[column], array, f"{name}: {column}")
    assert found.vocabulary == expected.vocabulary, name
    for key in ("rows", "accounting", "source_fingerprint", "model_digest", "ignored_columns"):
        assert found.metadata.get(key) == expected.metadata.get(key), f"{name}: {key}"
    require_close(f"{name}: metrics", found.metadata.get("metrics"), expected.metadata.get("metrics"))


def require_close(name: str, found: Any, expected: Any) -> None:
    """Equal, floats to nine digits: engines add them up in other orders."""
    if isinstance(expected, Mapping):
        assert list(found) == list(expected), name
        for key, value in expected.items():
            require_close(f"{name}.{key}", found[key], value)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True), name
    else:
        assert (type(found), found) == (type(expected), expected), name


@pytest.mark.parametrize(
    ("environment", "models"), [("prod", ()), ("staging", ("dkt",))], ids=["all models in prod", "one model in staging"]
)
def test_the_demos_models_are_in_the_cloud_what_they_are_on_a_laptop(
    environment: str,
    models: tuple[str, ...],
    production: AthenaClient,
    runs_in_memory: DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with monkeypatch.context() as laptop:
        laptop.setenv("SEQ_ASSETS_ENV", "local")
        assert materialize(*models) == f"Tables are in {tmp_path / 'home'}"
        expected = load(models)
    runs_in_memory.wipe()

    monkeypatch.setenv("SEQ_ASSETS_ENV", environment)
    shown = materialize(*models)
    found = load(models)

    assert shown == f"Tables are in {production.folder}/{production.database}", "what is named is where the files are"
    assert production.files(f"{production.folder}/{production.database}/dkt_raw_observations/")
    assert list(found) == list(expected)
    for name, loaded in expected.items():
        require_equal(name, found[name], loaded)
    if not models:
        assert sorted({name.split()[0] for name in found}) == ["dkt", "irt", "recommender", "sakt"]
    assert all(run.is_success for run in runs_in_memory.get_runs())
