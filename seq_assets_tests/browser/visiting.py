"""What people do in the UI: open a page, choose partitions, launch runs, read what is shown.

Belongs here: where things are on Dagster's pages. Not here: what they should say.
"""

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as TimedOutError

_COLORS: Final = 256
"""Of a picture: enough for pages, and small enough for a repository."""
_MENU: Final = "[data-radix-popper-content-wrapper]"
_OPENINGS: Final = 6
_SECONDS_OF_A_MENU: Final = 20


@dataclass(frozen=True)
class Visitor:
    """Somebody in front of the UI.

    Attributes:
        page: The browser's page.
        pictures: The folder of the pictures.
        taken: The names of the pictures so far.
    """

    page: Page
    pictures: Path
    taken: list[str] = field(default_factory=list)

    def open_asset(self, asset: str, view: str, **chosen: str) -> None:
        """Opens a tab of an asset's page: `partitions` or `checks`, at what is chosen there."""
        self.page.goto(f"/assets/{asset}?{urlencode({'view': view, **chosen})}")

    def open_partition(self, asset: str, partition: str) -> None:
        """Opens the page of one partition, and waits for the status of its materialization."""
        self.open_asset(asset, "partitions", partition=partition)
        expect(self.page.get_by_text(re.compile("^(Materialized|Missing|Failed)$")).first).to_be_visible()

    def metadata(self, name: str) -> Locator:
        """The value of a metadata entry on a partition's page."""
        return self.page.locator("tr", has=self.page.get_by_text(name, exact=True)).locator("td").nth(1)

    def choose(self, *partitions: str) -> None:
        """Chooses partitions in the first dimension of the dialog that has none yet."""
        menu = self.page.locator(_MENU)
        first, *others = [
            menu.get_by_role("menuitem").filter(has=self.page.get_by_text(partition, exact=True)) for partition in partitions
        ]
        self._click_in_menu(first)
        for other in others:
            other.click()
        self.page.keyboard.press("Escape")
        expect(menu).to_have_count(0)

    def _click_in_menu(self, item: Locator) -> None:
        """Opens the menu of partitions, again where the dialog has drawn itself anew meanwhile, which closes it."""
        for attempt in range(1, _OPENINGS + 1):
            self.page.get_by_text("Select a partition").first.click()
            try:
                item.click(timeout=_SECONDS_OF_A_MENU * 1000)
            except TimedOutError:
                if attempt == _OPENINGS:
                    raise
                if self.page.locator(_MENU).count():
                    self.page.keyboard.press("Escape")  # which would close the dialog, where no menu is open
            else:
                return

    def follow_launch(self) -> None:
        """Launches what the dialog says, and goes to the page of the run or backfill."""
        self.page.get_by_role("button", name=re.compile("^Launch")).click()
        self.follow()

    def follow(self) -> None:
        """Goes to what was launched, without the note that says so."""
        view = self.page.get_by_text("View", exact=True)
        view.click()
        self.page.wait_for_url(re.compile("/runs/"))
        self.page.reload()
        expect(view).to_have_count(0)

    def expect_run(self, status: str) -> None:
        """Waits for a run, whose page is open, to be over."""
        expect(self.page.get_by_text(re.compile("^(Success|Failure|Canceled)$")).first).to_have_text(status)

    def requested_runs(self) -> Locator:
        """The runs that a sensor, whose page is open, has requested, newest first."""
        ticks = self.page.locator("tr", has_text="View logs")
        return ticks.locator("a[href*='/runs/']").filter(has_text=re.compile("^[0-9a-f]{8}$"))

    def open_newest_requested_run(self) -> None:
        """Goes to the last of these runs, not by a click: the page draws its ticks anew all the time, and a click may miss."""
        address = self.requested_runs().first.get_attribute("href")
        assert address is not None
        self.page.goto(address)

    def expect_texts(self, place: Locator, texts: Iterable[str]) -> None:
        """Waits until a place shows all these texts."""
        for text in texts:
            expect(place).to_contain_text(text)

    def picture(self, name: str) -> None:
        """Takes a picture of what is seen now, without where the files are on this machine."""
        self.page.mouse.move(0, 0)
        shot = self.page.screenshot(animations="disabled", mask=[self.metadata("location")], mask_color="#eeeeee")
        seen = Image.open(io.BytesIO(shot))
        self.pictures.mkdir(parents=True, exist_ok=True)
        seen.convert("RGB").quantize(_COLORS).save(self.pictures / f"{name}.png", optimize=True)
        self.taken.append(name)
