"""Soft evidence: weights of trials under which conditions have the probabilities that a user believes.

The trials are weighted so that the beliefs hold and the distribution moves as little as it can: the weights minimise
the relative entropy to the trials as they were played (minimum discrimination information; Kullback 1959; Csiszár
1975, Annals of Probability 3). Where the conditions exclude each other this is Jeffrey's rule (Jeffrey 1965; Diaconis &
Zabell 1982, JASA 77): each condition's trials are scaled to its probability. Otherwise a trial's weight is the
exponential of a sum of multipliers, one for each belief, over the conditions that hold in it; the multipliers minimise
a convex function, the dual.

A belief of strength n does not hold exactly. It counts as n independent observations with that share, against the
trials' distribution as one: with q the condition's probability after weighting and t the one believed, the weights
minimise relative entropy + n (-t ln q - (1 - t) ln(1 - q)), whose second term is minus the binomial log-likelihood of
the observations (generalized maximum entropy; Dudík, Phillips & Schapire 2007, JMLR 8). For one belief
logit q = logit p + n (t - q) / (q (1 - q)), with p the trials' share. Where p is not far from t, q is near
(p + n t) / (1 + n), the mean of a beta prior of weight 1 at p after n observations; where p is small, q is lower.

All depends on a trial only through its pattern, that is which of the conditions hold in it. So a table of patterns and
their counts is all that is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

MOST_STEPS = 200
TOLERANCE = 1e-10
"""The largest error of a probability that the weights reach."""
SMALLEST = 1e-7
"""If a weight is below this multiple of the mean, it is checked whether weights above 0 can meet the beliefs."""
INTERIOR = 1e-9
"""Beliefs that leave a pattern a share below this count as contradictory."""


@dataclass(frozen=True)
class Belief:
    """A condition's probability as it is believed: between `low` and `high`, which are equal for a number.

    `strength` is the number of observations that a number counts as; None for a belief that must hold.
    """

    low: float
    high: float
    strength: float | None = None


class Contradiction(ValueError):
    """Beliefs that no weights above 0 can meet.

    `beliefs` numbers the fewest of them that contradict each other; the probability of the last one could lie between
    `low` and `high`, both excluded, if the others held. They are equal where its condition holds in all trials or none.
    """

    def __init__(self, beliefs: tuple[int, ...], low: float, high: float) -> None:
        super().__init__(f"beliefs {beliefs} contradict each other: the last can lie between {low} and {high}")
        self.beliefs, self.low, self.high = beliefs, low, high


@dataclass(frozen=True)
class Weighting:
    """Weights of trials by their pattern.

    `holds` is bool, shape (patterns, beliefs); `counts` are the trials of each pattern and `weights` the weight of one,
    whose mean over the trials is 1, both float64 of shape (patterns,). `before` and `after` are the probabilities of
    the conditions without the weights and with them, shape (beliefs,). `moved` numbers the beliefs that move the
    weights (a range that holds already does not), and `inverse` is the inverse of the second derivatives of the dual in
    their multipliers, shape (moved, moved).
    """

    holds: np.ndarray
    counts: np.ndarray
    weights: np.ndarray
    before: np.ndarray
    after: np.ndarray
    moved: tuple[int, ...]
    inverse: np.ndarray

    @property
    def trials(self) -> float:
        """The number of trials."""
        return float(self.counts.sum())

    @property
    def effective(self) -> float:
        """The effective number of trials, (sum of weights)^2 / sum of squared weights (Kish 1965, Survey Sampling)."""
        return float((self.counts @ self.weights) ** 2 / (self.counts @ np.square(self.weights)))

    @property
    def greatest(self) -> float:
        """The greatest weight of a trial; the mean weight is 1."""
        return float(self.weights[self.counts > 0].max())

    def is_jeffrey(self) -> bool:
        """Whether the conditions exclude each other, so that the weights are those of Jeffrey's rule."""
        return bool((self.holds.sum(axis=1) <= 1).all())

    def explained(self, means: np.ndarray) -> np.ndarray:
        """The part of each pattern's deviations that the estimation of the weights removes, shape (..., patterns).

        `means` are the means of some deviations in each pattern, shape (..., patterns). Estimated weights meet the
        beliefs in the trials themselves, which takes away the part of an estimate's error that goes with the
        conditions: the regression of the deviations on them (Deville & Särndal 1992, JASA 87, for exact beliefs).
        """
        if not self.moved:
            return np.zeros_like(means)
        shares = self.counts * self.weights / self.trials
        centred = self.holds[:, list(self.moved)] - self.after[list(self.moved)]
        slopes = ((means * shares) @ centred) @ self.inverse
        return slopes @ centred.T


