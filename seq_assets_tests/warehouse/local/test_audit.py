"""The audits find whatever is wrong in finished files, one wrong thing at a time, and nothing in files that are right."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq_assets.models import ModelSpec
from seq_assets.sequencing.accounting import IngestAccounting, SequenceAccounting
from seq_assets.sequencing.kernel import Kernel
from seq_assets.sequencing.plans import Dataset, SequencePlan
from seq_assets.sequencing.windows import Chunk, First, Last, Prefix, Sliding, Window
from seq_assets.warehouse.engine import Engine, connect_in_memory
from seq_assets.warehouse.interface import Finding, Version, no_progress
from seq_assets.warehouse.local.audit_raw import raw_findings
from seq_assets.warehouse.local.audit_sequences import sequence_findings
from seq_assets.warehouse.local.sequences import SequenceWriter
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.storage.parquet_files import read_batches
from seq_assets.warehouse.storage.storage import LocalStorage
from seq_assets_tests.reference import Definition, Feature, accounting, examples, sequences
from seq_assets_tests.warehouse.building import PLAIN_COLUMNS, Row, Workspace, read_rows, read_table

Change = Callable[[list[Row]], list[Row] | None]
Problems = dict[str, tuple[str, ...]]

HISTORIES = (1, 2, 3, 4, 5, 7, 8, 11, 23)
"""Items of the entities 1, 2, 3, …"""


@dataclass
class House:
    """Raw observations of every kind of history, and the engine that audits."""

    workspace: Workspace
    spec: ModelSpec
    raw: Version
    engine: Engine | None

    @property
    def storage(self) -> LocalStorage:
        return LocalStorage(self.workspace.folder)

    @property
    def train(self) -> tuple[str, ...]:
        return self.workspace.warehouse.raw_files(self.raw, "train")

    def problems(self, findings: list[Finding]) -> Problems:
        return {finding.check: finding.problems for finding in findings if not finding.passed}

    def sequence(self, plan: SequencePlan, path: Path, raw: Sequence[str]) -> SequenceAccounting:
        """Writes the file that the kernel makes."""
        kernel = Kernel(plan)
        batches = read_batches(self.storage, raw, kernel.input_columns, 10)
        pq.write_table(pa.Table.from_batches(kernel.batches(batches), plan.schema.stored()), path)
        return kernel.accounting

    def audit(self, plan: SequencePlan, path: Path, counted: SequenceAccounting, raw: Sequence[str] | None = None) -> Problems:
        assert self.engine is not None
        files = self.train if raw is None else raw
        return self.problems(sequence_findings(self.engine, plan, self.spec, self.storage, files, [str(path)], counted))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("audit")
    workspace = Workspace(folder, LocalWarehouse(folder / "home"))
    rows = [(entity, time) for entity, items in enumerate(HISTORIES, 1) for time in range(items)]
    items = [100 * entity + time for entity, time in rows]
    table = pa.table(
        {
            "pupil": [entity for entity, _ in rows],
            "time": [time for _, time in rows],
            "item": items,
            "score": [None if item % 5 == 0 else item / 4 for item in items],
            "name": [f"é{item % 3}" for item in items],
            "flag": [item % 2 == 0 for item in items],
            "at": pa.array([item * 1_234_567 - 10**9 for item in items], pa.timestamp("us")),
            "day": pa.array([item - 150 for item in items], pa.int32()).cast(pa.date32()),
        }
    )
    workspace.write("source.parquet", table)
    spec = workspace.sequence_model(
        source={"location": "source.parquet"},
        columns={
            **PLAIN_COLUMNS,
            "score": {"type": "float32", "nullable": True},
            "name": {"type": "string"},
            "flag": {"type": "bool"},
            "at": {"type": "timestamp"},
            "day": {"type": "date"},
        },
        features={
            "item": {"pad_value": -1},
            "score": {"pad_value": -1.0, "fill_null": 0.1},
            "name": {"pad_value": ""},
            "flag": {"pad_value": False},
            "at": {"pad_value": 0},
            "day": {"pad_value": 0},
        },
    )
    raw = workspace.ingest(spec).version
    with Engine.open(connect_in_memory, folder, "512MiB", LocalStorage(folder)) as engine:
        house = House(workspace, spec, raw, engine)
        yield house
        house.engine = None


def plan_of(
    house: House, window: Window, *, length: int = 4, side: Literal["right", "left"] = "right", min_length: int = 1
) -> SequencePlan:
    plan = SequencePlan.of(house.spec, "train", length, house.raw.id)
    return replace(plan, window=window, padding_side=side, min_length=min_length)


def rewrite(path: Path, change: Change) -> None:
    """Changes the rows of a Parquet file, which keeps its schema."""
    table = pq.ParquetFile(path).read()
    rows = table.to_pylist()
    pq.write_table(pa.Table.from_pylist(change(rows) or rows, table.schema), path)


def of(rows: list[Row], entity: int) -> list[Row]:
    return [row for row in rows if row["pupil"] == entity]


def swap(row: Row, name: str, one: int, other: int) -> None:
    cells = row[name]
    cells[one], cells[other] = cells[other], cells[one]


# Windows

WINDOWS: dict[str, Window] = {
    "chunk": Chunk(),
    "sliding": Sliding(2),
    "last": Last(),
    "first": First(),
    "prefix": Prefix(),
}


def definition_of(plan: SequencePlan) -> Definition:
    """A plan as the reference takes it."""
    kind: Any = type(plan.window).__name__.lower()
    return Definition(
        entity=plan.entity[0],
        features=tuple(Feature(f.name, f.type.value, f.pad_value, f.fill_value) for f in plan.features),
        sequence_length=plan.sequence_length,
        window=kind,
        stride=plan.window.stride if isinstance(plan.window, Sliding) and kind == "sliding" else None,
        padding_side=plan.padding_side,
        min_length=plan.min_length,
    )


@settings(deadline=None, max_examples=examples(12), derandomize=True)
@given(data=st.data(), kind=st.sampled_from(sorted(WINDOWS)), side=st.sampled_from(["right", "left"]))
def test_any_plan_passes_its_own_audit_and_equals_the_reference(
    house: House, data: st.DataObject, kind: str, side: Any
) -> None:
    length = data.draw(st.integers(1, 12), "length")
    window = Sliding(data.draw(st.integers(1, length), "stride")) if kind == "sliding" else WINDOWS[kind]
    plan = plan_of(house, window, length=length, side=side, min_length=data.draw(st.integers(1, length), "min_length"))
    published = house.workspace.warehouse.execute(plan, force=True).version
    rows = read_rows(house.raw)
    expected = sequences([{**row, "score": row["score"]} for row in rows], definition_of(plan))
    found = read_rows(published)
    for row in [*expected, *found]:
        row["score_sequence"] = [round(value, 5) for value in row["score_sequence"]]
    assert found == expected
    assert published.metadata["accounting"] == accounting(rows, definition_of(plan))
    assert all(finding.passed for finding in house.workspace.warehouse.inspect(published))


# Sequences: one thing wrong


def swap_items(rows: list[Row]) -> None:
    swap(of(rows, 9)[1], "item_sequence", 0, 1)


def swap_repeated_items(rows: list[Row]) -> None:
    """Items 2 and 3 of the history, in the second window, where both are repeated."""
    for feature in ("item", "score", "name", "flag", "at", "day"):
        swap(of(rows, 9)[1], f"{feature}_sequence", 0, 1)


def change_a_repeated_item(rows: list[Row]) -> None:
    of(rows, 9)[1]["item_sequence"][0] += 1


def replace_a_filled_null(rows: list[Row]) -> None:
    of(rows, 5)[0]["score_sequence"][0] += 0.5


def drop_the_last_row(rows: list[Row]) -> list[Row]:
    return rows[:-1]


def drop_an_entity(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["pupil"] != 4]


def duplicate_a_row(rows: list[Row]) -> list[Row]:
    return [*rows, rows[-1]]


def pad_an_item(rows: list[Row]) -> None:
    of(rows, 9)[0]["is_pad_sequence"][3] = 1


def unpad_padding(rows: list[Row]) -> None:
    of(rows, 1)[0]["is_pad_sequence"][1] = 0


def change_padding(rows: list[Row]) -> None:
    of(rows, 1)[0]["item_sequence"][3] = 0


def change_text_padding(rows: list[Row]) -> None:
    of(rows, 2)[0]["name_sequence"][3] = "é0"


def exchange_entities(rows: list[Row]) -> list[Row]:
    return [*of(rows, 2), *of(rows, 1), *rows[2:]]


def rename_an_entity(rows: list[Row]) -> None:
    for row in of(rows, 9):
        row["pupil"] = 10


def change_an_ordinal(rows: list[Row]) -> None:
    of(rows, 9)[2]["sequence_index"] = 7


def change_a_start(rows: list[Row]) -> None:
    of(rows, 9)[2]["sequence_start"] += 1


def change_the_only_start(rows: list[Row]) -> None:
    of(rows, 9)[0]["sequence_start"] -= 1


def change_a_size(rows: list[Row]) -> None:
    of(rows, 9)[2]["sequence_size"] -= 1


def cut_elsewhere(rows: list[Row]) -> None:
    """Entity 5 has five items: four and one become one and four. Nothing is lost, but these are not its chunks."""
    first, second = of(rows, 5)
    for feature in ("item", "score", "name", "flag", "at", "day"):
        items = first[f"{feature}_sequence"] + second[f"{feature}_sequence"][:1]
        pad = second[f"{feature}_sequence"][1:]
        first[f"{feature}_sequence"], second[f"{feature}_sequence"] = items[:1] + pad, items[1:]
    first["is_pad_sequence"], second["is_pad_sequence"] = second["is_pad_sequence"], first["is_pad_sequence"]
    first["sequence_size"], second["sequence_size"], second["sequence_start"] = 1, 4, 1


def flag_a_new_item(rows: list[Row]) -> None:
    of(rows, 9)[1]["is_repeat_sequence"][3] = 1


def unflag_a_repeated_item(rows: list[Row]) -> None:
    of(rows, 9)[1]["is_repeat_sequence"][0] = 0


def flag_the_first_instead_of_the_second_time(rows: list[Row]) -> None:
    """Item 2 of the history stands in the first two windows."""
    first, second, *_ = of(rows, 9)
    first["is_repeat_sequence"][2], second["is_repeat_sequence"][0] = 1, 0


def flag_padding(rows: list[Row]) -> None:
    of(rows, 1)[0]["is_repeat_sequence"][3] = 1


def flag_with_another_number(rows: list[Row]) -> None:
    of(rows, 9)[1]["is_repeat_sequence"][0] = -1


LOST_9 = "pupil 9: un-padding gives {} items, or another content or order than the 23 raw ones"
CHUNKS = "of 19 sequences have a wrong"
SLIDES = "of 28 sequences have a wrong"


@pytest.mark.parametrize(
    ("window", "change", "expected"),
    [
        ("chunk", swap_items, {"nothing_lost": (LOST_9.format(23),)}),
        ("sliding", swap_items, {"nothing_lost": (LOST_9.format(23),)}),
        ("sliding", swap_repeated_items, {"nothing_lost": (LOST_9.format(23),)}),
        ("sliding", change_a_repeated_item, {"nothing_lost": (LOST_9.format(23),)}),
        ("prefix", change_a_repeated_item, {"nothing_lost": (LOST_9.format(23),)}),
        (
            "chunk",
            replace_a_filled_null,
            {"nothing_lost": ("pupil 5: un-padding gives 5 items, or another content or order than the 5 raw ones",)},
        ),
        ("chunk", drop_the_last_row, {"nothing_lost": (LOST_9.format(20),)}),
        (
            "last",
            drop_an_entity,
            {"nothing_lost": ("pupil 4: un-padding gives 0 items, or another content or order than the 4 raw ones",)},
        ),
        (
            "chunk",
            duplicate_a_row,
            {"nothing_lost": (LOST_9.format(26),), "well_formed": ("1 of 20 sequences have a wrong order",)},
        ),
        ("chunk", pad_an_item, {"nothing_lost": (LOST_9.format(22),), "well_formed": (f"1 {CHUNKS} is_pad",)}),
        (
            "chunk",
            unpad_padding,
            {
                "nothing_lost": ("pupil 1: un-padding gives 2 items, or another content or order than the 1 raw ones",),
                "well_formed": (f"1 {CHUNKS} is_pad",),
            },
        ),
        ("chunk", change_padding, {"well_formed": (f"1 {CHUNKS} pad_value",)}),
        ("prefix", change_text_padding, {"well_formed": ("1 of 55 sequences have a wrong pad_value",)}),
        ("chunk", exchange_entities, {"well_formed": (f"1 {CHUNKS} order",)}),
        (
            "chunk",
            rename_an_entity,
            {
                "nothing_lost": (
                    LOST_9.format(0),
                    "pupil 10: un-padding gives 23 items, or another content or order than the 0 raw ones",
                )
            },
        ),
        ("chunk", change_an_ordinal, {"well_formed": (f"2 {CHUNKS} order", f"1 {CHUNKS} start")}),
        ("chunk", change_a_start, {"nothing_lost": (LOST_9.format(23),), "well_formed": (f"1 {CHUNKS} start",)}),
        (
            "last",
            change_the_only_start,
            {"nothing_lost": ("pupil 9: un-padding gives 4 items, or another content or order than the 4 raw ones",)},
        ),
        ("chunk", change_a_size, {"well_formed": (f"1 {CHUNKS} is_pad", f"1 {CHUNKS} pad_value")}),
        ("chunk", cut_elsewhere, {"well_formed": (f"1 {CHUNKS} start",)}),
        ("sliding", flag_a_new_item, {"nothing_lost": (LOST_9.format(22),), "well_formed": (f"1 {SLIDES} is_repeat",)}),
        ("sliding", unflag_a_repeated_item, {"nothing_lost": (LOST_9.format(24),), "well_formed": (f"1 {SLIDES} is_repeat",)}),
        ("sliding", flag_the_first_instead_of_the_second_time, {"well_formed": (f"2 {SLIDES} is_repeat",)}),
        ("sliding", flag_padding, {"well_formed": (f"1 {SLIDES} is_repeat",)}),
        ("sliding", flag_with_another_number, {"well_formed": (f"1 {SLIDES} is_repeat",)}),
    ],
    ids=lambda value: getattr(value, "__name__", value if isinstance(value, str) else ""),
)
def test_one_wrong_thing_in_sequences_is_found_and_nothing_else(
    house: House, tmp_path: Path, window: str, change: Change, expected: Problems
) -> None:
    path = tmp_path / "x.parquet"
    plan = plan_of(house, WINDOWS[window])
    counted = house.sequence(plan, path, house.train)
    assert house.audit(plan, path, counted) == {}
    rewrite(path, change)
    assert house.audit(plan, path, counted) == expected


@settings(deadline=None, max_examples=examples(30))
@given(data=st.data(), kind=st.sampled_from(sorted(WINDOWS)), side=st.sampled_from(["right", "left"]))
def test_any_change_of_any_cell_is_found(
    house: House, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: str, side: Any
) -> None:
    path = tmp_path_factory.mktemp("cell") / "x.parquet"
    plan = plan_of(house, WINDOWS[kind], side=side)
    counted = house.sequence(plan, path, house.train)

    def change(rows: list[Row]) -> None:
        row = rows[data.draw(st.integers(0, len(rows) - 1), "row")]
        name = data.draw(st.sampled_from(sorted(row)), "column")
        cells: Any
        key: Any
        cells, key = (row[name], data.draw(st.integers(0, 3), "cell")) if isinstance(row[name], list) else (row, name)
        by = data.draw(st.sampled_from([-1, 1]), "by")
        cells[key] = (
            not cells[key] if isinstance(cells[key], bool) else cells[key] + ("x" if isinstance(cells[key], str) else by)
        )

    rewrite(path, change)
    assert house.audit(plan, path, counted)


def test_sequences_of_an_entity_of_the_other_subset_are_leakage(house: House, tmp_path: Path) -> None:
    """Raw observations and sequences agree with each other, so that nothing but the split is wrong."""
    split = house.spec.split.model_copy(update={"validation_fraction": 0.5})
    house_ = replace(house, spec=house.spec.model_copy(update={"split": split}))
    plan = plan_of(house, Chunk())
    counted = house.sequence(plan, tmp_path / "x.parquet", house.train)
    (problem,) = house_.audit(plan, tmp_path / "x.parquet", counted)["no_leakage"]
    assert problem.endswith("entities belong to the other subset")
    assert set(house_.audit(plan, tmp_path / "x.parquet", counted)) == {"no_leakage"}


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.append_column("more", pa.array([1] * table.num_rows)),
        lambda table: table.select(list(reversed(table.schema.names))),
        lambda table: table.cast(table.schema.set(0, pa.field("pupil", pa.int64(), nullable=True))),
        lambda table: table.cast(table.schema.set(1, pa.field("sequence_index", pa.int64(), nullable=False))),
    ],
    ids=["a column more", "another order", "nulls allowed", "another type"],
)
def test_other_columns_are_not_well_formed(house: House, tmp_path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    path = tmp_path / "x.parquet"
    plan = plan_of(house, Chunk())
    counted = house.sequence(plan, path, house.train)
    pq.write_table(change(pq.ParquetFile(path).read()), path)
    problems = house.audit(plan, path, counted)
    assert set(problems) == {"well_formed"}
    assert problems["well_formed"][0].startswith("x.parquet: other columns than pupil, sequence_index, ")


@pytest.mark.parametrize("name", ["observations", "sequenced", "dropped_min_length", "dropped_truncation"])
def test_a_miscount_is_something_lost(house: House, tmp_path: Path, name: str) -> None:
    plan = plan_of(house, Last(), min_length=3)
    counted = house.sequence(plan, tmp_path / "x.parquet", house.train)
    assert house.audit(plan, tmp_path / "x.parquet", counted) == {}
    number = getattr(counted, name)
    problems = house.audit(plan, tmp_path / "x.parquet", replace(counted, **{name: number + 1}))
    assert set(problems) == {"nothing_lost"}
    sums, difference = problems["nothing_lost"]
    assert sums.endswith("does not hold")
    assert difference == f"{name}: the raw observations say {number}, the kernel counted {number + 1}"


# Raw observations: one thing wrong


@dataclass
class Ingested:
    """A model of which everything is checked, and copies of its finished files."""

    spec: ModelSpec
    raw: list[str]
    rejected: list[str]
    accounting: IngestAccounting


@pytest.fixture(scope="module")
def ingested_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, ModelSpec]:
    folder = tmp_path_factory.mktemp("raw")
    workspace = Workspace(folder, LocalWarehouse(folder / "home"))
    pupils = [1, 2, 3, 4, 5, 6, 7, 8] * 3
    table = pa.table(
        {
            "pupil": pupils,
            "time": [number // 8 for number in range(24)],
            "item": range(24),
            "score": [None, *range(21), 99, 99],
            "code": [f"c{number}" for number in range(24)],
        }
    )
    workspace.write("source.parquet", table)
    spec = workspace.model(
        source={"location": "source.parquet"},
        columns={
            **PLAIN_COLUMNS,
            "score": {"type": "int8", "nullable": True, "is_between": [0, 50], "has_acceptable_percentage_of_nulls": 0.1},
            "code": {"type": "string", "has_unique_values": True},
        },
        split={"strategy": "entity_hash", "validation_fraction": 0.4},
        checks={"rejected_ratio": {"max": 0.1}},
    )
    workspace.ingest(spec)
    return workspace, spec


@pytest.fixture
def ingested(ingested_once: tuple[Workspace, ModelSpec], tmp_path: Path) -> Ingested:
    workspace, spec = ingested_once
    raw = workspace.warehouse.find(Dataset.raw(spec.name))
    rejected = workspace.warehouse.find(Dataset.rejected(spec.name))
    copies = []
    for file in (*raw.files, *rejected.files):
        copy = tmp_path / Path(file).name
        copy.write_bytes(Path(file).read_bytes())
        copies.append(str(copy))
    return Ingested(spec, copies[:2], copies[2:], IngestAccounting(**raw.metadata["accounting"]))


def audit_raw(house: House, ingested: Ingested) -> Problems:
    assert house.engine is not None
    found = raw_findings(house.engine, ingested.spec, house.storage, ingested.raw, ingested.rejected, ingested.accounting)
    return house.problems(found)


def test_untouched_raw_observations_pass(house: House, ingested: Ingested) -> None:
    assert audit_raw(house, ingested) == {}
    assert (ingested.accounting.train, ingested.accounting.validation, ingested.accounting.rejected) == (19, 3, 2)


def drop_the_last_observation(rows: list[Row]) -> list[Row]:
    return rows[:-1]


def duplicate_the_last_observation(rows: list[Row]) -> list[Row]:
    return [*rows, {**rows[-1], "code": "new"}]


def swap_two_observations(rows: list[Row]) -> list[Row]:
    """With the positions of their places, so that only the order is wrong."""
    first, second, *rest = rows
    return [{**second, "_position": 0}, {**first, "_position": 1}, *rest]


def swap_two_entities(rows: list[Row]) -> list[Row]:
    return [*rows[3:6], *rows[:3], *rows[6:]]


def count_from_one(rows: list[Row]) -> None:
    for row in rows[:3]:
        row["_position"] += 1


def repeat_a_position(rows: list[Row]) -> None:
    rows[-1]["_position"] -= 1


def take_another_row_number(rows: list[Row]) -> None:
    rows[1]["_row"] = rows[0]["_row"]
    rows[1]["_file"] = rows[0]["_file"]


def break_a_validation(rows: list[Row]) -> None:
    rows[1]["score"] = 51


def repeat_a_unique_value(rows: list[Row]) -> None:
    rows[1]["code"] = rows[2]["code"]


def lose_values(rows: list[Row]) -> None:
    for row in rows[:3]:
        row["score"] = None


def rename_the_subset(rows: list[Row]) -> None:
    rows[1]["subset"] = "validation"


def move_an_entity(rows: list[Row]) -> None:
    """The first entity gets a number that md5 puts on the other side, and still comes first."""
    for row in rows[:3]:
        row["pupil"] = 0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            drop_the_last_observation,
            {
                "nothing_lost": (
                    "accepted: the files hold 21, the ingest counted 22",
                    "train: the files hold 18, the ingest counted 19",
                    "records: the files hold 21, the ingest counted 22",
                )
            },
        ),
        (
            duplicate_the_last_observation,
            {
                "nothing_lost": (
                    "accepted: the files hold 23, the ingest counted 22",
                    "train: the files hold 20, the ingest counted 19",
                ),
                "well_formed": ("1 rows are out of order", "1 rows have a wrong _position"),
            },
        ),
        (swap_two_observations, {"well_formed": ("1 rows are out of order",)}),
        (swap_two_entities, {"well_formed": ("1 rows are out of order",)}),
        (count_from_one, {"well_formed": ("1 rows have a wrong _position",)}),
        (repeat_a_position, {"well_formed": ("1 rows have a wrong _position",)}),
        (take_another_row_number, {"nothing_lost": ("records: the files hold 21, the ingest counted 22",)}),
        (break_a_validation, {"contract": ("1 accepted rows break columns.score.is_between",)}),
        (
            repeat_a_unique_value,
            {
                "contract": (
                    "columns.code.has_unique_values: 1 accepted rows repeat a value (the first: 'c16'); mend the rows, or "
                    "remove it",
                )
            },
        ),
        (
            lose_values,
            {
                "contract": (
                    "columns.score.has_acceptable_percentage_of_nulls: found a share of 0.1364; allowed: at most 0.1; mend the "
                    "rows, or raise it",
                )
            },
        ),
        (
            rename_the_subset,
            {
                "nothing_lost": (
                    "train: the files hold 18, the ingest counted 19",
                    "validation: the files hold 4, the ingest counted 3",
                ),
                "no_leakage": ("1 observations are in the wrong subset", "1 entities are in both subsets"),
            },
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_one_wrong_thing_in_raw_observations_is_found_and_nothing_else(
    house: House, ingested: Ingested, change: Change, expected: Problems
) -> None:
    rewrite(Path(ingested.raw[0]), change)
    assert audit_raw(house, ingested) == expected


def test_an_entity_in_the_other_subset_is_leakage(house: House, ingested: Ingested) -> None:
    """The subset's name is exchanged everywhere, and the counts with it, so that nothing but the split is wrong."""
    other = {"train": "validation", "validation": "train"}

    def exchange(rows: list[Row]) -> None:
        for row in rows:
            row["subset"] = other[row["subset"]]

    for file in ingested.raw:
        rewrite(Path(file), exchange)
    ingested.accounting = replace(
        ingested.accounting, train=ingested.accounting.validation, validation=ingested.accounting.train
    )
    assert audit_raw(house, ingested) == {"no_leakage": ("22 observations are in the wrong subset",)}


