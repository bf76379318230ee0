"""When a run has enough trials for a requested precision: the half-width of an estimate's 95 % interval.

The run looks at its estimates after some first trials, computes from their errors how many trials are needed, plays
them and looks again (Stein 1945). There are few looks, and each is meant to be the last, since at every look the run
may stop because an error is small by chance.
"""

from collections.abc import Mapping
from math import ceil, isfinite

from sim.faults import Fault, InvalidInput
from sim.sampling.base import Design
from sim.sampling.designs import GROWING, SOBOL
from sim.sampling.sobol_points import REPLICATES
from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import EVENTS, MEASURES, OUTCOMES, SHARE_OF_DEFICIT
from sim.statistics.measure_ranges import measure_ranges
from sim.statistics.tallies import Tally
from sim.statistics.tally_estimates import event_estimates, mean_estimate, outcome_estimates

FIRST_LOOK = 16_384
GROWTH = 10
"""The largest factor by which the number of trials grows between two looks."""
MARGIN = 1.02
"""The factor by which the number of trials computed is increased, since it is itself an estimate."""

LEAST_HALF_WIDTH = 1e-10
"""Half the 95 % interval of an event never seen in 10^10 trials, the most that a run can have."""


def precise_names(scenario: Scenario) -> tuple[str, ...]:
    """The estimates that can have a precision: probabilities of outcomes and events, and means of measures."""
    return (*OUTCOMES, *EVENTS, *MEASURES, *([SHARE_OF_DEFICIT] if scenario.deficit is not None else []))


def check_precision(requested: Mapping[str, float], scenario: Scenario, design: Design) -> None:
    """Raise `InvalidInput` unless every entry names an estimate and a half-width, and the design can grow."""
    names = precise_names(scenario)
    faults = []
    for name, half in requested.items():
        if name not in names:
            faults.append(_unknown(name, names))
        elif not isfinite(half) or half <= 0.0 or (name not in MEASURES and name != SHARE_OF_DEFICIT and half >= 0.5):
            allowed = "above 0" if name in MEASURES or name == SHARE_OF_DEFICIT else "between 0 and 0.5"
            faults.append(Fault(f"precision.{name}", half, f"must be the half-width of an interval, {allowed}"))
        elif half < LEAST_HALF_WIDTH:
            message = f"must be at least {LEAST_HALF_WIDTH:g}: no run has enough trials for a narrower interval"
            faults.append(Fault(f"precision.{name}", half, message))
    if not design.grows:
        growing = ", ".join(GROWING)
        message = f"needs one of the designs {growing}: the points of {design.name} depend on the number of trials"
        faults.append(Fault("precision", design.name, message))
    if faults:
        raise InvalidInput(tuple(faults))


def _unknown(name: str, names: tuple[str, ...]) -> Fault:
    message = f"is not a probability or a measure; there are {', '.join(names)}"
    return Fault("precision", name, message, path=("precision", name))


def half_width(counted: tuple[Tally, ...], name: str, scenario: Scenario, strategy: str) -> float | None:
    """Half the 95 % interval of an estimate under a strategy.

    Null if it is known in too few trials, and if all trials have the same value of a measure without bounds: its error
    is unknown then.
    """
    if name in OUTCOMES:
        found = outcome_estimates(counted)[name]
    elif name in EVENTS:
        found = event_estimates(counted)[name]
    else:
        measure = "balance_change" if name == SHARE_OF_DEFICIT else name
        found = mean_estimate(counted, measure, within=measure_ranges(scenario, strategy)[measure])
    if found["low"] is None or found["high"] is None:
        return None
    scale = 1.0 if name != SHARE_OF_DEFICIT or scenario.deficit is None else scenario.deficit
    return (found["high"] - found["low"]) / 2.0 / scale


def known_in(counted: tuple[Tally, ...], name: str) -> int:
    """The number of trials in which a probability or a measure is known."""
    if name in OUTCOMES or name in EVENTS:
        return sum(tally.trials for tally in counted)
    measure = "balance_change" if name == SHARE_OF_DEFICIT else name
    return sum(tally.measures[measure].count for tally in counted)


def trials_needed(trials: int, half: float | None, requested: float) -> int | None:
    """About how many trials give a half-width, since errors fall with the root of the number; null if unknown."""
    if half is None:
        return None
    return trials if half <= requested else ceil(trials * (half / requested) ** 2 * MARGIN)


def first_look(design: Design, most: int) -> int:
    """The number of trials before the first look, at most `most`."""
    return _at_most(design, min(FIRST_LOOK, most))


def next_look(design: Design, trials: int, needed: int | None, most: int) -> int:
    """The number of trials before the next look; `trials` if no more are allowed. `needed` is what the last look
    computed, null if unknown.
    """
    wanted = GROWTH * trials if needed is None else min(needed, GROWTH * trials)
    last = _at_most(design, most)
    if design == SOBOL:
        points = -(-wanted // REPLICATES)
        step = _step(points)
        wanted = -(-points // step) * step * REPLICATES
    else:
        wanted = -(-wanted // 1000) * 1000
    return max(trials, min(wanted, last))


def _at_most(design: Design, trials: int) -> int:
    """The most trials up to `trials` at which the design is balanced.

    Each of the sixteen replicates of a `sobol` design then has between four and seven complete nets of 2^k points.
    """
    points = trials // REPLICATES
    if design != SOBOL or not points:
        return trials
    return points // _step(points) * _step(points) * REPLICATES


def _step(points: int) -> int:
    return 1 << max(0, points.bit_length() - 3)
