"""The jobs database of the environment's settings, for commands."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlalchemy as sa


def jobs_database() -> "sa.Engine":
    """The jobs database, its tables up to date; made if it is missing."""
    from cluster.service.jobs import open_database
    from cluster.service.settings import read_settings

    settings = read_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return open_database(settings.jobs_database)