def test_an_entity_in_both_subsets_is_leakage(house: House, ingested: Ingested) -> None:
    """A whole entity of validation becomes one of train in both files: the later rows of it are in the wrong subset."""
    taken = pq.ParquetFile(ingested.raw[0]).read()["pupil"][0].as_py()

    def rename(rows: list[Row]) -> None:
        first = rows[0]["pupil"]
        for row in rows:
            row["pupil"] = taken if row["pupil"] == first else row["pupil"]

    rewrite(Path(ingested.raw[1]), rename)
    problems = audit_raw(house, ingested)
    assert set(problems) == {"no_leakage"}
    assert problems["no_leakage"][1] == "1 entities are in both subsets"


def test_a_rejected_observation_that_is_missing_is_something_lost(house: House, ingested: Ingested) -> None:
    rewrite(Path(ingested.rejected[0]), lambda rows: rows[:-1])
    assert audit_raw(house, ingested) == {"nothing_lost": ("rejected: the files hold 1, the ingest counted 2",)}


def test_counts_that_do_not_add_up_are_something_lost(house: House, ingested: Ingested) -> None:
    ingested.accounting = replace(ingested.accounting, read=25)
    assert audit_raw(house, ingested) == {"nothing_lost": ("read 25 = accepted 22 + rejected 2 does not hold",)}


