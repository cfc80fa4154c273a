"""Every contender makes the sequences that the platform makes, and a difference would be seen."""

from importlib import import_module
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from benchmarks import engine, task, texts
from benchmarks.competitors.pykt_generate_sequences import rows_in_sql
from benchmarks.competitors.text import TextTask
from benchmarks.equality import fingerprint
from benchmarks.generating import Observations
from benchmarks.task import FEATURES, MODEL, Task, write_model_file
from benchmarks.texts import Texts
from benchmarks.workbench import DUCKDB, PANDAS, POLARS
from seq_assets.environments import Environment
from seq_assets.warehouse.storage import parquet_files

LENGTH = 100


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # One history of 1,500 items, a multiple of the length, and shorter ones.
    return Observations(3_000, "one-half").file_in(tmp_path_factory.mktemp("observations"))


@pytest.fixture(scope="module")
def ours(source: Path) -> list[Path]:
    models = write_model_file(source.parent / "models", source, [LENGTH])
    environment = Environment("local", source.parent / "home", models, "seq_assets_local")
    spec, warehouse = environment.registry()[MODEL], environment.warehouse()
    made = engine.sequence(warehouse, spec, spec.lengths, engine.ingest(environment, warehouse, spec))
    return [Path(file) for version in made for file in version.files]


@pytest.fixture(scope="module")
def made_texts(tmp_path_factory: pytest.TempPathFactory) -> Texts:
    return Texts(tmp_path_factory.mktemp("texts"), 500, 3)


@pytest.mark.slow
@pytest.mark.parametrize("form", [*POLARS, *DUCKDB, *PANDAS])
def test_a_competitors_sequences_equal_ours(form: str, source: Path, ours: list[Path], tmp_path: Path) -> None:
    given = Task(source, tmp_path / "theirs.parquet", LENGTH)
    import_module(f"benchmarks.competitors.{form}").run(given)
    assert fingerprint([given.target]) == fingerprint(ours)
    assert codecs_of(given.target) == codecs_of(*ours)


@pytest.mark.parametrize("form", [texts.POLARS, texts.DUCKDB])
@pytest.mark.parametrize("file", texts.SINGLE_FILES.values())
def test_a_competitors_rows_of_text_are_those_of_the_observations(
    form: str, file: str, made_texts: Texts, tmp_path: Path
) -> None:
    task = TextTask(made_texts.place / file, tmp_path / "theirs.parquet")
    import_module(f"benchmarks.competitors.{form}").ingest(task)
    theirs = pq.read_table(task.target)
    observations = pq.read_table(Observations(made_texts.rows).file_in(made_texts.folder / "observations"))
    assert theirs.cast(observations.schema).equals(observations.sort_by([("pupil", "ascending"), ("timestamp", "ascending")]))
    assert codecs_of(task.target) == {"ZSTD"}


def test_the_source_of_a_day_later_has_a_file_more(made_texts: Texts) -> None:
    files = sorted(file.name for file in (made_texts.place / "growing").iterdir())
    assert files == [f"day{number:02}.csv" for number in range(texts.DAYS)]
    parts = [*(made_texts.place / "growing").iterdir(), made_texts.place / "tomorrow.csv"]
    assert sum(len(file.read_text(encoding="utf-8").splitlines()) - 1 for file in parts) == made_texts.rows


def codecs_of(*files: Path) -> set[str]:
    """The codecs of all columns."""
    first_groups = [pq.read_metadata(file).row_group(0) for file in files]
    return {group.column(number).compression for group in first_groups for number in range(group.num_columns)}


def test_competitors_have_row_groups_of_as_many_positions_as_the_platform() -> None:
    assert task.ROW_GROUP_CELLS == parquet_files.ROW_GROUP_CELLS


def test_every_form_of_a_competitor_takes_part() -> None:
    folder = Path(import_module("benchmarks.competitors").__file__ or "").parent
    forms = {file.stem for file in folder.glob("*.py") if "def run(" in file.read_text(encoding="utf-8")}
    assert forms == {*POLARS, *DUCKDB, *PANDAS, "pykt_generate_sequences"}


def test_the_order_of_rows_and_the_number_of_files_make_no_difference(ours: list[Path], tmp_path: Path) -> None:
    table = pa.concat_tables(pq.read_table(file) for file in ours)
    pq.write_table(table.take(list(reversed(range(table.num_rows)))), tmp_path / "reversed.parquet")
    assert fingerprint([tmp_path / "reversed.parquet"]) == fingerprint(ours)


@pytest.mark.parametrize("column", ["pupil", "sequence_index", "sequence_start", "sequence_size"])
def test_one_other_value_is_a_difference(column: str, ours: list[Path], tmp_path: Path) -> None:
    table = pa.concat_tables(pq.read_table(file) for file in ours)
    values = table[column].to_numpy().copy()
    values[7] += 1
    changed = table.set_column(table.schema.get_field_index(column), column, pa.array(values))
    pq.write_table(changed, tmp_path / "changed.parquet")
    assert fingerprint([tmp_path / "changed.parquet"]) != fingerprint(ours)


@pytest.mark.parametrize("column", [*(f"{name}_sequence" for name in FEATURES), "is_pad_sequence"])
def test_two_items_in_another_order_are_a_difference(column: str, ours: list[Path], tmp_path: Path) -> None:
    table = pa.concat_tables(pq.read_table(file) for file in ours)
    lists = table[column].to_pylist()
    row = next(number for number, items in enumerate(lists) if len(set(items)) > 1)
    items = lists[row]
    other = next(place for place, item in enumerate(items) if item != items[0])
    items[0], items[other] = items[other], items[0]
    type_ = pa.list_(table.schema.field(column).type.value_type)
    changed = table.set_column(table.schema.get_field_index(column), column, pa.array(lists, type_))
    pq.write_table(changed, tmp_path / "changed.parquet")
    assert fingerprint([tmp_path / "changed.parquet"]) != fingerprint(ours)


def test_a_row_that_is_missing_or_there_twice_is_a_difference(ours: list[Path], tmp_path: Path) -> None:
    table = pa.concat_tables(pq.read_table(file) for file in ours)
    pq.write_table(table.slice(1), tmp_path / "fewer.parquet")
    pq.write_table(pa.concat_tables([table.slice(1), table.slice(1, 1)]), tmp_path / "twice.parquet")
    found = {fingerprint([tmp_path / name]) for name in ("fewer.parquet", "twice.parquet")}
    assert len(found | {fingerprint(ours)}) == 3


def test_the_texts_that_pykt_writes_are_compared_as_lists(ours: list[Path], tmp_path: Path) -> None:
    table = pa.concat_tables(pq.read_table(file) for file in ours)

    def texts(column: str) -> pa.Array:
        items = [map(str, row) for row in table[column].to_pylist()]
        return pa.array([",".join(row) for row in items])

    names = dict(zip(("questions", "concepts", "responses", "usetimes"), FEATURES, strict=True))
    masks = [",".join("-1" if pad else "1" for pad in row) for row in table["is_pad_sequence"].to_pylist()]
    written = {"uid": pc.cast(table["pupil"], pa.string())}
    written |= {name: texts(f"{feature}_sequence") for name, feature in names.items()}
    pq.write_table(pa.table(written | {"selectmasks": masks}), tmp_path / "pykt.parquet")
    assert fingerprint([tmp_path / "pykt.parquet"], rows_in_sql(LENGTH)) == fingerprint(ours)
