"""What is kept of text files: nobody can tell from what is published whether a file was read or taken from what is kept."""

import errno
import itertools
import logging
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seq_assets.environments import Environment
from seq_assets.errors import AuditError, SeqAssetsError, SourceError
from seq_assets.models import ModelSpec
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.local.ingest_sql import stage_query
from seq_assets.warehouse.local.text_cache import KeptFile, KeptTexts, TextCache
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.sources.location import SourceFile
from seq_assets_tests.reference import examples
from seq_assets_tests.reference_cases.sources import Source, csv_sources, json_sources, three_line_sources
from seq_assets_tests.warehouse.building import PLAIN_COLUMNS, Workspace

NUMBERS: Final = itertools.count()
DAY: Final = 24 * 60 * 60
ANYTHING_MAY_BE_REJECTED: Final = {"rejected_ratio": {"max": 1.0}}
HEADER: Final = "pupil,time,item\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """One whose warehouse keeps what was read of files of any size."""
    return Workspace(tmp_path, LocalWarehouse(tmp_path / "home", smallest_kept=0))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the source files that were opened."""
    names: list[str] = []
    original = SourceFile.open

    def noted(file: SourceFile) -> Any:
        names.append(file.name)
        return original(file)

    monkeypatch.setattr(SourceFile, "open", noted)
    return names


def write_days(workspace: Workspace, *days: int) -> None:
    for day in days:
        workspace.write(f"data/{day}.csv", f"{HEADER}1,{day},1\n2,{day},2\nx,{day},3\n")


def model(workspace: Workspace, **fields: Any) -> ModelSpec:
    return workspace.model(source={"location": "data"}, checks=ANYTHING_MAY_BE_REJECTED, **fields)


def folder_of(workspace: Workspace, name: str = "plain") -> Path:
    assert isinstance(workspace.warehouse, LocalWarehouse)
    return workspace.warehouse.home / "cache" / "text_files" / name


def kept(workspace: Workspace) -> set[Path]:
    return set(folder_of(workspace).glob("*"))


def published(workspace: Workspace, spec: ModelSpec) -> tuple[Any, ...]:
    """All that is published but the moments of columns, which depend on the order of additions, and those."""
    metadata = workspace.warehouse.find(Dataset.raw(spec.name)).metadata
    names = ("mean", "variance", "standard_deviation")
    exact = {name: {k: v for k, v in found.items() if k not in names} for name, found in metadata["metrics"].items()}
    moments = [found[name] for found in metadata["metrics"].values() for name in names if name in found]
    rows = repr((workspace.raw_rows(spec), workspace.rejected_rows(spec)))
    remembered = {name: metadata[name] for name in ("accounting", "audit", "ignored_columns", "records_over_lines")}
    return rows, exact, remembered, moments


def afresh(workspace: Workspace, spec: ModelSpec) -> tuple[Any, ...]:
    """What is published by a warehouse that knows nothing."""
    other = Workspace(workspace.folder, LocalWarehouse(workspace.folder / f"afresh{next(NUMBERS)}", smallest_kept=None))
    other.ingest(spec)
    assert not kept(other)
    return published(other, spec)


def assert_alike(found: tuple[Any, ...], wanted: tuple[Any, ...]) -> None:
    assert found[:-1] == wanted[:-1]
    for one, other in zip(found[-1], wanted[-1], strict=True):
        assert one == other or one == pytest.approx(other, rel=1e-9, abs=1e-9)


# Any source


@settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck))
@given(source=st.one_of(csv_sources(), json_sources(), three_line_sources()), seed=st.integers(0, 2**32))
def test_what_comes_of_files_that_changed_appeared_and_vanished_is_what_a_first_ingest_makes(
    workspace: Workspace, source: Source, seed: int
) -> None:
    generator = random.Random(seed)
    name = f"m{next(NUMBERS)}"
    data, aside = workspace.folder / name, workspace.folder / f"aside_{name}"
    source.write(data, generator)
    model = {**source.model, "checks": ANYTHING_MAY_BE_REJECTED}
    spec = workspace.model(**{**model, "name": name, "source": {**source.model["source"], "location": name}})
    files = [data / file for file in source.files]
    vanishing = files[0].with_name(f"0{files[0].name}")
    vanishing.write_bytes(generator.choice(files).read_bytes())
    for number, file in enumerate(files):
        fate = generator.choice(["stays", "stays", "changes", "appears"])
        if fate != "stays":
            file.rename(aside.with_name(f"{aside.name}_{number}"))
        if fate == "changes":
            file.write_bytes(vanishing.read_bytes())
    result_of(lambda: workspace.ingest(spec))
    vanishing.unlink()
    for number, file in enumerate(files):
        there = aside.with_name(f"{aside.name}_{number}")
        if there.exists():
            there.replace(file)
    found, wanted = result_of(lambda: of_ingest(workspace, spec)), result_of(lambda: afresh(workspace, spec))
    if isinstance(found, tuple) and isinstance(wanted, tuple):
        assert_alike(found, wanted)
    else:
        assert found == wanted


def of_ingest(workspace: Workspace, spec: ModelSpec) -> tuple[Any, ...]:
    workspace.ingest(spec)
    return published(workspace, spec)


def result_of(action: Callable[[], Any]) -> Any:
    """What comes of an action: its result, or what it says in place of one."""
    try:
        return action()
    except SeqAssetsError as error:
        return str(error)


# What is read again


def test_of_a_file_more_only_that_file_is_read(workspace: Workspace, opened: list[str]) -> None:
    write_days(workspace, 2, 3)
    spec = model(workspace)
    workspace.ingest(spec)
    assert set(opened) == {"2.csv", "3.csv"}
    assert len(kept(workspace)) == 2
    opened.clear()
    write_days(workspace, 1)  # before the others, whose indexes change
    told: list[tuple[str, int]] = []
    workspace.ingest(spec, progress=lambda stage, rows: told.append((stage, rows)))
    assert set(opened) == {"1.csv"}
    assert told[:2] == [("read", 6), ("read", 9)]
    assert_alike(published(workspace, spec), afresh(workspace, spec))


@pytest.mark.parametrize(
    ("change", "is_read"),
    [
        ({"split": {"strategy": "entity_hash", "validation_fraction": 1.0}}, False),
        pytest.param({"order_by": ["item"]}, False, marks=pytest.mark.slow),
        pytest.param({"columns": {**PLAIN_COLUMNS, "item": {"type": "int8"}}}, True, marks=pytest.mark.slow),
        ({"columns": {**PLAIN_COLUMNS, "item": {"type": "int32", "is_in": [1]}}}, True),
        pytest.param(
            {"split": {"strategy": "column", "column": "item", "train": [1], "validation": [2]}}, True, marks=pytest.mark.slow
        ),
    ],
    ids=["split", "order", "type", "condition", "known values"],
)
def test_text_is_read_again_where_another_contract_judges_it(
    workspace: Workspace, opened: list[str], change: dict[str, Any], is_read: bool
) -> None:
    write_days(workspace, 1, 2)
    workspace.ingest(model(workspace))
    opened.clear()
    spec = model(workspace, **change)
    assert not workspace.ingest(spec).unchanged
    assert bool(opened) is is_read
    assert_alike(published(workspace, spec), afresh(workspace, spec))


@pytest.mark.slow
def test_text_is_read_again_where_it_is_written_otherwise(workspace: Workspace, opened: list[str]) -> None:
    write_days(workspace, 1, 2)
    workspace.ingest(model(workspace))
    opened.clear()
    options = {"null_values": ["1"]}
    workspace.ingest(workspace.model(source={"location": "data", "options": options}, checks=ANYTHING_MAY_BE_REJECTED))
    assert opened


@pytest.mark.slow
def test_many_accepted_values_count_which_are_looked_up(workspace: Workspace, opened: list[str]) -> None:
    write_days(workspace, 1, 2)
    many = list(range(2, 5_000))
    for accepted in (many, [*many[:-1], 5_001]):
        opened.clear()
        workspace.ingest(model(workspace, columns={**PLAIN_COLUMNS, "item": {"type": "int32", "is_in": accepted}}))
        assert opened