def test_a_lower_maximum_of_rejected_records_breaks_the_contract(house: House, ingested: Ingested) -> None:
    checks = ingested.spec.checks.model_copy(
        update={"rejected_ratio": ingested.spec.checks.rejected_ratio.model_copy(update={"max": 0.05})}
    )
    ingested.spec = ingested.spec.model_copy(update={"checks": checks})
    ((problem,),) = audit_raw(house, ingested).values()
    assert problem.startswith(
        "2 of 24 records were rejected (is_between 2), a ratio of 0.08333; allowed: checks.rejected_ratio.max"
    )


def test_a_null_where_none_may_be_breaks_the_contract(house: House, ingested: Ingested) -> None:
    """Such a file cannot have the contract's columns, which say that there are none."""
    table = pq.ParquetFile(ingested.raw[0]).read()
    field = pa.field("item", pa.int32(), nullable=True)
    items = pc.if_else(pc.equal(table["item"], table["item"][1]), pa.scalar(None, pa.int32()), table["item"])
    pq.write_table(table.set_column(table.schema.get_field_index("item"), field, items), ingested.raw[0])
    assert audit_raw(house, ingested) == {
        "contract": ("1 accepted rows break columns.item.nullable",),
        "well_formed": ("train.parquet has other columns than the contract",),
    }


