"""Strategies of a stored run compared on the same trials: differences, regret, and who leads given what beliefs."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import combinations

import numpy as np

from cluster.query.trials import StoredRun, chosen_strategies, paired_blocks, paired_sample
from sim.faults import Fault, InvalidInput
from sim.scenario.distributions import Fixed
from sim.scenario.expressions import TRUTH, Expression, parse_condition, parse_measure
from sim.scenario.parameters import parameter
from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import EVENTS, MEASURES, NAMED, OUTCOMES
from sim.statistics import paired_differences
from sim.statistics.estimates import ANY_NUMBER, Range, method_note
from sim.statistics.measure_ranges import difference_range, measure_ranges
from sim.statistics.paired_differences import NO_PAIRS, Lead, Pair, Regret

MEASURE = "export_gain - sender_cost"
"""What the sender gains, less what it pays: the measure of choice unless another is named."""
SAMPLE = 250_000
"""Leads and quantiles of regret are reckoned on at most so many trials, the first."""
FEWEST = 100
MOST_MEASURES = 12

_METHOD = {
    "difference": (
        "the first strategy's value less the second's in the same trial, over the trials that know both; its error is "
        "that of these paired differences; a condition's interval is that of Bonett & Price (2012), in a sobol run "
        "only where few trials differ"
    ),
    "better": (
        "higher, lower and equal are shares of those trials; of a measure of choice higher is better, as it is "
        "written: put a minus before a cost. A condition counts as 1 where it holds, else 0. A null is neither "
        "better nor worse: such trials are left out and counted under unknown"
    ),
    "regret": (
        "what a strategy falls short of the best in the same trial, over the trials that know the measure under "
        "every strategy; best: no other does better, best_alone: all others do worse"
    ),
    "leads": (
        "in twentieths of a parameter the strategy with the best mean is held against every other by paired "
        "differences; it leads if they are all above zero, with intervals that hold together over the parameter with "
        "95 % (Bonferroni); several ahead: too close to call"
    ),
}


OnProgress = Callable[[int, int], None]
"""Told how many trials are read, and of how many."""


def _quiet(done: int, total: int) -> None:
    """Progress that nobody watches."""


def compare(
    run: StoredRun,
    *,
    strategies: Sequence[str] = (),
    measures: Sequence[str] = (),
    given: str | None = None,
    on_progress: OnProgress = _quiet,
) -> dict:
    """How strategies of a run (all, if none is named) differ on the same trials.

    For every pair: the difference of each outcome's and event's probability and of each measure's mean, with errors
    from paired differences, and how often either has the higher value in the same world. For each measure of choice
    (`MEASURE`, if none is named) every strategy's regret, and which strategies lead in which range of each uncertain
    parameter that none of them sets. With `given`, over the trials for which it holds under every strategy compared.
    Reads all trials a block at a time. Raises `InvalidInput`.
    """
    plan, scenario = run.plan, run.plan.scenario
    chosen = paired_strategies(run, strategies)
    condition = parse_condition(given, scenario) if given is not None else None
    choices = read_measures(measures or (MEASURE,), scenario)
    described = choices if measures else {**{name: parse_measure(name, scenario) for name in MEASURES}, **choices}
    replicates = plan.design.replicates(scenario)

    tallied = _Tallies(chosen, described, tuple(choices), replicates)
    values = {"outcome": _code(OUTCOMES, scenario), "events": _bits(EVENTS, scenario), **described}
    for block in paired_blocks(run, chosen, values, given=condition):
        tallied.add(block)
        on_progress(int(block[chosen[0]]["trial"][-1]) + 1, plan.trials)
    if tallied.trials < FEWEST:
        raise too_few(tallied.trials, given, chosen, FEWEST)
    beliefs, decided = beliefs_of(scenario, chosen)
    shared = {name: parse_measure(name, scenario) for name in beliefs}
    sampled = paired_sample(run, chosen, choices, shared=shared, given=condition, most=SAMPLE)
    return {
        "scenario": scenario.name,
        "strategies": list(chosen),
        "given": given,
        "seed": plan.seed,
        "design": plan.design.name,
        "trials": {"compared": tallied.trials, "sampled": sampled[chosen[0]]["trial"].size},
        "method": {**_METHOD, "errors": method_note(scenario, plan.design)},
        "pairs": tallied.pairs({strategy: measure_ranges(scenario, strategy) for strategy in chosen}),
        "choices": [
            {
                "measure": name,
                **_regrets(name, tallied.regrets[name], chosen, sampled, replicates),
                "leads": _leads(name, beliefs, chosen, sampled, replicates),
            }
            for name in choices
        ],
        "set_by_strategies": decided,
    }


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


def read_measures(measures: Sequence[str], scenario: Scenario) -> dict[str, Expression]:
    """Measures by their texts. Raises `InvalidInput` that holds the faults of them all."""
    if len(measures) > MOST_MEASURES:
        raise InvalidInput((Fault("measures", len(measures), f"must be at most {MOST_MEASURES} at a time"),))
    found: dict[str, Expression] = {}
    faults: list[Fault] = []
    for k, text in enumerate(measures):
        try:
            found[text] = parse_measure(text, scenario, f"measures[{k}]")
        except InvalidInput as error:
            faults += error.faults
    if faults:
        raise InvalidInput(tuple(faults))
    return found


def too_few(found: int, given: str | None, strategies: Sequence[str], fewest: int) -> InvalidInput:
    """That too few trials are there to compare strategies."""
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


def _code(names: Sequence[str], scenario: Scenario) -> Expression:
    """Which of some disjoint conditions holds, as a number from 0."""
    return parse_measure(" + ".join(f"{k} * ({NAMED[name]})" for k, name in enumerate(names)), scenario)


def _bits(names: Sequence[str], scenario: Scenario) -> Expression:
    """Which of some conditions hold, a binary digit each."""
    return parse_measure(" + ".join(f"{2**k} * ({NAMED[name]})" for k, name in enumerate(names)), scenario)


class _Tallies:
    """What is counted of the trials so far, replicate by replicate, for each pair of strategies."""

    def __init__(
        self, strategies: tuple[str, ...], measures: Mapping[str, Expression], choices: tuple[str, ...], replicates: int
    ) -> None:
        self.strategies, self.replicates = strategies, replicates
        self.trials = 0
        self.conditions = {name for name, measure in measures.items() if measure.kind == TRUTH}
        self.couples = list(combinations(strategies, 2))
        kinds = {"outcome": len(OUTCOMES), "events": 2 ** len(EVENTS)}
        self.joint = {
            (couple, name): np.zeros((replicates, size, size), np.int64)
            for couple in self.couples
            for name, size in kinds.items()
        }
        self.measures = {(couple, name): [NO_PAIRS] * replicates for couple in self.couples for name in measures}
        self.regrets = {name: [paired_differences.no_regret(len(strategies))] * replicates for name in choices}

    def add(self, block: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Count a block of `cluster.query.trials.paired_blocks`."""
        trial = block[self.strategies[0]]["trial"]
        self.trials += trial.size
        for replicate in range(self.replicates):
            own = slice(None) if self.replicates == 1 else np.flatnonzero(trial % self.replicates == replicate)
            part = {
                strategy: {name: column[own] for name, column in block[strategy].items()}
                for strategy in self.strategies
            }
            self._add_replicate(replicate, part)

    def _add_replicate(self, replicate: int, part: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        for (couple, name), joint in self.joint.items():
            size = joint.shape[1]
            first, second = (part[strategy][name].astype(np.int64) for strategy in couple)
            joint[replicate] += np.bincount(first * size + second, minlength=size * size).reshape(size, size)
        for (couple, name), tallied in self.measures.items():
            own = paired_differences.pair(*(part[strategy][name] for strategy in couple))
            tallied[replicate] = paired_differences.merge_pairs(tallied[replicate], own)
        for name, found in self.regrets.items():
            values = np.stack([part[strategy][name] for strategy in self.strategies])
            found[replicate] = paired_differences.merge_regrets(found[replicate], paired_differences.regret(values))

    def pairs(self, ranges: Mapping[str, Mapping[str, Range]]) -> list[dict]:
        """The estimates of every pair; `ranges` holds each strategy's `sim.statistics.measure_ranges`."""
        outcomes = {name: np.arange(len(OUTCOMES)) == k for k, name in enumerate(OUTCOMES)}
        events = {name: np.arange(2 ** len(EVENTS)) >> k & 1 == 1 for k, name in enumerate(EVENTS)}
        return [
            {
                "first": couple[0],
                "second": couple[1],
                "outcome": self._conditions(self.joint[couple, "outcome"], outcomes),
                "events": self._conditions(self.joint[couple, "events"], events),
                "measures": {
                    name: paired_differences.pair_estimates(
                        tallied,
                        condition=name in self.conditions,
                        within=difference_range(*(ranges[strategy].get(name, ANY_NUMBER) for strategy in couple)),
                    )
                    for (own, name), tallied in self.measures.items()
                    if own == couple
                },
            }
            for couple in self.couples
        ]

    def _conditions(self, joint: np.ndarray, holds: Mapping[str, np.ndarray]) -> dict[str, dict]:
        tallied: dict[str, list[Pair]] = {
            name: [paired_differences.pair_of_counts(own, which) for own in joint] for name, which in holds.items()
        }
        return {name: paired_differences.pair_estimates(own, condition=True) for name, own in tallied.items()}


def _regrets(
    name: str,
    tallied: list[Regret],
    strategies: tuple[str, ...],
    sampled: Mapping[str, Mapping[str, np.ndarray]],
    replicates: int,
) -> dict:
    """Every strategy's regret, with quantiles from the trials sampled."""
    values, known = _known(name, strategies, sampled)
    total = reduce(paired_differences.merge_regrets, tallied)
    document: dict = {"trials": total.shortfall[0].count, "unknown": total.unknown, "regret": {}}
    if not known.any():
        return document
    replicate = sampled[strategies[0]]["trial"][known] % replicates
    short = paired_differences.shortfalls(values[:, known])
    document["regret"] = {
        strategy: {
            **paired_differences.regret_estimates(tallied, k),
            "quantiles": {
                str(level): paired_differences.quantile_estimate(short[k], level, replicate, replicates)
                for level in paired_differences.REGRET_LEVELS
            },
        }
        for k, strategy in enumerate(strategies)
    }
    return document


def _leads(
    name: str,
    beliefs: Sequence[str],
    strategies: tuple[str, ...],
    sampled: Mapping[str, Mapping[str, np.ndarray]],
    replicates: int,
) -> list[dict]:
    """For each parameter the ranges in which strategies lead; those in which the lead changes hands come first."""
    values, known = _known(name, strategies, sampled)
    if not known.any():
        return []
    values = values[:, known]
    replicate = sampled[strategies[0]]["trial"][known] % replicates
    found = []
    for belief in beliefs:
        ranges = paired_differences.leads(sampled[strategies[0]][belief][known], values, replicate, replicates)
        clear = {lead.ahead[0] for lead in ranges if len(lead.ahead) == 1}
        found.append(
            {
                "name": belief,
                "unit": parameter(belief).unit,
                "changes_hands": len(clear) > 1,
                "ranges": [_range(lead, strategies, int(known.sum())) for lead in ranges],
            }
        )
    return sorted(found, key=lambda one: (not one["changes_hands"], -len(one["ranges"])))


def _range(lead: Lead, strategies: tuple[str, ...], trials: int) -> dict:
    return {
        "low": lead.low,
        "high": lead.high,
        "share": lead.trials / trials,
        "cells": lead.cells,
        "leads": strategies[lead.ahead[0]] if len(lead.ahead) == 1 else None,
        "ahead": [strategies[k] for k in lead.ahead],
        "means": dict(zip(strategies, lead.means, strict=True)),
    }


def _known(
    name: str, strategies: tuple[str, ...], sampled: Mapping[str, Mapping[str, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """A measure of choice in the trials sampled, shape (strategies, trials), and in which every strategy knows it."""
    values = np.stack([sampled[strategy][name] for strategy in strategies])
    return values, np.isfinite(values).all(axis=0)