def test_with_force_all_text_is_read_again_and_kept_anew(workspace: Workspace, opened: list[str]) -> None:
    write_days(workspace, 1, 2)
    spec = model(workspace)
    workspace.ingest(spec)
    opened.clear()
    workspace.ingest(spec, force=True)
    assert set(opened) == {"1.csv", "2.csv"}
    assert len(kept(workspace)) == 2


def test_what_a_reader_says_of_a_file_is_said_again(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    workspace.write("data/1.csv", 'pupil,time,item,"no\nte"\n1,1,1,"x\ny"\n')
    workspace.write("data/2.csv", "pupil,time\n1,2\n")
    spec = model(workspace, columns={**PLAIN_COLUMNS, "item": {"type": "int32", "nullable": True}})
    workspace.ingest(spec)
    said = [record.getMessage() for record in caplog.records if record.name.endswith(".records")]
    assert len(said) == 2
    caplog.clear()
    workspace.write("data/3.csv", f"{HEADER}1,3,3\n")
    workspace.ingest(spec)
    assert [record.getMessage() for record in caplog.records if record.name.endswith(".records")] == said
    metadata = workspace.warehouse.find(Dataset.raw("plain")).metadata
    assert (metadata["ignored_columns"], metadata["records_over_lines"]) == (["no\nte"], 1)


@pytest.mark.slow
def test_a_key_in_another_case_is_refused_also_where_the_object_that_had_it_right_is_gone(workspace: Workspace) -> None:
    workspace.write("data/1.jsonl", '{"pupil": 1, "time": 1, "Item": 1}\n')
    workspace.write("data/2.jsonl", '{"pupil": 1, "time": 2, "Item": 1}\n')
    right = workspace.write("data/3.jsonl", '{"pupil": 1, "time": 3, "item": 1}\n')
    spec = model(workspace, columns={**PLAIN_COLUMNS, "item": {"type": "int32", "nullable": True}})
    workspace.ingest(spec)
    right.unlink()
    with pytest.raises(SourceError, match=r"In the files up to .*2\.jsonl, objects have no column 'item'"):
        workspace.ingest(spec)


# What is kept


def test_of_small_files_and_of_a_single_one_nothing_is_kept(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, LocalWarehouse(tmp_path / "home", smallest_kept=100))
    workspace.write("data/1.csv", HEADER + "1,1,1\n" * 100)
    workspace.ingest(model(workspace))
    assert not kept(workspace)
    workspace.write("data/2.csv", f"{HEADER}1,1,1\n")
    workspace.ingest(model(workspace))
    assert len(kept(workspace)) == 1


def test_a_warehouse_for_one_time_keeps_nothing(tmp_path: Path) -> None:
    with Environment("local", tmp_path, tmp_path, "seq_assets_local").temporary_warehouse(tmp_path / "home") as warehouse:
        assert isinstance(warehouse, LocalWarehouse)
        assert warehouse.smallest_kept is None


def test_a_file_that_changes_while_it_is_read_is_not_kept(workspace: Workspace) -> None:
    write_days(workspace, 1, 2)

    def change(stage: str, rows: int) -> None:
        if stage == "read":
            workspace.write("data/2.csv", f"{HEADER}1,2,2\n")

    with pytest.raises(SourceError, match="changed while it was read"):
        workspace.ingest(model(workspace), progress=change)
    assert len(kept(workspace)) == 1


def test_of_a_file_of_which_a_record_got_lost_nothing_is_kept(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(*arguments: Any, **named: Any) -> str:
        return f"SELECT * FROM ({stage_query(*arguments, **named)}) WHERE _file <> 1 OR _row <> 2"

    write_days(workspace, 1, 2)
    monkeypatch.setattr("seq_assets.warehouse.local.ingest.stage_query", lossy)
    with pytest.raises(AuditError, match="nothing_lost"):
        workspace.ingest(model(workspace))
    assert len(kept(workspace)) == 1


@pytest.mark.slow
def test_what_failed_an_audit_need_not_be_read_again(workspace: Workspace, opened: list[str]) -> None:
    write_days(workspace, 1, 2)
    with pytest.raises(AuditError, match="2 of 6 records were rejected"):
        workspace.ingest(workspace.model(source={"location": "data"}))
    opened.clear()
    workspace.ingest(model(workspace))
    assert not opened


# What may happen to it


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def become_another(path: Path) -> None:
    path.write_bytes(next(other for other in path.parent.iterdir() if other != path).read_bytes())


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "damage",
    [
        flip,
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-9]), marks=pytest.mark.slow, id="tear"),
        pytest.param(lambda path: path.write_bytes(b""), marks=pytest.mark.slow, id="empty"),
        pytest.param(Path.unlink, marks=pytest.mark.slow),
        pytest.param(become_another, marks=pytest.mark.slow),
        pytest.param(become_a_folder, marks=pytest.mark.slow),
    ],
)
def test_what_is_damaged_is_read_again_and_replaced(
    workspace: Workspace, opened: list[str], caplog: pytest.LogCaptureFixture, damage: Callable[[Path], object]
) -> None:
    write_days(workspace, 1, 2)
    spec = model(workspace)
    workspace.ingest(spec)
    victim = min(kept(workspace))
    damage(victim)
    opened.clear()
    write_days(workspace, 3)
    workspace.ingest(spec)
    assert len(set(opened)) == 2
    assert_alike(published(workspace, spec), afresh(workspace, spec))
    assert str(victim) in caplog.text or damage is Path.unlink
    opened.clear()
    write_days(workspace, 4)
    workspace.ingest(spec)
    assert set(opened) == {"4.csv"} or damage is become_a_folder


