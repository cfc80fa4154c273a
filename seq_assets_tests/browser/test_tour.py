"""The tour of the UI, step by step; each step finds what those before it have left.

The models by name: `dkt` (lengths 5, 20 and 80), `irt` (a raw model on the same source) and `sakt` (length 20; its source
breaks its contract until it is mended).
"""

import re
from typing import Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

import seq_assets
from seq_assets.environments import CODE_LOCATION
from seq_assets_tests.assets.building import School
from seq_assets_tests.browser.answers import VALIDATION_FRACTION, is_train, pad_ratio, write_answers
from seq_assets_tests.browser.visiting import Visitor

pytestmark = pytest.mark.browser

LENGTHS: Final = (5, 20, 80)
MONDAY: Final = range(1, 81)
TUESDAY: Final = range(81, 101)
WEDNESDAY: Final = range(101, 106)
WRONG: Final = range(1, 31)
WRONG_ANSWERS: Final = 3
ASSETS: Final = ("raw_observations", "rejected_observations", "sequenced_train", "sequenced_validation")


@pytest.fixture(scope="module")
def histories(school: School) -> list[int]:
    """How many answers each pupil of the first source gave; pupils have the numbers of `MONDAY`."""
    return write_answers(school.models_folder / "answers" / "monday.csv", MONDAY)


@pytest.fixture(scope="module")
def wrong(school: School) -> list[int]:
    """The same of the source that breaks its contract."""
    return write_answers(school.models_folder / "tutor.csv", WRONG, WRONG_ANSWERS)


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> School:
    """Model files; sources are written by fixtures of their own."""
    school = School(tmp_path_factory.mktemp("school"))
    bounds = {"checks": {"pad_ratio": {"warn": 0.35, "max": 0.95}, "drift": {"rows": 0.1}}}
    split = {"split": {"strategy": "entity_hash", "validation_fraction": VALIDATION_FRACTION, "seed": 0}}
    answers = {"source": {"location": "answers/*.csv"}}
    school.add_model("dkt", LENGTHS, description="Deep knowledge tracing.", **answers, **split, **bounds)
    school.add_model("irt", [], description="Item response theory.", **answers, **split)
    school.add_model("sakt", [20], description="Self-attention.", source={"location": "tutor.csv"}, **split)
    return school


@pytest.fixture(scope="module")
def answers(histories: list[int]) -> list[int]:
    """How many answers each file of the first source has; whoever adds a file adds its number."""
    return [sum(histories)]


@pytest.fixture(scope="module", autouse=True)
def _sources(histories: list[int], wrong: list[int]) -> None:
    """They are there before the servers are."""


def test_the_graph_shows_the_four_assets_and_nothing_covers_it(visitor: Visitor, address: str) -> None:
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    visitor.page.goto("/")
    visitor.page.get_by_role("link", name="Lineage").click()
    graph = visitor.page.locator("svg foreignObject")
    for asset in ASSETS:
        expect(graph.get_by_text(asset, exact=True).filter(visible=True)).to_be_in_viewport(ratio=1)
    expect(visitor.page.get_by_text("4 partitions")).to_have_count(2)
    expect(visitor.page.get_by_role("dialog")).to_have_count(0)
    assert {urlsplit(url).hostname for url in asked if not url.startswith(("data:", "blob:"))} == {"127.0.0.1"}
    visitor.picture("graph")


def test_partitions_are_chosen_in_the_dialog_of_materialize(visitor: Visitor) -> None:
    visitor.page.goto("/assets/raw_observations")
    expect(visitor.page.get_by_text("Observations that met their model's contract").first).to_be_visible()
    visitor.page.get_by_role("button", name="Materialize").first.click()
    visitor.expect_texts(visitor.page.get_by_role("dialog"), ["Additional assets", "rejected_observations"])
    visitor.page.get_by_role("button", name="Confirm").click()
    visitor.choose("dkt")
    visitor.expect_texts(visitor.page.get_by_role("dialog"), ["Launch runs to materialize 2 assets", "1 partition"])
    visitor.picture("materialize")


def test_the_run_of_a_partition_succeeds(visitor: Visitor) -> None:
    visitor.follow_launch()
    visitor.expect_run("Success")
    visitor.expect_texts(visitor.page.locator("body"), ["partition: dkt", "2 assets", "6 checks"])
    visitor.picture("run")


def test_a_partition_shows_its_numbers_at_a_glance(visitor: Visitor, histories: list[int]) -> None:
    visitor.open_partition("raw_observations", "dkt")
    train = sum(items for pupil, items in zip(MONDAY, histories, strict=True) if is_train(pupil))
    numbers = {"observations": sum(histories), "rejected": 0, "train": train, "validation": sum(histories) - train}
    for name, number in numbers.items():
        expect(visitor.metadata(name)).to_have_text(str(number))
    visitor.picture("metadata")


