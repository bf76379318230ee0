"""Settings of the service and its runners, from the environment: every name begins with ``BRINK_``."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from cluster.folders import Folder, open_folder


class Settings(BaseSettings):
    """Where things are kept and how jobs are run; the defaults need nothing but this machine."""

    model_config = SettingsConfigDict(env_prefix="BRINK_", extra="ignore")

    data_dir: Path = Field(Path("brink-data"), description="Folder of the jobs' results.")
    store_url: str | None = Field(None, description="s3://bucket/prefix for the results, instead of data_dir.")
    database_url: str | None = Field(None, description="SQLAlchemy URL of the jobs database; SQLite in data_dir.")
    engine: Literal["auto", "inline", "ray"] = Field("auto", description="Engine on which jobs run.")
    ray_address: str | None = Field(None, description="Address of a running Ray to join.")
    workers: int | None = Field(None, ge=1, le=10_000, description="Cores that a job uses at most.")
    lease_seconds: float = Field(15.0, gt=1.0, le=3600.0, description="A silent runner loses its job after this.")
    max_trials: int = Field(1_000_000_000, ge=1, description="Trials of a strategy that a job may ask for.")
    allow_remote: bool = Field(
        False, description="Listen on other addresses than loopback: the service has no authentication of its own."
    )

    @property
    def results(self) -> Folder:
        """The folder that holds a result folder for each job."""
        return open_folder(self.store_url or self.data_dir.absolute() / "jobs")

    @property
    def jobs_database(self) -> str:
        """The URL of the jobs database."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'jobs.sqlite'}"
