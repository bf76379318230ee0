"""Beliefs of a request: how their text is read, and the weights that they give to the trials of an answer.

A belief is about a condition in the run of one strategy, the run's first unless it names another (``under NAME``). A
trial has the same parameter values and the same chance under every strategy, so that its weight says how likely that
world is believed to be, and it is the same under every strategy. The beliefs hold in the trials from which an answer is
computed: those that agree with the condition `given`, if there is one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite

import numpy as np

from cluster.answers.entry import MOST_BELIEFS, Evidence
from cluster.answers.shared import FEWEST_GIVEN, too_few_given
from cluster.query.shard_map import reduce_shards
from cluster.query.trials import CODE, Reading, SameTrials, StoredRun, read_blocks, same_trials
from sim.faults import Fault, InvalidInput, decimal_comma
from sim.scenario.expressions import NUMBER, Expression, parse_condition
from sim.statistics.soft_evidence import Belief, Contradiction, Weighting, weigh
from sim.statistics.weighted_sample import WeightedSample

WEIGHTED = (
    "trials are weighted so that the beliefs hold (see evidence), and intervals contain the error of the weights, "
    "which are estimated from the same trials (calibration; Deville and Särndal 1992)"
)
"""How weighted answers are computed, for their documents."""
_NUMBER = r"(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
_FORM = re.compile(
    rf"(?P<condition>.*[^=!<>])=\s*(?P<low>{_NUMBER})\s*(?:\.\.\s*(?P<high>{_NUMBER})\s*)?"
    rf"(?:\s+strength\s+(?P<strength>{_NUMBER})\s*)?(?:\s+under\s+(?P<strategy>\S+)\s*)?",
    re.DOTALL,
)


@dataclass(frozen=True)
class StatedBelief:
    """A belief as it was stated: of a condition, whose `text` is kept, under a strategy."""

    text: str
    condition: Expression
    strategy: str
    belief: Belief

    def __str__(self) -> str:
        found = self.belief
        text = f"{self.text} = {found.low:g}" + (f"..{found.high:g}" if found.low < found.high else "")
        if found.strength is not None:
            text += f" strength {found.strength:g}"
        return f"{text} under {self.strategy}"


def read_beliefs(run: StoredRun, texts: Sequence[str]) -> tuple[StatedBelief, ...]:
    """Beliefs by their texts, such as ``sanctions = 0.3`` or ``agreement_week <= 12 = 0.2..0.4 under threaten``.

    Raises `InvalidInput` with the faults of them all.
    """
    if len(texts) > MOST_BELIEFS:
        raise InvalidInput((Fault("believe", len(texts), f"must be at most {MOST_BELIEFS} beliefs"),))
    found: list[StatedBelief] = []
    faults: list[Fault] = []
    for k, text in enumerate(texts):
        try:
            found.append(_read(run, text, f"believe[{k}]"))
        except InvalidInput as error:
            faults += error.faults
    if faults:
        raise InvalidInput(tuple(faults))
    return tuple(found)


def _read(run: StoredRun, text: str, field: str) -> StatedBelief:
    def refuse(message: str) -> InvalidInput:
        return InvalidInput((Fault(field, text, message),))

    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise refuse(
            decimal_comma(text)
            or "must be a condition and its probability, such as 'sanctions = 0.3', 'agreement_week <= 12 = 0.2..0.4' "
            "or 'sanctions = 0.3 strength 20'; 'under NAME' at the end names the strategy"
        )
    low = float(match["low"])
    high = low if match["high"] is None else float(match["high"])
    strength = None if match["strength"] is None else float(match["strength"])
    if not 0.0 <= low <= high <= 1.0:
        raise refuse("must have a probability from 0 to 1, or a range of them from low to high")
    if strength is not None and low < high:
        raise refuse("must have either a range or a strength: a strength is the weight of one probability")
    if strength is not None and not (isfinite(strength) and strength > 0.0):
        raise refuse("must have a strength above 0, a number of observations")
    if low == 0.0 and high == 1.0:
        raise refuse("says nothing: every probability lies between 0 and 1")
    strategy = match["strategy"] or run.plan.strategies[0]
    if strategy not in run.plan.strategies:
        raise refuse(f"must name a strategy of this run after 'under'; there are {', '.join(run.plan.strategies)}")
    stated = match["condition"].strip()
    condition = parse_condition(stated, run.plan.scenario, field)
    return StatedBelief(stated, condition, strategy, Belief(low, high, strength))


def code_of(stated: Sequence[StatedBelief]) -> dict[str, Expression]:
    """By strategy a number whose sum over the strategies codes which conditions hold: a binary digit each."""
    found: dict[str, Expression] = {}
    for k, one in enumerate(stated):
        digit = Expression("*", NUMBER, (Expression("literal", NUMBER, (), 2.0**k), one.condition))
        before = found.get(one.strategy)
        found[one.strategy] = digit if before is None else Expression("+", NUMBER, (before, digit))
    return found


@dataclass(frozen=True)
class WeightedTrials:
    """The weights of an answer's trials, whose conditions are coded as by `code_of`.

    `patterns` are the codes that occur, in order: the places of the weighting's patterns.
    """

    stated: tuple[StatedBelief, ...]
    weighting: Weighting
    patterns: np.ndarray

    def place(self, code: np.ndarray) -> np.ndarray:
        """The pattern of each trial, int64."""
        return np.searchsorted(self.patterns, code)

    def weight(self, code: np.ndarray) -> np.ndarray:
        """The weight of each trial; their mean is 1."""
        return self.weighting.weights[self.place(code)]

    def by_code(self) -> np.ndarray:
        """The weight of a trial of each code, shape (2 ** beliefs,); 0 for codes that no trial has."""
        found = np.zeros(2 ** len(self.stated))
        found[self.patterns] = self.weighting.weights
        return found

    def sample(self, code: np.ndarray, trial: np.ndarray, replicates: int) -> WeightedSample:
        """Trials with these codes and numbers, as they are estimated from."""
        return WeightedSample(self.weighting, self.place(code), trial % replicates, replicates)

    def evidence(self) -> Evidence:
        """What the beliefs did, for an answer's document."""
        found = self.weighting
        return Evidence.model_validate(
            {
                "beliefs": [
                    {
                        "condition": one.text,
                        "strategy": one.strategy,
                        "low": one.belief.low,
                        "high": one.belief.high,
                        "strength": one.belief.strength,
                        "played": float(found.before[k]),
                        "weighted": float(found.after[k]),
                    }
                    for k, one in enumerate(self.stated)
                ],
                "rule": _rule(self.stated, found),
                "effective_trials": found.effective,
                "greatest_weight": found.greatest,
            }
        )


