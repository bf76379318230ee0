"""Parameters moved so that a scenario's threats and sanctions end as often in each way, and as soon, as past ones did.

The mechanisms that move how they end (pressure of costs, litigation, deadlines) all play. Of the parameters' moves
that reach the rates the least is sought, by Gauss and Newton's method with the minimum-norm step, on common random
numbers: each simulation plays the same trials (Glasserman & Yao 1992, "Some guidelines and guarantees for common random
numbers", Management Science 38). How many sanctions end within a year is a target as the rates are. How soon threats
are settled is counted from lists of goods, whose deadlines differ: a share that lies outside its interval is brought to
the nearer end, with the rates kept.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import exp, log
from typing import Any

import numpy as np

from cluster.answers.entry import OnProgress
from cluster.answers.outside_view import ENDED_SOON, FEWEST_THREATS, PastShare, past_cases, too_few_threats
from sim.faults import Fault, InvalidInput
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario import validation
from sim.scenario.columns import columns
from sim.scenario.distributions import Distribution
from sim.scenario.evaluation import evaluate
from sim.scenario.expressions import parse_condition
from sim.scenario.scenario import Scenario, intervene
from sim.scenario.validation import Report
from sim.statistics.estimates import proportion

TOLERANCE = 0.005
"""The greatest difference between a share of the trials and its target at which the search ends."""
INSIDE = 2.0 * TOLERANCE
"""How far inside its interval a duration is brought that lay outside."""
FEWEST_TRIALS, MOST_TRIALS = 1_000, 1_000_000
"""The trials of each simulation, which are in memory."""
ITERATIONS = 15
DIFFERENCE = 0.3
"""The move for which the effect on the shares is computed."""
LONGEST_CHANGE = 0.2
"""The greatest step by which a duration approaches its target."""
LONGEST_STEP, FARTHEST = 1.0, 3.0
"""The greatest change of a move in one iteration, and the greatest move."""
SCALABLE = ("pert", "uniform", "triangular", "loguniform")
"""The distributions that can be moved: lists of values."""
_METHOD = {
    "target": (
        "threats: the class's pooled rates as known on the scenario's first day; sanctions in force from the start: "
        "what had become of past ones two years after their imposition; no later case is used"
    ),
    "share": (
        "of the trials in which sanctions are threatened, or in force from the start, with every mechanism of the "
        "scenario playing"
    ),
    "moves": (
        "readiness and pressure (of both sides) and deadline_multiplier are multiplied by e^move; a probability's odds "
        "are multiplied by e^move; for each value of a distribution. Of the moves that reach the rates those with the "
        "least sum of squares are sought"
    ),
    "search": (
        "minimum-norm Gauss-Newton steps with differences on common random numbers; checked with the next seed, whose "
        "trials the search has not seen"
    ),
    "durations": (
        "as known on the scenario's first day (see check): the share of sanctions that end within a year is brought to "
        "that of past ones, or as near to it as moves come that keep the rates; the shares of threats that are settled "
        "by a week and that end in an agreement within two years are brought to the nearer end of their 95 % intervals "
        "where they lie outside, if moves come there"
    ),
}


def _scaled(value: float, move: float) -> float:
    return value * exp(move)


def _with_odds(value: float, move: float) -> float:
    if not 0.0 < value < 1.0:
        return value
    return 1.0 / (1.0 + exp(-(log(value / (1.0 - value)) + move)))


_KNOBS: dict[str, tuple[tuple[str, ...], Callable[[float, float], float]]] = {
    "readiness": (("sender_readiness", "target_readiness"), _scaled),
    "follow_through": (("follow_through",), _with_odds),
    "extension_probability": (("extension_probability",), _with_odds),
    "lapse_probability": (("lapse_probability",), _with_odds),
    "deadline_multiplier": (("deadline_multiplier",), _scaled),
    "sanction_fatigue": (("sanction_fatigue",), _with_odds),
    "pressure": (("target_pressure", "sender_pressure"), _scaled),
}
"""What is moved: the parameters, and how a move changes a value of each."""


@dataclass(frozen=True)
class _Problem:
    """What is fitted to what: the scenario and strategy, and target shares of the threats by their conditions."""

    scenario: Scenario
    strategy: str
    knobs: tuple[str, ...]
    conditions: Mapping[str, tuple[str, str]]
    """Each share's condition, and the one among whose trials it is counted, by name."""
    target: Mapping[str, float]
    """The shares to reach, by the names of some of the conditions."""
    chance: Chance

    def moved(self, moves: np.ndarray) -> dict[str, object]:
        """The documents of the moved parameters, by name."""
        given = self.scenario.parameters(self.strategy)
        found: dict[str, object] = {}
        for knob, move in zip(self.knobs, moves.tolist(), strict=True):
            names, change = _KNOBS[knob]
            for name in names:
                found[name] = _changed(given[name].document(), lambda value, move=move, f=change: f(value, move))  # type: ignore[misc]
        return found

    def counts(self, moves: np.ndarray, chance: Chance | None = None) -> dict[str, tuple[int, int]]:
        """For each condition: the trials in which it holds, and those among which it is counted."""
        played = intervene(self.scenario, self.moved(moves)) if self.knobs else self.scenario
        table = simulate(played, self.strategy, chance or self.chance)
        known = {column.name: column for column in columns(played)}

        def count(text: str) -> int:
            return int(evaluate(parse_condition(text, played), table, known).sum())

        return {
            name: (count(f"({given}) and ({text})"), count(given)) for name, (text, given) in self.conditions.items()
        }

    def shares(self, moves: np.ndarray) -> dict[str, float]:
        """The share of each condition among the trials in which it is counted."""
        return {name: happened / max(of, 1) for name, (happened, of) in self.counts(moves).items()}

    def missing(self, moves: np.ndarray) -> np.ndarray:
        """How much the shares are below their targets, shape (targets,)."""
        found = self.shares(moves)
        return np.array([share - found[name] for name, share in self.target.items()])


