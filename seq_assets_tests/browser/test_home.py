"""A home from its first backfill on: what is green, what is missing, and what the command line leaves; step by step.

The models by name: `dkt` (lengths 5 and 10, later 20 too) and `irt` (a raw model); later `large`, whose ingest is interrupted.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Final

import pytest
from playwright.sync_api import expect

from seq_assets.environments import CODE_LOCATION
from seq_assets_tests.assets.building import ANSWERS, School
from seq_assets_tests.browser.visiting import Visitor

pytestmark = pytest.mark.browser

ASSETS: Final = ("raw_observations", "rejected_observations", "sequenced_train", "sequenced_validation")
LARGE: Final = 1_000_000
"""Records of a source that takes seconds to ingest."""


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> School:
    """Two good models; nothing is built."""
    school = School(tmp_path_factory.mktemp("home"))
    school.add_source()
    school.add_model("dkt", [5, 10])
    school.add_model("irt", [])
    return school


@pytest.fixture
def variables(school: School) -> Mapping[str, str]:
    """The environment of a command line over the school."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEQ_ASSETS_", "DAGSTER_"))}
    return kept | {"SEQ_ASSETS_HOME": str(school.environment.home), "SEQ_ASSETS_MODELS": str(school.models_folder)}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "seq_assets", *arguments]


def test_one_backfill_makes_everything_green(visitor: Visitor) -> None:
    visitor.page.goto("/asset-groups")
    graph = visitor.page.locator("svg foreignObject")
    expect(graph.get_by_text("0% filled")).to_have_count(len(ASSETS))
    visitor.page.get_by_role("button", name="Materialize all").click()
    dialog = visitor.page.get_by_role("dialog")
    visitor.expect_texts(dialog, ["Launch runs to materialize 4 assets", "all partitions downstream"])
    dialog.get_by_role("button", name="All", exact=True).click()
    visitor.picture("everything")
    visitor.follow_launch()
    expect(visitor.page.get_by_text("100% completed")).to_have_count(len(ASSETS))
    visitor.page.goto("/asset-groups")
    expect(graph.get_by_text("100% filled")).to_have_count(len(ASSETS))
    expect(graph.get_by_text("6 / 6 Passed")).to_have_count(3)
    visitor.picture("green")


def test_a_cell_that_is_missing_is_seen(visitor: Visitor, school: School) -> None:
    school.add_model("dkt", [5, 10, 20])
    visitor.page.goto("/asset-groups")
    visitor.page.get_by_role("button", name="Reload definitions").click()
    expect(visitor.page.get_by_text("Definitions reloaded")).to_be_visible()
    expect(visitor.page.locator("svg foreignObject").get_by_text("66% filled")).to_have_count(2)
    visitor.open_asset("sequenced_train", "partitions", partition="dkt|20")
    visitor.expect_texts(visitor.page.locator("body"), ["Materialized (2)", "Missing (1)", "Failed (0)"])
    visitor.picture("missing")


def test_a_run_of_the_command_line_is_in_the_timeline(visitor: Visitor, variables: Mapping[str, str]) -> None:
    done = subprocess.run(command("materialize"), env=variables, capture_output=True, text=True, check=True)
    assert re.search(r"dkt_sequenced_train_20 +\d+ +built", done.stdout)
    assert re.search(r"dkt_raw_observations +\d+ +unchanged", done.stdout)
    visitor.page.goto("/overview/activity/timeline")
    for job in ("ingest", "sequence"):
        expect(visitor.page.locator(f"a[href$='/jobs/{job}']").filter(visible=True).first).to_be_visible()
    visitor.picture("timeline")


def test_the_runs_say_which_model_and_lengths_they_are_of(visitor: Visitor) -> None:
    visitor.page.goto("/runs")
    for tag in ("model: dkt", "model: irt", "sequence_length: 5, 10, 20"):
        expect(visitor.page.get_by_text(tag, exact=True).first).to_be_visible()
    visitor.picture("runs")


@pytest.mark.parametrize("plot", ["history_lengths", "pad_ratio_curve"])
def test_what_is_unchanged_keeps_its_page(visitor: Visitor, plot: str) -> None:
    visitor.open_partition("raw_observations", "dkt")
    expect(visitor.metadata("unchanged")).to_have_text(re.compile("true", re.IGNORECASE))
    expect(visitor.metadata("observations")).to_have_text(str(ANSWERS))
    expect(visitor.metadata("flow")).to_contain_text("accepted")
    visitor.metadata(plot).get_by_text("[Show Markdown]").click()
    expect(visitor.page.get_by_role("dialog").locator("img")).to_be_visible()
    visitor.picture("unchanged")


def test_a_run_of_the_command_line_is_executed_again(visitor: Visitor) -> None:
    visitor.page.goto(f"/locations/{CODE_LOCATION}/jobs/sequence/runs")
    visitor.page.get_by_role("link", name="View", exact=True).first.click()
    visitor.expect_run("Success")
    visitor.page.get_by_role("button", name="Re-execute all").click()
    expect(visitor.page.get_by_text("ROOT", exact=True)).to_be_visible()
    visitor.expect_run("Success")
    visitor.picture("command_line_again")


def test_what_is_interrupted_is_shown_as_canceled(visitor: Visitor, school: School, variables: Mapping[str, str]) -> None:
    with (school.models_folder / "large.csv").open("w", encoding="utf-8") as source:
        source.write("pupil,time,skill,correct\n")
        source.writelines(f"{row % 1000},{row},{row % 7},{row % 2}\n" for row in range(LARGE))
    school.add_model("large", [5], source={"location": "large.csv"})
    with subprocess.Popen(command("materialize", "large"), env=variables, stderr=subprocess.PIPE, text=True) as running:
        while running.poll() is None and not any((school.environment.home / "scratch").glob("*")):
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate()
    assert running.returncode == 128 + signal.SIGINT
    assert "Stopped in the job ingest of large" in said
    assert "Traceback" not in said
    visitor.page.goto("/runs")
    expect(visitor.page.get_by_text("model: large", exact=True)).to_be_visible()
    expect(visitor.page.get_by_text("Canceled", exact=True).filter(visible=True).first).to_be_visible()
    visitor.picture("canceled")
