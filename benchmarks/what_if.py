"""The what-if loop on a result of a million rows: from a new condition to each number and chart, in Chromium.

The condition is set in the address, as the back button does, while the page is at rest; a section is renewed when its
numbers are on the page and its charts are drawn. The first screen is what a window of `SCREEN` shows of the top of the
page. Each other section is then brought into the window, and renewed by a condition of its own.
"""

import shutil
import statistics
import time
from collections.abc import Iterator, Sequence

import httpx
from playwright.sync_api import Page, Request, ViewportSize, sync_playwright

from brink.local import start_service, stop_service

GOAL = 0.3
"""Seconds of an answer on an idle machine."""
SCREEN: ViewportSize = {"width": 1280, "height": 900}
REST = 0.5
"""Seconds without a request after which a page is at rest."""
LONGEST = 300.0
"""Seconds after which a page that is not at rest is given up."""
ROUNDS = 3
"""Conditions for each median, after one that reads the columns."""
_RENEW = """
([condition, ids]) => new Promise((done) => {
  const [started, found] = [performance.now(), {}];
  const asked = JSON.stringify([condition]);
  const look = () => {
    for (const id of ids) {
      const { shown, first } = document.querySelector(`#${id} .body`).dataset;
      const now = (performance.now() - started) / 1000;
      const own = found[id] ??= {};
      if (first?.includes(asked)) own.first ??= now;
      if (shown?.includes(asked)) own.whole ??= now;
    }
    if (!ids.every((id) => found[id].whole)) return;
    watcher.disconnect();
    done(found);
  };
  const watcher = new MutationObserver(look);
  watcher.observe(document.getElementById("result"), { subtree: true, attributes: true });
  history.pushState(null, "", `?${new URLSearchParams({ given: condition })}`);
  dispatchEvent(new PopStateEvent("popstate"));
})
"""
_SECTIONS = """
() => [...document.querySelectorAll("#result > section")].map((one) => {
  const { top, bottom } = one.getBoundingClientRect();
  return [one.id, top < innerHeight && bottom > 0];
})
"""
WITHOUT_CONDITION = ("set", "files", "check")
"""Sections whose numbers are not about a condition."""


def report(scenario: str, trials: int) -> Iterator[str]:
    """A line for the first screen, and one for each section: seconds to its first numbers, and to all of them."""
    chromium = shutil.which("chromium")
    if chromium is None:
        yield "The what-if loop: not measured, it needs Debian's chromium (make chromium)"
        return
    service = start_service(None, {})
    try:
        with httpx.Client(base_url=service.url, timeout=600.0) as client:
            request = {"scenario": scenario, "trials": trials, "seed": 1}
            job = client.post("/v1/jobs", json=request).raise_for_status().json()
            with client.stream("GET", f"/v1/jobs/{job['id']}/events") as events:
                for _ in events.iter_lines():
                    pass
        rows = trials * len(job["strategies"])
        yield f"What if, {rows:,} rows, seconds to be renewed {'first':>8} {'whole':>6} {'goal':>6}"
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport=SCREEN)
            page.set_default_timeout(600_000)
            requests = _Requests()
            page.on("request", requests.begun)
            page.on("requestfinished", requests.ended)
            page.on("requestfailed", requests.ended)
            page.goto(f"{service.url}/jobs/{job['id']}")
            page.wait_for_selector("#ending .body[data-shown]")
            yield from _measured(page, requests)
            browser.close()
    finally:
        stop_service(service)


class _Requests:
    """The requests of a page that are not answered yet."""

    def __init__(self) -> None:
        self._open: set[Request] = set()
        self._last = 0.0

    def begun(self, request: Request) -> None:
        """Note a request."""
        self._open.add(request)

    def ended(self, request: Request) -> None:
        """Note that a request was answered, or given up."""
        self._open.discard(request)
        self._last = time.monotonic()

    def wait_for_none(self, page: Page) -> None:
        """Wait until the page has asked for nothing for `REST` seconds."""
        given_up = time.monotonic() + LONGEST
        while self._open or time.monotonic() - self._last < REST:
            if time.monotonic() > given_up:
                raise RuntimeError(f"the page is not at rest after {LONGEST:.0f} seconds")
            page.wait_for_timeout(100)


def _measured(page: Page, requests: _Requests) -> Iterator[str]:
    sections = page.evaluate(_SECTIONS)
    conditions = (f"target_win > {0.4 + k / 1000:.3f}" for k in range(1000))
    seen = [name for name, in_window in sections if in_window]
    yield _line(
        f"first screen ({', '.join(seen)})",
        [_renewed(page, requests, next(conditions), seen) for _ in range(1 + ROUNDS)],
    )
    for name, _ in sections:
        if name in WITHOUT_CONDITION:
            continue
        page.evaluate("(id) => document.getElementById(id).scrollIntoView()", name)
        page.wait_for_selector(f"#{name} .body[data-shown]")
        requests.wait_for_none(page)
        page.evaluate("(id) => document.getElementById(id).scrollIntoView()", name)
        yield _line(name, [_renewed(page, requests, next(conditions), [name]) for _ in range(1 + ROUNDS)])


def _renewed(page: Page, requests: _Requests, condition: str, sections: Sequence[str]) -> tuple[float, float]:
    """Seconds from a new condition until all of some sections have their first numbers, and all of them."""
    requests.wait_for_none(page)
    found = page.evaluate(_RENEW, [condition, list(sections)])
    if refused := page.locator("#result .fault").all_text_contents():
        raise RuntimeError(f"the page was refused an answer: {refused[0]}")
    return (
        max(own.get("first", own["whole"]) for own in found.values()),
        max(own["whole"] for own in found.values()),
    )


def _line(name: str, rounds: Sequence[tuple[float, float]]) -> str:
    first, whole = (statistics.median(one[k] for one in rounds[1:]) for k in (0, 1))
    return f"{name:45} {first:8.2f} {whole:6.2f} {GOAL:6.1f}"
