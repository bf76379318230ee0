"""``make docs``: pictures of the main pages, taken by Chromium of a service that this module starts and ends.

Run as ``python -m docs.pages``.
"""

from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright

from brink.local import start_service, stop_service

HERE = Path(__file__).parent / "pages"
SCENARIO = "us-japan-autos-1995"
SIZE = {"width": 1280, "height": 900}
TRIALS, SEED = 100_000, 1995


def _section(page: Page, name: str) -> None:
    """Scroll to a section of a result once it is there, with its title at the top."""
    page.locator(f"#{name}").scroll_into_view_if_needed()
    page.wait_for_selector(f"#{name} .body[data-shown]")
    page.evaluate("name => document.getElementById(name).scrollIntoView()", name)
    page.wait_for_load_state("networkidle")


def _take(page: Page, name: str) -> None:
    page.screenshot(path=HERE / f"{name}.png")


def main() -> None:
    """Take the pictures into the folder ``pages`` beside this file."""
    HERE.mkdir(exist_ok=True)
    service = start_service(None, {})
    try:
        with httpx.Client(base_url=service.url, timeout=600.0) as client:
            asked = {"scenario": SCENARIO, "trials": TRIALS, "seed": SEED}
            job = client.post("/v1/jobs", json=asked).raise_for_status().json()["id"]
            with client.stream("GET", f"/v1/jobs/{job}/events") as events:
                for _ in events.iter_lines():
                    pass
        with sync_playwright() as playwright:
            # As root, as in a container, Chromium does not start with its sandbox.
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = browser.new_page(base_url=service.url, viewport=SIZE, color_scheme="light")  # type: ignore[arg-type]
            page.set_default_timeout(600_000)
            page.goto(f"/jobs/{job}")
            page.wait_for_selector("#ending .body[data-shown]")
            _section(page, "answer")
            _take(page, "result")
            page.goto(f"/jobs/{job}?given=target_pressure+%3C%3D+0.5")
            for name in ("answer", "ending"):
                page.wait_for_selector(f"#{name} .body[data-shown]")
            page.evaluate("scrollTo(0, 0)")
            _take(page, "what-if")
            page.goto(f"/jobs/{job}")
            page.wait_for_selector("#ending .body[data-shown]")
            _section(page, "stories")
            _take(page, "story")
            page.goto(f"/scenarios/{SCENARIO}")
            page.get_by_role("heading", name="What is not known").evaluate("title => title.scrollIntoView()")
            page.wait_for_load_state("networkidle")
            _take(page, "scenario")
            browser.close()
    finally:
        stop_service(service)


if __name__ == "__main__":
    main()
