"""``brink store``: whether the store of results belongs to the jobs database."""

from api.cli.database import jobs_database
from api.cli.options import AsJson
from api.cli.output import print_json


def show(as_json: AsJson = False) -> None:
    """Show whether the store of results belongs to the jobs database, and how many results no job names."""
    from cluster.service import store_identity
    from cluster.service.retention import folders_without_job
    from cluster.service.settings import read_settings

    results, database = read_settings().results, jobs_database()
    without = len(folders_without_job(database, results))
    belongs = store_identity.belong_together(database, results)
    if as_json:
        marked = store_identity.of_store(results) is not None
        print_json({"belongs": belongs, "marked": marked, "without_job": without})
    elif belongs:
        print(f"the store belongs to this database; runners remove results that no job names (now {without})")
    else:
        print(f"the store does not belong to this database; results that no job names are kept (now {without})")


def claim() -> None:
    """Let the store belong to this database, whatever it belonged to. Runners then remove the results in it that no job
    of this database names; see brink store status for how many they are.
    """
    from cluster.service import store_identity
    from cluster.service.audit import record_command
    from cluster.service.retention import folders_without_job
    from cluster.service.settings import read_settings

    results, database = read_settings().results, jobs_database()
    without = len(folders_without_job(database, results))
    store_identity.claim(database, results)
    record_command(database, "claim-store", detail=f"{without} without a job")
    print(f"the store belongs to this database now; runners remove results that no job names (now {without})")


store = {"status": show, "claim": claim}