def weigh(holds: np.ndarray, counts: np.ndarray, beliefs: Sequence[Belief]) -> Weighting:
    """The weights of trials that meet some beliefs and move their distribution as little as possible.

    `holds` says which conditions hold in each pattern, bool of shape (patterns, beliefs), and `counts` how many trials
    have the pattern, shape (patterns,), all above 0. Raises `Contradiction`.
    """
    holds, counts = np.asarray(holds, bool), np.asarray(counts, np.float64)
    _check_alone(holds, beliefs)
    features = holds.astype(np.float64)
    multipliers = _minimise(features, np.log(counts / counts.sum()), beliefs)
    if multipliers is None:
        raise _contradiction(holds, beliefs) or ArithmeticError(f"the weights for {beliefs} were not found")
    exponents = features @ multipliers
    weights = np.exp(exponents - exponents.max())
    weights *= counts.sum() / (counts @ weights)
    if weights.min() < SMALLEST:
        # In the limit of weights of 0 more can be met than with weights above 0.
        contradiction = _contradiction(holds, beliefs)
        if contradiction is not None:
            raise contradiction
    shares = counts * weights / counts.sum()
    after = shares @ holds
    moved = tuple(k for k, one in enumerate(multipliers) if one != 0.0 or beliefs[k].low == beliefs[k].high)
    own = holds[:, list(moved)] - after[list(moved)]
    curvature = own.T @ (own * shares[:, None])
    for place, k in enumerate(moved):
        curvature[place, place] += _give(beliefs[k], after[k])
    return Weighting(
        holds, counts, weights, counts @ holds / counts.sum(), after, moved, np.linalg.pinv(curvature, hermitian=True)
    )


def _give(belief: Belief, probability: float) -> float:
    """Minus the derivative of a belief's probability by its multiplier, at a probability; 0 for an exact belief."""
    if belief.strength is None:
        return 0.0
    variance = probability * (1.0 - probability)
    return float(variance**2 / (belief.strength * (variance + (belief.low - probability) * (1.0 - 2.0 * probability))))


def _concave(belief: Belief, multiplier: float, mean: float) -> tuple[float, float, float]:
    """What the dual subtracts for a belief, with its first and second derivative.

    It is the least value over q of multiplier * q + penalty(q), and the first derivative is that q. At multiplier 0 any
    q in a range is a minimum; the one nearest to `mean` is taken.
    """
    if belief.strength is None:
        q = belief.low if multiplier > 0.0 else belief.high if multiplier < 0.0 else _within(belief, mean)
        return multiplier * q, q, 0.0
    n, t = belief.strength, belief.low
    root = np.sqrt(max((n + multiplier) ** 2 - 4.0 * multiplier * n * t, 0.0))
    q = 2.0 * n * t / (n + multiplier + root) if n + multiplier + root > 0.0 else 1.0
    q = min(max(q, 1e-300), 1.0 - 1e-16)
    value = multiplier * q - n * float(xlogy(t, q) + xlogy(1.0 - t, 1.0 - q))
    return value, q, -q * (1.0 - q) / max(n + multiplier * (1.0 - 2.0 * q), 1e-12)


def _within(belief: Belief, value: float) -> float:
    return min(max(value, belief.low), belief.high)


