"""Values that are allowed but are probably mistakes, and what a strategy assumes of others than the sender."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import ceil, exp, isfinite, log1p, prod
from typing import TYPE_CHECKING

import numpy as np

from sim.faults import Fault
from sim.scenario.distributions import Distribution
from sim.scenario.inert_values import inert_values
from sim.scenario.parameters import BOTH, SENDER, parameter
from sim.scenario.places import Path, field_name

if TYPE_CHECKING:
    from sim.scenario.scenario import Scenario

HIGHEST_TARIFF = 3.0
"""Ad valorem. The highest duties of trade disputes so far were 100 to 250 %."""
HIGHEST_DISCOUNT_RATE = 1.0
ALL_BUT_CERTAIN = 0.999
LONG_BEFORE = 0.25
"""Share of the horizon by which an agreement should not be all but certain."""
_TARIFFS = ("tariff_rate", "retaliation_tariff")

NEARLY_CERTAIN = 0.99
VERY_EARLY = 0.1
"""Share of the horizon by which an agreement should not be nearly certain for the medians of all ranges."""

World = Mapping[str, Distribution]
Value = Callable[[Distribution], float]


def scenario_warnings(scenario: "Scenario") -> tuple[Fault, ...]:
    """The probable mistakes in a scenario, in the form of faults without lines; each depends on the scenario alone."""
    return (
        *_rates(scenario),
        *_late_threats(scenario),
        *_quick_agreements(scenario),
        *_others_choices(scenario),
        *inert_values(scenario),
    )


def warning_documents(warnings: Iterable[Fault]) -> list[dict[str, str]]:
    """Warnings as documents: ``field`` and ``message``."""
    return [{"field": warning.field, "message": warning.message} for warning in warnings]


def assumptions(scenario: "Scenario", strategies: Iterable[str] | None = None) -> dict[str, dict[str, str]]:
    """What strategies set that is not the sender's own choice alone: by strategy, who decides each such parameter.

    A difference between strategies is then partly a difference of assumptions. Strategies that assume nothing are left
    out; `strategies` are all of the scenario's if None.
    """
    chosen = scenario.strategies if strategies is None else strategies
    found = {
        strategy: {
            name: parameter(name).decided_by
            for name in scenario.strategies[strategy]
            if parameter(name).decided_by != SENDER
        }
        for strategy in chosen
    }
    return {strategy: names for strategy, names in found.items() if names}


def assumption_notes(scenario: "Scenario", strategies: Iterable[str] | None = None) -> list[str]:
    """The assumptions of strategies as sentences, one a strategy."""
    return [
        f"{strategy} sets {', '.join(f'{name} ({_decider(who)})' for name, who in names.items())}: "
        "an assumption of the comparison, not only a choice of the sender"
        for strategy, names in assumptions(scenario, strategies).items()
    ]


def assumption_method(scenario: "Scenario", strategies: Iterable[str] | None = None) -> dict[str, str]:
    """The note on assumptions for the method of an answer that compares strategies; empty where there are none."""
    notes = assumption_notes(scenario, strategies)
    return {"assumptions": "; ".join(notes)} if notes else {}


def _decider(who: str) -> str:
    return f"decided by {who}" if who in (BOTH, "nature") else f"decided by the {who}"


def _warning(path: Path, message: str) -> Fault:
    return Fault(field_name(path), None, message, path=path)


def _set_in(scenario: "Scenario", name: str) -> Iterator[tuple[Path, Distribution]]:
    """Where a parameter is set, and to what: for all strategies, or in the base and in those that override it."""
    group = ("issues", *name.split(".")[1:]) if name.startswith("issues.") else ("parameters", name)
    if name in scenario.interventions:
        yield ("set", name), scenario.interventions[name]
        return
    yield group, scenario.base[name]
    for strategy, overrides in scenario.strategies.items():
        if name in overrides:
            yield ("strategies", strategy, name), overrides[name]


def _high(distribution: Distribution) -> float:
    """The greatest value; where there is none, the 95 % quantile."""
    high = distribution.support.high
    return high if isfinite(high) else float(distribution.quantile(np.array([0.95]))[0])


def _rates(scenario: "Scenario") -> Iterator[Fault]:
    for name in _TARIFFS:
        for path, distribution in _set_in(scenario, name):
            high = _high(distribution)
            if high > HIGHEST_TARIFF:
                yield _warning(path, f"reaches {high:g}, which is {100 * high:,.0f} %; a tariff of 25 % is 0.25")
    if scenario.discount_rate > HIGHEST_DISCOUNT_RATE:
        rate = scenario.discount_rate
        yield _warning(("discount_rate",), f"is {rate:g}, which is {100 * rate:,.0f} % a year; 5 % a year is 0.05")


def _late_threats(scenario: "Scenario") -> Iterator[Fault]:
    """Threats that cannot begin within the horizon under any draw."""
    for path, distribution in _set_in(scenario, "threat_earliest_week"):
        low = _low(distribution)
        if low > scenario.horizon_weeks:
            message = f"is at least {low:g}, after the last of the {scenario.horizon_weeks} weeks: no threat is made"
            yield _warning(path, message)


def _quick_agreements(scenario: "Scenario") -> Iterator[Fault]:
    """Concession chances, each a week, that leave no time for anything but an agreement."""
    weeks = int(LONG_BEFORE * scenario.horizon_weeks)
    concessions = [
        f"issues.{issue.name}.{side}_concession" for issue in scenario.issues for side in ("sender", "target")
    ]
    for strategy, overrides in scenario.strategies.items():
        if strategy != next(iter(scenario.strategies)) and not set(overrides) & set(concessions):
            continue
        world = scenario.parameters(strategy)
        very_early = int(VERY_EARLY * scenario.horizon_weeks)
        if _chance_agreed(scenario, world, weeks, _low) >= ALL_BUT_CERTAIN:
            found, when = "all but certain", weeks
        elif (
            # Medians may need SciPy, whose import takes long; where the greatest values do not suffice, no median does.
            _chance_agreed(scenario, world, very_early, _greatest) >= NEARLY_CERTAIN
            and _chance_agreed(scenario, world, very_early, _median) >= NEARLY_CERTAIN
        ):
            found, when = "nearly certain, for the medians of all ranges,", very_early
        else:
            continue
        message = (
            f"concession chances make an agreement under {strategy} {found} by week {when} of "
            f"{scenario.horizon_weeks}; they hold for each week, not for the whole dispute"
        )
        yield _warning(("issues",), message)
        return


def _chance_agreed(scenario: "Scenario", world: World, weeks: int, value: Value) -> float:
    """The chance that all issues are settled within some weeks."""
    chances = (_chance_settled(scenario, world, i.name, i.numerical, weeks, value) for i in scenario.issues)
    return prod(chances)


def _chance_settled(scenario: "Scenario", world: World, issue: str, numerical: bool, weeks: int, value: Value) -> float:
    """The chance that an issue is settled within some weeks, with one `value` of every distribution, as its least."""
    authority = {"none": 0.0, "mid": 1.0} | {
        kind: value(world[f"{kind}_authority"]) for kind in ("technical", "senior")
    }
    sessions = sum(authority[kind] for kind in scenario.session_calendar()[:weeks])
    open_chance = 1.0
    for side in ("sender", "target"):
        hazard = -log1p(-min(value(world[f"issues.{issue}.{side}_concession"]), 1.0 - 1e-12)) * sessions
        if side == "target":
            hazard *= min(1.0, value(world["quota_aversion"])) if numerical else 1.0
            hazard *= min(1.0, value(world["defiance_multiplier"])) if _may_defy(world) else 1.0
        moves = ceil(1.0 / max(value(world[f"{side}_step"]), 1e-3) - 1e-9)
        open_chance *= _poisson_below(moves, hazard)
    return 1.0 - open_chance


def _may_defy(world: World) -> bool:
    return world["threat_probability"].support.high > 0.0 and world["defiance_probability"].support.high > 0.0


def _median(distribution: Distribution) -> float:
    return float(distribution.quantile(np.array([0.5]))[0])


def _greatest(distribution: Distribution) -> float:
    return distribution.support.high


def _low(distribution: Distribution) -> float:
    return distribution.support.low


def _poisson_below(count: int, mean: float) -> float:
    """The chance that a Poisson variable is less than `count`."""
    if mean > 500.0 + 2.0 * count:
        return 0.0
    term = total = exp(-mean)
    for k in range(1, count):
        term *= mean / k
        total += term
    return min(total, 1.0)


def _others_choices(scenario: "Scenario") -> Iterator[Fault]:
    for strategy, names in assumptions(scenario).items():
        for name, who in names.items():
            if who != BOTH:
                message = f"is not the sender's choice but {_decider(who)}: the strategy compares assumptions"
                yield _warning(("strategies", strategy, name), message)
