"""The pages in a real browser, as a person uses them. Chromium comes from Debian; `make test-web` installs it."""

import csv
import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from api import figures
from api.web import assets
from cluster.service import keys
from cluster.service.jobs import open_database
from cluster.service.sessions import sessions
from sim.scenario.scenario import scenario_document
from tests.support.browser import Watched, chromium, contrast, overflow, violations, watched
from tests.support.runs import small_plan
from tests.support.service_process import JOB, ServiceProcess
from tests.support.waiting import HANG_SECONDS, wait_until

pytestmark = pytest.mark.browser
expect.set_options(timeout=HANG_SECONDS * 1000 / 4)
SCENARIO = "us-japan-semiconductors-1987"
TITLE = "Semiconductors, Washington and Tokyo, March 1987"
TRIALS = 2000
EARLY = ("answer", "ending")
ANSWERS = ("answer", "ending", "time", "distribution", "compare", "drivers", "worth", "stress", "discover", "stories")
ALL = (*ANSWERS, "check", "files")


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[ServiceProcess]:
    found = ServiceProcess(tmp_path_factory.mktemp("pages") / "data", BRINK_ENGINE="inline")
    yield found
    found.stop()


@pytest.fixture(scope="module")
def url(service) -> str:
    return str(service.client.base_url).rstrip("/")


@pytest.fixture(scope="module")
def job(service) -> str:
    sent = service.client.post("/v1/jobs", json={"scenario": SCENARIO, "trials": TRIALS, "seed": 5}).json()["id"]
    assert service.ended(sent)["state"] == "succeeded"
    return sent


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def person(browser, url) -> Iterator[Watched]:
    with watched(browser, url) as found:
        yield found


def shown(page: Page, *sections: str) -> None:
    """Scroll to each section of a result and wait until it is there."""
    for name in sections:
        body = page.locator(f"#{name} .body[data-shown]")
        # Sections above it grow when they come, and may push it out of sight before it was asked.
        wait_until(lambda name=name, body=body: body.count() or page.locator(f"#{name}").scroll_into_view_if_needed())


def sentences(service: ServiceProcess, job: str, **request: object) -> list[str]:
    return service.client.post(f"/v1/jobs/{job}/findings", json=request).json()["sentences"]


def test_from_the_start_page_to_the_answer_of_a_run(person, service):
    page = person.page
    page.goto("/")
    page.get_by_role("link", name="Start a run").click()
    page.get_by_label("Scenario").select_option(SCENARIO)
    page.get_by_label("Trials of each strategy").fill("2,000")
    page.get_by_role("button", name="Start the run").click()
    expect(page).to_have_url(re.compile("/jobs/[0-9a-f]{32}$"))
    expect(page.locator(".badge")).to_have_text("succeeded")
    shown(page, *EARLY)
    job = page.url.rpartition("/")[2]
    assert page.locator("#answer .answer p").all_text_contents() == sentences(service, job)
    assert page.locator("#ending svg").count() == 2
    page.get_by_role("link", name="Brink").click()
    expect(page.locator(f"#job-{job}")).to_contain_text("succeeded")


def test_every_section_of_a_result_shows_its_numbers(person, service, job):
    page = person.page
    page.goto(f"/jobs/{job}")
    shown(page, *ALL)
    assert page.locator(".fault").all_text_contents() == []
    for name in ("ending", "time", "distribution", "compare", "drivers", "worth", "stories"):
        assert page.locator(f"#{name} figure svg").count() >= 1, name
    typical = service.client.post(f"/v1/jobs/{job}/typical", json={}).json()["result"]["typical"]
    replayed = max(typical, key=lambda one: one["share"])["replay"]
    found = service.client.post(f"/v1/jobs/{job}/replay", json=replayed).json()["result"]
    lines = page.locator("#stories .story li").all_text_contents()
    assert len(lines) == len(found["story"])
    assert all(" ".join(one["sentences"]) in line for one, line in zip(found["story"], lines, strict=True))


def test_what_if_we_learn_more(person, service, browser, url, job):
    page = person.page
    page.goto(f"/jobs/{job}")
    shown(page, *EARLY)
    before = page.locator("#answer .answer").text_content()
    page.get_by_label("Suppose we learn").select_option("range agreement_week")
    page.get_by_label("at most").fill("104")
    page.get_by_role("button", name="Learn it").first.click()
    clause = "agreement_week <= 104"
    expect(page.locator("#agree")).to_contain_text("agree")
    shown(page, *EARLY)
    assert page.locator("#answer .answer p").all_text_contents() == sentences(service, job, given=clause)
    counted = service.client.get(f"/v1/jobs/{job}/summary", params={"given": clause}).json()["strategies"]
    for one in (min, max):
        assert f"{one(found['trials'] for found in counted.values()):,}" in page.locator("#agree").text_content()
    # The address holds the condition: another person's browser shows the same.
    with watched(browser, url) as other:
        other.page.goto(page.url)
        shown(other.page, *EARLY)
        assert other.page.locator("#answer .answer").text_content() == page.locator("#answer .answer").text_content()
    page.go_back()
    expect(page.locator(".chips")).to_be_hidden()
    expect(page.locator("#answer .answer")).to_have_text(before)
    page.go_forward()
    page.get_by_role("button", name=re.compile("^Forget")).click()
    expect(page.locator("#answer .answer")).to_have_text(before)


@pytest.mark.parametrize("trials", [60, 500])
def test_what_too_few_trials_leave_open_is_said_in_words_and_not_asked_for(person, service, trials):
    job = service.client.post("/v1/jobs", json={"scenario": SCENARIO, "trials": trials, "seed": 5}).json()["id"]
    assert service.ended(job)["state"] == "succeeded"
    page = person.page
    page.goto(f"/jobs/{job}")
    shown(page, *ALL)
    # A refusal would be an error in the console, which fails the test of any watched page.
    assert page.locator("#result .fault").all_text_contents() == []
    needs = {one["name"]: one["fewest_trials"] for one in service.client.get("/v1/answers").json()}
    # Discovery also needs 200 trials with its outcome, and 200 without.
    names = set(needs) & set(ALL) - {"discover"}
    said = {name for name in names if page.locator(f"#{name} .few").count()}
    assert said == {name for name in names if trials < needs[name]}
    expect(page.locator("#discover .few")).to_be_visible()
    expect(page.locator("#drivers .few")).to_contain_text("At least 1,000 are needed")


def test_what_is_in_sight_does_not_wait_for_the_count_of_its_trials(person, service):
    job, page = played(service, 21_000), person.page
    page.goto(f"/jobs/{job}")
    shown(page, "time")
    page.locator("#time").scroll_into_view_if_needed()
    held: list[Route] = []
    page.route("**/aggregate", lambda route: held.append(route))
    page.evaluate(
        "history.pushState(null, '', '?given=trial+%3E%3D+100'); dispatchEvent(new PopStateEvent('popstate'))"
    )
    shown(page, "time")
    wait_until(lambda: bool(held) or page.wait_for_timeout(10))
    for one in held:
        one.continue_()
    expect(page.locator("#what-if")).to_contain_text("20,900 (99.5 %) of 21,000 trials of each strategy agree")


