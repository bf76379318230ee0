"""Estimates of outcomes, events and measures from the tallies of a strategy's trials, and a note on their errors.

Independent trials have one tally. Those of a design with replicates have one for each replicate.
"""

from sim.sampling.base import Design
from sim.sampling.designs import RANDOM
from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import EVENTS, OUTCOMES
from sim.statistics.estimates import (
    ANY_NUMBER,
    FEW,
    Estimate,
    Range,
    mean,
    mean_of_replicates,
    proportion,
    proportion_of_replicates,
)
from sim.statistics.tallies import Tally


def outcome_estimates(counted: tuple[Tally, ...], per_point: int = 1) -> dict[str, Estimate]:
    """The estimate of each outcome's probability."""
    return {name: _probability(counted, [tally.outcomes[name] for tally in counted], per_point) for name in OUTCOMES}


def event_estimates(counted: tuple[Tally, ...], per_point: int = 1) -> dict[str, Estimate]:
    """The estimate of each event's probability."""
    return {name: _probability(counted, [tally.events[name] for tally in counted], per_point) for name in EVENTS}


def mean_estimate(counted: tuple[Tally, ...], name: str, per_point: int = 1, within: Range = ANY_NUMBER) -> Estimate:
    """The estimate of a measure's mean over the trials in which it is not null.

    `within` is the measure's range (see `sim.statistics.measure_ranges`).
    """
    replicates = [tally.measures[name] for tally in counted]
    if len(replicates) == 1:
        return mean(replicates[0], within)
    return mean_of_replicates(replicates, per_point, within)


def _probability(counted: tuple[Tally, ...], successes: list[int], per_point: int) -> Estimate:
    if len(counted) == 1:
        return proportion(successes[0], counted[0].trials)
    return proportion_of_replicates(successes, [tally.trials for tally in counted], per_point)


def method_note(scenario: Scenario, design: Design) -> str:
    """How the errors were computed, and what they mean under a design."""
    replicates = design.replicates(scenario)
    if replicates > 1:
        per_point = design.trials_per_point(scenario)
        each = f", {per_point} of which (one base point's) count as one" if per_point > 1 else ""
        return (
            f"95 % intervals: Student's t over {replicates} randomised replicates of the {design.name} design, "
            "Woodruff's for quantiles; as for independent trials (Wilson, Student, order statistics) where a replicate "
            f"has fewer than {FEW} numbers, or trials on either side of an event or a quantile{each}"
        )
    intervals = (
        "95 % intervals: modified Wilson for probabilities, Student (Fay and Feuer's gamma interval where a few "
        "large values make up the mean) for means, order statistics for quantiles"
    )
    if design == RANDOM or not scenario.uncertain:
        return f"{intervals}; independent trials"
    return f"{intervals}; as if trials were independent, which is wider than necessary for a {design.name} design"
