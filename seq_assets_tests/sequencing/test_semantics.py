"""What docs/semantics.md says of the bare operation, where no other test of it does."""

import pyarrow as pa
import pytest

from seq_assets.errors import InputError
from seq_assets.sequencing.operation import sequence

ANSWERS = pa.table({"pupilid": [1, 1], "time": [1, 2], "correct": [0, 1]})


@pytest.mark.parametrize("name", ["-time", "time desc", "time DESC"])
def test_a_descending_order_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(InputError) as caught:
        sequence(ANSWERS, entity="pupilid", order_by=[name], features={"correct": 0}, sequence_length=2)
    reason = "histories are in ascending order, because windows read them forwards in time"
    assert str(caught.value) == f"order_by: found {name!r}; allowed: 'time'; {reason}"


def test_a_column_that_is_named_so_is_one_to_order_by() -> None:
    table = pa.table({"pupilid": [1, 1], "-time": [2, 1], "time": [1, 2], "correct": [0, 1]})
    made = sequence(table, entity="pupilid", order_by=["-time"], features={"correct": 0}, sequence_length=2)
    assert made["correct_sequence"].to_pylist() == [[1, 0]]
