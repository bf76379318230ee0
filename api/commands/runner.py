"""``brink runner``: a process that works the service's jobs, on this machine or another."""

from cluster.runner import main


def runner() -> None:
    """Work the service's jobs, beside any number of other runners, until interrupted or terminated.

    Settings come from the environment, as for the service: where its database and its results are.
    """
    main()