def _rule(stated: Sequence[StatedBelief], found: Weighting) -> str:
    exact = all(one.belief.low == one.belief.high and one.belief.strength is None for one in stated)
    return "Jeffrey's rule" if exact and found.is_jeffrey() else "minimum relative entropy"


def weigh_trials(stated: Sequence[StatedBelief], counts: np.ndarray, given: Expression | None = None) -> WeightedTrials:
    """The weights of trials, of which `counts` says how many have each code, shape (2 ** beliefs,).

    Raises `InvalidInput` for beliefs that contradict each other or the trials, and where too few trials are left.
    """
    patterns = np.flatnonzero(counts)
    holds = (patterns[:, None] >> np.arange(len(stated)) & 1).astype(bool)
    try:
        weighting = weigh(holds, counts[patterns], [one.belief for one in stated])
    except Contradiction as error:
        raise _contradiction(stated, error, int(counts.sum()), given) from None
    if weighting.effective < FEWEST_GIVEN:
        worst = int(np.argmax(np.abs(np.log(np.maximum(weighting.after, 1e-12) / np.maximum(weighting.before, 1e-12)))))
        message = (
            f"leaves an effective number of {weighting.effective:.0f} of {int(counts.sum()):,} trials, too few for an "
            f"answer; at least {FEWEST_GIVEN} are needed: play more trials, or believe what the trials show more often "
            f"({stated[worst].text} has a probability of {weighting.before[worst]:.3g} in them)"
        )
        raise InvalidInput((Fault(f"believe[{worst}]", str(stated[worst]), message),))
    return WeightedTrials(tuple(stated), weighting, patterns)


def count_codes(
    run: StoredRun, strategies: Sequence[str], stated: Sequence[StatedBelief], given: Expression | None
) -> np.ndarray:
    """How many trials have each code of `code_of`, shape (2 ** beliefs,).

    With a condition `given`, of the trials for which it holds under each of the strategies.
    """
    reading = Reading(tuple(strategies), {}, given=given, code=code_of(stated))
    count = partial(_count_codes, reading, 2 ** len(stated))
    return reduce_shards(run, same_trials(run, reading.read), count, np.add, np.zeros(2 ** len(stated), np.int64))


def _count_codes(reading: Reading, codes: int, run: StoredRun, shards: SameTrials) -> np.ndarray:
    counts = np.zeros(codes, np.int64)
    for block in read_blocks(run, shards, reading):
        counts += np.bincount(block[reading.strategies[0]][CODE], minlength=codes)
    return counts


def weigh_strategy(
    run: StoredRun, strategy: str, stated: Sequence[StatedBelief], given: Expression | None
) -> WeightedTrials:
    """The weights of a strategy's committed trials for which a condition holds. Raises `InvalidInput`."""
    counts = count_codes(run, (strategy,), stated, given)
    if counts.sum() < (1 if given is None else FEWEST_GIVEN):
        raise too_few_given(int(counts.sum()), strategy, given)
    return weigh_trials(stated, counts, given)


def weigh_sample(stated: Sequence[StatedBelief], code: np.ndarray, given: Expression | None = None) -> WeightedTrials:
    """The weights of trials that are in memory, by the code of each, shape (trials,). Raises `InvalidInput`."""
    return weigh_trials(stated, np.bincount(code, minlength=2 ** len(stated)), given)


def _contradiction(
    stated: Sequence[StatedBelief], error: Contradiction, trials: int, given: Expression | None
) -> InvalidInput:
    *others, last = error.beliefs
    one = stated[last]
    where = f"{trials:,} trials" + ("" if given is None else f" that agree with {given}")
    if not others and error.low == error.high:
        message = f"cannot hold: the condition holds in {'all' if error.low else 'none'} of the {where}"
    elif not others:
        message = "is a certainty, which leaves the other trials without weight: ask with it as the condition given"
    else:
        listed = " and ".join(f"'{stated[k]}'" for k in others)
        message = (
            f"contradicts {listed}: with {'it' if len(others) == 1 else 'them'} the probability of {one.text} "
            + (
                f"is {error.low:.6g}"
                if error.low == error.high
                else f"lies between {error.low:.6g} and {error.high:.6g}"
            )
            + f" in the {where}, both ends excluded" * (error.low < error.high)
        )
    return InvalidInput((Fault(f"believe[{last}]", str(one), message),))