def test_a_condition_that_leaves_too_few_trials_is_counted_in_words(person, service, job):
    page = person.page
    person.expected.append("422")
    page.goto(f"/jobs/{job}?given=agreement_week+%3C%3D+20")
    shown(page, *ALL)
    counts = {"measures": {"value": "1"}, "statistics": ["count"], "by": ["strategy"], "given": "agreement_week <= 20"}
    rows = service.client.post(f"/v1/jobs/{job}/aggregate", json=counts).json()["result"]["rows"]
    left = {row["strategy"]: row["trials"] for row in rows}
    few = min(left, key=left.__getitem__)
    assert left[few] < 100 <= max(left.values())
    for name in ("answer", "ending", "time", "compare"):
        text = f"Too few trials agree with what was learned for this: {left[few]} of 2,000 under {few}"
        expect(page.locator(f"#{name} .few")).to_contain_text(text)
    assert page.locator("#result .fault").all_text_contents() == []
    page.locator("#ending").get_by_role("button", name=f"Leave {few} out").click()
    shown(page, "ending", "compare")
    assert page.locator("#ending svg").count() == 2
    # One strategy cannot be compared with itself.
    expect(page.locator("#compare .few")).to_contain_text("One strategy is shown")


def test_a_decimal_comma_and_a_wrong_condition_get_a_clear_word(person, job):
    page = person.page
    page.goto(f"/jobs/{job}")
    shown(page, *EARLY)
    page.get_by_label("Suppose we learn").select_option("range export_gain")
    page.get_by_label("at least").fill("0,5")
    page.get_by_role("button", name="Learn it").first.click()
    expect(page.locator("#what-if .field-fault")).to_contain_text("write 0.5 with a point")
    expect(page.get_by_label("at least")).to_be_focused()
    page.get_by_label("at least").fill("0.5")
    page.get_by_label("at most").fill("1,5")
    page.get_by_role("button", name="Learn it").first.click()
    expect(page.locator("#what-if .field-fault")).to_contain_text("write 1.5 with a point")
    expect(page.get_by_label("at most")).to_be_focused()
    person.expected.append("422")
    page.get_by_text("A condition of your own").click()
    page.get_by_label("Condition", exact=True).fill("nonsense > 1")
    page.get_by_role("button", name="Learn it").nth(1).click()
    expect(page.locator("#answer .fault")).to_contain_text("nonsense")


def test_a_share_is_shown_as_reports_show_it(person):
    found = [
        {"estimate": hits / trials, "low": max(0.0, hits / trials - half), "high": min(1.0, hits / trials + half)}
        for trials in (3001, 10**6)
        for hits in (0, 1, 3, trials // 3, trials - 1, trials)
        for half in (0.00031, 0.000999, 0.004, 0.03)
    ]
    person.page.goto("/")
    path = assets.asset_path("format.js")
    shown = person.page.evaluate(
        "async ([path, found]) => { const { share } = await import(path); return found.map((x) => share(x).text); }",
        [path, found],
    )
    assert shown == [figures.share(one) for one in found]


def test_marks_are_seen_on_dark_paper(browser, url, job):
    with watched(browser, url, color_scheme="dark") as person:
        person.page.goto(f"/jobs/{job}")
        shown(person.page, "ending")
        marks = "#ending .role-mark path, #ending .role-mark line"
        colours = person.page.evaluate(
            """marks => [...document.querySelectorAll(marks)]
            .flatMap((mark) => [mark.getAttribute("fill"), mark.getAttribute("stroke")])""",
            marks,
        )
        paper = person.page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--paper').trim()")
        drawn = {colour for colour in colours if colour and colour.startswith("#")}
        assert drawn
        assert {colour for colour in drawn if contrast(colour, paper) < 3.0} == set()


BEGINNINGS = {"JSON": b"{", "CSV": b"strategy,", "SVG": b"<svg", "PNG": b"\x89PNG"}


def loaded(page: Page, section: str, kind: str) -> bytes:
    """What the first button of a section for that kind of file saves."""
    button = page.locator(f"#{section} .tools").get_by_role("button", name=re.compile(f"{kind}$")).first
    with page.expect_download() as saved:
        button.click()
    with open(saved.value.path(), "rb") as file:
        return file.read()


def test_numbers_and_pictures_of_every_answer_are_one_click_away(person, job):
    page = person.page
    # Discovery finds a box for agreements; for sanctions no range of this scenario makes any.
    page.goto(f"/jobs/{job}?outcome=agreement")
    shown(page, *ANSWERS)
    offered = {name: set(page.locator(f"#{name} .tools button").all_text_contents()) for name in ANSWERS}
    assert all({"JSON", "CSV"} <= kinds for kinds in offered.values()), offered
    assert [name for name, kinds in offered.items() if not {"SVG", "PNG"} <= kinds] == ["answer"]
    # A browser lets a page save ten files in one burst.
    for name in (one for one in ANSWERS if one != "ending"):
        rows = list(csv.reader(loaded(page, name, "CSV").decode().splitlines()))
        assert len(rows) > 1, name
        assert {len(row) for row in rows} == {len(rows[0])}, name
    page.reload()
    shown(page, "ending")
    for kind, beginning in BEGINNINGS.items():
        assert loaded(page, "ending", kind).startswith(beginning), kind


def test_a_distribution_is_drawn_as_one_chooses_without_loading_the_page_again(person, job):
    page = person.page
    page.goto(f"/jobs/{job}?show=export_gain")
    shown(page, "distribution")
    page.evaluate("window.loadedOnce = true")
    figure = page.locator("#distribution figure [role=img]")
    assert page.locator("#distribution svg .mark-line").count() == 0
    page.locator("#distribution").get_by_label("Drawn as").select_option("cumulative")
    expect(page).to_have_url(re.compile("form=cumulative"))
    expect(figure).to_have_attribute("aria-label", re.compile("^Cumulative"))
    shown(page, "distribution")
    assert page.locator("#distribution svg .mark-line").count() > 0
    page.locator("#distribution").get_by_role("combobox", name="Trials").select_option("outcome")
    expect(figure).to_have_attribute("aria-label", re.compile("^Cumulative.*outcome$"))
    page.go_back()
    page.go_back()
    expect(figure).to_have_attribute("aria-label", re.compile("^Distribution"))
    assert page.evaluate("window.loadedOnce")


def test_a_range_brushed_on_a_chart_is_learned(person, job):
    page = person.page
    # What is learned leaves too few trials for the sections at the top.
    person.expected.append("422")
    page.goto(f"/jobs/{job}?show=export_gain")
    shown(page, "distribution")
    page.locator("#distribution figure").scroll_into_view_if_needed()
    boxes = [panel.bounding_box() for panel in page.locator("#distribution svg path.background").all()]
    box = next(found for found in boxes if found and found["width"] > 50 and found["height"] > 50)
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.1, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=5)
    page.mouse.up()
    page.locator("#distribution svg").evaluate("(svg) => { svg.id = 'before'; }")
    page.get_by_role("button", name=re.compile("^Learn that it is from")).click()
    expect(page.locator(".chips li")).to_contain_text("Sender's export gain from")
    # What was brushed is not marked any more: the chart is drawn anew.
    shown(page, "distribution")
    expect(page.locator("#distribution svg")).to_have_count(1)
    expect(page.locator("#before")).to_have_count(0)