def fit(
    scenario: Scenario,
    strategy: str | None,
    reference: str | None,
    trials: int,
    seed: int,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """The least moves of `_KNOBS` by which a scenario's threats end as those of its reference class did, and as soon.

    A strategy with sanctions in force from the start has no threats; its sanctions then end as past ones did. Uses only
    what was known at the end of the year before `as_of`. Progress is in iterations. Returns plain values; where the
    rates cannot be reached, ``reached`` is false and the nearest moves found are given. Raises `InvalidInput` for an
    unknown class or strategy, trials out of range, a scenario without a class, and where too few have a threat.
    """
    report = Report()
    validation.whole(report, ("trials",), trials, FEWEST_TRIALS, MOST_TRIALS)
    validation.whole(report, ("seed",), seed, 0, 2**63 - 2)
    report.raise_faults()
    strategy = _strategy(scenario, strategy)
    past = past_cases(scenario, strategy, reference)
    given = scenario.parameters(strategy)
    kept = {knob: reason for knob in _KNOBS if (reason := _not_movable(knob, given)) is not None}
    shares = {one.name: one for one in (*past.endings, *past.durations)}
    problem = _Problem(
        scenario,
        strategy,
        tuple(knob for knob in _KNOBS if knob not in kept),
        {name: (one.condition, one.given) for name, one in shares.items()},
        {one.name: float(one.share["estimate"] or 0.0) for one in past.endings[:-1]},
        Chance(seed, 0, trials),
    )
    nothing = np.zeros(len(problem.knobs))
    before = problem.counts(nothing)
    threats = before[past.endings[0].name][1]
    if threats < FEWEST_THREATS:
        raise InvalidInput((Fault("strategy", strategy, too_few_threats(threats)),))
    moves, missing, iterations = _search(problem, nothing, on_progress)
    if np.abs(missing).max() <= TOLERANCE:
        for one in past.durations:
            if one.name == ENDED_SOON and one.share["estimate"] is not None:
                problem, moves, more = _towards(problem, moves, one.name, one.share["estimate"], on_progress)
                iterations += more
        missing = problem.missing(moves)
    while outside := _outside(problem.shares(moves), past.durations, problem.target):
        tried = replace(problem, target={**problem.target, **outside})
        found, still_missing, more = _search(tried, moves, on_progress)
        iterations += more
        if np.abs(still_missing).max() > TOLERANCE:
            break
        problem, moves, missing = tried, found, still_missing
    checked = problem.counts(moves, Chance(seed + 1, 0, trials))
    moved = problem.moved(moves)
    return {
        "scenario": scenario.name,
        "strategy": strategy,
        "reference": past.reference,
        "known_on": past.known_on,
        "trials": trials,
        "seed": seed,
        "iterations": iterations,
        "reached": bool(np.abs(missing).max() <= TOLERANCE),
        "method": _METHOD,
        "moves": dict(zip(problem.knobs, moves.tolist(), strict=True)),
        "kept": kept,
        "parameters": {
            name: {"before": given[name].document(), "after": after}
            for name, after in moved.items()
            if after != given[name].document()
        },
        "endings": {one.name: _reached(one, before, checked) for one in past.endings},
        "durations": {one.name: _reached(one, before, checked) for one in past.durations},
    }


def _reached(
    one: PastShare, before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]
) -> dict[str, object]:
    return {
        "label": one.label,
        "target": one.share,
        "source": one.source,
        "before": proportion(*before[one.name]),
        "after": proportion(*after[one.name]),
    }