@pytest.mark.slow
def test_what_goes_when_it_is_about_to_be_read_is_read_from_the_text(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_days(workspace, 1, 2)
    spec = model(workspace)
    workspace.ingest(spec)
    write_days(workspace, 3)
    original = TextCache.open

    def open_and_lose(*arguments: Any) -> KeptTexts:
        found = original(*arguments)
        min(kept(workspace)).unlink()
        return found

    monkeypatch.setattr(TextCache, "open", open_and_lose)
    workspace.ingest(spec)
    assert "cannot be read, so that the text is" in caplog.text
    assert_alike(published(workspace, spec), afresh(workspace, spec))


def test_a_full_disk_costs_only_what_would_have_been_kept(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_days(workspace, 1, 2, 3)
    original = KeptTexts._placed
    files = itertools.count()

    def full(texts: KeptTexts, file: KeptFile) -> KeptFile:
        if next(files) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(texts, file)

    monkeypatch.setattr(KeptTexts, "_placed", full)
    workspace.ingest(model(workspace))
    assert not kept(workspace), "the room is given back"
    assert "No space left on device" in caplog.text


def test_a_place_that_cannot_be_used_fails_no_ingest(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    write_days(workspace, 1, 2)
    workspace.write("home/cache", "no folder")
    workspace.ingest(model(workspace))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_what_no_ingest_has_used_for_a_day_goes(workspace: Workspace) -> None:
    write_days(workspace, 1, 2, 3)
    spec = model(workspace)
    workspace.ingest(spec)
    (workspace.folder / "data/3.csv").unlink()
    for path in kept(workspace):
        os.utime(path, (0, time.time() - DAY / 2))
    write_days(workspace, 4)
    workspace.ingest(spec)
    assert len(kept(workspace)) == 4
    for path in kept(workspace):
        os.utime(path, (0, time.time() - 2 * DAY))
    write_days(workspace, 5)
    workspace.ingest(spec)
    assert len(kept(workspace)) == 4, "of days 1, 2, 4 and 5"
    assert all(path.stat().st_mtime > time.time() - DAY / 4 for path in kept(workspace))


@pytest.mark.slow
def test_long_values_are_kept_in_small_groups(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seq_assets.warehouse.local.ingest.BATCH_BYTES", 1 << 20)
    columns = {**PLAIN_COLUMNS, "text": {"type": "string"}}
    for day in (1, 2):
        rows = "".join(f"1,{number},1,{'x' * 2_000}\n" for number in range(3_000))
        workspace.write(f"data/{day}.csv", f"pupil,time,item,text\n{rows}")
    workspace.ingest(model(workspace, columns=columns))
    assert [pq.read_metadata(path).num_row_groups for path in kept(workspace)] == [2, 2]