CHARTS = """
() => [...document.querySelectorAll("#result figure .chart svg")].map((svg) => {
  const made = svg.cloneNode(true);
  made.removeAttribute("data-before");
  // Vega counts what it clips by, over all charts of a page.
  // What does not overlap may be drawn in another order.
  return made.outerHTML.replaceAll(/clip\\d+/g, "clip").split("<").sort();
})
"""


def test_a_chart_that_is_given_new_rows_is_as_one_that_is_drawn_anew(person, job):
    page = person.page
    page.goto(f"/jobs/{job}?show=export_gain")
    shown(page, *ALL)
    count = page.locator("#result figure .chart svg").count()
    page.evaluate(
        "document.querySelectorAll('#result figure .chart svg').forEach((svg) => { svg.dataset.before = ''; })"
    )
    page.evaluate(
        "history.pushState(null, '', '?show=export_gain&given=trial+%3E%3D+100');"
        "dispatchEvent(new PopStateEvent('popstate'))"
    )
    expect(page.locator("#result .busy")).not_to_have_count(0)
    shown(page, *ALL)
    kept = page.locator("#result figure .chart svg[data-before]").count()
    # Some find no such names, or other colours: they are drawn anew.
    assert count / 2 < kept <= count
    renewed = page.evaluate(CHARTS)
    page.reload()
    shown(page, *ALL)
    assert page.evaluate(CHARTS) == renewed


PAGES = (
    "/",
    "/new",
    f"/scenarios/{SCENARIO}",
    "/run",
    f"/edit?from={SCENARIO}",
    f"/compare?a=JOB&b={SCENARIO}",
    "/rates",
    "/backtests",
    "/keys",
    "/sign-in",
    "/help",
    "/jobs/JOB",
)


def ready(page: Page, path: str, job: str) -> None:
    """Open a page and wait until it has its data."""
    page.goto(path.replace("JOB", job))
    if path.startswith("/jobs"):
        shown(page, *ALL)
    expect(page.get_by_text("Loading …")).to_have_count(0)
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(browser, url, job, scheme):
    with watched(browser, url, color_scheme=scheme, reduced_motion="reduce") as person:
        for path in PAGES:
            ready(person.page, path, job)
            assert violations(person.page) == [], path


def test_pages_fit_a_small_screen(browser, url, job):
    with watched(browser, url, viewport={"width": 360, "height": 740}) as person:
        for path in PAGES:
            ready(person.page, path, job)
            assert overflow(person.page) <= 0, path
            # What a window of 1,280 pixels shows at 200 %.
            person.page.set_viewport_size({"width": 640, "height": 450})
            assert overflow(person.page) <= 0, path
            person.page.set_viewport_size({"width": 360, "height": 740})


def focus_with_tab(page: Page, wanted: str) -> None:
    """Press Tab until the element of that id, text or label has the focus."""
    names = "[document.activeElement.id, document.activeElement.textContent, document.activeElement.ariaLabel]"
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted in page.evaluate(names):
            return
    raise AssertionError(f"Tab does not reach {wanted}")


def test_something_is_learned_and_forgotten_with_the_keyboard_alone(person, job):
    page = person.page
    page.goto(f"/jobs/{job}")
    shown(page, *EARLY)
    focus_with_tab(page, "learn-what")
    chosen = page.get_by_label("Suppose we learn").evaluate("list => list.selectedOptions[0].text")
    focus_with_tab(page, "Learn it")
    page.keyboard.press("Enter")
    expect(page.locator(".chips li")).to_contain_text(f"{chosen}: happens")
    shown(page, *EARLY)
    page.keyboard.press("Shift+Tab")
    page.evaluate("document.getElementById('main').focus()")
    focus_with_tab(page, f"Forget: {chosen}: happens")
    page.keyboard.press("Enter")
    expect(page.locator(".chips")).to_be_hidden()


def test_a_condition_is_asked_for_once_and_those_overtaken_are_cancelled(person, job):
    page = person.page
    page.goto(f"/jobs/{job}")
    shown(page, *EARLY)
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_load_state("networkidle")
    asked = []
    page.on("request", lambda sent: "/v1/" in sent.url and asked.append((sent.url, sent.post_data or "")))
    page.evaluate(
        """() => { for (const bound of [102, 103, 104]) {
          history.pushState(null, "", `?given=agreement_week+%3C%3D+${bound}`);
          dispatchEvent(new PopStateEvent("popstate"));
        } }"""
    )
    for name in EARLY:
        page.wait_for_selector(f"#{name} .body[data-shown*='agreement_week <= 104']")
    assert len(set(asked)) == len(asked)
    drawn = [body for url, body in asked if "/charts/" in url and "given" in body]
    assert drawn
    assert [body for body in drawn if "agreement_week <= 104" not in body] == []


def test_numbers_of_an_earlier_condition_are_marked_until_they_are_computed_anew(person, job):
    page = person.page
    page.goto(f"/jobs/{job}")
    shown(page, *EARLY, "time", "files")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.evaluate(
        """() => { history.pushState(null, "", "?given=agreement_week+%3C%3D+104");
        dispatchEvent(new PopStateEvent("popstate")); }"""
    )
    body = page.locator("#time .body")
    expect(body).to_have_attribute("aria-busy", "true")
    assert body.get_attribute("data-shown") is None
    shown(page, "time")
    assert "agreement_week <= 104" in body.get_attribute("data-shown")
    expect(body).not_to_have_attribute("aria-busy", "true")


def played(service: ServiceProcess, trials: int) -> str:
    """A job of so many trials that has ended."""
    job = service.client.post("/v1/jobs", json={"scenario": SCENARIO, "trials": trials, "seed": 5}).json()["id"]
    assert service.ended(job)["state"] == "succeeded"
    return job


def come_to(page: Page, section: str, held: list[Route]) -> None:
    """Scroll to a section until its request is held back: those above it grow when they come."""
    wait_until(lambda: bool(held) or page.locator(f"#{section}").scroll_into_view_if_needed())


FIRST_LEADS = "from the first 10,000 trials; that from all of them follows."


def whole_held(page: Page, answer: str, first: str) -> list[Route]:
    """The page's requests for an answer, held back, but for those of a first answer, which have the field `first`."""
    held: list[Route] = []
    page.route(
        f"**/{answer}", lambda route: route.continue_() if first in route.request.post_data else held.append(route)
    )
    return held