def _minimise(features: np.ndarray, logs: np.ndarray, beliefs: Sequence[Belief]) -> np.ndarray | None:
    """The multipliers that minimise the dual, by Newton steps; None where it has no minimum.

    A range's multiplier has one sign at either end of the range and is 0 between them, so that steps do not leave the
    orthant in which they start (projected Newton; Bertsekas 1982, SIAM Journal on Control and Optimization 20).
    """
    ranges = np.array([one.low < one.high for one in beliefs], bool)

    def dual(multipliers: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        exponents = logs + features @ multipliers
        highest = exponents.max()
        shares = np.exp(exponents - highest)
        total = shares.sum()
        shares /= total
        mean = shares @ features
        parts = np.array([_concave(*own) for own in zip(beliefs, multipliers, mean, strict=True)])
        centred = features - mean
        value = highest + np.log(total) - parts[:, 0].sum()
        return float(value), mean - parts[:, 1], centred.T @ (centred * shares[:, None]) - np.diag(parts[:, 2])

    at = np.zeros(len(beliefs))
    value, gradient, curvature = dual(at)
    for _ in range(MOST_STEPS):
        if np.abs(gradient).max() < TOLERANCE:
            return at
        sign = np.where(at != 0.0, np.sign(at), -np.sign(gradient))
        # Multipliers that are about to become 0 get steps of their own, so that every step descends.
        leaving = ranges & (np.abs(at) < 1e-3) & (gradient * sign > 0.0)
        free = ~leaving & ~(ranges & (gradient == 0.0))
        step = np.where(leaving, gradient / np.maximum(np.diag(curvature), 1e-12), 0.0)
        own = curvature[np.ix_(free, free)]
        if free.any():
            ridge = 1e-13 * np.trace(own) + 1e-15
            step[free] = np.linalg.solve(own + ridge * np.eye(len(own)), gradient[free])
        length = 1.0
        while True:
            tried = at - length * step
            tried[ranges & (tried * sign < 0.0)] = 0.0
            found = dual(tried)
            if found[0] <= value - 1e-4 * float(gradient @ (at - tried)) + 1e-15 * (1.0 + abs(value)):
                break
            length /= 2.0
            # Where a condition is nearly certain the dual has hardly any curvature, and a whole step leads far away.
            if length * np.abs(step).max() < 1e-12:
                return at if np.abs(gradient).max() < 1e-7 else None
        at = tried
        value, gradient, curvature = found
    return None


def _check_alone(holds: np.ndarray, beliefs: Sequence[Belief]) -> None:
    """Raise `Contradiction` for a condition that holds in all trials or in none, unless the belief allows for it."""
    for k, one in enumerate(beliefs):
        share = float(holds[0, k])
        if (holds[:, k] == holds[0, k]).all() and not one.low <= share <= one.high:
            raise Contradiction((k,), share, share)


def _contradiction(holds: np.ndarray, beliefs: Sequence[Belief]) -> Contradiction | None:
    """The fewest beliefs that no weights above 0 can meet, found by leaving out one after the other; None without."""
    must = [k for k, one in enumerate(beliefs) if one.strength is None]
    if not must or _least_share(holds, beliefs, must) > INTERIOR:
        return None
    for k in list(must):
        others = [other for other in must if other != k]
        if others and _least_share(holds, beliefs, others) <= INTERIOR:
            must = others
    return Contradiction(tuple(must), *_attainable(holds, beliefs, must[:-1], must[-1]))


def _rows(holds: np.ndarray, beliefs: Sequence[Belief], which: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Beliefs as inequalities: rows and bounds, rows @ shares <= bounds."""
    rows = [sign * holds[:, k] for k in which for sign in (-1.0, 1.0)]
    bounds = [bound for k in which for bound in (-beliefs[k].low, beliefs[k].high)]
    return np.array(rows, np.float64).reshape(-1, len(holds)), np.array(bounds, np.float64)


def _least_share(holds: np.ndarray, beliefs: Sequence[Belief], which: Sequence[int]) -> float:
    """The greatest lower bound of all patterns' shares that some beliefs allow; below 0 if they contradict."""
    # SciPy's optimizers take a while to load.
    from scipy.optimize import linprog

    rows, bounds = _rows(holds, beliefs, which)
    patterns = len(holds)
    # The last variable is the least share: no pattern's share is below it.
    inequalities = np.block([[rows, np.zeros((len(rows), 1))], [-np.eye(patterns), np.ones((patterns, 1))]])
    found = linprog(
        np.r_[np.zeros(patterns), -1.0],
        A_ub=inequalities,
        b_ub=np.r_[bounds, np.zeros(patterns)],
        A_eq=np.r_[np.ones(patterns), 0.0][None, :],
        b_eq=[1.0],
        bounds=[(0.0, 1.0)] * patterns + [(-1.0, 1.0)],
    )
    return -float(found.fun) if found.success and found.fun is not None else -1.0


def _attainable(holds: np.ndarray, beliefs: Sequence[Belief], others: Sequence[int], last: int) -> tuple[float, float]:
    """The range in which a condition's probability can lie if some other beliefs hold."""
    from scipy.optimize import linprog

    rows, bounds = _rows(holds, beliefs, others)
    ends = []
    for sign in (1.0, -1.0):
        found = linprog(
            sign * holds[:, last],
            A_ub=rows if len(rows) else None,
            b_ub=bounds if len(rows) else None,
            A_eq=np.ones((1, len(holds))),
            b_eq=[1.0],
            bounds=(0.0, 1.0),
        )
        ends.append(sign * float(found.fun or 0.0))
    return max(0.0, ends[0]), min(1.0, ends[1])
