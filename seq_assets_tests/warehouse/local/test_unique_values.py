"""However many values are sorted at once, the different ones are counted exactly."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from seq_assets.models import parse_model
from seq_assets.sequencing.schemas import stored_type
from seq_assets.warehouse.engine import Engine, connect_in_memory
from seq_assets.warehouse.local.unique_values import unique_counts
from seq_assets.warehouse.storage.storage import LocalStorage

VALUES = {
    "int64": st.integers(-(2**63), 2**63 - 1),
    "timestamp": st.integers(-(2**40), 2**40),
    "float32": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "float64": st.floats(allow_nan=False, allow_infinity=False),
}


@st.composite
def columns(draw: st.DrawFn) -> dict[str, list[Any]]:
    """Columns of one length with nulls and values that repeat: one value fills most rows of some of them."""
    rows = draw(st.integers(1, 60))
    found = {}
    for name, values in VALUES.items():
        some = draw(st.lists(st.none() | values, min_size=1, max_size=20))
        found[name] = draw(st.lists(st.sampled_from(some), min_size=rows, max_size=rows))
    return found


SPEC = parse_model(
    yaml.safe_dump(
        {
            **{"name": "m", "source": {"location": "x.csv"}, "entity": "key"},
            "columns": {name: {"type": name, "nullable": True} for name in VALUES} | {"key": {"type": "int32"}},
        }
    ),
    "m.yaml",
)
SCHEMA = pa.schema([(name, stored_type(SPEC.columns[name].type)) for name in VALUES])


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("engine")
    with Engine.open(connect_in_memory, folder, "512MiB", LocalStorage(folder)) as opened:
        yield opened


@given(columns(), st.integers(1, 100))
def test_each_value_counts_once_in_parts_of_any_size(engine: Engine, found: dict[str, list[Any]], values_at_once: int) -> None:
    engine.register("observations", pa.table(found, SCHEMA))
    expected = {name: len(set(values) - {None}) for name, values in found.items()}
    assert unique_counts(engine, SPEC, "observations", values_at_once=values_at_once) == expected


def test_what_is_known_is_not_counted_again(engine: Engine) -> None:
    engine.register("observations", pa.table({name: [1, 2, 2] for name in VALUES}, SCHEMA))
    known = {"int64": 7, "key": 5}
    assert unique_counts(engine, SPEC, "observations", known) == {"timestamp": 2, "float32": 2, "float64": 2, **known}
