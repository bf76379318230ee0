"""``brink summary``: a stored run's answer again, or its answer given what has happened so far."""

from api.cli.options import AsJson, Given, RunFolder, Strategies
from api.cli.output import console, print_json
from api.cli.rendering import print_summary


def summary(
    run: RunFolder,
    strategy: Strategies = None,
    given: Given = None,
    as_json: AsJson = False,
) -> None:
    """Print a stored run's summary, of all its trials or of those that agree with what has happened so far."""
    from cluster.answers.summary import summarize
    from cluster.query.trials import open_run

    found = summarize(open_run(run), given, strategies=strategy or ())
    if as_json:
        print_json(found)
        return
    out = console()
    if given is not None:
        left = ", ".join(
            f"{one['trials']:,} of {one['trials_played']:,} of {name}" for name, one in found["strategies"].items()
        )
        out.print(f"Given {given}: {left} trials agree with it.")
    print_summary(out, found)
