"""What it is worth to know parameters before a strategy is chosen: the expected value of partial perfect information.

Whoever must choose now takes the strategy with the best mean. Whoever could first learn some parameters x would take
the best one for each x, and gain E[max_s E[y_s | x]] - max_s E[y_s] on average (Raiffa & Schlaifer 1961). The
conditional means are estimated from trials already played, by regression (Strong, Oakley & Brennan 2014): over cells of
a parameter, or by boosted trees over several.

The greatest of several noisy means is too great on average. So strategies are chosen by regressions on some trials and
valued on others (cross-fitting; Chernozhukov et al. 2018): the value of a choice that looks at x alone, which can
only fall short of the best such choice. It is a lower bound on average, with an honest error.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.statistics.estimates import Estimate, moments
from sim.statistics.paired_differences import mean_of
from sim.statistics.sensitivity import cells

FOLDS = 4
"""Divides the number of a Sobol design's replicates, so that each of these lies in one fold."""
MOST_CELLS = 50
FEWEST_IN_CELL = 200
TREE_ITERATIONS = 80
_SEED = 20_250_101


@dataclass(frozen=True)
class Choice:
    """A choice between strategies on some trials, `gains` of shape (strategies, trials) over the best on average.

    `best` numbers the strategy with the best mean. A trial's fold and its replicate follow from its number.
    """

    gains: np.ndarray
    best: int
    trial: np.ndarray
    replicates: int

    @property
    def fold(self) -> np.ndarray:
        """The fold of each trial."""
        return self.trial % FOLDS

    def mean(self, values: np.ndarray) -> Estimate:
        """The mean of some values of these trials, with its error."""
        replicate = self.trial % self.replicates
        return mean_of([moments(values[replicate == k]) for k in range(self.replicates)])


def choice(values: np.ndarray, trial: np.ndarray, replicates: int) -> Choice:
    """The choice between strategies by a measure of which more is better, shape (strategies, trials)."""
    best = int(values.mean(axis=1).argmax())
    return Choice(values - values[best], best, trial, replicates)


def value_of_everything(given: Choice) -> Estimate:
    """What it is worth to know the whole world in advance, chance included: the best strategy's mean regret."""
    return given.mean(given.gains.max(axis=0))


@dataclass(frozen=True)
class Worth:
    """What it is worth to learn something: `value` by choices valued on other trials, which tends to be too low;
    `promised` by the regression itself, which tends to be too high. `chosen` is the share of trials in which each
    strategy would be taken.
    """

    value: Estimate
    promised: float
    chosen: tuple[float, ...]


def worth_of_one(given: Choice, x: np.ndarray) -> Worth:
    """What it is worth to learn which of up to `MOST_CELLS` cells a parameter lies in, shape (trials,)."""
    cell, count = cells(x, max(2, min(MOST_CELLS, x.size // FEWEST_IN_CELL)))
    strategies = len(given.gains)
    place = given.fold * count + cell
    size = np.bincount(place, minlength=FOLDS * count).reshape(FOLDS, count)
    total = np.array([np.bincount(place, row, FOLDS * count).reshape(FOLDS, count) for row in given.gains])
    # What the other folds' trials say of a cell; nothing if they have none there.
    others = size.sum(axis=0) - size
    expected = np.divide(
        total.sum(axis=1, keepdims=True) - total, others, out=np.zeros((strategies, FOLDS, count)), where=others > 0
    )
    whole = total.sum(axis=1) / size.sum(axis=0)
    promised = float((whole.max(axis=0) * size.sum(axis=0)).sum() / x.size)
    return _worth(given, _chosen(expected, given.best)[given.fold, cell], promised)


def worth_of_several(given: Choice, columns: Sequence[np.ndarray]) -> Worth:
    """What it is worth to learn several parameters together, arrays of shape (trials,): by boosted regression trees."""
    # scikit-learn takes a second or two to load, which no other command needs to wait for.
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    table = np.column_stack(columns)
    expected = np.zeros_like(given.gains)
    for fold in range(FOLDS):
        held = given.fold == fold
        for strategy, gain in enumerate(given.gains):
            if strategy == given.best or not held.any() or held.all():
                continue
            trees = HistGradientBoostingRegressor(
                max_iter=TREE_ITERATIONS,
                learning_rate=0.1,
                max_leaf_nodes=12,
                min_samples_leaf=max(20, min(200, gain.size // 200)),
                early_stopping=False,
                random_state=_SEED,
            )
            # Threads wait for each other where cores are busy, and add up in an order of their own.
            with threadpool_limits(1):
                expected[strategy, held] = trees.fit(table[~held], gain[~held]).predict(table[held])
    return _worth(given, _chosen(expected, given.best), float(expected.max(axis=0).mean()))


def _chosen(expected: np.ndarray, best: int) -> np.ndarray:
    """The strategy expected to gain most; the best on average where none gains anything."""
    first = expected.argmax(axis=0)
    return np.where(expected.max(axis=0) > 0.0, first, best)


def _worth(given: Choice, chosen: np.ndarray, promised: float) -> Worth:
    gain = given.gains[chosen, np.arange(chosen.size)]
    shares = np.bincount(chosen, minlength=len(given.gains)) / chosen.size
    return Worth(given.mean(gain), max(0.0, promised), tuple(float(share) for share in shares))
