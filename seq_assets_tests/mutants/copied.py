"""A test for copies alone, which the program that makes them runs by the name of this file; no other run collects it."""

from pathlib import Path

import seq_assets


def test_the_package_is_the_one_beside_its_tests() -> None:
    """And not one that is installed."""
    assert Path(seq_assets.__file__).resolve() == Path(__file__).resolve().parents[2] / "seq_assets" / "__init__.py"
