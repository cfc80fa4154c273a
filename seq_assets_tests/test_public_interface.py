"""`import seq_assets`: what it offers, and what it does not load."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import seq_assets
from seq_assets import client
from seq_assets.client import datasets
from seq_assets.sequencing import operation

HEAVY = ("dagster", "duckdb", "numpy", "pandas", "polars", "pyarrow", "pydantic", "pyiceberg", "sqlalchemy", "torch", "yaml")


def modules_after(program: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after a program."""
    program += "\nimport json, sys\nprint(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", program], env=dict(os.environ), capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = modules_after("import seq_assets\ndir(seq_assets)")
    assert "seq_assets" in loaded
    assert loaded & set(HEAVY) == set()


def test_the_client_needs_neither_dagster_nor_aws_nor_what_extras_bring() -> None:
    modules = {file.stem for file in Path(client.__file__).parent.glob("[!_]*.py")} - {"torch_dataset"}
    names = [f"seq_assets.client.{module}" for module in sorted(modules)]
    assert "seq_assets.client.catalog" in names
    loaded = modules_after(f"import {', '.join(names)}")
    assert loaded & {"dagster", "dagster_aws", "boto3", "botocore", "duckdb", "polars", "torch", "datasets"} == set()


@pytest.mark.usefixtures("bundled_home")
def test_loading_a_version_needs_neither_dagster_nor_an_engine() -> None:
    loaded = modules_after("import seq_assets\nassert len(seq_assets.load('dkt', sequence_length=100).to_numpy()) == 9")
    assert "pyarrow" in loaded
    # pandas is loaded where it is installed: `pyarrow.dataset`, which pyiceberg imports, does so.
    assert loaded & {"dagster", "dagster_duckdb", "duckdb", "polars", "torch"} == set()


def test_every_public_name_resolves_to_what_it_names() -> None:
    for name in seq_assets.__all__:
        assert getattr(seq_assets, name).__name__ == name
        assert getattr(seq_assets, name).__doc__, f"{name} is documented"
    assert seq_assets.load is datasets.load
    assert seq_assets.sequence is operation.sequence
    assert set(seq_assets.__all__) <= set(dir(seq_assets))


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'seq_assets' has no attribute 'lode'"):
        seq_assets.lode  # noqa: B018  # the access is what is tested


def test_the_errors_of_the_package_have_one_base() -> None:
    with pytest.raises(seq_assets.SeqAssetsError):
        seq_assets.load("nobody", sequence_length=5)
