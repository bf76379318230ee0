"""The answer in words with which a run and its summary begin: which strategy is best, how sure that is, how it ends."""

from collections.abc import Mapping
from typing import Any

from api.sentences import alone_sentences, best_of, choice_sentences, ending_sentence
from cluster.answers.compare import compare_first
from cluster.answers.entry import measure_of_choice
from cluster.answers.registry import ask
from cluster.answers.shared import TooFewPaired
from cluster.query.trials import StoredRun

FIRST = 2**14
"""The strategies are compared on at most this many trials, so that it takes at most a second or two."""
MOST_ROWS = 5_000_000
"""Strategies are not compared under a condition or a belief where a run has more rows: that takes too long."""


def opening(run: StoredRun, summary: Mapping[str, Any], folder: str, request: Mapping[str, Any]) -> list[str]:
    """What a summary of a run says in words; `request` is that of the summary, whose conditions and beliefs hold."""
    plan, strategies = run.plan, summary["strategies"]
    weeks = plan.scenario.horizon_weeks
    if len(strategies) == 1:
        ((name, one),) = strategies.items()
        return alone_sentences(name if len(plan.strategies) > 1 else None, one, weeks)
    restricted = {name: request[name] for name in ("given", "believe", "outside") if request.get(name)}
    if not restricted and list(strategies) == list(plan.strategies):
        return _of_first_trials(run, summary, folder)
    if "outside" in restricted or plan.trials * len(strategies) > MOST_ROWS:
        return []
    measure = measure_of_choice(None, plan.scenario)
    try:
        asked = {**restricted, "strategies": list(strategies), "measures": [measure]}
        result = ask(run, "compare", asked)["result"]
    except TooFewPaired:
        return []
    return _about(result, summary, weeks)


def _of_first_trials(run: StoredRun, summary: Mapping[str, Any], folder: str) -> list[str]:
    plan = run.plan
    compared = compare_first(run, trials=FIRST)
    if compared is None:
        first = plan.strategies[0]
        return alone_sentences(first, summary["strategies"][first], plan.scenario.horizon_weeks)
    count = compared.trials.compared
    whole = count == summary["trials"]
    on = f"all {count:,} trials" if whole else f"the first {count:,} of {summary['trials']:,} trials"
    rows = "all" if plan.row_trials == plan.trials else f"the {plan.row_trials:,} whose rows are kept"
    all_of_them = "" if whole else f"compares them on {rows} and "
    return [
        *_about(compared.model_dump(), summary, plan.scenario.horizon_weeks),
        f"(Strategies are compared on {on}; brink compare {folder} {all_of_them}shows on which beliefs the choice "
        "depends.)",
    ]


def _about(comparison: Mapping[str, Any], summary: Mapping[str, Any], weeks: int) -> list[str]:
    said = choice_sentences(comparison)
    best = best_of(comparison) if said else next(iter(summary["strategies"]))
    return [*said, ending_sentence(best, summary["strategies"][best]["events"], weeks)]