def test_a_first_answer_says_from_how_many_trials_it_is_and_the_whole_one_takes_its_place(person, service):
    job, page = played(service, 21_000), person.page
    held = whole_held(page, "worth", first="trials")
    page.goto(f"/jobs/{job}#worth")
    body = page.locator("#worth .body")
    come_to(page, "worth", held)
    expect(body).to_contain_text("A first answer, from 10,000 trials: its intervals are wider.")
    assert body.get_attribute("data-shown") is None
    assert body.get_attribute("aria-busy") is None
    # The page asks for the whole one after the first answers of other sections.
    wait_until(lambda: bool(held) or page.wait_for_timeout(10))
    held[0].continue_()
    expect(body).to_contain_text("From 21,000 trials.")
    assert body.get_attribute("data-first") == body.get_attribute("data-shown")


def test_the_answer_comes_first_with_the_beliefs_that_would_change_it_from_few_trials(person, service):
    job, page = played(service, 41_000), person.page
    held = whole_held(page, "findings", first="sampled")
    body, said = page.locator("#answer .body"), page.locator("#answer .answer p")
    whole = sentences(service, job)
    page.goto(f"/jobs/{job}")
    expect(body).to_contain_text(FIRST_LEADS)
    first = said.all_text_contents()
    assert first[:-1] == whole[:-1]
    assert body.get_attribute("data-shown") is None
    # How it ends does not wait for them.
    shown(page, "ending")
    wait_until(lambda: bool(held) or page.wait_for_timeout(10))
    person.expected.append("503")
    held.pop().fulfill(status=503, json={"detail": "the service is too busy"})
    # What is said stays where the rest is refused.
    expect(body.locator(".fault")).to_have_text("the service is too busy")
    assert said.all_text_contents() == first
    page.reload()
    wait_until(lambda: bool(held) or page.wait_for_timeout(10))
    held.pop().continue_()
    shown(page, "answer")
    assert said.all_text_contents() == whole
    expect(body).not_to_contain_text(FIRST_LEADS)


def test_learning_all_parameters_together_is_valued_where_it_is_asked_for(person, service):
    job, page = played(service, 2_000), person.page
    page.goto(f"/jobs/{job}#worth")
    body = page.locator("#worth .body")
    shown(page, "worth")
    expect(body).not_to_contain_text("Learning all of these:")
    body.get_by_label("Learning all of them together too").check()
    expect(body).to_contain_text("Learning all of these:")
    assert "together=1" in page.url
    page.go_back()
    expect(body).not_to_contain_text("Learning all of these:")
    expect(body.get_by_label("Learning all of them together too")).not_to_be_checked()


def test_a_first_answer_that_is_refused_is_followed_by_that_of_all_trials(person, service):
    """None of the first 10,000 trials has the outcome; the others do."""
    job, page = played(service, 21_000), person.page
    person.expected.append("422")
    page.goto(f"/jobs/{job}?outcome=trial+%3E%3D+12000#discover")
    shown(page, "discover")
    expect(page.locator("#discover .body")).to_contain_text("From 21,000 trials.")
    assert page.locator("#discover .fault").count() == 0


def test_a_first_answer_without_enough_weighted_trials_is_followed_by_that_of_all_trials(person, service):
    """Under the belief the effective number of 10,000 trials is too small, that of all is not."""
    job, page = played(service, 41_000), person.page
    person.expected.append("422")
    page.goto(f"/jobs/{job}?believe=trial+%3E+9990+%3D+0.5")
    shown(page, "answer")
    assert page.locator("#answer .answer p").count() > 3
    assert page.locator("#answer .fault").count() == 0


def test_where_few_trials_agree_a_first_answer_is_the_whole_one(person, service):
    job, page = played(service, 41_000), person.page
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.post_data or "") if one.url.endswith("/findings") else None)
    page.goto(f"/jobs/{job}?given=trial+%3C+1600")
    shown(page, "answer")
    assert re.search("From 1,600 trials of each strategy", page.locator("#answer .body").text_content() or "")
    expect(page.locator("#answer .body")).not_to_contain_text(FIRST_LEADS)
    assert len(asked) == 1


def test_the_comparison_comes_first_with_who_leads_where_from_few_trials(person, service):
    job, page = played(service, 41_000), person.page
    held = whole_held(page, "compare", first="sampled")
    page.goto(f"/jobs/{job}#compare")
    body = page.locator("#compare .body")
    come_to(page, "compare", held)
    expect(body).to_contain_text(FIRST_LEADS)
    expect(body.locator("figure")).to_have_count(2)
    assert body.get_attribute("data-shown") is None
    wait_until(lambda: bool(held) or page.wait_for_timeout(10))
    held.pop().continue_()
    shown(page, "compare")
    expect(body).not_to_contain_text(FIRST_LEADS)
    expect(body.locator("figure")).to_have_count(2)


def test_without_the_service_a_page_says_so_and_recovers(person, job):
    page = person.page
    page.goto(f"/jobs/{job}")
    shown(page, *EARLY)
    before = page.locator("#answer .answer").text_content()
    person.expected.append("ERR_INTERNET_DISCONNECTED")
    person.context.set_offline(True)
    page.get_by_role("button", name="Learn it").first.click()
    expect(page.locator("#answer .fault")).to_contain_text("the service does not answer")
    person.context.set_offline(False)
    page.go_back()
    expect(page.locator("#answer .answer")).to_have_text(before)


TYPED = {"de-DE": "2.000", "fr-FR": "2\u202f000", "ja-JP": "\uff12\uff10\uff10\uff10"}


def test_numbers_are_typed_as_in_other_countries(browser, url, service):
    strategies = len(service.client.get(f"/v1/scenarios/{SCENARIO}").json()["strategies"])
    for locale, text in TYPED.items():
        with watched(browser, url, locale=locale) as person:
            page = person.page
            page.goto(f"/run?scenario={SCENARIO}")
            expect(page.locator("input[name=strategy]")).to_have_count(strategies)
            page.get_by_label("Trials of each strategy").fill(text)
            expect(page.locator("#cost")).to_contain_text(f"About {2000 * strategies:,} rows")
            assert page.locator(".field-fault").count() == 0, locale


def test_a_run_is_started_with_the_keyboard_alone(person):
    page = person.page
    page.goto("/run")
    expect(page.get_by_role("button", name="Start the run")).to_be_enabled()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    focused = ""
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.id || document.activeElement.textContent")
        if focused == "trials":
            page.keyboard.press("Control+A")
            page.keyboard.type("500")
        if focused == "Start the run":
            break
    assert focused == "Start the run"
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/jobs/"))
    expect(page.locator(".badge")).to_have_text("succeeded")


@pytest.mark.parametrize("path", ["/sign-in", "/run", "/new", "/keys", "/compare", "/backtests"])
def test_a_form_waits_for_its_script(person, path):
    page = person.page
    person.expected += ["400", "403", "409"]  # A service without keys has none to list.
    held: list[Route] = []
    hold = True
    page.route("**/static/*/*.js", lambda route: held.append(route) if hold else route.continue_())
    page.goto(path, wait_until="commit")
    button = page.locator("button[type=submit]")
    expect(button).to_be_disabled()
    for typed in page.locator("input[autocomplete]:visible").all():
        typed.fill("brink_secret")
        typed.press("Enter")
    assert page.url.endswith(path)
    hold = False
    for script in held:
        script.continue_()
    expect(button).to_be_enabled()