@pytest.mark.parametrize(
    ("split", "problems"),
    [
        (
            {"strategy": "time", "column": "time", "cutoff": "2024-01-02"},
            ("1 observations are in the wrong subset", "train has observations at or after the cutoff 2024-01-02"),
        ),
        (
            {"strategy": "column", "column": "part", "train": ["A"], "validation": ["B"]},
            ("1 observations are in the wrong subset",),
        ),
        ({"strategy": "location"}, ("1 observations are in the wrong subset",)),
    ],
    ids=["time", "column", "location"],
)
def test_an_observation_on_the_wrong_side_of_any_split_is_leakage(
    house: House, tmp_path: Path, split: dict[str, Any], problems: tuple[str, ...]
) -> None:
    workspace = Workspace(tmp_path, LocalWarehouse(tmp_path / "home"))
    for subset, part, day in (("train", "A", 1), ("validation", "B", 3)):
        records = "".join(f"{pupil},2024-01-0{day} 0{pupil}:00,{pupil},{part}\n" for pupil in range(1, 4))
        workspace.write(f"data/{subset}/x.csv", f"pupil,time,item,part\n{records}")
    spec = workspace.model(
        source={"location": "data"},
        columns={**PLAIN_COLUMNS, "time": {"type": "timestamp"}, "part": {"type": "string"}},
        split=split,
    )
    version = workspace.ingest(spec).version
    rejected = workspace.warehouse.find(Dataset.rejected(spec.name))
    ingested = Ingested(spec, list(version.files), list(rejected.files), IngestAccounting(**version.metadata["accounting"]))
    assert audit_raw(house, ingested) == {}

    def move(rows: list[Row]) -> None:
        rows[-1] |= {"time": rows[-1]["time"] + 2 * 86_400_000_000, "part": "B", "_file": "validation/y.csv"}

    rewrite(Path(version.files[0]), move)
    assert audit_raw(house, ingested) == {"no_leakage": problems}


