"""Pages of published versions: their numbers are the version's, and whatever the data holds, they stay small and whole.

They are made once and kept with their version; what is lost or broken is made again.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seq_assets.io_managers.metadata import publication_sentence
from seq_assets.io_managers.pages import PAGE_FORMAT, Page, difference, make_page, markdown_table, page_of
from seq_assets.io_managers.plots import history_lengths_plot, pad_ratio_plot
from seq_assets.models import SUBSETS
from seq_assets.sequencing.accounting import SequenceAccounting
from seq_assets.sequencing.advice import Advice, Histories
from seq_assets.sequencing.plans import SequencePlan
from seq_assets.warehouse.interface import Publication, Version
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets_tests.warehouse.building import Workspace, read_rows

MOST_BYTES: Final = 100_000
HOSTILE: Final = "a|b`c```\n" + "d" * 100
COLUMNS: Final[Mapping[str, Any]] = {
    "pupil": {"type": "string"},
    "item": {"type": "int32"},
    "text": {"type": "string"},
    "good": {"type": "bool"},
    "day": {"type": "date"},
    "score": {"type": "float64", "nullable": True},
    "skill": {"type": "string"},
}
FEATURES: Final[Mapping[str, Any]] = {
    "item": {"pad_value": -1},
    "text": {"pad_value": "·"},
    "good": {"pad_value": False},
    "day": {"pad_value": 0},
    "score": {"pad_value": 0.0, "fill_null": 0.25},
    "skill": {"encode": "vocabulary"},
}
HISTORIES: Final = {"a": 8, "b": 4, "c": 5, HOSTILE: 12, "d": 2}
"""Of which the first three sequences of four items have no padding."""
REJECTED: Final = 2


@dataclass(frozen=True)
class Published:
    """What is published once for all tests; nothing of it is to be changed.

    Attributes:
        workspace: Where it is published.
        publications: By table.
        pages: Their pages, by table.
    """

    workspace: Workspace
    publications: Mapping[str, Publication]
    pages: Mapping[str, dict[str, str]]

    def version(self, table: str) -> Version:
        """The version of a table."""
        return self.publications[table].version

    def page_of(self, version: Version) -> dict[str, str]:
        """The page of a version, made anew."""
        return dict(make_page(self.workspace.warehouse, version).shown)


def described_histories(histories: Histories, sequence_lengths: Sequence[int]) -> str:
    """Instead of a picture, which costs more than all else."""
    return f"up to {histories.longest}, marked {list(sequence_lengths)}"


def described_advice(advice: Sequence[Advice], sequence_lengths: Sequence[int], warn: float) -> str:
    """Instead of a picture, which costs more than all else."""
    return f"{[each.sequence_length for each in advice]}, marked {list(sequence_lengths)}, warning {warn}"


@pytest.fixture(scope="module", autouse=True)
def _described() -> Iterator[None]:
    """Pictures are described."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seq_assets.io_managers.pages.history_lengths_plot", described_histories)
        patch.setattr("seq_assets.io_managers.pages.pad_ratio_plot", described_advice)
        yield


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Four models on one source: sequences padded on the right and on the left, only validation, and no sequences."""
    folder = tmp_path_factory.mktemp("pages")
    workspace = Workspace(folder, LocalWarehouse(folder / "home"))
    workspace.write("source.parquet", source())
    common: dict[str, Any] = {
        "source": {"location": "source.parquet"},
        "columns": {**COLUMNS, "item": {"type": "int32", "is_lower_than": 1_000}},
        "order_by": [],
        "checks": {"rejected_ratio": {"max": 0.5}},
    }
    sequences: dict[str, Any] = {**common, "features": dict(FEATURES), "sequence_lengths": [4]}
    halves = {"strategy": "column", "column": "good", "train": [True], "validation": [False]}
    other = {"window": {"mode": "first"}, "min_length": 2, "padding": {"side": "left"}}
    all_validation = {"strategy": "entity_hash", "validation_fraction": 1.0}
    publications = []
    for spec in (
        workspace.model(name="right", **sequences | {"sequence_lengths": [4, 1, 10_000]}),
        workspace.model(name="left", split=halves, **sequences | other | {"sequence_lengths": [4, 10_000]}),
        workspace.model(name="nothing", split=all_validation, **sequences),
        workspace.model(name="bare", split=halves, **common),
    ):
        publications += [workspace.ingest(spec), *(workspace.sequence(spec, "train", length) for length in spec.lengths)]
    pages = {each.version.dataset.table: dict(make_page(workspace.warehouse, each.version).shown) for each in publications}
    return Published(workspace, {each.version.dataset.table: each for each in publications}, pages)


def source() -> pa.Table:
    """The observations, in their order, and some that are rejected."""
    pupils = [pupil for pupil, items in HISTORIES.items() for _ in range(items)]
    rows = [
        {
            "pupil": pupil,
            "item": number,
            "text": f"{HOSTILE}{number}",
            "good": number % 2 == 0,
            "day": f"2024-01-{number + 1:02}",
            "score": None if number % 5 == 0 else number / 2,
            "skill": "xyz"[number % 3],
        }
        for number, pupil in enumerate(pupils)
    ]
    return pa.Table.from_pylist([*rows, *({**rows[0], "item": 1_000} for _ in range(REJECTED))])


def rows_of(table: str) -> list[list[str]]:
    """The cells of a table in Markdown below its header; every row has as many as the header."""
    header, rule, *rows = ([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.split("\n"))
    assert rule == ["---"] * len(header)
    assert {len(row) for row in rows} <= {len(header)}
    return rows


def numbers(table: str) -> dict[str, int]:
    """A table of words and numbers."""
    return {name: int(number.replace(",", "")) for name, number in rows_of(table)}


def previewed(text: str) -> list[tuple[str, dict[str, str]]]:
    """Of each sequence of a preview: its title, and the line of each feature."""
    parts = text.split("```")
    assert len(parts) % 2 == 1
    assert parts.pop().strip() == ""
    titles, blocks = (part.strip("\n") for part in parts[::2]), (part.strip("\n") for part in parts[1::2])
    return [
        (title, dict(line.split(": ", maxsplit=1) for line in block.split("\n")))
        for title, block in zip(titles, blocks, strict=True)
    ]


def made_up(published: Published, features: Sequence[str], sequence_length: int, items: Sequence[Any]) -> Version:
    """A version of one full sequence with these features, all of them with these items, that nothing but a page looks at."""
    real = published.version("right_sequenced_train_4")
    plan = SequencePlan.from_json(real.metadata["plan"])
    wide = replace(
        plan, sequence_length=sequence_length, features=tuple(replace(plan.features[1], name=name) for name in features)
    )
    row = {"pupil": "p", "sequence_index": 0, "sequence_start": 0, "sequence_size": sequence_length}
    columns = {f"{name}_sequence": items for name in features}
    file = published.workspace.folder / f"{len(features)}_{sequence_length}.parquet"
    pq.write_table(pa.Table.from_pylist([{**row, **columns, "is_pad_sequence": [0] * sequence_length}]), file)
    return replace(real, files=(str(file),), metadata={**real.metadata, "plan": wide.to_json()})


# Where observations went


@pytest.mark.parametrize("model", ["right", "left", "nothing", "bare"])
def test_the_flow_of_raw_observations_is_their_accounting_and_adds_up(published: Published, model: str) -> None:
    counted = published.version(f"{model}_raw_observations").metadata["accounting"]
    flow = numbers(published.pages[f"{model}_raw_observations"]["flow"])
    assert flow["read"] == counted["read"] == sum(HISTORIES.values()) + REJECTED
    assert flow["read"] == flow["accepted"] + sum(flow[name] for name in flow if name.startswith("rejected: "))
    assert flow["accepted"] == sum(flow[f"accepted: {subset}"] for subset in SUBSETS)
    assert {subset: flow[f"accepted: {subset}"] for subset in SUBSETS} == {subset: counted[subset] for subset in SUBSETS}
    assert flow["rejected: is_lower_than"] == REJECTED


@pytest.mark.parametrize(
    "table", ["right_sequenced_train_4", "left_sequenced_train_4", "left_sequenced_train_10000", "nothing_sequenced_train_4"]
)
def test_the_flow_of_sequences_is_their_accounting_and_adds_up(published: Published, table: str) -> None:
    flow = numbers(published.pages[table]["flow"])
    assert flow["observations"] == flow["sequenced"] + flow["dropped by min_length"] + flow["dropped by truncation"]
    assert flow["positions"] == flow["sequenced"] + flow["padding"]
    counted = published.version(table).metadata["accounting"]
    assert list(flow.values()) == [counted[name] for name in SequenceAccounting.__dataclass_fields__ if name != "sequences"]


def test_a_flow_names_what_was_dropped(published: Published) -> None:
    flow = numbers(published.pages["left_sequenced_train_4"]["flow"])
    assert flow["dropped by min_length"] > 0
    assert flow["dropped by truncation"] > 0


# Metrics


def test_the_metrics_of_every_column_are_a_row(published: Published) -> None:
    version = published.version("right_raw_observations")
    found = {name: cells for name, *cells in rows_of(published.pages["right_raw_observations"]["column_metrics"])}
    assert list(found) == list(COLUMNS)
    assert found["item"] == ["31", "31", "0", "30", "15", "9.09212"]
    assert found["good"] == ["31", "2", "False", "True", "", ""]
    assert found["day"] == ["31", "31", "2024-01-01", "2024-01-31", "", ""]
    assert found["score"][:4] == ["24", "24", "0.5", "14.5"]
    assert found["text"][2].startswith("a&#124;b'c''' dd")
    assert len(found["text"][2]) < 60 < len(version.metadata["metrics"]["text"]["min"])


def test_a_column_without_values_has_no_metrics_but_its_counts(published: Published) -> None:
    version = published.version("bare_raw_observations")
    empty: dict[str, Any] = {"count": 0, "unique": 0, "min": None, "max": None, "labels": {}}
    shown = published.page_of(replace(version, metadata={**version.metadata, "metrics": {"score": empty}}))
    assert rows_of(shown["column_metrics"]) == [["score", "0", "0", "", "", "", ""]]


def test_a_bar_in_a_cell_ends_no_cell() -> None:
    assert rows_of(markdown_table([("a|b", 1), ("|", 2)], ("word", "number"))) == [["a&#124;b", "1"], ["&#124;", "2"]]


# Advice


def test_advice_has_the_declared_lengths_in_bold_and_the_numbers_that_they_have(published: Published) -> None:
    rows = rows_of(published.pages["right_raw_observations"]["pad_ratios"])
    assert [int(row[0].strip("*")) for row in rows] == [1, 2, 3, 4, 5, 10, 15, 10_000]
    bold = {row[0].strip("*"): row for row in rows if row[0].startswith("**") and row[0].endswith("**")}
    assert bold.keys() == {"1", "4", "10000"}
    for length, (_, sequences, ratio, mostly_padding, lost, size) in bold.items():
        made = published.version(f"right_sequenced_train_{length}")
        assert sequences == f"{made.rows:,}"
        assert ratio == f"{SequenceAccounting(**made.metadata['accounting']).pad_ratio:.1%}"
        half_empty = sum(2 * row["sequence_size"] <= int(length) for row in read_rows(made))
        assert mostly_padding == f"{half_empty / made.rows:.1%}"
        assert lost == "0"
        assert int(size.replace(",", "")) > 0


def test_a_raw_model_has_history_lengths_but_no_advice(published: Published) -> None:
    assert published.pages["bare_raw_observations"].keys() == {"flow", "column_metrics", "history_lengths"}
    assert published.pages["right_raw_observations"].keys() == {
        *published.pages["bare_raw_observations"],
        *("pad_ratios", "pad_ratio_curve"),
    }


def test_without_train_observations_there_is_nothing_to_draw_or_preview(published: Published) -> None:
    assert published.pages["nothing_raw_observations"].keys() == {"flow", "column_metrics"}
    assert published.pages["nothing_sequenced_train_4"].keys() == {"flow"}


def test_pictures_mark_the_declared_lengths_or_the_sequences_own(published: Published) -> None:
    raw = published.pages["right_raw_observations"]
    assert raw["history_lengths"] == "up to 12, marked [1, 4, 10000]"
    assert raw["pad_ratio_curve"] == "[1, 2, 3, 4, 5, 10, 15, 10000], marked [1, 4, 10000], warning 1.0"
    assert published.pages["bare_raw_observations"]["history_lengths"] == "up to 6, marked []"
    assert published.pages["right_sequenced_train_4"]["history_lengths"] == "up to 12, marked [4]"


def test_pictures_are_drawn(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seq_assets.io_managers.pages.history_lengths_plot", history_lengths_plot)
    monkeypatch.setattr("seq_assets.io_managers.pages.pad_ratio_plot", pad_ratio_plot)
    shown = published.page_of(published.version("right_raw_observations"))
    assert {name for name, text in shown.items() if text.startswith("![")} == {"history_lengths", "pad_ratio_curve"}
    assert_small([shown])


# Previews


@pytest.mark.parametrize("table", ["right_sequenced_train_4", "left_sequenced_train_4", "right_sequenced_train_1"])
def test_a_preview_shows_the_items_of_its_sequences_and_a_dot_for_padding(published: Published, table: str) -> None:
    version = published.version(table)
    rows = {title_of(row): row for row in read_rows(version)}
    shown = previewed(published.pages[table]["preview"])
    assert len(shown) == 3
    for title, features in shown:
        row = rows[title]
        assert list(features) == list(FEATURES)
        for name in ("item", "good", "day", "score", "skill"):
            items = zip(row[f"{name}_sequence"], row["is_pad_sequence"], strict=True)
            assert features[name].split(" ") == ["·" if is_pad else str(item) for item, is_pad in items]


def title_of(row: Mapping[str, Any]) -> str:
    """What a preview says of a sequence."""
    shown = row["pupil"].replace("`", "'").replace("\n", " ")
    entity = shown if len(shown) <= 40 else f"{shown[:40]}…"
    return (
        f"pupil `{entity}`, sequence {row['sequence_index']}, {row['sequence_size']} items from position "
        f"{row['sequence_start']} on:"
    )


@pytest.mark.parametrize(("model", "is_padding"), [("right", [False, True]), ("left", [True, False])])
def test_padding_is_previewed_on_its_side(published: Published, model: str, is_padding: list[bool]) -> None:
    shown = [features["item"].split(" ") for _, features in previewed(published.pages[f"{model}_sequenced_train_4"]["preview"])]
    sides = [[cell == "·" for cell in cells] for cells in shown]
    padded = [[side[0], side[-1]] for side in sides if any(side)]
    assert padded
    assert all(ends == is_padding for ends in padded)


def test_one_of_the_previewed_sequences_is_padded_if_there_is_any(published: Published) -> None:
    lengths = [row["sequence_size"] for row in read_rows(published.version("right_sequenced_train_4"))]
    assert min(lengths[:3]) == 4 > min(lengths)
    shown = previewed(published.pages["right_sequenced_train_4"]["preview"])
    assert ["·" in features["item"] for _, features in shown] == [False, False, True]
    assert "·" not in "".join(
        features["item"] for _, features in previewed(published.pages["right_sequenced_train_1"]["preview"])
    )


def test_entities_and_items_are_cut_and_neither_bars_nor_backticks_end_anything(published: Published) -> None:
    shown = previewed(published.pages["left_sequenced_train_4"]["preview"])
    assert any(title.startswith("pupil `a|b'c''' " + "d" * 31 + "…`, sequence 0") for title, _ in shown)
    text = "a|b'c''' ddddddd…"
    assert text in shown[0][1]["text"]
    assert all(set(features["text"].replace(text, "·")) == set("· ") for _, features in shown)


def test_of_a_long_sequence_both_ends_are_shown(published: Published) -> None:
    _, features = previewed(published.pages["left_sequenced_train_10000"]["preview"])[0]
    cells = features["item"].split(" ")
    assert (len(cells), cells[10], cells[0]) == (21, "…", "·")
    first = read_rows(published.version("left_sequenced_train_10000"))[0]
    assert cells[11:] == [*["·"] * 6, *map(str, first["item_sequence"][-4:])]


def test_a_sequence_of_twenty_positions_is_shown_whole(published: Published) -> None:
    for length, shown in ((20, 20), (21, 21)):
        version = made_up(published, ["x"], length, [str(number) for number in range(length)])
        [(_, features)] = previewed(published.page_of(version)["preview"])
        assert len(features["x"].split(" ")) == shown
        assert ("…" in features["x"]) is (length > 20)


# Size


def test_every_value_of_a_page_is_small(published: Published) -> None:
    assert_small(published.pages.values())


def test_many_columns_and_very_long_texts_stay_small(published: Published) -> None:
    names = [f"c{number:03}_{'x' * 58}" for number in range(1_000)]
    metrics = {"count": 10**9, "unique": 10**9, "min": "€|" * 500, "max": "`" * 1_000, "labels": {}}
    raw = published.version("bare_raw_observations")
    shown = published.page_of(replace(raw, metadata={**raw.metadata, "metrics": dict.fromkeys(names, metrics)}))
    assert len(rows_of(shown["column_metrics"])) == 100
    assert_small([shown])


def assert_small(pages: Iterable[Mapping[str, str]]) -> None:
    sizes = {name: len(text.encode()) for shown in pages for name, text in shown.items()}
    assert max(sizes.values()) < MOST_BYTES, sizes


# Differences


def test_a_first_version_differs_from_nothing(published: Published) -> None:
    made = [make_page(published.workspace.warehouse, each.version) for each in published.publications.values()]
    assert {(each.changed, each.previous_version) for each in made} == {("the first version", None)}


def test_a_later_version_is_compared_with_the_one_before_it_also_when_there_are_newer_ones(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, LocalWarehouse(tmp_path / "home"))
    workspace.write("source.parquet", source())
    spec = workspace.model(source={"location": "source.parquet"}, columns=dict(COLUMNS), entity="pupil", order_by=[])
    first, second, _ = (workspace.ingest(spec, force=True).version for _ in range(3))
    made = make_page(workspace.warehouse, second)
    assert (made.changed, made.previous_version) == ("+0 rows (+0.0%)", first.id)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (100, 150, "+50 rows (+50.0%)"),
        (2_000, 500, "-1,500 rows (-75.0%)"),
        (7, 7, "+0 rows (+0.0%)"),
        (0, 1_234, "+1,234 rows"),
        (3, 0, "-3 rows (-100.0%)"),
        (1, 10_001, "+10,000 rows (+1000000.0%)"),
    ],
)
def test_a_version_differs_by_its_rows(published: Published, before: int, after: int, words: str) -> None:
    for table in ("bare_raw_observations", "right_sequenced_train_4"):
        version = published.version(table)
        changed = difference(replace(version, rows=after), replace(version, rows=before))
        assert changed == words + ("" if "raw" in table else ", pad ratio +0.0000")


def test_a_version_says_that_files_of_the_one_before_were_lost(published: Published) -> None:
    before = published.version("right_sequenced_train_4")
    after = replace(before, metadata={**before.metadata, "rebuilt_because": "of version 1, 'x' is not there"})
    why = "(built anew, because of version 1, 'x' is not there)"
    assert difference(after, before) == f"+0 rows (+0.0%), pad ratio +0.0000 {why}"
    assert f"published {why}: " in publication_sentence(Publication(after, before, unchanged=False, seconds=0))
    assert "built anew" not in publication_sentence(Publication(after, after, unchanged=True, seconds=0))


@pytest.mark.parametrize(
    ("before", "after", "words"), [(250, 500, "+0.2500"), (500, 499, "-0.0010"), (0, 1_000, "+1.0000"), (500, 0, "-0.5000")]
)
def test_sequences_differ_by_their_pad_ratio_too(published: Published, before: int, after: int, words: str) -> None:
    version = published.version("right_sequenced_train_4")
    old, new = (
        replace(version, metadata={**version.metadata, "accounting": {"positions": 1_000, "padding": padding}})
        for padding in (before, after)
    )
    assert difference(new, old) == f"+0 rows (+0.0%), pad ratio {words}"


def test_a_preview_of_many_features_stays_small(published: Published) -> None:
    wide = made_up(published, [f"c{number:03}_{'x' * 58}" for number in range(100)], 40, ["€uro|`" * 10] * 40)
    pq.write_table(pa.concat_tables([pq.read_table(wide.files[0])] * 3), wide.files[0])
    shown = published.page_of(wide)
    assert_small([shown])
    assert "and 70 more features" in shown["preview"]


def test_no_line_end_of_a_text_ends_a_line(published: Published) -> None:
    shown = published.page_of(made_up(published, ["x"], 2, ["a\rb", "c\r\nd"]))
    assert "\r" not in shown["preview"]


def test_a_backslash_before_a_bar_ends_no_cell() -> None:
    line = markdown_table([(r"a\|b",)], ("word",)).split("\n")[2]
    assert line.count("|") == 2


# Kept with the version

LOG: Final = logging.getLogger(__name__)


@dataclass
class Kept:
    """A version whose page is kept, in a warehouse of its own.

    Attributes:
        workspace: Where it is published.
        version: The version.
        shown: Its page, as it was first shown.
        file: Where that is kept.
    """

    workspace: Workspace
    version: Version
    shown: Page
    file: Path

    def look(self) -> Page:
        """The page, as it is shown now."""
        return page_of(self.workspace.warehouse, self.version, LOG)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    workspace = Workspace(tmp_path, LocalWarehouse(tmp_path / "home"))
    workspace.write("source.csv", "pupil,time,item\n" + "".join(f"{number % 3},{number},7\n" for number in range(10)))
    spec = workspace.sequence_model()
    workspace.ingest(spec)
    version = workspace.sequence(spec).version
    shown = page_of(workspace.warehouse, version, LOG)
    [file] = tmp_path.rglob(f"{version.dataset.table}/pages/{version.id}.json")
    return Kept(workspace, version, shown, file)


def test_a_page_is_made_once_and_its_version_is_not_read_again(kept: Kept) -> None:
    assert kept.shown == make_page(kept.workspace.warehouse, kept.version)
    assert kept.shown.shown.keys() == {"flow", "preview", "history_lengths"}
    for file in kept.version.files:
        Path(file).unlink()
    assert kept.look() == kept.shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        json.dumps({"format": PAGE_FORMAT}),
        json.dumps({"format": PAGE_FORMAT, "changed": "", "previous_version": None, "shown": ["flow"]}),
        json.dumps({"format": PAGE_FORMAT - 1, "changed": "", "previous_version": None, "shown": {}}),
        json.dumps({"format": PAGE_FORMAT + 1, "other": "fields"}),
        b"\xff\x00",
    ],
)
def test_a_page_that_is_broken_or_of_another_format_is_made_again_and_kept(kept: Kept, text: str | bytes) -> None:
    kept.file.write_bytes(text.encode() if isinstance(text, str) else text)
    assert kept.look() == kept.shown
    kept.version = replace(kept.version, files=())
    assert kept.look() == kept.shown, "from the page that is kept"


def test_a_page_that_is_lost_is_made_again_and_kept(kept: Kept) -> None:
    kept.file.unlink()
    assert kept.look() == kept.shown
    assert kept.file.exists()


def test_a_page_that_cannot_be_kept_is_shown_and_the_log_says_why(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    kept.file.unlink()
    kept.file.parent.rmdir()
    kept.file.parent.write_text("in the way of the folder", encoding="utf-8")
    assert kept.look() == kept.shown
    assert f"plain_sequenced_train_4: the page of version {kept.version.id} could not be kept: " in caplog.text
