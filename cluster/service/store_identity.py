"""Whether the jobs database and the store of results belong together.

The database has a random identity since its tables were made. The store has the same one in a small file beside the
result folders. Results that no job names are removed only while both are the same: otherwise an empty database in
place of a lost one, or another service's database, would be taken as the reason to remove all results.

A store without an identity gets the database's if the database knows all results in it, which is so for an empty store,
or if it knows some of them from before it had an identity itself: it was then upgraded. A store never gets another
identity than the one it has, except by `claim`, for a restoration and for a person who wants it.
"""

import re
from dataclasses import dataclass

import sqlalchemy as sa

from cluster.results.result_folder import new_file
from cluster.service.jobs import jobs, metadata
from cluster.service.logs import logger
from cluster.storage.base import Folder

log = logger("brink.retention")
IDENTITY_FILE = "store-identity"
OTHER, UNKNOWN = MISMATCHES = ("other", "unknown")
_DO = (
    "so results that no job names are kept: correct BRINK_DATABASE_URL or the store's address, restore the lost "
    "database with brink restore --keep-results, or let this database decide what is removed with brink store claim"
)
SENTENCES = {
    OTHER: f"the store of results belongs to another jobs database, {_DO}",
    UNKNOWN: f"the store holds results that this jobs database does not know, {_DO}",
}
"""What each mismatch means, and what to do."""
_JOB_ID = re.compile(r"[0-9a-f]{32}")

store_identity = sa.Table(
    "store_identity",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("identity", sa.String(32), nullable=False),
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("mismatch", sa.String(16)),
)


@dataclass(frozen=True)
class Known:
    """The database's identity, when it was made (seconds since 1970), and the mismatch that a runner found last."""

    identity: str
    made_at: float
    mismatch: str | None


def known(engine: sa.Engine) -> Known:
    """What the database has on the store."""
    columns = store_identity.c
    with engine.connect() as connection:
        row = connection.execute(sa.select(columns.identity, columns.made_at, columns.mismatch)).one()
    return Known(*row)


def of_store(results: Folder) -> str | None:
    """The store's identity; None if it has none."""
    try:
        return results.read(IDENTITY_FILE).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None


def result_folders(results: Folder) -> list[str]:
    """The ids of the jobs, known or not, whose results are in the store."""
    return [name for name in results.subfolders() if _JOB_ID.fullmatch(name)]


def mismatch(engine: sa.Engine, results: Folder) -> str | None:
    """Why database and store do not belong together, one of `MISMATCHES`; None if they do.

    A store without an identity gets the database's where that is safe. What is found is recorded in the database, and
    logged when it changes.
    """
    here = known(engine)
    found = _found(engine, results, here)
    if found != here.mismatch:
        _record(engine, here.identity, found)
        if found is None:
            log.info("the store of results belongs to this jobs database")
        else:
            log.error(SENTENCES[found])
    return found


def belong_together(engine: sa.Engine, results: Folder) -> bool:
    """Whether both have the same identity now. To be asked after what the database knows was read: if another database
    took its place before, the answer is no.
    """
    return of_store(results) == known(engine).identity


def claim(engine: sa.Engine, results: Folder) -> None:
    """Give the store the identity of the database, whatever it had."""
    here = known(engine)
    mark(results, here.identity)
    _record(engine, here.identity, None)


def mark(results: Folder, identity: str) -> None:
    """Give the store an identity, whatever it had."""
    results.create()
    with new_file(results, IDENTITY_FILE) as draft:
        draft.write_text(f"{identity}\n")


def _found(engine: sa.Engine, results: Folder, here: Known) -> str | None:
    there = of_store(results)
    if there is None:
        present = result_folders(results)
        if present and not _may_claim(engine, here, present):
            return UNKNOWN
        results.create()
        draft = results.draft("")
        try:
            draft.write_text(f"{here.identity}\n")
            results.commit_new(draft, IDENTITY_FILE)
        finally:
            draft.unlink(missing_ok=True)
        # Another process may have been first.
        there = of_store(results)
    return None if there == here.identity else OTHER


def _may_claim(engine: sa.Engine, here: Known, present: list[str]) -> bool:
    """Whether all results in the store are of jobs of the database, or some are of jobs from before its identity.

    Later jobs do not suffice: a database that is used by mistake has such jobs soon.
    """
    with engine.connect() as connection:
        recorded = {row.id: row.created_at for row in connection.execute(sa.select(jobs.c.id, jobs.c.created_at))}
    return recorded.keys() >= set(present) or any(recorded.get(name, here.made_at) < here.made_at for name in present)


def _record(engine: sa.Engine, identity: str, found: str | None) -> None:
    """Record in the database of this identity what was found."""
    with engine.begin() as connection:
        change = store_identity.update().where(store_identity.c.identity == identity)
        connection.execute(change.values(mismatch=found))
