"""Settings of the service and its runners, from the environment: every name begins with ``BRINK_``."""

import ipaddress
import json
import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cluster.storage.address import open_folder
from cluster.storage.base import Folder
from sim.faults import Fault, InvalidInput

_PREFIX = "BRINK_"
_OTHERS = ("BRINK_KEY", "BRINK_URL", "BRINK_COMPLETE")
"""Variables that are read by the client and the shell's completion, and not by the service."""


def _names(given: object) -> object:
    return tuple(name for part in given.split(",") if (name := part.strip())) if isinstance(given, str) else given


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
"""Names with commas between them."""


def _of_networks(given: tuple[str, ...]) -> tuple[str, ...]:
    for name in given:
        try:
            ipaddress.ip_network(name)
        except ValueError:
            raise ValueError("must be IP addresses and networks, such as 10.0.0.2,10.1.0.0/16") from None
    return given


Networks = Annotated[Names, AfterValidator(_of_networks)]
"""IP addresses and networks with commas between them."""


def _object(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except ValueError:
        raise ValueError('must be JSON, such as {"analysts": ["submit", "read"]}') from None


Groups = Annotated[dict[str, tuple[Literal["submit", "read", "admin"], ...]], NoDecode, BeforeValidator(_object)]
"""The scopes of groups, as a JSON object."""


def _of_a_database(given: SecretStr) -> SecretStr:
    try:
        url = sa.make_url(given.get_secret_value())
        dialect = url.get_dialect().name
        # An SQLite database without a file would be separate for each process and lost at its end.
        known = dialect == "postgresql" or (dialect == "sqlite" and url.database not in (None, "", ":memory:"))
    except (sa.exc.ArgumentError, ImportError, ValueError):
        known = False
    if not known:
        # The value may contain a secret, so the message does not repeat it.
        raise ValueError("must be an SQLAlchemy URL, postgresql+psycopg://user@host/name or sqlite:////path")
    return given


DatabaseUrl = Annotated[SecretStr, AfterValidator(_of_a_database)]


def _of_a_store(given: str) -> str:
    try:
        open_folder(given)
    except InvalidInput as refused:
        raise ValueError(refused.faults[0].message) from None
    return given


StoreUrl = Annotated[str, AfterValidator(_of_a_store)]


def _of_a_folder(given: object) -> object:
    if "://" in str(given):
        raise ValueError("must be a path (BRINK_STORE_URL takes s3://bucket/prefix)")
    return given


DataFolder = Annotated[Path, BeforeValidator(_of_a_folder)]


class Settings(BaseSettings):
    """Where data are stored and how jobs are run; the defaults need only this machine."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore")

    data_dir: DataFolder = Field(Path("brink-data"), description="Folder of the jobs' results.")
    store_url: StoreUrl | None = Field(None, description="s3://bucket/prefix for the results, instead of data_dir.")
    database_url: DatabaseUrl | None = Field(
        None, description="SQLAlchemy URL of the jobs database; SQLite in data_dir."
    )
    engine: Literal["auto", "inline", "ray"] = Field("auto", description="Engine on which jobs run.")
    ray_address: str | None = Field(None, description="Address of a running Ray to join.")
    workers: int | None = Field(None, ge=1, le=10_000, description="Cores that a job uses at most.")
    lease_seconds: float = Field(15.0, gt=1.0, le=3600.0, description="A silent runner loses its job after this.")
    slice_seconds: float = Field(60.0, gt=0.0, description="A job gives way to waiting ones after this much work.")
    patience_seconds: float = Field(
        3600.0, ge=0.0, description="A job whose store, disk or Ray keeps failing fails after this."
    )
    retention_days: float | None = Field(None, gt=0.0, description="Ended jobs are deleted after this; never if unset.")
    retention_bytes: int | None = Field(
        None, ge=0, description="The oldest ended jobs are deleted while results take up more; never if unset."
    )
    audit_days: float = Field(365.0, ge=1.0, description="Records of the audit log are deleted after this.")
    max_trials: int = Field(1_000_000_000, ge=1, description="Trials of a strategy that a job may request.")
    auth: Literal["none", "keys"] = Field("none", description="Who may call: everyone on loopback, or holders of keys.")
    oidc_issuer: str | None = Field(
        None, description="Issuer of an OpenID Connect provider with whose accounts people may sign in."
    )
    oidc_client_id: str | None = Field(None, description="This service's client id at the provider.")
    oidc_client_secret: SecretStr | None = Field(None, description="The client's secret; none for a public client.")
    oidc_client_secret_file: Path | None = Field(None, description="A file with the secret, instead.")
    oidc_name: str | None = Field(
        None, max_length=100, description="The provider's name on the sign-in page; its host."
    )
    oidc_scope: str = Field("openid profile email", description="OAuth scopes that are requested.")
    oidc_owner_claim: str = Field("sub", description="Claim of the ID token that names the owner.")
    oidc_groups_claim: str = Field("groups", description="Claim of the ID token that lists groups.")
    oidc_groups: Groups = Field(
        {}, description='What groups may do, as JSON: {"analysts": ["submit", "read"], "staff": ["admin"]}.'
    )
    allowed_hosts: Names = Field((), description="Host names of the service beside loopback's; * for any.")
    cors_origins: Names = Field((), description="Origins whose pages may call the service.")
    requests_per_second: float = Field(50.0, gt=0.0, le=1e6, description="Requests a second of a key's owner.")
    wrong_keys_per_minute: float = Field(
        60.0, gt=0.0, le=1e6, description="Wrong keys a minute from an address; it is refused for a while after more."
    )
    trusted_proxies: Networks = Field(
        ("127.0.0.1", "::1"), description="Addresses and networks of proxies whose X-Forwarded-For is believed."
    )
    streams: int = Field(100, ge=1, le=100_000, description="Event streams that are open at a time, of an owner.")
    answers: int = Field(4, ge=1, le=1000, description="Answers that are computed at a time.")
    query_seconds: float = Field(60.0, gt=0.0, le=86_400.0, description="Seconds that an answer may take.")
    column_bytes: int = Field(
        256 << 20, ge=0, description="Bytes of columns of trials that a web process keeps in memory between answers."
    )
    max_queued: int = Field(1000, ge=1, description="Jobs of a user that wait or run.")
    max_queue: int = Field(10_000, ge=1, description="Jobs of all users that wait or run.")
    max_stored_bytes: int = Field(1 << 40, ge=0, description="A user who stores this much cannot submit more.")

    @property
    def results(self) -> Folder:
        """The folder that holds a result folder for each job."""
        return open_folder(self.store_url or self.data_dir.absolute() / "jobs")

    @property
    def jobs_database(self) -> sa.URL:
        """The URL of the jobs database."""
        if self.database_url is not None:
            return sa.make_url(self.database_url.get_secret_value())
        # Put together from its parts: in a text, ? and % in the folder's name would mean something.
        return sa.URL.create("sqlite", database=str(self.data_dir.absolute() / "jobs.sqlite"))


def read_settings() -> Settings:
    """The settings of the environment. Raises `InvalidInput` that names the variables at fault."""
    _check_names(os.environ)
    try:
        return Settings()
    except ValidationError as error:
        raise InvalidInput(tuple(_fault(str(f["loc"][0]), f["input"], f["msg"]) for f in error.errors())) from None


def _check_names(environment: Iterable[str]) -> None:
    """Raise `InvalidInput` for variables that look like settings and are none."""
    known = [f"{_PREFIX}{name.upper()}" for name in Settings.model_fields]
    faults = []
    for name in environment:
        if name.upper().startswith(_PREFIX) and name.upper() not in (*known, *_OTHERS):
            near = get_close_matches(name.upper(), known, n=1, cutoff=0.0)[0]
            faults.append(Fault(name, None, f"is not a setting; the nearest is {near} (unset it, or correct the name)"))
    if faults:
        raise InvalidInput(tuple(faults))


def _fault(name: str, value: object, message: str) -> Fault:
    allowed = message.partition(", unable to")[0].removeprefix("Value error, ").replace("Input should be", "must be")
    # An address may contain a secret, and a secret is one, so the message does not repeat it.
    return Fault(f"BRINK_{name.upper()}", None if name.endswith(("_url", "_secret")) else value, allowed)
