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


def test_a_file_is_compressed_and_sent_again_only_if_it_changed(service):
    plain = service.client.get("/static/brink.css", headers={"Accept-Encoding": "identity"})
    small = service.client.get("/static/brink.css", headers={"Accept-Encoding": "gzip"})
    assert small.headers["Content-Encoding"] == "gzip"
    assert small.content == plain.content
    same = service.client.get("/static/brink.css", headers={"If-None-Match": plain.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")


@pytest.mark.parametrize("name", ["nothing.js", "..%2F..%2Fpages.py", "pages.py"])
def test_no_other_file_is_served(service, name):
    assert service.client.get(f"/static/{name}").status_code in (401, 404)


def test_vegas_bundle_comes_from_vl_convert(service):
    answer = service.client.get("/static/vega.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "globalThis.vegaEmbed=" in answer.text
    assert len(gzip.compress(answer.content)) < 400_000


@pytest.mark.parametrize("path", ["/nothing", "/jobs", "/jobs/a/b", "/v1/jobs", "/scenarios", "/metrics"])
def test_other_paths_need_a_key(service, path):
    assert not is_page(path)
    assert service.client.get(path).status_code == 401
