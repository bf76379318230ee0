"""The pages as they are served: without data, without a key, and under a strict Content-Security-Policy."""

import gzip
import re
from collections.abc import Iterator

import pytest

from api.web import assets
from api.web.pages import CONTENT_SECURITY_POLICY, PAGES, is_page
from tests.support.requests import UNKNOWN_JOB
from tests.support.served import Served, served

PATHS = [path.format(id=UNKNOWN_JOB, name="us-japan-autos-1995") for path in PAGES]
MODULES = sorted(name for name in assets._files() if name.endswith(".js"))


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), auth="keys") as found:
        yield found


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_html_under_a_strict_policy_and_needs_no_key(service, path):
    answer = service.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert service.client.head(path).status_code == 200


def test_the_policy_allows_no_inline_code_and_no_other_host():
    rules = dict(rule.split(" ", 1) for rule in CONTENT_SECURITY_POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    assert set(rules["script-src"].split()) == set(rules["style-src"].split()) == {"'self'"}
    assert not re.search(r"unsafe|https?:|\*", CONTENT_SECURITY_POLICY)


@pytest.mark.parametrize("path", PATHS)
def test_a_page_loads_only_files_of_this_service(service, path):
    text = service.client.get(path).text
    loaded = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="([^"]+)"', text)
    assert loaded
    for file in loaded:
        assert is_page(file), file
        assert service.client.get(file).status_code == 200
    assert "style=" not in text
    assert not re.search(r"<script(?![^>]*src=)", text)


@pytest.mark.parametrize("path", PATHS)
def test_a_page_says_nothing_of_what_its_address_names(service, path):
    hostile = path.replace(UNKNOWN_JOB, "%3Cscript%3E").replace("us-japan-autos-1995", "%3Cscript%3E")
    assert service.client.get(hostile).text == service.client.get(path).text


@pytest.mark.parametrize("name", MODULES)
def test_a_module_makes_no_markup_or_code_of_texts(name):
    text = assets._files()[name].content.decode()
    assert not re.search(
        r"\.(innerHTML|outerHTML|srcdoc)\b|insertAdjacentHTML|document\.write|\beval\(|new Function", text
    )


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_modules_that_are_there(service, name):
    text = assets._files()[name].content.decode()
    for imported in re.findall(r'(?:from|import\()\s*"\./([^"]+)"', text):
        assert imported in MODULES or imported == assets.VEGA, imported


def test_a_file_is_compressed_and_kept_by_browsers_for_good(service):
    path = assets.asset_path("brink.css")
    plain = service.client.get(path, headers={"Accept-Encoding": "identity"})
    small = service.client.get(path, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert small.content == plain.content
    assert "immutable" in plain.headers["Cache-Control"]
    refused = service.client.get(path, headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers
    # Different bytes have different strong tags (RFC 9110, 8.8.1), and a tag stands for the form that it came with.
    assert plain.headers["ETag"] == refused.headers["ETag"] != small.headers["ETag"]
    for form, found, other in (("identity", plain, small), ("gzip", small, plain)):
        for tag, status in (
            (found.headers["ETag"], 304),
            (f"W/{found.headers['ETag']}", 304),
            (other.headers["ETag"], 200),
        ):
            again = service.client.get(path, headers={"Accept-Encoding": form, "If-None-Match": tag})
            assert again.status_code == status
            assert again.content == (b"" if status == 304 else plain.content)
    # The page came from a web process of another release: its files are these, until the page is loaded again.
    other = service.client.get("/static/0123456789abcdef/brink.css")
    assert (other.content, other.headers["Cache-Control"]) == (plain.content, "no-cache")


def test_the_address_of_the_files_changes_with_any_of_them(monkeypatch):
    before = assets.release()
    files = dict(assets._files())
    files["help.js"] = assets._asset(b"// changed", "text/javascript")
    monkeypatch.setattr(assets, "_files", lambda: files)
    assert assets.release.__wrapped__() != before


@pytest.mark.parametrize("path", PATHS)
def test_a_page_names_every_module_that_it_loads_at_once(service, path):
    text = service.client.get(path).text
    (module,) = re.findall(r'<script type="module" src="[^"]+/([^/"]+)"', text)
    named = {module, *re.findall(r'<link rel="modulepreload" href="[^"]+/([^/"]+)"', text)}
    imported = {
        other
        for name in named - {assets.VEGA}
        for other in re.findall(r'from "\./([^"]+)"', assets._files()[name].content.decode())
    }
    assert imported <= named
    assert named - {assets.VEGA} == imported | {module}


@pytest.mark.parametrize("name", ["nothing.js", "..%2F..%2Fpages.py", "pages.py"])
def test_no_other_file_is_served(service, name):
    assert service.client.get(assets.asset_path(name)).status_code in (401, 404)
    assert service.client.get(f"/static/{name}").status_code == 401


@pytest.mark.parametrize("path", ["/nothing", "/jobs", "/jobs/a/b", "/scenarios/a/b"])
def test_a_browser_gets_a_page_for_an_unknown_address(service, path):
    found = service.client.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (found.status_code, found.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert found.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert "There is no such page" in found.text
    assert "<script" not in found.text
    for method, accept in (("POST", "text/html"), ("GET", "application/json")):
        refused = service.client.request(method, path, headers={"Accept": accept})
        assert refused.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/jobs", "/metrics", "/v1"])
def test_the_interface_answers_a_browser_as_any_client(service, path):
    refused = service.client.get(path, headers={"Accept": "text/html"})
    assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")


def test_vegas_bundle_comes_from_vl_convert(service):
    answer = service.client.get(assets.asset_path(assets.VEGA))
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "globalThis.vegaEmbed=" in answer.text
    assert len(gzip.compress(answer.content)) < 400_000


@pytest.mark.parametrize("path", ["/nothing", "/jobs", "/jobs/a/b", "/v1/jobs", "/scenarios", "/metrics"])
def test_other_paths_need_a_key(service, path):
    assert not is_page(path)
    assert service.client.get(path).status_code == 401