def _outside(
    shares: Mapping[str, float], durations: Iterable[PastShare], target: Mapping[str, float]
) -> dict[str, float]:
    """The duration farthest outside its interval that has no target, and the share it is brought to."""
    farthest, found = 0.0, {}
    for one in durations:
        low, share, high = one.share["low"], one.share["estimate"], one.share["high"]
        if low is None or share is None or high is None or one.name in target:
            continue
        beyond = max(low - shares[one.name], shares[one.name] - high)
        if beyond > farthest:
            farthest = beyond
            found = {one.name: min(low + INSIDE, share) if shares[one.name] < share else max(high - INSIDE, share)}
    return found


def _strategy(scenario: Scenario, name: str | None) -> str:
    if name is None:
        return scenario.history.strategy if scenario.history else next(iter(scenario.strategies))
    if name not in scenario.strategies:
        raise InvalidInput((Fault("strategy", name, f"is not known; there are {', '.join(scenario.strategies)}"),))
    return name


def _not_movable(knob: str, given: dict[str, Distribution]) -> str | None:
    """Why a knob is not moved; None if it is."""
    names, change = _KNOBS[knob]
    for name in names:
        document = given[name].document()
        if isinstance(document, dict) and next(iter(document)) not in SCALABLE:
            return f"{name} is a {next(iter(document))}; only numbers, {', '.join(SCALABLE)} can be moved"
        if _changed(document, lambda value: change(value, 1.0)) == document:
            return f"{name} is {document}, which no move of its odds changes"
    return None


def _changed(document: object, change: Callable[[float], float]) -> object:
    """A distribution's document with each of its values changed, to four digits, as they are played."""
    if isinstance(document, dict):
        return {kind: [_changed(value, change) for value in values] for kind, values in document.items()}
    assert isinstance(document, int | float)
    changed = change(float(document))
    return document if changed == document else float(f"{changed:.4g}")


def _towards(
    problem: _Problem, moves: np.ndarray, name: str, goal: float, on_progress: OnProgress
) -> tuple[_Problem, np.ndarray, int]:
    """The problem with the share of one more condition as a target, as near to a goal as moves come; and these moves.

    The goal is approached in steps, each with the other targets reached, since a move that is far from the last one
    seldom leads there at once. A step that cannot be made is tried again half as long. The third is how many iterations
    it took.
    """
    iterations, step = 0, LONGEST_CHANGE
    share = problem.shares(moves)[name]
    while step > TOLERANCE and abs(goal - share) > TOLERANCE:
        tried = replace(problem, target={**problem.target, name: share + min(max(goal - share, -step), step)})
        found, missing, more = _search(tried, moves, on_progress)
        iterations += more
        if np.abs(missing).max() > TOLERANCE:
            step /= 2.0
            continue
        problem, moves = tried, found
        share = problem.shares(moves)[name]
    return replace(problem, target={**problem.target, name: share}), moves, iterations


def _search(problem: _Problem, moves: np.ndarray, on_progress: OnProgress) -> tuple[np.ndarray, np.ndarray, int]:
    """The moves found from some first ones, what is missing with them, and the number of iterations."""
    missing = problem.missing(moves)
    for iteration in range(ITERATIONS):
        on_progress(iteration, ITERATIONS)
        if not moves.size or np.abs(missing).max() <= TOLERANCE:
            return moves, missing, iteration
        effects = np.empty((missing.size, moves.size))
        for place in range(moves.size):
            other = moves.copy()
            other[place] += DIFFERENCE if moves[place] <= 0.0 else -DIFFERENCE
            effects[:, place] = (missing - problem.missing(other)) / (other[place] - moves[place])
        # The first step goes to the least moves that reach the target by these effects, which may be far; the second
        # is the least step that reaches it.
        inverse = np.linalg.pinv(effects, rcond=0.001)
        for step in (inverse @ (missing + effects @ moves) - moves, inverse @ missing):
            found = _descended(problem, moves, missing, step)
            if found is not None:
                moves, missing = found
                break
        else:
            return moves, missing, iteration + 1
    return moves, missing, ITERATIONS


def _descended(
    problem: _Problem, moves: np.ndarray, missing: np.ndarray, step: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """The moves after a step, or a part of it, with which less is missing, and what still is; None if none do."""
    step = step * min(1.0, LONGEST_STEP / max(float(np.abs(step).max()), 1e-12))
    for _ in range(5):
        tried = np.clip(moves + step, -FARTHEST, FARTHEST)
        found = problem.missing(tried)
        if np.square(found).sum() < np.square(missing).sum():
            return tried, found
        step = step / 2.0
    return None