HOSTILE = {
    "markup": "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>",
    "templates": "${7*7} {{7*7}} &lt;b&gt; </title>",
    "right-to-left": "\u05d0\u05d1\u05d2 \u0627\u0628\u062a 1995",
    "one-long-word": "x" * 300,
}


@pytest.mark.parametrize("title", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_shown_as_it_is(person, service, title):
    document = scenario_document(small_plan().scenario)
    document |= {"name": "hostile", "title": title, "sender": title, "target": title, "sources": {"target_win": title}}
    document["issues"] = {name: issue | {"title": title} for name, issue in document["issues"].items()}
    assert service.client.put("/v1/scenarios/hostile", json=document).status_code == 200
    job = service.client.post("/v1/jobs", json={"scenario": document, "trials": 300, "seed": 1}).json()["id"]
    assert service.ended(job)["state"] == "succeeded"
    # So few trials are too few for some answers.
    person.expected.append("422")
    page = person.page
    for path in (f"/jobs/{job}", "/scenarios/hostile", "/edit?from=hostile", f"/compare?a={job}&b=hostile", "/"):
        page.goto(path)
        if path.startswith("/jobs"):
            shown(page, *EARLY, "stories")
        expect(page.get_by_text(title).first).to_be_attached()
        expect(page).to_have_title(re.compile("Brink"))
        assert page.locator("main img, main script").count() == 0, path
        assert overflow(page) <= 0, path
    assert service.client.delete("/v1/scenarios/hostile").status_code == 204


@pytest.mark.parametrize("title", ["\u202edesrever", "long " * 2000], ids=["reversed", "10,000 characters"])
def test_a_title_that_is_refused_gets_its_message_at_the_field(person, title):
    page = person.page
    page.goto(f"/edit?from={SCENARIO}")
    expect(page.locator("#valid")).to_contain_text("Valid")
    page.get_by_label("Title").first.fill(title)
    expect(page.locator(".field-fault")).to_contain_text("title")
    expect(page.get_by_label("Title").first).to_have_attribute("aria-invalid", "true")


def test_progress_continues_after_a_restart_of_the_web_process(browser, tmp_path):
    service = ServiceProcess(tmp_path / "data", "--no-runner", BRINK_ENGINE="inline")
    try:
        job = service.submit()["id"]
        with watched(browser, str(service.client.base_url).rstrip("/")) as person:
            person.expected += [
                "ERR_CONNECTION_REFUSED",
                "ERR_INCOMPLETE_CHUNKED_ENCODING",
                "ERR_CONNECTION_RESET",
                "ERR_EMPTY",
            ]
            page = person.page
            page.goto(f"/jobs/{job}")
            expect(page.locator("#state .badge")).to_have_text("queued")
            # The title comes with the last of what the page loads: from here on it follows the job.
            expect(page.locator("h1")).to_have_text(JOB["scenario"]["title"])
            service.kill()
            service.options = ()
            service.start()
            expect(page.locator("#state .badge")).to_have_text("succeeded")
            shown(page, "answer")
    finally:
        service.stop()


def test_a_page_that_is_opened_during_a_restart_loads_once_the_service_is_back(browser, tmp_path):
    service = ServiceProcess(tmp_path / "data", "--no-runner", BRINK_ENGINE="inline")
    try:
        job = service.submit()["id"]
        with watched(browser, str(service.client.base_url).rstrip("/")) as person:
            person.expected += ["ERR_CONNECTION", "ERR_EMPTY", "ERR_INCOMPLETE_CHUNKED_ENCODING", "503"]
            page = person.page
            killed = False

            def kill(route: Route) -> None:
                nonlocal killed
                if not killed:
                    service.kill()
                    killed = True
                route.continue_()

            page.route(f"**/v1/jobs/{job}", kill)
            # The first thing that the page gets of a service that starts may be a refusal, after which a browser does
            # not ask for events again by itself.
            refused: list[Route] = []

            def refuse(route: Route) -> None:
                refused.append(route)
                if len(refused) < 3:
                    route.fulfill(status=503, headers={"Retry-After": "1"}, json={"detail": "starting"})
                else:
                    route.continue_()

            page.route("**/v1/jobs/*/events", refuse)
            page.goto(f"/jobs/{job}")
            expect(page.locator("#fault")).to_contain_text("tries again by itself")
            service.start()
            expect(page.locator("h1")).to_have_text(JOB["scenario"]["title"])
            expect(page.locator("#fault")).to_be_empty()
            # Without a runner the job cannot end before the events are asked for again. Routes run within page.title().
            wait_until(lambda: page.title() and len(refused) >= 3)
            service.kill()
            service.options = ()
            service.start()
            expect(page.locator("#state .badge")).to_have_text("succeeded")
    finally:
        service.stop()


def test_an_own_dispute_from_nothing_to_a_report(person, service):
    page = person.page
    person.expected.append("422")
    page.goto("/")
    page.get_by_role("link", name="Write a scenario of your own").click()
    page.get_by_label("A short name").fill("fish")
    page.get_by_label("What is the dispute about").fill("Fish and chips")
    page.get_by_label("Who makes the demands").fill("Norway")
    page.get_by_label("Of whom").fill("Iceland")
    page.get_by_label("Demand 1").fill("Cod")
    page.get_by_label("Weight").first.fill("3")
    page.get_by_role("button", name="Another demand").click()
    page.get_by_label("Demand 2").fill("Haddock")
    page.get_by_label("Are sanctions threatened").select_option("none")
    expect(page.get_by_label("Would the target retaliate")).to_be_hidden()
    page.get_by_label("Are sanctions threatened").select_option("announced")
    gain = page.get_by_label("Extra exports")
    weight = page.get_by_label("Weight").first
    weight.fill("0,75")
    page.get_by_role("button", name="Make the scenario").click()
    expect(page.locator("[data-question=issues] .field-fault")).to_contain_text("write 0.75 with a point")
    weight.fill("3")
    gain.fill("2,5")
    page.get_by_role("button", name="Make the scenario").click()
    expect(page.locator("[data-question=gain] .field-fault")).to_contain_text("write 2.5 with a point")
    expect(gain).to_be_focused()
    gain.fill("2.5")
    page.get_by_role("button", name="Make the scenario").click()
    expect(page.locator("#made")).to_contain_text("Norway makes demands of Iceland on 2 issues")
    expect(page.locator("#made")).to_contain_text("“Cod” (weight 0.75)")
    expect(page.locator("#implied")).to_contain_text(re.compile("Under threaten: an agreement in [0-9.]+ %"))
    expect(page.locator("#implied")).to_contain_text(re.compile("Under talk: .* announced in none and imposed in none"))
    assert violations(page) == []
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the commented file").click()
    with open(saved.value.path(), encoding="utf-8") as file:
        assert "# What you were asked" in file.read()
    page.get_by_role("button", name="Keep it and look at every range").click()
    expect(page).to_have_url(re.compile("/edit[?]from=fish$"))
    expect(page.locator("#valid")).to_contain_text("Valid")
    page.get_by_role("button", name="Keep it and run it").click()
    page.get_by_label("Trials of each strategy").fill("2000")
    page.get_by_role("button", name="Start the run").click()
    expect(page.locator("#state .badge")).to_have_text("succeeded")
    shown(page, *EARLY, "files")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Report to hand on").click()
    with open(saved.value.path(), encoding="utf-8") as file:
        assert "Fish and chips" in file.read()
    page.goto("/new")
    page.get_by_label("A short name").fill("fish")
    page.get_by_role("button", name="Make the scenario").click()
    expect(page.locator("[data-question=name] .field-fault")).to_contain_text("already")
    assert service.client.delete("/v1/scenarios/fish").status_code == 204


def test_a_scenario_of_the_user_from_a_copy_to_a_run(person, service):
    page = person.page
    page.goto(f"/scenarios/{SCENARIO}")
    page.get_by_role("link", name="Copy and change it").click()
    expect(page.locator("#valid")).to_contain_text("Valid")
    page.get_by_label("Title").first.fill("My own dispute")
    field = page.get_by_label("follow_through: high", exact=True)
    field.fill("1.5")
    expect(page.locator(".field-fault")).to_contain_text("follow_through")
    expect(page.get_by_label("follow_through: low", exact=True)).to_have_attribute("aria-invalid", "true")
    field.fill("0.97")
    expect(page.locator("#valid")).to_contain_text("Valid")
    page.get_by_role("button", name="Keep it and run it").click()
    expect(page).to_have_url(re.compile(f"/run[?]scenario={SCENARIO}-2$"))
    page.get_by_label("Trials of each strategy").fill("500")
    page.get_by_role("button", name="Start the run").click()
    expect(page).to_have_url(re.compile("/jobs/"))
    expect(page.locator("h1")).to_have_text("My own dispute")
    kept = service.client.get(f"/v1/scenarios/{SCENARIO}-2").json()
    assert kept["parameters"]["follow_through"]["pert"][-1] == 0.97
    assert service.client.delete(f"/v1/scenarios/{SCENARIO}-2").status_code == 204


def test_a_scenario_that_is_kept_is_not_replaced_without_a_question(person, service):
    page = person.page
    person.expected.append("412")
    document = scenario_document(small_plan().scenario)
    for name in ("kept-one", "kept-two"):
        assert service.client.put(f"/v1/scenarios/{name}", json=document | {"name": name}).status_code == 200
    page.goto("/edit?from=kept-one")
    expect(page.locator("#valid")).to_contain_text("Valid")
    keep, title = page.get_by_role("button", name="Keep it", exact=True), page.get_by_label("Title").first
    title.fill("Changed here")
    keep.click()
    expect(page.locator("#kept")).to_contain_text("Kept.")
    title.fill("Changed here again")
    page.get_by_label("Name (letters, digits, hyphens)").fill("kept-two")
    keep.click()
    expect(page.locator("#kept")).to_contain_text("You keep another scenario named “kept-two”. Nothing was kept.")
    assert service.client.get("/v1/scenarios/kept-two").json()["title"] == document["title"]
    page.get_by_label("Name (letters, digits, hyphens)").fill("kept-one")
    changed = document | {"name": "kept-one", "title": "Changed elsewhere"}
    assert service.client.put("/v1/scenarios/kept-one", json=changed).status_code == 200
    keep.click()
    expect(page.locator("#kept")).to_contain_text("has been changed or deleted since you opened it")
    assert service.client.get("/v1/scenarios/kept-one").json()["title"] == "Changed elsewhere"
    page.get_by_role("button", name="Replace it").click()
    expect(page.locator("#kept")).to_contain_text("Kept.")
    assert service.client.get("/v1/scenarios/kept-one").json()["title"] == "Changed here again"
    keep.click()
    expect(page.locator("#kept")).to_contain_text("Kept.")
    for name in ("kept-one", "kept-two"):
        assert service.client.delete(f"/v1/scenarios/{name}").status_code == 204


def test_a_browser_asks_before_one_leaves_a_scenario_with_changes(person):
    page = person.page
    page.goto(f"/edit?from={SCENARIO}")
    expect(page.locator("#valid")).to_contain_text("Valid")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.reload()
    expect(page.locator("#valid")).to_contain_text("Valid")
    assert asked == []
    page.get_by_label("Title").first.fill("Not kept yet")
    page.reload()
    expect(page.get_by_label("Title").first).to_have_value(TITLE)
    assert asked == ["beforeunload"]


def test_a_range_is_dragged_moved_by_keys_and_compared_with_what_it_was(person):
    page = person.page
    page.goto(f"/edit?from={SCENARIO}")
    expect(page.locator("#valid")).to_contain_text("Valid")
    field = page.get_by_label("follow_through: high", exact=True)
    before = float(field.input_value())
    knob = page.get_by_role("slider", name="follow_through: high")
    knob.focus()
    page.keyboard.press("ArrowLeft")
    expect(field).not_to_have_value(f"{before:g}")
    assert float(field.input_value()) < before
    moved = float(field.input_value())
    box = page.get_by_role("slider", name="follow_through: high").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] - 10, box["y"], steps=3)
    page.mouse.up()
    assert float(field.input_value()) < moved
    expect(page.locator("#valid")).to_contain_text("Valid")
    low = page.get_by_label("follow_through: low", exact=True)
    kept = low.input_value()
    low.fill("0,4")
    expect(page.locator(".field-fault")).to_contain_text("write 0.4 with a point")
    low.fill(kept)
    expect(page.locator(".field-fault")).to_have_count(0)
    page.get_by_role("button", name=f"Compare with {TITLE}").click()
    rows = page.get_by_role("region", name="Fields that differ").locator("tbody th")
    expect(rows).to_contain_text(["name", "follow_through"])


