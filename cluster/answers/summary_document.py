"""A summary's document, made from tallies and from trials whose quantiles can be found."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, Protocol

from cluster.results.plan import Plan
from sim.scenario.scenario import Scenario, interventions_document
from sim.scenario.vocabulary import MEASURES, SHARE_OF_DEFICIT
from sim.scenario.warnings import assumption_notes, scenario_warnings, warning_documents
from sim.statistics.estimates import is_doubtful
from sim.statistics.measure_ranges import measure_ranges
from sim.statistics.quantile_bounds import quantile_bounds_of_counts, quantile_bounds_of_replicates
from sim.statistics.tallies import NO_NUMBERS, NO_TRIALS, Moments, Tally, merge, merge_moments
from sim.statistics.tally_estimates import event_estimates, mean_estimate, method_note, outcome_estimates

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


QUANTILES_EXACT = "quantiles exact"


def summary_document(
    plan: Plan, summaries: dict[str, dict[str, object]], of: int | None = None, quantiles: str = QUANTILES_EXACT
) -> dict[str, object]:
    """The summary of a run from the parts of its strategies.

    `of` is the number of trials from which it is made once they are all committed, the plan's unless given; `quantiles`
    says how they were found.
    """
    summary = {
        "scenario": plan.scenario.name,
        "trials": plan.trials,
        "seed": plan.seed,
        "design": plan.design.name,
        "complete": all(found["trials_played"] == (of or plan.trials) for found in summaries.values()),
        "method": f"{method_note(plan.scenario, plan.design)}; {quantiles}",
        "strategies": summaries,
    }
    if plan.scenario.interventions:
        summary["set"] = interventions_document(plan.scenario)
    warnings = warning_documents(scenario_warnings(plan.scenario))
    if warnings:
        summary["warnings"] = warnings
    assumed = assumption_notes(plan.scenario, summaries) if len(summaries) > 1 else []
    if assumed:
        summary["assumptions"] = assumed
    return summary


def exactly(_: str, value: float) -> tuple[float, float]:
    """The bracket of a quantile that is exact."""
    return value, value


def strategy_document(
    plan: Plan,
    strategy: str,
    counted: tuple[Tally, ...],
    played: int,
    trials: "SelectableTrials",
    bracket: Callable[[str, float], tuple[float, float]] = exactly,
) -> dict[str, object]:
    """A strategy's part of the summary.

    `counted` are the tallies of the replicates, `played` is the number of committed trials, and `trials` finds the
    quantiles of the same trials. `bracket` gives, by measure, the least and the greatest number that may stand behind
    such a quantile.
    """
    per_point = plan.design.trials_per_point(plan.scenario)
    total = reduce(merge, counted, NO_TRIALS)
    ranges = measure_ranges(plan.scenario, strategy)
    measures: dict[str, dict[str, object]] = {}
    for name, quantiles in _quantiles(trials, counted, per_point, bracket).items():
        measures[name] = {
            "count": total.measures[name].count,
            "mean": mean_estimate(counted, name, per_point, ranges[name]),
            "quantiles": {level: found["estimate"] for level, found in quantiles.items()},
            "quantile_intervals": {
                level: {"low": found["low"], "high": found["high"]} for level, found in quantiles.items()
            },
            "quantiles_exact": all(
                bracket(name, one["estimate"]) == (one["estimate"], one["estimate"])
                for one in quantiles.values()
                if one["estimate"] is not None
            ),
            **({"skewed": True} if is_doubtful(total.measures[name]) else {}),
        }
    return {
        "trials": total.trials,
        "trials_played": played,
        "outcome": outcome_estimates(counted, per_point),
        "events": event_estimates(counted, per_point),
        "measures": with_share_of_deficit(measures, plan.scenario),
    }


def with_share_of_deficit(measures: dict[str, dict[str, object]], scenario: Scenario) -> dict[str, dict[str, object]]:
    """The parts of a strategy's measures, with that of the balance relative to the deficit if the scenario has one."""
    if scenario.deficit is None:
        return measures
    return {**measures, SHARE_OF_DEFICIT: _scaled(measures["balance_change"], 1.0 / scenario.deficit)}


class SelectableTrials(Protocol):
    """Trials whose numbers can be selected and counted."""

    def quantiles(
        self, levels: Mapping[str, Sequence[float]], numbers: Mapping[str, Moments]
    ) -> dict[str, dict[float, float]]:
        """By measure and level the smallest value whose share is at least the level."""
        ...

    def below(
        self, at: Mapping[str, Mapping[float, float]], replicates: int
    ) -> dict[str, dict[float, tuple[list[int], list[int]]]]:
        """By measure and level how many numbers of each replicate are less than, and at most, the value there."""
        ...


def _quantiles(
    trials: SelectableTrials,
    counted: tuple[Tally, ...],
    per_point: int,
    bracket: Callable[[str, float], tuple[float, float]],
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Quantiles of each measure over its numbers that are not null, with their 95 % intervals."""
    numbers = {
        name: reduce(merge_moments, (tally.measures[name] for tally in counted), NO_NUMBERS) for name in MEASURES
    }
    numbers = {name: found for name, found in numbers.items() if found.count}
    at: dict[str, dict[float, float]] = {name: {} for name in numbers}
    if len(counted) == 1:
        counts = [found.count for found in numbers.values()]
        bounds = dict(zip(numbers, quantile_bounds_of_counts(counts, LEVELS), strict=True))
    else:
        at = trials.quantiles(dict.fromkeys(numbers, LEVELS), numbers)
        bounds = {
            name: [
                quantile_bounds_of_replicates(
                    level, *found[level], [tally.measures[name].count for tally in counted], per_point
                )
                for level in LEVELS
            ]
            for name, found in trials.below(at, len(counted)).items()
        }
    wanted = {
        name: sorted({level for pair in pairs for level in pair if level is not None}.union(LEVELS) - at[name].keys())
        for name, pairs in bounds.items()
    }
    asked = trials.quantiles(wanted, numbers)
    nothing: dict[str, dict[str, float | None]] = {
        str(level): dict.fromkeys(("estimate", "low", "high")) for level in LEVELS
    }
    quantiles = dict.fromkeys(MEASURES, nothing)
    for name, pairs in bounds.items():
        values = {**at[name], **asked[name]}
        quantiles[name] = {
            str(level): {
                "estimate": values[level],
                "low": None if low is None else bracket(name, values[low])[0],
                "high": None if high is None else bracket(name, values[high])[1],
            }
            for level, (low, high) in zip(LEVELS, pairs, strict=True)
        }
    return quantiles


def _scaled(measure: Mapping[str, Any], factor: float) -> dict[str, object]:
    def scale(numbers: dict[str, float | None]) -> dict[str, float | None]:
        return {key: None if value is None else value * factor for key, value in numbers.items()}

    return {
        **measure,
        "mean": scale(measure["mean"]),
        "quantiles": scale(measure["quantiles"]),
        "quantile_intervals": {level: scale(found) for level, found in measure["quantile_intervals"].items()},
    }
