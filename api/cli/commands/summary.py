"""``brink summary``: the summary of a stored run, for all its trials or under a condition."""

from collections.abc import Sequence
from typing import Annotated, Any

from rich.console import Console

from api.cli.charting import Charts, chart_option
from api.cli.evidence import print_changes, print_evidence, print_outside
from api.cli.options import AsJson, Believe, Given, Outside, RayOfAnswer, RunFolder, Strategies
from api.cli.rendering import print_summary


def summary(
    run: RunFolder,
    strategy: Strategies = None,
    given: Given = None,
    believe: Believe = None,
    outside: Outside = False,
    ray_address: RayOfAnswer = None,
    chart: Annotated[Charts, chart_option("outcomes", "events")] = None,
    as_json: AsJson = False,
) -> None:
    """Probabilities, means and quantiles have 95 % intervals of their Monte Carlo error."""
    from api.cli.answering import answer, opened
    from api.cli.opening import opening

    stored = opened(run, ray_address)
    request = {"given": given, "strategies": strategy, "believe": believe, "outside": outside or None}

    def render(out: Console, found: dict[str, Any]) -> None:
        print_given(out, found, opening(stored, found, str(run), request))

    answer(stored, "summary", request, as_json=as_json, charts=chart, render=render)


def print_given(out: Console, found: dict[str, Any], sentences: Sequence[str] = ()) -> None:
    """Print a summary, after how many trials its condition left, what beliefs did to them, and some sentences."""
    if "given" in found:
        left = ", ".join(
            f"{one['trials']:,} of {one['trials_played']:,} trials of {name}"
            for name, one in found["strategies"].items()
        )
        out.print(f"Given {found['given']}: it holds in {left}.")
    print_outside(out, found.get("outside"))
    print_evidence(out, {name: one["evidence"] for name, one in found["strategies"].items() if "evidence" in one})
    for sentence in sentences:
        out.print(sentence)
    if sentences:
        out.print()
    print_summary(out, found)
    print_changes(out, found)
