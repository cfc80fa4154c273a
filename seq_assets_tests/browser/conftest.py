"""Fixtures of the tour: its servers, and a visitor in a browser. The school that they serve is the test's own."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from seq_assets_tests.assets.building import School
from seq_assets_tests.browser.serving import served

if TYPE_CHECKING:
    from seq_assets_tests.browser.visiting import Visitor

_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_FLAGS: Final = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
_PICTURES: Final = "SEQ_ASSETS_TEST_SCREENSHOTS"
_SECONDS: Final = 120
"""In which something must have happened: runs wait in a queue, and sensors look once a minute."""


@pytest.fixture(scope="module")
def address(school: School, pytestconfig: pytest.Config) -> Iterator[str]:
    """Where the UI is, over the school of the test module."""
    with served(school, pytestconfig.rootpath) as address:
        yield address


@pytest.fixture(scope="module")
def pictures(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go: the folder that SEQ_ASSETS_TEST_SCREENSHOTS names, in the checkout, or one that is thrown away."""
    named = os.environ.get(_PICTURES)
    return pytestconfig.rootpath / named if named else tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def visitor(address: str, pictures: Path) -> "Iterator[Visitor]":
    """Somebody who opens the UI for the first time."""
    from playwright.sync_api import expect, sync_playwright

    from seq_assets_tests.browser.visiting import Visitor

    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.fail(f"No browser is there: install one of {', '.join(_BROWSERS)}.")
    expect.set_options(timeout=_SECONDS * 1000)
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=browser, args=list(_FLAGS)) as launched,
        launched.new_context(
            base_url=address, viewport={"width": 1280, "height": 800}, locale="en-US", timezone_id="UTC"
        ) as context,
    ):
        context.set_default_timeout(_SECONDS * 1000)
        yield Visitor(context.new_page(), pictures)


@pytest.fixture(autouse=True)
def _failure_is_pictured(visitor: "Visitor", request: pytest.FixtureRequest) -> Iterator[None]:
    """A step that ends without its picture leaves one that shows what was on the page instead."""
    before = len(visitor.taken)
    yield
    if len(visitor.taken) == before:
        file = Path(str(request.config.rootpath), "build", "browser", f"{request.node.name}.png")
        file.parent.mkdir(parents=True, exist_ok=True)
        visitor.page.screenshot(path=file)
        print(f"what was on the page: {file}")