def test_behind_the_glance_are_tables(visitor: Visitor, histories: list[int]) -> None:
    flow = visitor.metadata("flow")
    for name in ("read", "accepted"):
        row = flow.locator("tr", has=visitor.page.get_by_text(name, exact=True))
        expect(row).to_contain_text(f"{sum(histories):,}")
    expect(visitor.metadata("pad_ratios")).to_contain_text("sequence length")
    flow.scroll_into_view_if_needed()
    visitor.metadata("history_lengths").scroll_into_view_if_needed()
    visitor.picture("tables")


@pytest.mark.parametrize("plot", ["pad_ratio_curve", "history_lengths"])
def test_a_plot_opens_in_a_dialog(visitor: Visitor, plot: str) -> None:
    visitor.metadata(plot).get_by_text("[Show Markdown]").click()
    image = visitor.page.get_by_role("dialog").locator("img")
    expect(image).to_have_attribute("src", re.compile("^data:image/png;base64,"))
    expect(image).to_be_visible()
    assert image.evaluate("image => image.complete && image.naturalWidth") > 300
    visitor.picture(plot)
    visitor.page.get_by_role("button", name="Close").click()
    expect(visitor.page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("length", [5, 20])
def test_a_partition_of_sequences_is_materialized(visitor: Visitor, length: int) -> None:
    visitor.page.goto("/assets/sequenced_train")
    visitor.page.get_by_role("button", name="Materialize").first.click()
    visitor.choose(f"dkt|{length}")
    expect(visitor.page.get_by_role("dialog")).to_contain_text("1 partition")
    visitor.picture("materialize_sequences")
    visitor.follow_launch()
    visitor.expect_run("Success")
    visitor.open_partition("sequenced_train", f"dkt|{length}")
    expect(visitor.page.get_by_text("Materialized", exact=True)).to_be_visible()
    expect(visitor.metadata("sequence_length")).to_have_text(str(length))


def test_a_preview_shows_sequences_and_their_padding(visitor: Visitor) -> None:
    preview = visitor.metadata("preview")
    visitor.expect_texts(preview, ["skill:", "correct:", " · ·"])
    preview.scroll_into_view_if_needed()
    visitor.picture("preview")


def test_a_pad_ratio_above_its_bound_is_a_warning_with_its_number(visitor: Visitor, histories: list[int]) -> None:
    visitor.open_asset("sequenced_train", "checks", checkDetail="pad_ratio")
    train = [items for pupil, items in zip(MONDAY, histories, strict=True) if is_train(pupil)]
    message = f"{pad_ratio(train, 20):.1%} of all positions are padding, above checks.pad_ratio.warn (35.0%)"
    expect(visitor.page.get_by_text(message)).to_be_visible()
    for name, length in {"pad_ratio": 20, "pad_ratio_5": 5}.items():
        expect(visitor.page.get_by_role("row", name=f"{name} {round(pad_ratio(train, length), 6)}")).to_be_visible()
    visitor.picture("pad_ratio")


def test_a_backfill_of_a_models_cells_completes(visitor: Visitor) -> None:
    visitor.page.goto("/asset-groups")
    graph = visitor.page.locator("svg foreignObject")
    graph.get_by_text("sequenced_train", exact=True).filter(visible=True).click()
    graph.get_by_text("sequenced_validation", exact=True).filter(visible=True).click(modifiers=["Shift"])
    visitor.page.get_by_role("button", name="Materialize selected").click()
    visitor.choose(*(f"dkt|{length}" for length in LENGTHS))
    expect(visitor.page.get_by_role("dialog")).to_contain_text("3 partitions")
    visitor.picture("materialize_cells")
    visitor.follow_launch()
    visitor.expect_texts(visitor.page.locator("body"), ["Succeeded", "dkt|80", "dkt|20", "dkt|5"])
    expect(visitor.page.get_by_text("100% completed")).to_have_count(2)
    visitor.picture("backfill")


def test_the_grid_shows_what_is_there(visitor: Visitor) -> None:
    visitor.open_partition("sequenced_validation", "dkt|80")
    visitor.expect_texts(visitor.page.locator("body"), ["Materialized (3)", "Missing (1)", "Failed (0)"])
    visitor.picture("grid")


def test_a_source_that_breaks_its_contract_fails_with_the_numbers(visitor: Visitor, wrong: list[int]) -> None:
    visitor.page.goto("/assets/raw_observations")
    visitor.page.get_by_role("button", name="Materialize").first.click()
    visitor.page.get_by_role("button", name="Confirm").click()
    visitor.choose("sakt")
    visitor.follow_launch()
    visitor.expect_run("Failure")
    visitor.expect_texts(
        visitor.page.locator("body"),
        [
            "sakt: sakt_raw_observations was not published, because its audit failed:",
            f"{WRONG_ANSWERS} of {sum(wrong)} records were rejected (is_in {WRONG_ANSWERS})",
            "tutor.csv, row 1, column 'correct', value '2': is_in",
        ],
    )
    visitor.picture("failure")


def test_after_the_source_is_mended_the_run_is_executed_again(visitor: Visitor, school: School, wrong: list[int]) -> None:
    write_answers(school.models_folder / "tutor.csv", WRONG)
    visitor.page.get_by_role("button", name="Re-execute all").click()
    visitor.expect_run("Success")
    visitor.picture("again")
    visitor.open_partition("raw_observations", "sakt")
    expect(visitor.metadata("observations")).to_have_text(str(sum(wrong)))


def test_sensors_and_schedules_are_listed(visitor: Visitor) -> None:
    visitor.page.get_by_role("link", name="Automation").click()
    for name in ("daily", "dead_runs", "new_observations", "source_files"):
        expect(visitor.page.get_by_role("link", name=name)).to_be_visible()
    # What each is comes later than their names.
    expect(visitor.page.get_by_text("Scheduled At 03:00 AM UTC")).to_be_visible()
    expect(visitor.page.get_by_text("Standard sensor")).to_have_count(3)
    visitor.picture("automation")


def test_a_sensor_that_is_turned_on_ingests_what_is_new(visitor: Visitor, school: School, answers: list[int]) -> None:
    answers.append(sum(write_answers(school.models_folder / "answers" / "tuesday.csv", TUESDAY)))
    visitor.page.get_by_role("link", name="source_files").click()
    visitor.page.locator("label", has=visitor.page.locator("input[type=checkbox]")).click()
    visitor.open_newest_requested_run()
    visitor.expect_run("Success")
    visitor.open_partition("raw_observations", "dkt")
    expect(visitor.metadata("observations")).to_have_text(str(sum(answers)))
    visitor.picture("ingested")


def test_drift_from_the_version_before_is_a_warning_with_its_number(visitor: Visitor, answers: list[int]) -> None:
    visitor.open_asset("raw_observations", "checks", checkDetail="drift")
    # The asset has a tab of that name too, and is there first.
    expect(visitor.page.get_by_text("Latest execution")).to_be_visible()
    visitor.page.get_by_text("Partitions", exact=True).last.click()
    expect(visitor.page.get_by_text("Select a partition to view details")).to_be_visible()
    visitor.page.get_by_text("dkt", exact=True).filter(visible=True).last.click()
    before, added = answers
    expect(visitor.page.get_by_text(f"rows changed by {added / before:.4g} from version")).to_be_visible()
    expect(visitor.page.get_by_role("row", name=f"rows {round(added / before, 6)}")).to_be_visible()
    visitor.picture("drift")


def test_a_source_that_changes_starts_a_run_of_its_models_alone(visitor: Visitor, school: School, answers: list[int]) -> None:
    answers.append(sum(write_answers(school.models_folder / "answers" / "wednesday.csv", WEDNESDAY)))
    visitor.page.goto(f"/locations/{CODE_LOCATION}/sensors/source_files")
    expect(visitor.requested_runs()).to_have_count(2)
    visitor.picture("sensor")
    visitor.open_newest_requested_run()
    visitor.expect_run("Success")
    visitor.open_partition("raw_observations", "sakt")
    expect(visitor.page.get_by_text("View all historical events (2)")).to_be_visible()
    visitor.open_partition("raw_observations", "dkt")
    expect(visitor.page.get_by_text("View all historical events (3)")).to_be_visible()
    expect(visitor.metadata("observations")).to_have_text(str(sum(answers)))


def test_after_a_reload_a_new_model_can_be_materialized_and_one_that_is_gone_stays_readable(
    visitor: Visitor, school: School, answers: list[int], wrong: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    school.add_model("akt", [40], source={"location": "tutor.csv"})
    (school.models_folder / "irt.yaml").unlink()
    visitor.page.goto("/asset-groups")
    visitor.page.get_by_role("button", name="Reload definitions").click()
    expect(visitor.page.get_by_text("Definitions reloaded")).to_be_visible()
    visitor.open_asset("sequenced_train", "partitions", partition="akt|40")
    visitor.expect_texts(visitor.page.locator("body"), ["5 Partitions Selected", "akt|40", "Missing (2)"])
    visitor.picture("reloaded")

    visitor.page.goto("/assets/raw_observations")
    visitor.page.get_by_role("button", name="Materialize").first.click()
    visitor.page.get_by_role("button", name="Confirm").click()
    visitor.choose("akt")
    visitor.follow_launch()
    visitor.expect_run("Success")
    visitor.open_partition("raw_observations", "akt")
    expect(visitor.metadata("observations")).to_have_text(str(sum(wrong)))

    monkeypatch.setenv("SEQ_ASSETS_HOME", str(school.environment.home))
    monkeypatch.setenv("SEQ_ASSETS_MODELS", str(school.models_folder))
    assert len(seq_assets.load_observations("irt")) == sum(answers)
