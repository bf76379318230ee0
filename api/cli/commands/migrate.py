"""``brink migrate``: the tables of the jobs database."""


def migrate() -> None:
    """Run it before the processes of a new version start; otherwise the first of them does the same. Settings come from
    the environment, as for the service. The database of a later version of Brink is refused and not changed.
    """
    from cluster.service.jobs import migrate as migrate_database
    from cluster.service.settings import read_settings

    settings = read_settings()
    if settings.database_url is None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    before, after = migrate_database(settings.jobs_database)
    if before == after:
        print(f"the jobs database is up to date (version {after})")
    elif before is None:
        print(f"the tables of the jobs database are made (version {after})")
    else:
        print(f"the jobs database is brought up to date, from version {before} to {after}")
