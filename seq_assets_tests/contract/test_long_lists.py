"""A contract may list any number of accepted values; every warehouse says the same of them."""

from typing import Any, Final

import pyarrow as pa
import pytest

from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.rules.lookups import MOST_LISTED
from seq_assets_tests.warehouse.building import Workspace, published_rows

MANY: Final = MOST_LISTED + 1
VALUES: Final[dict[str, tuple[list[Any], list[Any], int]]] = {
    "int8": ([*range(-100, 100)] * 6, ["7", "101", "", "x"], 1),
    "int64": ([*range(0, 3 * MANY, 3), 3], ["3", "4", "", "x"], 1),
    "float32": ([0.1, *(number / 8 for number in range(MANY))], ["0.125", "0.13", "0.1", "-0.0", ""], 3),
    "string": ([f"it's {number}é" for number in range(MANY)], ["it's 5é", "it's 5", ""], 1),
    "date": (
        [f"2024-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29)] * 3,
        ["2024-02-03", "2023-02-03"],
        1,
    ),
    "timestamp": (
        [f"2024-01-{day:02}T{hour:02}:{minute:02}:00" for day in range(1, 29) for hour in range(24) for minute in (0, 30)],
        ["2024-01-02 03:30", "2024-01-02 03:31"],
        1,
    ),
}
"""By type: what is listed, what stands in the source, and how much of that is accepted, nulls aside."""


@pytest.mark.slow
@pytest.mark.parametrize("name", VALUES)
def test_a_long_list_accepts_what_a_short_one_accepts(workspace: Workspace, name: str) -> None:
    listed, found, accepted = VALUES[name]
    workspace.write("source.csv", "pupil,value\n" + "".join(f"{number},{value}\n" for number, value in enumerate(found)))
    published = []
    for values in (listed, listed[:MOST_LISTED]):
        spec = workspace.model(
            order_by=[],
            columns={"pupil": {"type": "int64"}, "value": {"type": name, "nullable": True, "is_in": values}},
            checks={"rejected_ratio": {"max": 1.0}},
        )
        raw = workspace.ingest(spec).version
        rejected = workspace.warehouse.find(Dataset.rejected(spec.name))
        assert all(finding.passed for finding in workspace.warehouse.inspect(raw))
        reasons = {row["row"]: row["reason"] for row in published_rows(workspace.warehouse, rejected)}
        published.append(([row["value"] for row in published_rows(workspace.warehouse, raw)], reasons))
    assert published[0] == published[1]
    values, reasons = published[0]
    assert len([value for value in values if value is not None]) == accepted
    assert len(values) + len(reasons) == len(found)


@pytest.mark.slow
def test_what_a_long_list_refuses_is_told_by_its_beginning(workspace: Workspace) -> None:
    from seq_assets.errors import AuditError

    workspace.write("source.parquet", pa.table({"pupil": [1], "time": [1], "item": [-1]}))
    item = {"type": "int32", "is_in": list(range(100_000))}
    spec = workspace.model(
        source={"location": "source.parquet"}, columns={"pupil": {"type": "int64"}, "time": {"type": "int64"}, "item": item}
    )
    with pytest.raises(AuditError, match=r"1 is_in: columns\.item\.is_in, now \[0, 1, .*49, …\], 100,000 values"):
        workspace.ingest(spec)
