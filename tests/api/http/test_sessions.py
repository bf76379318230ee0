"""Signing in with a key: the cookie of a session, what it allows, and when it ends."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from api.http.authentication import COOKIE, SECURE_COOKIE
from cluster.service import keys
from cluster.service.sessions import SESSION_SECONDS, sessions
from tests.support.requests import PROBLEM, SMALL_JOB
from tests.support.served import Served, served

ORIGIN = {"Origin": "http://localhost"}


@pytest.fixture
def service(tmp_path) -> Iterator[Served]:
    with served(tmp_path, auth="keys") as found:
        yield found


def sign_in(service: Served, owner: str, *scopes: str) -> str:
    """Sign in with a new key; its id. The client keeps the cookie, as a browser does."""
    key = service.key(owner, *scopes)
    answer = service.ask("POST", "/v1/session", key)
    assert answer.status_code == 201, answer.text
    return key["Authorization"].split("_")[1]


def test_a_cookie_stands_for_the_key_and_no_script_can_read_it(service):
    key = service.key("ann", "submit", "read")
    answer = service.ask("POST", "/v1/session", key)
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for part in ("HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={int(SESSION_SECONDS)}"):
        assert part in cookie
    assert key["Authorization"].removeprefix("Bearer ") not in cookie
    assert service.ask("GET", "/v1/session").json() == {"owner": "ann", "scopes": ["submit", "read"], "keys": True}
    assert service.ask("GET", "/v1/jobs").status_code == 200
    with service.database.connect() as connection:
        assert cookie.split("=")[1].split(";")[0] not in str(connection.execute(sessions.select()).all())


def test_over_https_the_cookie_is_the_hosts_alone(service):
    key = service.key("ann", "read")
    cookie = service.client.post("https://localhost/v1/session", headers=key).headers["Set-Cookie"]
    assert cookie.startswith(f"{SECURE_COOKIE}=")
    assert "Secure" in cookie


def test_what_changes_anything_must_come_from_a_page_of_the_service(service):
    sign_in(service, "ann", "submit", "read")
    for origin in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://localhost:81"}):
        refused = service.ask("POST", "/v1/jobs", json=SMALL_JOB, headers=origin)
        assert (refused.status_code, refused.headers["content-type"]) == (403, PROBLEM), origin
    assert service.ask("POST", "/v1/jobs", json=SMALL_JOB, headers=ORIGIN).status_code == 202
    assert service.ask("GET", "/v1/jobs", headers={"Origin": "http://evil.example"}).status_code == 200


def test_a_session_allows_what_its_key_allows(service):
    sign_in(service, "ann", "read")
    assert service.ask("POST", "/v1/jobs", json=SMALL_JOB, headers=ORIGIN).status_code == 403
    assert service.ask("GET", "/v1/keys").status_code == 403
    # Another key, where one is sent, decides.
    assert service.ask("GET", "/v1/session", service.key("bob", "read")).json()["owner"] == "bob"


def test_a_session_ends_with_its_key_with_its_time_and_when_one_signs_out(service):
    key_id = sign_in(service, "ann", "read")
    keys.revoke(service.database, key_id)
    assert service.ask("GET", "/v1/jobs").status_code == 401
    sign_in(service, "ann", "read")
    with service.database.begin() as connection:
        connection.execute(sessions.update().values(expires_at=0.0))
    ended = service.ask("GET", "/v1/jobs")
    assert (ended.status_code, "sign in again" in ended.json()["detail"]) == (401, True)
    sign_in(service, "ann", "read")
    copied = dict(service.client.cookies)
    assert service.ask("DELETE", "/v1/session", headers=ORIGIN).status_code == 204
    assert dict(service.client.cookies) == {}
    service.client.cookies.update(copied)
    assert service.ask("GET", "/v1/jobs").status_code == 401


def test_sessions_that_have_expired_are_forgotten(service):
    sign_in(service, "ann", "read")
    with service.database.begin() as connection:
        connection.execute(sessions.update().values(expires_at=0.0))
    sign_in(service, "ann", "read")
    with service.database.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(sessions)).scalar() == 1


def test_a_session_opens_no_other(service):
    sign_in(service, "ann", "read")
    assert service.ask("POST", "/v1/session", headers=ORIGIN).status_code == 403


@pytest.mark.parametrize("value", ["", "x", "0" * 64, "'; drop table sessions; --"])
def test_a_made_up_session_is_refused(service, value):
    assert service.ask("GET", "/v1/jobs", headers={"Cookie": f"{COOKIE}={value}"}).status_code == 401


def test_wrong_sessions_are_limited_as_wrong_keys_are(tmp_path):
    with served(tmp_path, auth="keys", wrong_keys_per_minute=0.01) as service:
        cookies = [{"Cookie": f"{COOKIE}={k:064x}"} for k in range(3)]
        assert [service.ask("GET", "/v1/jobs", headers=one).status_code for one in cookies] == [401, 429, 429]


def test_a_service_without_keys_has_no_sign_in(tmp_path):
    with served(tmp_path) as service:
        assert service.ask("GET", "/v1/session").json()["keys"] is False
        assert service.ask("POST", "/v1/session").status_code == 409


def test_keys_are_made_listed_and_revoked_by_administrators(service):
    admin = service.key("root", "admin")
    made = service.ask("POST", "/v1/keys", admin, json={"owner": "ann", "scopes": ["read"], "days": 2})
    assert made.status_code == 201
    new = {"Authorization": f"Bearer {made.json()['text']}"}
    assert service.ask("GET", "/v1/jobs", new).status_code == 200
    listed = service.ask("GET", "/v1/keys", admin)
    assert made.json()["id"] in {key["id"] for key in listed.json()}
    assert made.json()["text"].split("_")[2] not in listed.text
    assert service.ask("POST", f"/v1/keys/{made.json()['id']}/revoke", admin).json()["revoked_at"]
    assert service.ask("GET", "/v1/jobs", new).status_code == 401
    assert service.ask("POST", f"/v1/keys/{'0' * 16}/revoke", admin).status_code == 404
    refused = service.ask("POST", "/v1/keys", admin, json={"owner": "", "scopes": ["all"], "days": 0})
    assert {one["field"] for one in refused.json()["errors"]} == {"owner", "scope", "expires"}


def test_administrators_rotate_keys(service):
    admin = service.key("root", "admin")
    made = service.ask("POST", "/v1/keys", admin, json={"owner": "ann", "scopes": ["read"]}).json()
    rotated = service.ask("POST", f"/v1/keys/{made['id']}/rotate", admin)
    assert (rotated.status_code, rotated.json()["owner"], rotated.json()["scopes"]) == (201, "ann", ["read"])
    for text in (made["text"], rotated.json()["text"]):
        assert service.ask("GET", "/v1/jobs", {"Authorization": f"Bearer {text}"}).status_code == 200
    assert service.ask("POST", f"/v1/keys/{made['id']}/rotate", admin, json={"grace_days": 0}).status_code == 201
    assert service.ask("GET", "/v1/jobs", {"Authorization": f"Bearer {made['text']}"}).status_code == 401
    assert service.ask("POST", f"/v1/keys/{made['id']}/rotate", admin).status_code == 409
    assert service.ask("POST", f"/v1/keys/{'0' * 16}/rotate", admin).status_code == 404
    assert (
        service.ask("POST", f"/v1/keys/{rotated.json()['id']}/rotate", admin, json={"grace_days": -1}).status_code
        == 422
    )
    ann = {"Authorization": f"Bearer {rotated.json()['text']}"}
    assert service.ask("POST", f"/v1/keys/{rotated.json()['id']}/rotate", ann).status_code == 403
