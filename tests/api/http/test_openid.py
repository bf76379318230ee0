"""Signing in with an account of an OpenID Connect provider, which is a real process that speaks the protocol."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.authentication import COOKIE
from api.http.openid import Refused, begin_flow, flow_of
from cluster.service.audit import recorded
from cluster.service.sessions import end_sessions_of
from cluster.service.settings import Settings
from sim.faults import InvalidInput
from tests.support.openid_provider import OpenIdProvider, openid_provider
from tests.support.requests import SMALL_JOB
from tests.support.served import Served, served
from tests.support.waiting import wait_until

ORIGIN = {"Origin": "http://localhost"}
FLOW = "brink_sign_in"
ANN = {"preferred_username": "ann", "groups": ["analysts", "choir"]}


@pytest.fixture(scope="module")
def running() -> Iterator[OpenIdProvider]:
    with openid_provider() as found:
        yield found


@pytest.fixture
def provider(running) -> OpenIdProvider:
    running.set(account=ANN, fault=None)
    return running


@pytest.fixture(scope="module")
def started(running, tmp_path_factory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("service"), **running.settings, wrong_keys_per_minute=1e6) as found:
        yield found


@pytest.fixture
def service(provider, started) -> Served:
    """The service, met by a browser that holds no cookie."""
    started.client.cookies.clear()
    return started


def begin(service: Served, page: str = "/run") -> str:
    """Begin to sign in; the address at the provider to which the browser is sent."""
    answer = service.client.get("/sign-in/start", params={"next": page}, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def come_back(service: Served, address: str) -> httpx.Response:
    return service.client.get(address, follow_redirects=False)


def sign_in(service: Served, provider: OpenIdProvider) -> httpx.Response:
    return come_back(service, provider.sign_in(begin(service)))


def assert_refused(service: Served, answer: httpx.Response, status: int, *says: str) -> None:
    """The sign-in page says why, and nobody is signed in."""
    assert answer.status_code == status, answer.text
    (reason,) = re.findall(r'id="refused">(.*?)</p>', answer.text)
    for one in says:
        assert one in reason
    assert COOKIE not in service.client.cookies
    assert service.ask("GET", "/v1/session").status_code == 401


def test_an_account_signs_in_works_and_signs_out(service, provider):
    address = begin(service, "/jobs/1?given=agreement")
    asked = parse_qs(urlsplit(address).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["response_type"] == ["code"]
    assert set(asked) >= {"state", "nonce", "code_challenge"}
    secret = service.client.cookies[FLOW].split(".")[0]
    assert secret not in address
    answer = come_back(service, provider.sign_in(address))
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs/1?given=agreement")
    cookies = answer.headers.get_list("set-cookie")
    (session,) = (one for one in cookies if one.startswith(f"{COOKIE}="))
    for part in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert part in session
    assert FLOW not in service.client.cookies
    who = service.ask("GET", "/v1/session").json()
    assert who == {"owner": "ann", "scopes": ["submit", "read"], "keys": True}
    assert service.ask("POST", "/v1/jobs", json=SMALL_JOB, headers=ORIGIN).status_code == 202
    assert service.ask("POST", "/v1/jobs", json=SMALL_JOB).status_code == 403, "not from a page of the service"
    assert service.ask("GET", "/v1/keys").status_code == 403
    assert service.ask("POST", "/v1/session", headers=ORIGIN).status_code == 403, "a session opens no other"
    copied = dict(service.client.cookies)
    assert service.ask("DELETE", "/v1/session", headers=ORIGIN).status_code == 204
    service.client.cookies.update(copied)
    assert service.ask("GET", "/v1/session").status_code == 401
    found = [one for one in recorded(service.database, 9) if one.result == "done"]
    assert [(one.action, one.owner, one.key_id) for one in found[:3]] == [
        ("sign-out", "ann", None),
        ("submit", "ann", None),
        ("sign-in", "ann", None),
    ]


def test_an_owner_is_one_by_key_and_by_account(service, provider):
    job = service.ask("POST", "/v1/jobs", service.key("ann", "submit", "read"), json=SMALL_JOB).json()
    sign_in(service, provider)
    assert service.ask("GET", f"/v1/jobs/{job['id']}").status_code == 200
    assert end_sessions_of(service.database, "bob") == 0
    assert end_sessions_of(service.database, "ann") >= 1
    assert service.ask("GET", "/v1/session").status_code == 401


def test_groups_add_up_to_scopes(service, provider):
    provider.set(account={"preferred_username": "root", "groups": ["staff", "analysts"]})
    assert sign_in(service, provider).status_code == 303
    assert service.ask("GET", "/v1/session").json()["scopes"] == ["submit", "read", "admin"]
    assert service.ask("GET", "/v1/keys").status_code == 200


def test_the_page_offers_the_provider_by_its_name(service, tmp_path):
    assert "Sign in with the Ministry" in service.ask("GET", "/sign-in").text
    with served(tmp_path / "other", auth="keys") as other:
        assert "Sign in with" not in other.ask("GET", "/sign-in").text
        assert other.ask("GET", "/sign-in/start").status_code == 404


@pytest.mark.parametrize(
    ("fault", "status", "says"),
    [
        ("nonce", 403, "nonce"),
        ("expired", 403, "expired"),
        ("issuer", 403, "iss"),
        ("audience", 403, "aud"),
        ("key", 403, "not valid"),
    ],
)
def test_an_id_token_that_is_not_valid_is_refused(service, provider, fault, status, says):
    provider.set(fault=fault)
    assert_refused(service, sign_in(service, provider), status, "ID token is not valid", says)


def test_an_account_that_is_denied_is_refused(service, provider):
    provider.set(fault="denied")
    assert_refused(service, sign_in(service, provider), 403, "access_denied")
    refused = {"action": "sign-in", "result": "refused"}
    wait_until(lambda: any("access_denied" in (one.detail or "") for one in recorded(service.database, 99, **refused)))


@pytest.mark.parametrize(
    ("account", "says"),
    [
        ({"preferred_username": "ann", "groups": ["choir"]}, "ann is in no group"),
        ({"preferred_username": "ann"}, "ann is in no group"),
        ({"preferred_username": "ann", "groups": {"analysts": 1}}, "ann is in no group"),
        ({"groups": ["analysts"]}, "preferred_username"),
        ({"preferred_username": "a b<script>", "groups": ["analysts"]}, "preferred_username"),
    ],
)
def test_an_account_without_a_group_or_a_name_is_refused(service, provider, account, says):
    provider.set(account=account)
    answer = sign_in(service, provider)
    assert "<script>" not in answer.text.replace('<script type="module"', "")
    assert_refused(service, answer, 403, says)


def test_a_response_that_is_not_of_this_browsers_sign_in_is_refused(service, provider):
    mine = provider.sign_in(begin(service))
    assert_refused(service, come_back(service, re.sub("state=[^&]*", "state=other", mine)), 400, "state differs")
    # The flow's cookie was removed, so that the right response is late.
    assert_refused(service, come_back(service, mine), 400, "expired, or was begun in another browser")
    theirs = provider.sign_in(begin(service))
    begin(service)
    assert_refused(service, come_back(service, theirs), 400, "state differs")
    begin(service)
    other = f"http://localhost/sign-in/callback?code=x&state={'x' * 43}&iss=https://other.example"
    assert_refused(service, come_back(service, other), 400, "state differs")


def test_a_code_is_worth_nothing_twice_or_in_another_sign_in(service, provider):
    used = provider.sign_in(begin(service))
    cookie = service.client.cookies[FLOW]
    assert come_back(service, used).status_code == 303
    service.ask("DELETE", "/v1/session", headers=ORIGIN)
    service.client.cookies.set(FLOW, cookie, domain="localhost.local", path="/")
    assert_refused(service, come_back(service, used), 403, "invalid_grant")
    stolen = parse_qs(urlsplit(provider.sign_in(begin(service))).query)["code"][0]
    mine = provider.sign_in(begin(service))
    mixed = re.sub("code=[^&]*", f"code={stolen}", mine)
    assert_refused(service, come_back(service, mixed), 403, "invalid_grant")


def test_a_provider_that_is_another_or_away_signs_nobody_in(provider, tmp_path):
    provider.set(fault="discovery")
    with served(tmp_path / "one", **provider.settings) as service:
        answer = service.client.get("/sign-in/start", follow_redirects=False)
        assert answer.status_code == 503
        assert "another issuer" in answer.text
    away = provider.settings | {"oidc_issuer": "http://127.0.0.1:1"}
    with served(tmp_path / "two", **away) as service:
        answer = service.client.get("/sign-in/start", follow_redirects=False)
        assert answer.status_code == 503
        assert "does not answer" in answer.text
        assert service.ask("GET", "/v1/jobs", service.key("ann", "read")).status_code == 200, "keys do without it"


def test_sign_ins_of_an_address_are_limited(provider, tmp_path):
    with served(tmp_path, **provider.settings, wrong_keys_per_minute=0.01) as service:
        path = "/sign-in/callback?code=x&state=y"
        assert [service.ask("GET", path).status_code for _ in range(3)] == [400, 429, 429]


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"auth": "none"}, "BRINK_AUTH"),
        ({"oidc_issuer": "http://provider.example"}, "BRINK_OIDC_ISSUER"),
        ({"oidc_client_id": None}, "BRINK_OIDC_CLIENT_ID"),
        ({"oidc_groups": {}}, "BRINK_OIDC_GROUPS"),
        ({"oidc_client_secret": None, "oidc_client_secret_file": "/nowhere/secret"}, "BRINK_OIDC_CLIENT_SECRET_FILE"),
    ],
)
def test_settings_that_lack_something_are_refused(provider, tmp_path, changed, names):
    with pytest.raises(InvalidInput, match=names), served(tmp_path, **(provider.settings | changed)):
        pass


def test_groups_are_given_as_json(monkeypatch):
    monkeypatch.setenv("BRINK_OIDC_GROUPS", '{"CN=a,OU=b": ["read"]}')
    assert Settings().oidc_groups == {"CN=a,OU=b": ("read",)}


@given(
    page=st.text(max_size=50) | st.sampled_from(["//evil.example", "/\\evil.example", "https://evil.example", "/\t/a"])
)
def test_a_sign_in_leads_to_a_page_of_this_service_alone(page):
    flow = begin_flow(page)
    assert flow.page.startswith("/")
    assert not flow.page.startswith(("//", "/\\"))
    assert flow.page.isprintable()
    assert flow_of(flow.cookie) == flow


@pytest.mark.parametrize("cookie", [None, "", "x", f"{'0' * 64}.1.Lw", f"{'0' * 64}.99999999999.__8"])
def test_a_cookie_that_is_none_is_refused(cookie):
    with pytest.raises(Refused):
        flow_of(cookie)
