"""Debian's Chromium, driven by Playwright; it watches what a page must never do."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.waiting import HANG_SECONDS

CHROMIUM = shutil.which("chromium")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running Chromium; skips the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("needs Debian's chromium; make test-web installs it")
    with sync_playwright() as playwright:
        # As root, which CI is, Chromium does not start with its sandbox; it opens pages of this service alone.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page of a browser of its own, as a person without other cookies opens it, and its misdeeds.

    `expected` are texts of console messages that are no fault, such as a refusal that the test causes.
    """

    def __init__(self, browser: Browser, url: str, **options: object) -> None:
        self.context = browser.new_context(base_url=url, **options)  # type: ignore[arg-type]
        self.context.set_default_timeout(HANG_SECONDS * 1000 / 4)
        self.expected: list[str] = []
        self._url = url
        self._said: list[str] = []
        self._asked: list[str] = []
        self.page = self.open()

    def open(self) -> Page:
        """Another page of the same person."""
        page = self.context.new_page()
        page.on("console", lambda message: message.type in ("error", "warning") and self._said.append(message.text))
        page.on("pageerror", lambda error: self._said.append(f"error: {error}"))
        page.on("request", lambda request: self._asked.append(request.url))
        return page

    def misdeeds(self) -> list[str]:
        """Messages in the console, errors, violations of the policy, and requests to other hosts."""
        said = [text for text in self._said if not any(part in text for part in self.expected)]
        strange = [url for url in self._asked if urlsplit(url).scheme not in ("blob", "data")]
        return said + [url for url in strange if not url.startswith(self._url)]


@contextmanager
def watched(browser: Browser, url: str, **options: object) -> Iterator[Watched]:
    """A watched page, which at the end must have done nothing that it must not."""
    found = Watched(browser, url, **options)
    try:
        yield found
        if misdeeds := found.misdeeds():
            raise AssertionError(f"the page did what it must not: {misdeeds}")
    finally:
        found.context.close()


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with a page, a line a node."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def contrast(one: str, other: str) -> float:
    """The contrast of two colours of the form ``#rrggbb`` (WCAG 2.2)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def overflow(page: Page) -> int:
    """Pixels by which a page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))
