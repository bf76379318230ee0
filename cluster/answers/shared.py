"""What several answers share: choice of strategies and parameters, work by parameter, errors for too few trials."""

from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from typing import TypeVar

from cluster.query.trials import StoredRun, chosen_strategies
from cluster.storage.concurrent import in_order
from sim.faults import Fault, InvalidInput
from sim.scenario.distributions import Fixed
from sim.scenario.expressions import TRUTH, Expression, parse_condition
from sim.scenario.scenario import Scenario

FEWEST_GIVEN = 100
"""A condition must leave at least this many trials of each strategy for an answer."""
EXACT_NUMBERS = 20_000_000
"""The largest number of values that are held in memory for a quantile."""
_PARAMETERS_AT_A_TIME = 10
_THREADS = 2
_FEW = 50_000
"""So few trials are worked on by one thread: what is done at a time is so short that threads wait for each other."""

T = TypeVar("T")


def by_parameters(function: Callable[[Sequence[str]], T], names: Sequence[str], trials: int) -> Iterator[T]:
    """Call a function with the names of a few parameters at a time, and yield what it returns in their order.

    `trials` is how many trials the function works on.
    """
    starts = range(0, len(names), _PARAMETERS_AT_A_TIME)
    some = [names[start : start + _PARAMETERS_AT_A_TIME] for start in starts]
    return in_order(function, some, _THREADS if trials > _FEW else 1)


def condition_of(run: StoredRun, given: str | None) -> Expression | None:
    """A request's condition over the columns of a run. Raises `InvalidInput`."""
    return None if given is None else parse_condition(given, run.plan.scenario)


def both(condition: Expression | None, other: Expression) -> Expression:
    """The condition that two hold, of which the first may be none."""
    return other if condition is None else Expression("and", TRUTH, (condition, other))


def too_few_given(found: int, strategy: str, given: Expression | None) -> InvalidInput:
    """The error for a condition that leaves too few trials of a strategy."""
    message = f"leaves {found} trials of {strategy}, too few for an answer; at least {FEWEST_GIVEN} are needed"
    return InvalidInput((Fault("given", str(given), message),))


def paired_strategies(run: StoredRun, strategies: Sequence[str]) -> tuple[str, ...]:
    """At least two strategies to compare, in the order in which they are named; all if none is named. Raises
    `InvalidInput`.
    """
    known = chosen_strategies(run, strategies)
    chosen = tuple(dict.fromkeys(strategies)) or known
    if len(chosen) < 2:
        others = [name for name in run.plan.strategies if name not in chosen]
        message = "needs another strategy to compare with; " + (
            f"there are {', '.join(others)}" if others else "the run has only this one"
        )
        raise InvalidInput((Fault("strategies", chosen[0], message),))
    return chosen


class TooFewPaired(InvalidInput):
    """Too few of the same trials are known under every strategy; more may be while a run is played."""


def too_few_paired(found: int, given: str | None, strategies: Sequence[str], fewest: int) -> TooFewPaired:
    """The error for too few trials to compare strategies."""
    if given is None:
        where, advice = "are known", "play more trials"
    else:
        where = "satisfy it"
        advice = "play more trials, use a weaker condition, or leave out strategies under which it seldom holds"
    message = (
        f"{found:,} trials {where} under every one of {', '.join(strategies)}, too few for an answer; at least "
        f"{fewest:,} are needed: {advice}"
    )
    return TooFewPaired((Fault("run" if given is None else "given", given, message),))


def beliefs_of(scenario: Scenario, strategies: Sequence[str]) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    """The uncertain parameters that no strategy sets, and those that some strategies set, with these strategies.

    A parameter that a strategy sets is a decision, not a belief on which the choice between strategies depends.
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
    """The number, or None where it is not finite, which JSON cannot hold."""
    return float(value) if isfinite(value) else None


def uncertain_parameters(scenario: Scenario, strategy: str) -> tuple[str, ...]:
    """The parameters that a strategy leaves uncertain. Raises `InvalidInput` if there are none."""
    distributions = scenario.parameters(strategy)
    found = tuple(name for name in scenario.uncertain if not isinstance(distributions[name], Fixed))
    if not found:
        raise InvalidInput((Fault("strategy", strategy, "leaves no parameter uncertain"),))
    return found