def test_inspecting_a_version_audits_its_files(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, LocalWarehouse(tmp_path / "home"))
    workspace.write("source.csv", "pupil,time,item\n1,1,1\n1,2,2\n")
    spec = workspace.sequence_model()
    raw, sequenced = workspace.ingest(spec).version, workspace.sequence(spec).version
    for version in (raw, sequenced):
        assert all(finding.passed for finding in workspace.warehouse.inspect(version))
    pq.write_table(read_table(sequenced).slice(0, 0), sequenced.files[0])
    assert [finding.check for finding in workspace.warehouse.inspect(sequenced) if not finding.passed] == ["nothing_lost"]
    rewrite(Path(raw.files[0]), count_from_one)
    assert [finding.check for finding in workspace.warehouse.inspect(raw) if not finding.passed] == ["well_formed"]


def test_inspecting_a_raw_version_audits_its_vocabulary_too(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, LocalWarehouse(tmp_path / "home"))
    workspace.write("source.csv", "pupil,time,item\n1,1,1\n1,2,2\n")
    raw = workspace.ingest(workspace.sequence_model(features={"item": {"encode": "vocabulary"}})).version
    assert all(finding.passed for finding in workspace.warehouse.inspect(raw))
    (file,) = workspace.warehouse.find(Dataset.vocabulary("plain")).files
    rewrite(Path(file), lambda rows: [{**row, "count": 7} for row in rows])
    problems = {finding.check: finding.problems for finding in workspace.warehouse.inspect(raw) if not finding.passed}
    assert problems == {"well_formed": ("vocabulary of item: 2 values have a wrong count",)}