def test_issues_are_added_and_removed_and_what_a_strategy_sets_is_moved_on_its_density(person, service):
    page = person.page
    scenario = service.client.get(f"/v1/scenarios/{SCENARIO}").json()
    (key, issue), *_ = scenario["issues"].items()
    strategy = next(iter(scenario["strategies"]))
    page.goto(f"/edit?from={SCENARIO}")
    expect(page.locator("#valid")).to_contain_text("Valid")
    page.get_by_label("A new issue").fill("Éclairs & cream")
    page.get_by_role("button", name="Add an issue").click()
    expect(page.get_by_label("eclairs-cream gap: mode", exact=True)).to_have_value("0.8")
    expect(page.locator("#valid")).to_contain_text("weights sum to")
    page.get_by_role("slider", name="eclairs-cream gap: low").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("eclairs-cream gap: low", exact=True)).not_to_have_value("0.5")
    # The density is drawn anew when the validator has answered, and the handle keeps the focus.
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("slider", name="eclairs-cream gap: low")).to_be_focused()
    page.get_by_label(f"{strategy}: parameter to set").select_option(f"issues.{key}.gap")
    page.get_by_role("group", name=strategy, exact=True).get_by_role("button", name="Set it here").click()
    name = f"{strategy}: issues.{key}.gap"
    page.get_by_label(f"{name}: kind of distribution").select_option("uniform")
    expect(page.get_by_role("slider", name=f"{name}: high")).to_be_visible()
    page.get_by_role("button", name=f"Remove the issue {issue['title']}").click()
    expect(page.get_by_label(f"{name}: kind of distribution")).to_have_count(0)
    expect(page.locator("#valid")).to_contain_text("Valid")
    page.get_by_role("button", name="Keep it", exact=True).click()
    expect(page.locator("#kept")).to_contain_text("Kept")
    kept = service.client.get(f"/v1/scenarios/{SCENARIO}-2").json()
    assert set(kept["issues"]) == {*scenario["issues"], "eclairs-cream"} - {key}
    assert kept["issues"]["eclairs-cream"]["title"] == "Éclairs & cream"
    assert kept["issues"]["eclairs-cream"]["gap"]["pert"][0] > 0.5
    assert sum(one["weight"] for one in kept["issues"].values()) == pytest.approx(1.0)
    assert service.client.delete(f"/v1/scenarios/{SCENARIO}-2").status_code == 204


