"""An OpenID Connect provider for tests: Authlib's server on Flask, a process of its own on loopback.

It signs in the account that it is given without asking for a password, and misbehaves as its `fault` says.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.waiting import HANG_SECONDS, wait_until

CLIENT, SECRET = "brink", "a secret of the client"
GROUPS = {"analysts": ["submit", "read"], "staff": ["admin"]}
ROOT = Path(__file__).parents[2]


class OpenIdProvider:
    """A provider that runs, seen by a test and a browser."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer

    @property
    def settings(self) -> dict[str, object]:
        """The service's settings for it."""
        return {
            "auth": "keys",
            "oidc_issuer": self.issuer,
            "oidc_client_id": CLIENT,
            "oidc_client_secret": SECRET,
            "oidc_name": "the Ministry",
            "oidc_owner_claim": "preferred_username",
            "oidc_groups": GROUPS,
        }

    def set(self, **state: object) -> None:
        """Change the account that signs in (`account`, its claims) and the `fault` of what is sent."""
        httpx.post(f"{self.issuer}/control", json=state, timeout=HANG_SECONDS).raise_for_status()

    def sign_in(self, address: str) -> str:
        """Follow the address to which the service sends a browser; the address to which the provider sends it back."""
        answer = httpx.get(address, timeout=HANG_SECONDS)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]


@contextmanager
def openid_provider() -> Iterator[OpenIdProvider]:
    """A provider while the block lasts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.openid_provider", str(port)],
        cwd=ROOT,
        env=os.environ | {"AUTHLIB_INSECURE_TRANSPORT": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    provider = OpenIdProvider(f"http://127.0.0.1:{port}")

    def answers() -> bool:
        assert server.poll() is None, "the provider ended instead of starting"
        provider.set(fault=None)
        return True

    try:
        wait_until(answers, ignoring=httpx.TransportError)
        yield provider
    finally:
        server.terminate()
        server.wait(HANG_SECONDS)


def serve(port: int) -> None:
    """Run the provider."""
    from authlib.integrations.flask_oauth2 import AuthorizationServer
    from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, grants
    from authlib.oauth2.rfc7636 import CodeChallenge
    from authlib.oidc.core import UserInfo
    from authlib.oidc.core.grants import OpenIDCode
    from flask import Flask, jsonify, request
    from joserfc.jwk import RSAKey

    issuer = f"http://127.0.0.1:{port}"
    own, foreign = RSAKey.generate_key(2048, {"kid": "one"}), RSAKey.generate_key(2048, {"kid": "one"})
    state: dict = {"account": {"preferred_username": "ann", "groups": ["analysts"]}, "fault": None}
    codes: dict = {}

    class Client(ClientMixin):
        def get_client_id(self):
            return CLIENT

        def get_default_redirect_uri(self):
            return None

        def get_allowed_scope(self, scope):
            return scope

        def check_redirect_uri(self, redirect_uri):
            return redirect_uri.endswith("/sign-in/callback")

        def check_client_secret(self, client_secret):
            return client_secret == SECRET

        def check_endpoint_auth_method(self, method, endpoint):
            return method == "client_secret_basic"

        def check_response_type(self, response_type):
            return response_type == "code"

        def check_grant_type(self, grant_type):
            return grant_type == "authorization_code"

    class Code(AuthorizationCodeMixin):
        def __init__(self, sent, account):
            self.redirect_uri, self.scope = sent.redirect_uri, sent.scope
            self.nonce, self.account = sent.data.get("nonce"), account
            self.code_challenge = sent.data.get("code_challenge")
            self.code_challenge_method = sent.data.get("code_challenge_method")

        def get_redirect_uri(self):
            return self.redirect_uri

        def get_scope(self):
            return self.scope

        def get_nonce(self):
            return "another" if state["fault"] == "nonce" else self.nonce

        def get_auth_time(self):
            return None

        def get_acr(self):
            return None

        def get_amr(self):
            return None

    class CodeGrant(grants.AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]  # noqa: RUF012

        def save_authorization_code(self, code, request):
            codes[code] = Code(request.payload, dict(request.user))

        def query_authorization_code(self, code, client):
            return codes.get(code)

        def delete_authorization_code(self, authorization_code):
            for code, known in list(codes.items()):
                if known is authorization_code:
                    del codes[code]

        def authenticate_user(self, authorization_code):
            return authorization_code.account

    class IdToken(OpenIDCode):
        def exists_nonce(self, nonce, request):
            return False

        def resolve_client_private_key(self, client):
            return foreign if state["fault"] == "key" else own

        def get_encode_header(self, client):
            return {"alg": "RS256", "kid": "one"}

        def get_client_claims(self, client):
            now = int(time.time())
            claims = {"iss": issuer, "aud": [CLIENT], "iat": now, "exp": now + 300}
            faults = {
                "issuer": {"iss": "https://other.example"},
                "expired": {"iat": now - 7200, "exp": now - 3600},
                "audience": {"aud": ["another client"]},
            }
            return claims | faults.get(state["fault"], {})

        def generate_user_info(self, user, scope):
            return UserInfo(sub="1", **user)

    app = Flask(__name__)
    server = AuthorizationServer(
        app, query_client=lambda name: Client() if name == CLIENT else None, save_token=lambda *_: None
    )
    server.register_grant(CodeGrant, [IdToken(require_nonce=True), CodeChallenge(required=True)])

    @app.get("/.well-known/openid-configuration")
    def _configuration():
        return jsonify(
            issuer="https://other.example" if state["fault"] == "discovery" else issuer,
            authorization_endpoint=f"{issuer}/authorize",
            token_endpoint=f"{issuer}/token",
            jwks_uri=f"{issuer}/keys",
        )

    @app.get("/keys")
    def _keys():
        return jsonify(keys=[own.as_dict(private=False)])

    @app.get("/authorize")
    def _authorize():
        account = None if state["fault"] == "denied" else state["account"]
        return server.create_authorization_response(request, account, server.get_consent_grant(end_user=account))

    @app.post("/token")
    def _token():
        return server.create_token_response()

    @app.post("/control")
    def _control():
        state.update(request.get_json())
        return jsonify(state)

    app.run("127.0.0.1", port, threaded=True)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
