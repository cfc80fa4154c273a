"""Derived features in every warehouse: the time since the item before, over the history and not over the window."""

from typing import Any

import pytest

from seq_assets.errors import NotPublishedError
from seq_assets.models import ModelSpec
from seq_assets_tests.warehouse.building import PLAIN_COLUMNS, Workspace, published_rows

COLUMNS = {**PLAIN_COLUMNS, "time": {"type": "timestamp"}}
ANSWERS = """pupil,time,item
1,2024-05-06 08:00:00,10
1,2024-05-06 08:00:59.999999,11
2,1969-12-31 23:59:59.5,20
1,2024-05-06 09:30:00,12
2,1970-01-01 00:00:00.5,21
1,2024-05-08 09:30:00,13
1,2024-05-08 09:30:00,14
"""


def lagging_model(workspace: Workspace, **fields: Any) -> ModelSpec:
    """A model whose feature `lag` is the time since the item before."""
    if not (workspace.folder / "source.csv").exists():
        workspace.write("source.csv", ANSWERS)
    lag = {"derive": "time_since_previous", "pad_value": -1} | fields.pop("lag", {})
    wanted = {"columns": COLUMNS, "order_by": ["time"], "features": {"item": {"pad_value": -1}, "lag": lag}}
    return workspace.sequence_model(**wanted | fields)


def lags(workspace: Workspace, spec: ModelSpec) -> list[list[int]]:
    return [row["lag_sequence"] for row in published_rows(workspace.warehouse, workspace.sequence(spec).version)]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("s", [[0, 59, 5340, 172_800], [0, -1, -1, -1], [0, 1, -1, -1]]),
        ("min", [[0, 0, 89, 2880], [0, -1, -1, -1], [0, 0, -1, -1]]),
        ("d", [[0, 0, 0, 2], [0, -1, -1, -1], [0, 0, -1, -1]]),
        ("us", [[0, 59_999_999, 5_340_000_001, 172_800_000_000], [0, -1, -1, -1], [0, 1_000_000, -1, -1]]),
    ],
)
def test_whole_units_since_the_item_before_of_the_history_whatever_window_that_is_in(
    workspace: Workspace, unit: str, expected: list[list[int]]
) -> None:
    spec = lagging_model(workspace, lag={"unit": unit})
    raw = workspace.ingest(spec).version
    assert "lag" not in raw.schema.names
    assert lags(workspace, spec) == expected


def test_only_the_first_item_of_a_history_has_the_first_value(workspace: Workspace) -> None:
    spec = lagging_model(workspace, lag={"first": 7, "unit": "h"}, window={"mode": "last"}, sequence_lengths=[2, 5])
    workspace.ingest(spec)
    assert lags(workspace, spec) == [[48, 0], [7, 0]]
    published = workspace.sequence(spec, sequence_length=5).version
    assert [row["lag_sequence"] for row in published_rows(workspace.warehouse, published)] == [
        [7, 0, 1, 48, 0],
        [7, 0, -1, -1, -1],
    ]
    assert str(published.schema.stored().field("lag_sequence").type.value_type) == "int64"
    assert [finding for finding in workspace.warehouse.inspect(published) if not finding.passed] == []


def test_another_unit_makes_the_sequences_anew_but_not_the_observations(workspace: Workspace) -> None:
    spec = lagging_model(workspace)
    workspace.ingest(spec)
    first = workspace.sequence(spec).version
    assert workspace.sequence(spec).unchanged
    spec = lagging_model(workspace, lag={"unit": "ms"})
    assert workspace.ingest(spec).unchanged
    second = workspace.sequence(spec).version
    assert second.id != first.id
    assert second.raw_version == first.raw_version


def test_observations_in_another_order_have_to_be_made_anew(workspace: Workspace) -> None:
    workspace.ingest(lagging_model(workspace, order_by=["pupil", "time"], features={"item": {"pad_value": -1}}))
    with pytest.raises(NotPublishedError, match="lag: found histories in the order of pupil, time, the model file says time"):
        workspace.sequence(lagging_model(workspace))
