"""One history of a million items, in every window kind: the kernel's sequences, Trino's, and the arithmetic of the reference.

The reference itself takes quadratic time, so its windows are also written as arithmetic on arrays here, which is compared with
it on short histories and with the engines on the long one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

import seq_assets
from seq_assets.models import ModelSpec
from seq_assets.models.spec import WindowSpec
from seq_assets.sequencing.plans import SequencePlan
from seq_assets.sequencing.windows import window_of
from seq_assets_tests.athena.fixtures import AthenaClient
from seq_assets_tests.athena.parity.comparing import Side, assert_published_alike, cloud_side, local_side
from seq_assets_tests.reference import Definition, Feature, sequences

pytestmark = pytest.mark.athena

ITEMS: Final = 1_000_000
PAD: Final = {"item": -1, "correct": 0}
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Cut:
    """A way to cut the history; each has a length of its own, because that names its table."""

    mode: Literal["chunk", "sliding", "last", "first", "prefix"]
    sequence_length: int
    stride: int | None = None
    side: Literal["right", "left"] = "right"
    min_length: int = 1

    @property
    def definition(self) -> Definition:
        """In the words of the reference."""
        features = tuple(Feature(name, "int32" if name == "item" else "int8", pad) for name, pad in PAD.items())
        return Definition("pupil", features, self.sequence_length, self.mode, self.stride, self.side, self.min_length)

    def plan(self, spec: ModelSpec, raw_version: int) -> SequencePlan:
        """As a plan."""
        return replace(
            SequencePlan.of(spec, "train", self.sequence_length, raw_version),
            window=window_of(WindowSpec.model_validate({"mode": self.mode, "stride": self.stride})),
            padding_side=self.side,
            min_length=self.min_length,
        )


CUTS: Final = (
    Cut("chunk", 97),
    Cut("chunk", 10_000, side="left", min_length=2),
    Cut("sliding", 100, stride=61, side="left", min_length=30),
    Cut("sliding", 8, stride=3),
    Cut("first", 50),
    Cut("last", 51, side="left"),
    Cut("prefix", 4, side="left", min_length=2),
)


def starts_and_sizes(items: int, cut: Cut) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The windows of a history, kept or not."""
    length = cut.sequence_length
    if cut.mode == "prefix":
        ends = np.arange(2, items + 1)
        starts = np.maximum(ends - length, 0)
        return starts, ends - starts
    step = {"chunk": length, "sliding": cut.stride}.get(cut.mode)
    if step:
        # A further window while the one before does not reach the end.
        starts = np.arange(0, max(items - length, 0) + step, step)
    else:
        starts = np.array([0 if cut.mode == "first" else max(items - length, 0)])
    return starts, np.minimum(items - starts, length)


def expected_sequences(histories: Mapping[int, Mapping[str, NDArray[Any]]], cut: Cut) -> Arrays:
    """The columns of the sequence table, for the items of each pupil by feature, in order."""
    parts = [_of_one_history(pupil, history, cut) for pupil, history in histories.items()]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _of_one_history(pupil: int, history: Mapping[str, NDArray[Any]], cut: Cut) -> Arrays:
    starts, sizes = starts_and_sizes(len(history["item"]), cut)
    starts, sizes = starts[sizes >= cut.min_length], sizes[sizes >= cut.min_length]
    # Where an item of each cell stands in its window; negative, or from its size on, in padding.
    cells = (
        np.arange(cut.sequence_length)[None, :] - (cut.sequence_length - sizes if cut.side == "left" else 0 * sizes)[:, None]
    )
    is_item = (cells >= 0) & (cells < sizes[:, None])
    found: Arrays = {
        "pupil": np.full(len(starts), pupil),
        "sequence_index": np.arange(len(starts)),
        "sequence_start": starts,
        "sequence_size": sizes,
    }
    positions = np.where(is_item, starts[:, None] + cells, 0)
    for name, pad in PAD.items():
        found[f"{name}_sequence"] = np.where(is_item, history[name][positions], pad)
    found["is_pad_sequence"] = (~is_item).astype(np.int8)
    if cut.mode in ("sliding", "prefix"):
        seen_until = np.concatenate([[0], (starts + sizes)[:-1]])
        found["is_repeat_sequence"] = (is_item & (positions < seen_until[:, None])).astype(np.int8)
    return found


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("items", [1, 2, 3, 8, 100, 161, 401])
def test_the_arithmetic_is_the_reference_on_short_histories(cut: Cut, items: int) -> None:
    histories = {pupil: _history(count, pupil) for pupil, count in ((1, items), (2, 5))}
    rows = [
        {"pupil": pupil, "item": int(item), "correct": int(correct)}
        for pupil, history in histories.items()
        for item, correct in zip(history["item"], history["correct"], strict=True)
    ]
    wanted = sequences(rows, cut.definition)
    found = expected_sequences(histories, cut)
    assert len(found["pupil"]) == len(wanted)
    for name, values in found.items():
        assert values.tolist() == [row[name] for row in wanted], name


def test_a_history_of_a_million_items_is_cut_alike_in_every_way(athena: AthenaClient, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    local, production = local_side(tmp_path / "models", tmp_path / "home"), cloud_side("prod", tmp_path / "models", athena)
    table, histories = long_history()
    local.workspace.write("source.parquet", table)
    spec = local.workspace.model(
        source={"location": "source.parquet"},
        columns={"pupil": {"type": "int64"}, "time": {"type": "int64"}, "item": {"type": "int32"}, "correct": {"type": "int8"}},
        features={name: {"pad_value": pad} for name, pad in PAD.items()},
        sequence_lengths=[cut.sequence_length for cut in CUTS],
    )
    for side in (local, production):
        with side.entered():
            raw = side.workspace.ingest(spec).version
            for cut in CUTS:
                side.workspace.warehouse.execute(cut.plan(spec, raw.id))
    for cut in CUTS:
        assert_long_sequences(local, spec, histories, cut)
        assert_published_alike(local, production, spec, cut.sequence_length, ["train"])


def assert_long_sequences(side: Side, spec: ModelSpec, histories: Mapping[int, Mapping[str, NDArray[Any]]], cut: Cut) -> None:
    """The published sequences are those of the arithmetic."""
    with side.entered():
        found = seq_assets.load(spec.name, sequence_length=cut.sequence_length).to_numpy()
    expected = expected_sequences(histories, cut)
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert np.array_equal(found[name], values), (cut, name)


def long_history() -> tuple[pa.Table, dict[int, dict[str, NDArray[Any]]]]:
    """A source in disorder with three rows at each time, one pupil of a million items between two of few; and the histories."""
    counts = {1: 3, 2: ITEMS, 3: 1}
    pupils = np.repeat(list(counts), list(counts.values()))
    order = np.random.default_rng(0).permutation(len(pupils))
    pupils, times = pupils[order], order // 3
    items, correct = (order * 7919 % 100_003).astype(np.int32), (order % 7 % 2).astype(np.int8)
    table = pa.table({"pupil": pupils, "time": times, "item": items, "correct": correct})
    sorted_rows = np.lexsort((np.arange(len(pupils)), times, pupils))
    histories = {}
    for pupil in counts:
        mine = sorted_rows[pupils[sorted_rows] == pupil]
        histories[pupil] = {"item": items[mine], "correct": correct[mine]}
    return table, histories


def _history(items: int, start: int) -> dict[str, NDArray[Any]]:
    return {"item": np.arange(start, start + items) * 7, "correct": np.arange(items) % 2}
