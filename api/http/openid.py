"""Signing in with an account of an OpenID Connect provider: authorization code flow with PKCE, state and nonce.

State, nonce and code verifier are derived from one random secret, which only the browser keeps, in a cookie of ten
minutes (`Flow`); the service stores nothing until somebody has signed in. Claims of the ID token say who the owner is
and, by groups, what is allowed. The session that follows is like one of a key.
"""

import base64
import hashlib
import hmac
import ipaddress
import re
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from cluster.service.keys import OWNER, SCOPES
from cluster.service.logs import logger
from cluster.service.settings import Settings
from sim.faults import Fault, InvalidInput

log = logger("brink.openid")
FLOW_SECONDS = 600
"""The time within which one must have signed in at the provider."""
METADATA_SECONDS = 3600.0
"""The provider's description and keys are read again after this, or when a token names a key that is not known."""
LEAST_SECONDS = 10.0
"""The shortest time between two attempts to read them."""
ANSWER_SECONDS = 10.0
LEEWAY_SECONDS = 60
"""Clocks of the provider and the service may differ by this."""
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures by the provider's own key; neither none nor a shared secret."""
_DISCOVERY = "/.well-known/openid-configuration"


class Refused(Exception):
    """Raised if nobody is signed in, with the status of the response and a sentence for the person."""

    def __init__(self, status: int, message: str, owner: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.owner = status, message, owner


@dataclass(frozen=True)
class Flow:
    """A sign-in that was begun: its secret, when it ends (seconds since 1970), and the page to go to afterwards."""

    secret: str
    ends: int
    page: str

    @property
    def cookie(self) -> str:
        """The text of the cookie."""
        return f"{self.secret}.{self.ends}.{base64.urlsafe_b64encode(self.page.encode()).decode().rstrip('=')}"

    def derived(self, purpose: str) -> str:
        """A value that follows from the whole flow and shows nothing of its secret."""
        text = f"{purpose}\0{self.ends}\0{self.page}".encode()
        digest = hmac.digest(self.secret.encode(), text, hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def begin_flow(page: str) -> Flow:
    """A new sign-in that leads to a page of this service; any other place is replaced by the start page."""
    own = re.fullmatch(r"/([^/\\].{0,1000})?", page) and page.isascii() and page.isprintable()
    return Flow(secrets.token_hex(32), int(time.time()) + FLOW_SECONDS, page if own else "/")


def flow_of(cookie: str | None) -> Flow:
    """The sign-in of a cookie. Raises `Refused` if there is none, or it has ended."""
    match = re.fullmatch(r"([0-9a-f]{64})\.([0-9]{1,12})\.([A-Za-z0-9_-]{1,2000})", cookie or "")
    if match is None or int(match[2]) <= time.time():
        raise Refused(400, "This sign-in has expired, or was begun in another browser. Begin again.")
    try:
        page = base64.urlsafe_b64decode(match[3] + "=" * (-len(match[3]) % 4)).decode()
    except ValueError:
        raise Refused(400, "This sign-in was begun in another browser. Begin again.") from None
    return Flow(match[1], int(match[2]), page)


class Provider:
    """An OpenID Connect provider, as settings name it; its description and keys are kept for a while."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._issuer = str(settings.oidc_issuer)
        self.name = settings.oidc_name or urlsplit(self._issuer).hostname or self._issuer
        self._secret = _client_secret(settings)
        self._lock = threading.Lock()
        self._read_at = -METADATA_SECONDS
        self._metadata: dict[str, Any] = {}
        self._keys = KeySet([])

    def authorization_url(self, flow: Flow, redirect_uri: str) -> str:
        """Where the browser is sent to sign in. Raises `Refused` if the provider does not answer."""
        endpoint = self._known()["authorization_endpoint"]
        with self._client(redirect_uri) as client:
            url, _ = client.create_authorization_url(
                endpoint,
                state=flow.derived("state"),
                nonce=flow.derived("nonce"),
                code_verifier=flow.derived("verifier"),
            )
        return str(url)

    def finish(self, flow: Flow, given: dict[str, str], redirect_uri: str) -> tuple[str, tuple[str, ...]]:
        """The owner and scopes of the account that has signed in, by what the provider sent through the browser.

        Raises `Refused`.
        """
        if not hmac.compare_digest(given.get("state", "").encode(), flow.derived("state").encode()):
            raise Refused(400, "The response does not belong to this sign-in (its state differs). Begin again.")
        if given.get("iss", self._issuer) != self._issuer:
            raise Refused(403, "The response is of another provider (its issuer differs).")
        if "error" in given:
            code = given["error"] if re.fullmatch("[a-z_]{1,64}", given["error"]) else "unknown error"
            raise Refused(403, f"The provider signed nobody in: {code}.")
        metadata = self._known()
        try:
            with self._client(redirect_uri) as client:
                token = client.fetch_token(
                    metadata["token_endpoint"],
                    grant_type="authorization_code",
                    code=given.get("code", ""),
                    code_verifier=flow.derived("verifier"),
                )
        except AuthlibBaseError as error:
            log.warning("the provider refused the code", error=str(error))
            raise Refused(403, f"The provider did not accept the sign-in: {error.error}.") from None
        except (httpx.HTTPError, ValueError) as error:
            raise _no_answer(error) from None
        return self._account(self._claims(token, flow))

    def _claims(self, token: dict[str, Any], flow: Flow) -> CodeIDToken:
        """The claims of the ID token, once all of it is valid."""
        text = token.get("id_token")
        if not isinstance(text, str):
            raise Refused(403, "The provider sent no ID token.")
        try:
            decoded = self._decode(text)
            options = {
                "iss": {"essential": True, "value": self._issuer},
                "aud": {"essential": True, "value": self._settings.oidc_client_id},
                "nonce": {"essential": True, "value": flow.derived("nonce")},
            }
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                options,
                {
                    "nonce": flow.derived("nonce"),
                    "client_id": self._settings.oidc_client_id,
                    "access_token": token.get("access_token"),
                },
            )
            claims.validate(leeway=LEEWAY_SECONDS)
        except (JoseError, AuthlibBaseError, ValueError, TypeError) as error:
            log.warning("the ID token is not valid", error=str(error))
            why = getattr(error, "description", None) or getattr(error, "error", None) or "it cannot be read"
            raise Refused(403, f"The provider's ID token is not valid: {why}") from None
        return claims

    def _decode(self, text: str) -> jwt.Token:
        try:
            return jwt.decode(text, self._keys, algorithms=list(ALGORITHMS))
        except (JoseError, ValueError):
            # The provider may have a new key.
            with self._lock:
                self._read(at_least=LEAST_SECONDS)
            return jwt.decode(text, self._keys, algorithms=list(ALGORITHMS))

    def _account(self, claims: CodeIDToken) -> tuple[str, tuple[str, ...]]:
        name = self._settings.oidc_owner_claim
        owner = claims.get(name)
        if not isinstance(owner, str) or not OWNER.fullmatch(owner):
            form = "at most 64 letters, digits, '.', '_', '@' and '-'"
            raise Refused(403, f"Your account's claim {name} is missing, or is not a name of {form}.")
        if name == "email" and claims.get("email_verified") is not True:
            raise Refused(403, "The provider has not verified your account's address.")
        groups = claims.get(self._settings.oidc_groups_claim, [])
        named = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        allowed = {scope for group in named for scope in self._settings.oidc_groups.get(str(group), ())}
        if not allowed:
            message = f"Your account {owner} is in no group that may use this service. Ask its administrators."
            raise Refused(403, message, owner)
        return owner, tuple(scope for scope in SCOPES if scope in allowed)

    def _client(self, redirect_uri: str) -> OAuth2Client:
        return OAuth2Client(
            client_id=self._settings.oidc_client_id,
            client_secret=self._secret,
            token_endpoint_auth_method="client_secret_basic" if self._secret else "none",
            redirect_uri=redirect_uri,
            scope=self._settings.oidc_scope,
            code_challenge_method="S256",
            timeout=ANSWER_SECONDS,
        )

    def _known(self) -> dict[str, Any]:
        with self._lock:
            self._read(at_least=METADATA_SECONDS if self._metadata else LEAST_SECONDS)
            if not self._metadata:
                raise Refused(503, "The sign-in provider does not answer. Try again soon.")
            return self._metadata

    def _read(self, at_least: float) -> None:
        """Read the provider's description and keys, unless that was tried less than so many seconds ago."""
        if time.monotonic() - self._read_at < at_least:
            return
        self._read_at = time.monotonic()
        try:
            found = httpx.get(self._issuer.rstrip("/") + _DISCOVERY, timeout=ANSWER_SECONDS).raise_for_status().json()
            if found["issuer"] != self._issuer:
                raise Refused(
                    503, "The sign-in provider describes itself as another issuer than the one of the settings."
                )
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                if not is_safe(found[name]):
                    raise ValueError(f"{name} is not an https address")
            listed = httpx.get(found["jwks_uri"], timeout=ANSWER_SECONDS).raise_for_status().json()
            self._keys = KeySet.import_key_set(listed)
        except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
            raise _no_answer(error) from None
        self._metadata = found


def provider_of(settings: Settings) -> Provider:
    """The provider that the settings name. Raises `InvalidInput` for settings that lack something."""
    faults = []
    if settings.auth != "keys":
        faults.append(Fault("BRINK_AUTH", settings.auth, "must be keys where an OpenID Connect provider is set"))
    if not is_safe(settings.oidc_issuer):
        message = "must be an https address, or http on loopback, without a query"
        faults.append(Fault("BRINK_OIDC_ISSUER", settings.oidc_issuer, message))
    if not settings.oidc_client_id:
        faults.append(Fault("BRINK_OIDC_CLIENT_ID", None, "must be given where BRINK_OIDC_ISSUER is"))
    if not settings.oidc_groups:
        message = 'must say what groups may do, such as {"analysts": ["submit", "read"]}'
        faults.append(Fault("BRINK_OIDC_GROUPS", None, message))
    if faults:
        raise InvalidInput(tuple(faults))
    return Provider(settings)


def is_safe(address: object) -> bool:
    """Whether an address is https, or http on loopback."""
    if not isinstance(address, str):
        return False
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(host) and not parts.query and not parts.fragment
    try:
        return parts.scheme == "http" and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


def _client_secret(settings: Settings) -> str | None:
    """The client's secret, from the environment or a file; None for a public client."""
    if settings.oidc_client_secret is not None:
        return settings.oidc_client_secret.get_secret_value()
    if settings.oidc_client_secret_file is None:
        return None
    try:
        return settings.oidc_client_secret_file.read_text().strip()
    except (OSError, ValueError) as error:
        path = str(settings.oidc_client_secret_file)
        raise InvalidInput((Fault("BRINK_OIDC_CLIENT_SECRET_FILE", path, f"cannot be read: {error}"),)) from None


def _no_answer(error: Exception) -> Refused:
    log.warning("the sign-in provider does not answer as it should", error=f"{type(error).__name__}: {error}")
    return Refused(503, "The sign-in provider does not answer. Try again soon.")