# Sequences in several files


def ranges_of(house: House, folder: Path, plan: SequencePlan) -> tuple[list[str], list[str], SequenceAccounting]:
    """The raw rows in small row groups, and the files that are made of their ranges."""
    raw = str(folder / "train.parquet")
    pq.write_table(pq.ParquetFile(house.train[0]).read(), raw, row_group_size=5)
    writer = SequenceWriter(plan, None, LocalStorage(folder), 2, rows_per_range=8)
    files, counted = writer.write([raw], str(folder / "made"), no_progress)
    assert len(files) > 3
    return [raw], files, counted


def audit_ranges(
    house: House, plan: SequencePlan, made: tuple[list[str], Sequence[str], SequenceAccounting], workers: int = 2
) -> Problems:
    assert house.engine is not None
    raw, files, counted = made
    storage = house.storage
    return house.problems(sequence_findings(house.engine, plan, house.spec, storage, raw, files, counted, workers=workers))


@pytest.mark.parametrize("kind", sorted(WINDOWS))
def test_files_of_several_ranges_pass_without_a_query_for_losses(
    house: House, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(house, WINDOWS[kind], min_length=2)
    raw, files, counted = ranges_of(house, tmp_path, plan)
    monkeypatch.setattr("seq_assets.warehouse.local.audit_sequences._losses", None)
    for workers in (1, 8):
        assert audit_ranges(house, plan, (raw, files, counted), workers) == {}


@pytest.mark.parametrize(
    ("change", "checks"),
    [
        (lambda files: files[:-1], {"nothing_lost"}),
        (lambda files: files[1:], {"nothing_lost"}),
        (lambda files: [files[0], *files[2:]], {"nothing_lost"}),
        (lambda files: [*files[:2], *files[1:]], {"nothing_lost", "well_formed"}),
        (lambda files: [files[1], files[0], *files[2:]], {"well_formed"}),
        (lambda files: files[::-1], {"well_formed"}),
    ],
    ids=[
        "the last is missing",
        "the first is missing",
        "one is missing",
        "one is there twice",
        "two are exchanged",
        "reversed",
    ],
)
def test_files_that_are_not_those_of_all_ranges_are_found(
    house: House, tmp_path: Path, change: Callable[[list[str]], list[str]], checks: set[str]
) -> None:
    plan = plan_of(house, Chunk())
    raw, files, counted = ranges_of(house, tmp_path, plan)
    assert set(audit_ranges(house, plan, (raw, change(files), counted))) == checks


def test_a_wrong_thing_in_any_of_several_files_is_found_and_counted_once(house: House, tmp_path: Path) -> None:
    plan = plan_of(house, Sliding(2))
    raw, files, counted = ranges_of(house, tmp_path, plan)
    for number, file in enumerate(files):

        def flag(rows: list[Row]) -> None:
            rows[0]["is_repeat_sequence"][0] = 1
            rows[0]["sequence_index"] += 1

        whole = Path(file).read_bytes()
        rewrite(Path(file), flag)
        problems = audit_ranges(house, plan, (raw, files, counted))
        wrong = " ".join(problems["well_formed"])
        assert "1 of 28 sequences have a wrong is_repeat" in wrong, number
        assert " of 28 sequences have a wrong order" in wrong, number
        Path(file).write_bytes(whole)


def test_a_history_that_goes_on_in_the_next_file_is_one_history(house: House, tmp_path: Path) -> None:
    """Files that are cut elsewhere than ranges are, as those of other programs may be."""
    plan = plan_of(house, Sliding(2))
    raw, files, counted = ranges_of(house, tmp_path, plan)
    table = pa.concat_tables(pq.ParquetFile(file).read() for file in files)
    for number in range(1, table.num_rows):
        cut = [str(tmp_path / f"{number}-{part}.parquet") for part in range(2)]
        for file, rows in zip(cut, (table.slice(0, number), table.slice(number)), strict=True):
            pq.write_table(rows, file)
        assert audit_ranges(house, plan, (raw, cut, counted)) == {}, number
