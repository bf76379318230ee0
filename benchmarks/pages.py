"""The pages in Chromium: what a first visit transfers, and how long a result takes to its first chart."""

import shutil
import time
from dataclasses import dataclass

import httpx
from playwright.sync_api import Browser, sync_playwright

from brink.local import start_service, stop_service

SCENARIO = "us-japan-autos-1995"
TRIALS = 100_000
ROUNDS = 3


@dataclass(frozen=True)
class Visit:
    """A visit of a browser without a cache: requests, bytes as transferred, and seconds until what was waited for."""

    requests: int
    transferred: int
    seconds: float


def report() -> list[str]:
    """A line for each page: requests, kB and seconds; a result's seconds are those to its first chart.

    The first visit to a result waits for the service to make the file of charts, later ones do not.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        return ["Pages: not measured, they need Debian's chromium (make chromium)"]
    service = start_service(None, {})
    try:
        with httpx.Client(base_url=service.url, timeout=600.0) as client:
            asked = {"scenario": SCENARIO, "trials": TRIALS, "seed": 1}
            job = client.post("/v1/jobs", json=asked).raise_for_status().json()["id"]
            with client.stream("GET", f"/v1/jobs/{job}/events") as events:
                for _ in events.iter_lines():
                    pass
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            result = [_visit(browser, service.url, f"/jobs/{job}", "#ending figure svg") for _ in range(ROUNDS)]
            others = {
                path: _visit(browser, service.url, path, selector)
                for path, selector in (
                    ("/", "#scenarios table"),
                    (f"/scenarios/{SCENARIO}", "#scenario table"),
                    ("/run", "input[name=strategy]"),
                    (f"/edit?from={SCENARIO}", "#edit fieldset"),
                )
            }
            browser.close()
    finally:
        stop_service(service)
    lines = [f"{'Pages, first visit of a browser':40} {'requests':>8} {'kB':>6} {'seconds':>8}"]
    visits = {"result, to its first chart": result[0], "the same again, later": min(result[1:], key=_seconds), **others}
    return lines + [
        f"{name:40} {one.requests:8d} {one.transferred / 1000:6.0f} {one.seconds:8.2f}" for name, one in visits.items()
    ]


def _seconds(visit: Visit) -> float:
    return visit.seconds


def _visit(browser: Browser, url: str, path: str, selector: str) -> Visit:
    """Open a page in a browser context of its own, wait for a selector, and then until nothing is loading."""
    context = browser.new_context(base_url=url)
    page = context.new_page()
    page.set_default_timeout(600_000)
    watched = context.new_cdp_session(page)
    sizes: list[int] = []
    watched.on("Network.loadingFinished", lambda event: sizes.append(int(event["encodedDataLength"])))
    watched.send("Network.enable")
    started = time.perf_counter()
    page.goto(path)
    page.wait_for_selector(selector)
    seconds = time.perf_counter() - started
    page.wait_for_load_state("networkidle")
    context.close()
    return Visit(len(sizes), sum(sizes), seconds)


if __name__ == "__main__":
    print("\n".join(report()))
