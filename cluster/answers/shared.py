"""What several answers share: the strategies and parameters they are about, and refusals of too few trials."""

from collections.abc import Sequence
from math import isfinite

from cluster.query.trials import StoredRun, chosen_strategies
from sim.faults import Fault, InvalidInput
from sim.scenario.distributions import Fixed
from sim.scenario.expressions import Expression, parse_condition
from sim.scenario.scenario import Scenario

FEWEST_GIVEN = 100
"""A condition must leave at least so many trials of each strategy for an answer."""
EXACT_NUMBERS = 20_000_000
"""More numbers than these are not held in memory together for a quantile."""


def condition_of(run: StoredRun, given: str | None) -> Expression | None:
    """A request's condition over the columns of a run. Raises `InvalidInput`."""
    return None if given is None else parse_condition(given, run.plan.scenario)


def too_few_given(found: int, strategy: str, given: Expression | None) -> InvalidInput:
    """The refusal of a condition that leaves too few trials of a strategy."""
    message = f"leaves {found} trials of {strategy}, too few for an answer; at least {FEWEST_GIVEN} are needed"
    return InvalidInput((Fault("given", str(given), message),))


def paired_strategies(run: StoredRun, strategies: Sequence[str]) -> tuple[str, ...]:
    """At least two strategies to compare, as they are named; all if none is. Raises `InvalidInput`."""
    known = chosen_strategies(run, strategies)
    chosen = tuple(dict.fromkeys(strategies)) or known
    if len(chosen) < 2:
        others = [name for name in run.plan.strategies if name not in chosen]
        message = "needs another strategy to compare with; " + (
            f"there are {', '.join(others)}" if others else "the run has this one alone"
        )
        raise InvalidInput((Fault("strategies", chosen[0], message),))
    return chosen


def too_few_paired(found: int, given: str | None, strategies: Sequence[str], fewest: int) -> InvalidInput:
    """The refusal of too few trials to compare strategies."""
    if given is None:
        where, advice = "are known", "play more trials"
    else:
        where = "agree with it"
        advice = "play more trials, ask for less, or leave out strategies under which it seldom holds"
    message = (
        f"{found:,} trials {where} under every one of {', '.join(strategies)}, too few for an answer; at least "
        f"{fewest:,} are needed: {advice}"
    )
    return InvalidInput((Fault("run" if given is None else "given", given, message),))


def beliefs_of(scenario: Scenario, strategies: Sequence[str]) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    """The uncertain parameters that are the same in all the strategies, and those that some set, by which set them.

    A parameter that a strategy sets is a decision there, not a belief on which to choose between them.
    """
    worlds = {strategy: scenario.parameters(strategy) for strategy in strategies}
    beliefs: list[str] = []
    decided: dict[str, list[str]] = {}
    for name in scenario.uncertain:
        distributions = [world[name] for world in worlds.values()]
        if any(other != distributions[0] for other in distributions):
            decided[name] = [strategy for strategy in strategies if name in scenario.strategies[strategy]]
        elif not isinstance(distributions[0], Fixed):
            beliefs.append(name)
    return tuple(beliefs), decided


def finite_or_none(value: float) -> float | None:
    """A number as JSON can hold it."""
    return float(value) if isfinite(value) else None


def uncertain_parameters(scenario: Scenario, strategy: str) -> tuple[str, ...]:
    """The parameters that a strategy leaves uncertain. Raises `InvalidInput` if there are none."""
    distributions = scenario.parameters(strategy)
    found = tuple(name for name in scenario.uncertain if not isinstance(distributions[name], Fixed))
    if not found:
        raise InvalidInput((Fault("strategy", strategy, "leaves no parameter uncertain"),))
    return found
