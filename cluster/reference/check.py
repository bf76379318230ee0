"""The forecast of a run (inside view) compared with its reference class (outside view): where they differ, and why."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from cluster.answers.registry import ask
from cluster.query.trials import StoredRun
from cluster.reference.rates import class_rates, shipped_rates
from sim.faults import Fault, InvalidInput
from sim.statistics.estimates import Estimate, proportion

MOVERS = 3
FEWEST_THREATS = 1_000
"""The least number of trials with a threat for a comparison."""
OnStep = Callable[[int, int], None]

_METHOD = {
    "forecast": "shares of the trials in which sanctions are threatened, since the class is one of threats",
    "settled": "an agreement before sanctions were imposed and before the sender backed down",
    "imposed": "sanctions were imposed, whatever followed",
    "dropped": "neither: the sender backed down, or the threat came to nothing by the horizon",
    "agreed": "settled within this number of weeks from the threat",
    "class": "the class's pooled rates as known on the scenario's first day, with their 95 % intervals",
    "outside": "the forecast lies outside the class's 95 % interval",
    "movers": "the parameters in whose lowest and highest decile the outcome's share differs most",
}
_SETTLED = "outcome == 'agreement_under_threat'"
_CONDITIONS = {
    "settled": _SETTLED,
    "imposed": "sanctions",
    "dropped": f"not sanctions and not ({_SETTLED})",
}


@dataclass(frozen=True)
class _Compared:
    """A share of trials, as a condition, and what the class says of it; `given` restricts the trials."""

    name: str
    label: str
    condition: str
    given: str
    outside: Estimate
    source: str


def check(
    run: StoredRun, *, reference: str, strategy: str | None = None, on_step: OnStep = lambda done, total: None
) -> dict[str, Any]:
    """Compare a run's forecast with its reference class, as plain values.

    `reference` names a class of ``configs/base_rates.yaml``; `strategy` is the run's first unless named. Raises
    `InvalidInput` for an unknown class or strategy, and where too few trials see a threat.
    """
    scenario = run.plan.scenario
    chosen = strategy or run.plan.strategies[0]
    rows = _rows(reference, scenario.as_of, scenario.horizon_weeks, scenario.sender)
    shares = _shares(run, chosen, rows)
    outside = [row for row in rows if _lies_outside(shares[row.name], row.outside)]
    compared = []
    for row in rows:
        movers = []
        if row in outside:
            on_step(outside.index(row), len(outside))
            movers = _movers(run, chosen, row)
        compared.append(
            {
                "name": row.name,
                "label": row.label,
                "forecast": shares[row.name],
                "class": row.outside,
                "source": row.source,
                "outside": row in outside,
                "movers": movers,
            }
        )
    return {
        "scenario": scenario.name,
        "strategy": chosen,
        "reference": reference,
        "known_on": scenario.as_of,
        "trials": run.plan.trials,
        "method": _METHOD,
        "compared": compared,
    }


def _rows(reference: str, as_of: str | None, horizon: int, sender: str) -> list[_Compared]:
    day = None if as_of is None else date.fromisoformat(as_of)
    known, whole = class_rates(reference, day), class_rates(reference)
    if not known["episodes"]:
        fault = Fault("reference", reference, f"had no threats that had ended before {as_of}")
        raise InvalidInput((fault,))
    rows = [
        _Compared(
            name, name, condition, "threat", known["pooled"][name], f"class {reference}, {known['episodes']} threats"
        )
        for name, condition in _CONDITIONS.items()
    ]
    for week, share in whole["agreed_by_week"].items():
        if int(week) <= horizon:
            rows.append(
                _Compared(
                    f"agreed_by_week_{week}",
                    f"settled within {week} weeks of the threat",
                    f"{_SETTLED} and agreement_week - threat_week <= {week}",
                    "threat",
                    _share_of(share, whole["episodes"]),
                    f"class {reference}, the whole record, later threats too",
                )
            )
    wto = shipped_rates().wto
    panel = wto["complainant_wins_against_united_states" if sender == "United States" else "complainant_wins"]
    rows.append(
        _Compared(
            "ruling_for_target", "a ruling is for the target", "ruling_for_target", "ruling is not null",
            panel.estimate(), f"{panel.title}, {panel.of} reports",
        )
    )  # fmt: skip
    return rows


def _share_of(share: float, episodes: int) -> Estimate:
    return proportion(share * episodes, episodes)


def _shares(run: StoredRun, strategy: str, rows: list[_Compared]) -> dict[str, Estimate]:
    found: dict[str, Estimate] = {}
    for given in dict.fromkeys(row.given for row in rows):
        asked = [row for row in rows if row.given == given]
        request = {
            "measures": {row.name: f"({row.condition}) and ({given})" for row in asked} | {"all": given},
            "statistics": ["count", "mean"],
            "by": [],
            "strategies": [strategy],
        }
        (counts,) = ask(run, "aggregate", request)["result"]["rows"]
        total = round(counts["all.mean"] * counts["all.count"])
        if given == "threat" and total < FEWEST_THREATS:
            message = f"has a threat in {total:,} trials, too few to compare; at least {FEWEST_THREATS:,} are needed"
            raise InvalidInput((Fault("strategy", strategy, message),))
        for row in asked:
            found[row.name] = proportion(round(counts[f"{row.name}.mean"] * counts[f"{row.name}.count"]), total)
    return found


def _lies_outside(forecast: Estimate, interval: Estimate) -> bool:
    """Whether a forecast lies outside an interval; not where one of them is not known."""
    value, low, high = forecast["estimate"], interval["low"], interval["high"]
    return value is not None and low is not None and high is not None and not low <= value <= high


def _movers(run: StoredRun, strategy: str, row: _Compared) -> list[dict[str, Any]]:
    request = {"measure": row.condition, "given": row.given, "strategy": strategy}
    parameters = ask(run, "drivers", request)["result"]["parameters"]
    known = [one for one in parameters if one.get("swing") and one["swing"]["estimate"] is not None]
    known.sort(key=lambda one: -abs(one["swing"]["estimate"]))
    return [
        {
            "parameter": one["name"],
            "unit": one["unit"],
            "lowest_decile": one["lowest_decile"]["mean"]["estimate"],
            "highest_decile": one["highest_decile"]["mean"]["estimate"],
        }
        for one in known[:MOVERS]
    ]