def test_a_scenario_is_changed_as_text(person):
    page = person.page
    page.goto(f"/edit?from={SCENARIO}")
    page.get_by_text("The same as text").click()
    page.get_by_role("button", name="Show as YAML").click()
    area = page.get_by_label("The scenario as text")
    expect(area).to_have_value(re.compile("horizon_weeks: "))
    area.fill(area.input_value().replace("horizon_weeks: ", "horizon_weeks: -"))
    page.get_by_role("button", name="Use this text").click()
    expect(page.locator("#edit [role=alert]")).to_contain_text(re.compile("line [0-9]+: .*horizon_weeks"))


def test_past_disputes_are_played_and_scored(person, service, browser, url):
    page = person.page
    page.goto("/rates")
    page.get_by_role("link", name="How forecasts of past disputes").click()
    page.get_by_label("Trials of each case").fill("300")
    page.get_by_role("button", name="Play them and compare").click()
    expect(page).to_have_url(re.compile("[?]job="))
    expect(page.locator("#scores figure svg")).to_have_count(1)
    found = service.client.get(f"/v1/backtest?{page.url.partition('?')[2]}").json()
    expect(page.locator("#scores .answer")).to_have_text(found["conclusion"]["text"])
    cases = [one for one in service.client.get("/v1/scenarios").json() if one["strategy_used"]]
    assert {one["scenario"]: one["strategy"] for one in found["scenarios"]} == {
        one["name"]: one["strategy_used"] for one in cases
    }
    assert violations(page) == []
    assert loaded(page, "scores", "CSV").count(b"\n") == len(cases)
    with watched(browser, url, viewport={"width": 360, "height": 740}) as other:
        other.page.goto(page.url)
        expect(other.page.locator("#scores .answer")).to_have_text(found["conclusion"]["text"])
        assert overflow(other.page) <= 0


def test_a_run_says_what_it_will_take_and_stops_at_the_precision_of_any_estimate(person, service):
    page = person.page
    page.goto(f"/run?scenario={SCENARIO}&trials=50000")
    expect(page.locator("#cost")).to_have_text(re.compile("rows and .* on disk; .* start to end"))
    page.get_by_text("More: what is kept").click()
    page.get_by_label("Estimate").select_option("export_gain")
    field = page.get_by_label("at most ±, bn USD")
    field.fill("0,5")
    trials = page.get_by_label("Trials of each strategy")
    trials.fill("many")
    page.get_by_role("button", name="Start the run").click()
    expect(page.locator("#precision .field-fault")).to_contain_text("write 0.5 with a point")
    expect(page.locator("#trials-fault")).to_contain_text("not a whole number")
    trials.fill("50000")
    expect(page.locator("#trials-fault")).to_have_count(0)
    field.fill("1.5")
    page.get_by_role("button", name="Another estimate").click()
    page.get_by_label("Estimate").nth(1).select_option("sanctions")
    page.get_by_label("at most ±, percentage points").fill("4")
    expect(page.locator("#cost")).to_have_text(re.compile("^At most"))
    page.get_by_role("button", name="Start the run").click()
    expect(page).to_have_url(re.compile("/jobs/"))
    expect(page.locator("#state .badge")).to_have_text("succeeded")
    asked = service.job(page.url.rpartition("/")[2])["precision"]["requested"]
    assert {name: one["half_width"] for name, one in asked.items()} == {"export_gain": 1.5, "sanctions": 0.04}


def test_counts_alone_are_kept_of_a_run_if_that_is_chosen(person, service):
    page = person.page
    person.expected.append("422")
    page.goto(f"/run?scenario={SCENARIO}")
    page.get_by_text("More: what is kept").click()
    page.get_by_label("What is kept").select_option("summary")
    page.get_by_label("Design").select_option("latin_hypercube")
    page.get_by_label("Trials of each strategy").fill("150000")
    page.get_by_role("button", name="Start the run").click()
    expect(page.locator("#keep-fault")).to_contain_text("latin_hypercube")
    page.get_by_label("Design").select_option("random")
    expect(page.locator("#cost")).to_contain_text("are kept as rows")
    page.get_by_label("Trials of each strategy").fill("500")
    page.get_by_role("button", name="Start the run").click()
    expect(page).to_have_url(re.compile("/jobs/"))
    sent = page.url.rpartition("/")[2]
    assert service.client.get(f"/v1/jobs/{sent}").json()["keep"] == "summary"
    page.goto(f"/run?from={sent}")
    expect(page.get_by_label("What is kept")).to_have_value("summary")


def test_pages_that_one_comes_back_to_show_what_has_changed(person, service):
    """A browser may show a page as one had left it, with all its data, and says so by an event."""
    new, start = person.page, person.open()
    new.goto("/new")
    new.get_by_label("A short name for it").fill("seen-again")
    start.goto("/")
    expect(start.locator("#scenarios")).to_contain_text(TITLE)
    document = scenario_document(small_plan().scenario) | {"name": "seen-again", "title": "Kept meanwhile"}
    assert service.client.put("/v1/scenarios/seen-again", json=document).status_code == 200
    new.get_by_role("button", name="Make the scenario").click()
    expect(new.locator(".field-fault")).to_contain_text("there is a scenario “seen-again” already")
    start.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(start.locator("#scenarios")).to_contain_text("Kept meanwhile")
    assert service.client.delete("/v1/scenarios/seen-again").status_code == 204


