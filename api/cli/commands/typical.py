"""``brink typical``: which trials of a stored run to read."""

import shlex
from typing import Any

from rich.console import Console
from rich.text import Text

from api.cli.evidence import print_evidence
from api.cli.options import AsJson, Believe, Given, Measure, OneStrategy, RayOfAnswer, RunFolder
from api.cli.tables import Column, print_table
from api.figures import percent

_SHOWN = {
    "agreement_week": ("agreement week", 1.0, 0),
    "market_access": ("access %", 100.0, 0),
    "export_gain": ("export gain", 1.0, 2),
    "sanctions_weeks": ("weeks of sanctions", 1.0, 0),
    "sender_cost": ("sender's cost", 1.0, 2),
    "target_cost": ("target's cost", 1.0, 2),
}


def typical(
    run: RunFolder,
    measure: Measure = None,
    strategy: OneStrategy = None,
    given: Given = None,
    believe: Believe = None,
    ray_address: RayOfAnswer = None,
    as_json: AsJson = False,
) -> None:
    """A typical trial has values near the medians of its outcome. brink replay shows a trial week by week."""
    from api.cli.answering import answer, opened

    stored = opened(run, ray_address)

    def render(out: Console, document: dict[str, Any]) -> None:
        print_typical(out, document, str(run), stored.plan.strategies[0])

    request = {"strategy": strategy, "measure": measure, "given": given, "believe": believe}
    answer(stored, "typical", request, as_json=as_json, render=render)


def print_typical(out: Console, document: dict[str, Any], folder: str, usual: str) -> None:
    """Print a document of `cluster.answers.typical`: a row for each trial, and the command that replays one."""
    found, strategy = document["result"], document["strategies"][0]
    print_evidence(out, document.get("evidence"))
    own = {found["measure"]: (found["measure"], 1.0, 2)} if found["measure"] not in (None, *_SHOWN) else {}
    shown = {**_SHOWN, **own}
    named = [] if strategy == usual else ["--strategy", strategy]
    rows = [(_why(one, group), one) for group in ("typical", "extreme") for one in found[group]]
    columns = [
        Column("why", [why for why, _ in rows]),
        Column("trial", [str(one["trial"]) for _, one in rows]),
        *(
            Column(label, [_number(one["numbers"][name], factor, digits) for _, one in rows])
            for name, (label, factor, digits) in shown.items()
        ),
    ]
    title = f"{document['scenario']} under {strategy}: trials worth reading, money in bn USD"
    print_table(out, columns, title=title, gap=1, headings={len(found["typical"]): ""})
    command = shlex.join(["brink", "replay", folder, *named, "--trial"])
    out.print(Text(f"To replay one: {command} TRIAL"), soft_wrap=True)
    out.print(
        Text(
            "Typical: the trial nearest to the medians of its outcome, each number in units of its standard deviation; "
            "--json says how it is chosen.",
            style="dim",
        )
    )


def _why(one: dict[str, Any], group: str) -> str:
    """Why a trial is listed, and how often its outcome occurs or which one it has."""
    share = f", {percent(100 * one['share'], 1)} % of trials" if group == "typical" else f" ({_words(one['outcome'])})"
    return f"{one['why']}{share}"


def _words(outcome: str) -> str:
    return outcome.replace("_", " ")


def _number(value: float | None, factor: float, digits: int) -> str:
    return "-" if value is None else f"{value * factor:z.{digits}f}"