def test_what_if_we_set_it_plays_the_trials_anew(person, service, job):
    page = person.page
    page.goto(f"/jobs/{job}")
    shown(page, *EARLY)
    page.get_by_text("What if we set it?").click()
    shown(page, "set")
    page.locator("#set select").select_option("target_win")
    page.locator("#set input").fill("0.95")
    page.get_by_role("button", name="Play the trials anew").click()
    expect(page).to_have_url(re.compile(f"base={job}$"))
    expect(page.locator("#state .badge")).to_have_text("succeeded")
    shown(page, *EARLY)
    expect(page.locator("#state")).to_contain_text("Set under every strategy: target_win = 0.95")
    shown(page, "set")
    expect(page.locator("#set")).to_contain_text("target_win = 0.95")
    page.get_by_role("link", name="Compare with the run without it").click()
    expect(page.locator("#compared table").first).to_contain_text("set.target_win")
    expect(page.locator("#compared")).to_contain_text("Compared trial by trial")
    expect(page.locator("#compared svg")).to_have_count(2)
    expect(page.locator("#compared details").first).to_contain_text(re.compile("[0-9]+[.][0-9]+ percentage points"))
    found = service.client.get(f"/v1/jobs/{job}/diff", params={"with": page.url.rpartition("b=")[2]}).json()
    rows = page.locator("#compared details").first.locator("tbody tr")
    first = found["strategies"][0]
    assert rows.count() == sum(len(first[part]) for part in ("events", "outcome", "measures"))
    anew = service.client.get(f"/v1/jobs/{page.url.rpartition('b=')[2]}").json()
    assert (anew["trials"], anew["seed"]) == (TRIALS, 5)


def test_a_report_is_one_click_away(person, job):
    page = person.page
    page.goto(f"/jobs/{job}")
    shown(page, *EARLY)
    shown(page, "files")
    with page.expect_download() as loaded:
        page.get_by_role("link", name="Report to hand on").click()
    with open(loaded.value.path(), encoding="utf-8") as file:
        text = file.read()
    assert "The answer" in text
    assert TITLE in text
    for button, ending, start in (("Report as PDF", ".pdf", b"%PDF-"), ("Excel", ".xlsx", b"PK")):
        with page.expect_download() as loaded:
            page.get_by_role("button", name=button).click()
        assert loaded.value.suggested_filename == SCENARIO + ending
        with open(loaded.value.path(), "rb") as saved:
            assert saved.read(8).startswith(start)


@pytest.fixture
def guarded(tmp_path) -> Iterator[ServiceProcess]:
    """A service that asks for keys."""
    found = ServiceProcess(tmp_path / "data", BRINK_ENGINE="inline", BRINK_AUTH="keys")
    yield found
    found.stop()


def test_two_people_sign_in_and_see_their_own_runs(browser, guarded):
    url = str(guarded.client.base_url).rstrip("/")
    database = open_database(f"sqlite:///{guarded.folder / 'jobs.sqlite'}")
    ann, bob = (keys.create(database, owner, ["submit", "read"]) for owner in ("ann", "bob"))
    database.dispose()
    with watched(browser, url) as one, watched(browser, url) as other:
        for person in (one, other):
            person.expected.append("401")
        one.page.goto(f"/run?scenario={SCENARIO}&trials=500")
        expect(one.page).to_have_url(re.compile("/sign-in[?]next="))
        assert violations(one.page) == []
        one.page.get_by_label("Key").fill("brink_0_0")
        one.page.get_by_role("button", name="Sign in").click()
        expect(one.page.get_by_role("alert")).to_contain_text("unknown, revoked or expired")
        one.page.get_by_label("Key").fill(ann[1])
        one.page.get_by_role("button", name="Sign in").click()
        # Back at the place where one wanted to go.
        expect(one.page).to_have_url(re.compile(f"/run[?]scenario={SCENARIO}"))
        expect(one.page.locator("#account")).to_contain_text("ann")
        one.page.get_by_role("button", name="Start the run").click()
        expect(one.page).to_have_url(re.compile("/jobs/"))
        expect(one.page.locator("#state .badge")).to_have_text("succeeded")
        assert one.page.evaluate("document.cookie") == ""
        cookie = one.context.cookies()[0]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")

        other.page.goto("/")
        expect(other.page).to_have_url(re.compile("/sign-in"))
        other.page.get_by_label("Key").fill(bob[1])
        other.page.get_by_role("button", name="Sign in").click()
        expect(other.page.locator("#runs")).to_contain_text("No runs yet")
        other.expected += ["404", "403"]
        other.page.goto(one.page.url)
        expect(other.page.get_by_role("alert")).to_contain_text("there is no job")
        other.page.goto("/keys")
        expect(other.page.get_by_role("alert")).to_contain_text("lacks the scope")

        # The session ends by time: the page asks to sign in again, and comes back.
        one.page.goto(f"/scenarios/{SCENARIO}")
        expect(one.page.locator("h1")).to_have_text(TITLE)
        database = open_database(f"sqlite:///{guarded.folder / 'jobs.sqlite'}")
        with database.begin() as connection:
            connection.execute(sessions.update().values(expires_at=0.0))
        one.page.reload()
        expect(one.page).to_have_url(re.compile("/sign-in[?]next="))
        one.page.get_by_label("Key").fill(ann[1])
        one.page.get_by_role("button", name="Sign in").click()
        expect(one.page).to_have_url(re.compile(f"/scenarios/{SCENARIO}$"))
        expect(one.page.locator("h1")).to_have_text(TITLE)
        other.page.goto("/")
        other.page.get_by_label("Key").fill(bob[1])
        other.page.get_by_role("button", name="Sign in").click()
        expect(other.page.locator("#runs")).to_contain_text("No runs yet")

        # The key is revoked: the session ends with it, at the next request.
        keys.revoke(database, ann[0].id)
        database.dispose()
        one.page.goto("/")
        expect(one.page).to_have_url(re.compile("/sign-in"))
        other.page.goto("/")
        other.page.get_by_role("button", name="Sign out").click()
        expect(other.page).to_have_url(re.compile("/sign-in$"))
        assert other.context.cookies() == []


def test_an_unknown_scenario_gets_a_clear_word(person):
    person.page.goto("/run?scenario=nope")
    expect(person.page.get_by_role("alert")).to_contain_text("there is no scenario “nope”")
    expect(person.page.get_by_role("button", name="Start the run")).to_be_enabled()


def test_a_scenario_is_compared_by_its_inputs_alone(person, job):
    person.page.goto(f"/compare?a={job}&b={SCENARIO}")
    expect(person.page.locator("#compared")).to_contain_text("a scenario has no answers until it is run")
    person.page.get_by_role("link", name=f"Run {SCENARIO}").click()
    expect(person.page).to_have_url(re.compile(f"/run[?]scenario={SCENARIO}$"))


def test_an_unknown_run_gets_a_clear_word(person, url):
    person.expected.append("404")
    person.page.goto("/jobs/" + "0" * 32)
    expect(person.page.get_by_role("alert")).to_contain_text("there is no job")
    assert httpx.get(f"{url}/jobs/{'0' * 32}").status_code == 200
