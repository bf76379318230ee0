"""The value of information before a strategy is chosen: the expected value of partial perfect information (EVPPI).

Without further information the strategy with the best mean is chosen. If some parameters x could be learned first, the
best one for each x would be chosen, with an average gain of E[max_s E[y_s | x]] - max_s E[y_s] (Raiffa & Schlaifer
1961). The conditional means are estimated from trials already played, by regression (Strong, Oakley & Brennan 2014): a
penalised spline over one parameter (Eilers & Marx 1996), a quadratic form and boosted trees over several. The
smoothness of the spline, and the weights of the two in the estimate for several, are chosen by cross-validation.

The greatest of several noisy means is biased upwards. So strategies are chosen by regressions on some trials and valued
on others (cross-fitting; Chernozhukov et al. 2018): this is the value of a choice that depends on x alone, which cannot
exceed that of the best such choice. It is a lower bound of the EVPPI on average, with the error of that bound.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from scipy.special import ndtri

from sim.statistics.cell_sums import sums_in_cells
from sim.statistics.estimates import Estimate
from sim.statistics.paired_differences import mean_of
from sim.statistics.ranked import Ranked
from sim.statistics.regional_sensitivity import normal_scores
from sim.statistics.sensitivity import cells
from sim.statistics.tallies import moments
from sim.statistics.weighted_sample import WeightedSample

FOLDS = 4
"""A divisor of the number of a Sobol design's replicates, so that each replicate lies in one fold."""
MOST_CELLS = 60
FEWEST_IN_CELL = 15
PENALTIES = 10.0 ** np.arange(-2.0, 6.5)
"""Penalties of the spline's second differences, relative to the trials of a cell: from one mean per cell to a straight
line."""
RIDGES = 10.0 ** np.arange(-4.0, 2.5)
"""Penalties of the quadratic form's coefficients, relative to the trials of a fold."""
TREE_ITERATIONS = 28
MOST_IN_PRODUCTS = 12
"""The number of parameters whose products are terms of the form, and which the trees see: those on which the gain
depends most in the trials of the regression."""
_SEED = 20_250_101
_THREADS = 2


@dataclass(frozen=True)
class Choice:
    """A choice between strategies on some trials, `gains` of shape (strategies, trials) over the best on average.

    `best` is the number of the strategy with the best mean. A trial's number determines its fold and replicate. The
    trials may be weighted: then means and regressions are.
    """

    gains: np.ndarray
    best: int
    trial: np.ndarray
    replicates: int
    weighted: WeightedSample | None = None

    @cached_property
    def fold(self) -> np.ndarray:
        """The fold of each trial."""
        return self.trial % FOLDS

    @cached_property
    def weighted_gains(self) -> np.ndarray:
        """The gains times the weights of the trials."""
        return self.times_weight(self.gains)

    @property
    def weight(self) -> np.ndarray | None:
        """The weight of each trial; None where all count the same."""
        return None if self.weighted is None else self.weighted.weight

    def times_weight(self, values: np.ndarray) -> np.ndarray:
        """Values of the trials, shape (..., trials), times their weights."""
        return values if self.weight is None else values * self.weight

    def mean(self, values: np.ndarray) -> Estimate:
        """The mean of some values of these trials, with its error."""
        if self.weighted is not None:
            return self.weighted.mean(values, np.ones(values.size, bool))
        if self.replicates == 1:
            return mean_of([moments(values)])
        replicate = self.trial % self.replicates
        return mean_of([moments(values[replicate == k]) for k in range(self.replicates)])


def choice(values: np.ndarray, trial: np.ndarray, replicates: int, weighted: WeightedSample | None = None) -> Choice:
    """The choice between strategies by a measure of which more is better, shape (strategies, trials)."""
    best = int(np.average(values, axis=1, weights=None if weighted is None else weighted.weight).argmax())
    return Choice(values - values[best], best, trial, replicates, weighted)


def value_of_everything(given: Choice) -> Estimate:
    """The value of knowing everything in advance, including chance: the best strategy's mean regret."""
    return given.mean(given.gains.max(axis=0))


@dataclass(frozen=True)
class Worth:
    """The value of learning parameters, by choices valued on other trials, which is biased downwards.

    `chosen` is the share of trials in which each strategy would be taken, `promised` the value that the regression
    predicts on the trials to which it was fitted. It is None for several parameters, whose flexible regressions predict
    far too much.
    """

    value: Estimate
    promised: float | None
    chosen: tuple[float, ...]


def worth_of_each(given: Choice, columns: Sequence[Ranked]) -> list[Worth]:
    """The value of learning each of some parameters by itself: by a spline over up to `MOST_CELLS` cells of it.

    The splines of all are fitted together.
    """
    binned = _binned(given, columns)
    found: dict[int, Worth] = {}
    for count in {one.size.shape[1] for one in binned}:
        places = [k for k, one in enumerate(binned) if one.size.shape[1] == count]
        sizes, totals = (np.stack([getattr(binned[k], name) for k in places]) for name in ("size", "total"))
        for k, fitted in zip(places, _fitted(sizes, totals), strict=True):
            found[k] = _worth_of_cells(given, binned[k], fitted)
    return [found[k] for k in range(len(binned))]


@dataclass(frozen=True)
class _Binned:
    """The trials by cells of a parameter: the trials of each fold in each cell, shape (folds, cells), and the sums of
    their gains, shape (strategies, folds, cells); of weights, where trials are weighted. `place` is each trial's place
    among folds and cells, in C order.
    """

    place: np.ndarray
    size: np.ndarray
    total: np.ndarray


def _binned(given: Choice, columns: Sequence[Ranked]) -> list[_Binned]:
    """The trials by cells of each of some parameters."""
    most = max(2, min(MOST_CELLS, given.trial.size // FEWEST_IN_CELL))
    cut = [cells(x, most) for x in columns]
    places = np.stack([(given.fold * count + cell).astype(np.int16) for cell, count in cut])
    # The best strategy gains nothing over itself.
    others = np.delete(given.weighted_gains, given.best, axis=0)
    weight = np.ones(given.trial.size) if given.weight is None else given.weight
    counts = np.array([FOLDS * count for _, count in cut])
    sums = np.insert(sums_in_cells(places, counts, np.vstack([weight, others])), 1 + given.best, 0.0, axis=0)
    each = [own.reshape(len(sums), FOLDS, -1) for own in np.split(sums, np.cumsum(counts)[:-1], axis=1)]
    return [_Binned(place, own[0], own[1:]) for place, own in zip(places, each, strict=True)]


_ALL_FOLDS = tuple(range(FOLDS))
_SUBSETS = (
    _ALL_FOLDS,
    *(tuple(k for k in _ALL_FOLDS if k != fold) for fold in _ALL_FOLDS),
    *(tuple(k for k in _ALL_FOLDS if k not in pair) for pair in combinations(_ALL_FOLDS, 2)),
)
"""The folds on which splines are fitted: all, all but one, all but two."""


def _fitted(size: np.ndarray, total: np.ndarray) -> np.ndarray:
    """The gains that splines expect in each cell, fitted to the trials of each of `_SUBSETS` with each penalty.

    `size` has shape (parameters, folds, cells), `total` (parameters, strategies, folds, cells), the result (parameters,
    subsets, penalties and one, strategies, cells): the last penalty leaves one mean of all cells.
    """
    among = [list(folds) for folds in _SUBSETS]
    weights = np.stack([size[:, folds].sum(axis=1) for folds in among], axis=1)
    sums = np.stack([total[:, :, folds].sum(axis=2) for folds in among], axis=1)
    bands = np.stack([_roughness(own.sum(axis=0)) for own in size], axis=2)[..., None, None]
    smoothing = PENALTIES * weights.mean(axis=2)[..., None]
    main, near, far = (band * smoothing for band in bands)
    # Cells first, then parameters, subsets, penalties.
    main = main + weights.transpose(2, 0, 1)[..., None]
    right = np.broadcast_to(sums.transpose(3, 0, 1, 2)[:, :, :, None], (*main.shape, sums.shape[2]))
    spline = _solved_in_bands(main, near, far, right)
    whole = weights.sum(axis=2)[..., None]
    flat = np.divide(sums.sum(axis=3), whole, out=np.zeros(sums.shape[:3]), where=whole > 0.0)
    level = np.broadcast_to(flat[:, :, None, :, None], (*flat.shape[:2], 1, flat.shape[2], size.shape[2]))
    return np.concatenate([spline.transpose(1, 2, 3, 4, 0), level], axis=2)


def _solved_in_bands(main: np.ndarray, near: np.ndarray, far: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The unknowns of many symmetric positive definite systems of equations at once, by elimination.

    The matrices have entries only on the diagonal, `main`, and one and two places beside it, `near` and `far`: arrays
    of shape (unknowns, ...), whose last one and two entries are not read. `right` has shape (unknowns, ..., sides).
    Unknowns without any entry are 0.
    """
    count = len(main)
    diagonal, one, two = np.empty_like(main), np.zeros_like(main), np.zeros_like(main)
    found = np.empty_like(right)
    for k in range(count):
        pivot, beside, own = main[k], near[k], right[k]
        if k > 0:
            pivot = pivot - diagonal[k - 1] * np.square(one[k - 1])
            beside = beside - diagonal[k - 1] * one[k - 1] * two[k - 1]
            own = own - one[k - 1][..., None] * found[k - 1]
        if k > 1:
            pivot = pivot - diagonal[k - 2] * np.square(two[k - 2])
            own = own - two[k - 2][..., None] * found[k - 2]
        diagonal[k] = np.where(pivot == 0.0, 1.0, pivot)
        found[k] = own
        if k < count - 1:
            one[k] = beside / diagonal[k]
        if k < count - 2:
            two[k] = far[k] / diagonal[k]
    for k in reversed(range(count)):
        own = found[k] / diagonal[k][..., None]
        if k < count - 1:
            own -= one[k][..., None] * found[k + 1]
        if k < count - 2:
            own -= two[k][..., None] * found[k + 2]
        found[k] = own
    return found


def _worth_of_cells(given: Choice, binned: _Binned, fitted: np.ndarray) -> Worth:
    """The value of learning a parameter, from what splines expect in its cells; one parameter's part of `_fitted`."""
    size, total = binned.size, binned.total
    by_folds = dict(zip(_SUBSETS, fitted, strict=True))

    def without(*left_out: int) -> np.ndarray:
        """Expected gains from the trials of the other folds, shape (penalties, strategies, cells)."""
        return by_folds[tuple(k for k in _ALL_FOLDS if k not in left_out)]

    def squares(expected: np.ndarray, fold: int) -> np.ndarray:
        """Squared errors on a fold, less a constant, shape (penalties, strategies)."""
        return (size[fold] * expected**2 - 2.0 * expected * total[:, fold]).sum(axis=2)

    errors = {(fold, other): squares(without(fold, other), other) for fold in _ALL_FOLDS for other in _ALL_FOLDS}
    strategies = np.arange(len(given.gains))
    expected = np.zeros((len(strategies), *size.shape))
    for fold in _ALL_FOLDS:
        # The smoothness is chosen without the trials on which the choice of strategies is valued.
        smoothness = np.sum([errors[fold, k] for k in _ALL_FOLDS if k != fold], axis=0).argmin(axis=0)
        expected[:, fold] = without(fold)[smoothness, strategies]
    whole = without()[np.sum([errors[k, k] for k in _ALL_FOLDS], axis=0).argmin(axis=0), strategies]
    promised = float((whole.max(axis=0) * size.sum(axis=0)).sum() / size.sum())
    return _worth(given, _chosen(expected, given.best).take(binned.place), promised)


def _roughness(sizes: np.ndarray) -> np.ndarray:
    """The sum of squared second differences over cells at the normal scores of their ranks, as a symmetric matrix: its
    diagonal, and the entries one and two places beside it, shape (3, cells).
    """
    count = sizes.size
    found = np.zeros((3, count))
    if count < 3:
        return found
    position = ndtri((np.cumsum(sizes) - sizes / 2.0) / sizes.sum())
    step = np.diff(position) / np.diff(position).mean()
    low, high = 1.0 / step[:-1], 1.0 / step[1:]
    middle = -low - high
    for k, own in enumerate((low, middle, high)):
        found[0, k : count - 2 + k] += own * own
    found[1, : count - 2] += low * middle
    found[1, 1 : count - 1] += middle * high
    found[2, : count - 2] = low * high
    return found


def worth_of_several(given: Choice, columns: Sequence[Ranked]) -> Worth:
    """The value of learning several parameters together, by the ranks of their values.

    By a quadratic form of their normal scores and by boosted regression trees, in the mixture that has the least
    squared error on other trials (stacking; Breiman 1996), so that what either fits to noise is scaled down. The trees
    for one half of the trials grow on the other half. Where the choices gain nothing on other trials, the strategy that
    is best on average is kept.
    """
    scores = np.stack([normal_scores(column, column) for column in columns])
    predicted = np.zeros((2, *given.gains.shape))
    others = [strategy for strategy in range(len(given.gains)) if strategy != given.best]
    halves = [held for half in range(2) if (held := given.fold % 2 == half).any() and not held.all()]
    jobs = [(held, strategy) for held in halves for strategy in others]
    # Threads help here: trees grow without the interpreter's lock.
    with ThreadPoolExecutor(_THREADS) as pool:
        forms = pool.submit(_forms, scores, given)
        grown = pool.map(lambda job: _trees(scores, given.gains[job[1]], job[0], given.weight), jobs)
        predicted[0] = forms.result()
        for (held, strategy), own in zip(jobs, grown, strict=True):
            predicted[1, strategy, held] = own
    expected = np.zeros_like(given.gains)
    for fold in range(FOLDS):
        held = given.fold == fold
        for strategy in others if held.any() and not held.all() else ():
            expected[strategy, held] = _stacked(predicted[:, strategy], given.gains[strategy], held, given.weight)
    return _worth(given, _unless_it_loses(given, _chosen(expected, given.best)), None)


def _unless_it_loses(given: Choice, chosen: np.ndarray) -> np.ndarray:
    """The chosen strategies, or the best on average in the folds outside of which these choices gain nothing."""
    gain = given.times_weight(given.gains[chosen, np.arange(chosen.size)])
    gains = np.array([gain[given.fold != fold].sum() > 0.0 for fold in range(FOLDS)])
    return np.where(gains[given.fold], chosen, given.best)


def _forms(scores: np.ndarray, given: Choice) -> np.ndarray:
    """What ridge regressions on the other folds expect of each trial, shape (strategies, trials).

    On a quadratic form with the products of the parameters that matter most on these folds. The penalty is the one of
    `RIDGES` with the smallest squared error between them.
    """
    folds = [given.fold == fold for fold in range(FOLDS)]
    found = np.zeros_like(given.gains)
    strategies = np.arange(len(given.gains))
    known: dict[tuple[int, ...], tuple[np.ndarray, np.ndarray]] = {}
    for fold, held in enumerate(folds):
        weight = None if given.weight is None else given.weight[~held]
        kept = _most_influential(scores[:, ~held], given.gains[:, ~held], weight)
        if kept not in known:
            known[kept] = _moments(scores, kept, given, folds)
        grams, sums = known[kept]
        penalty = np.diag(np.r_[0.0, np.ones(grams.shape[1] - 1)])

        def fitted(
            among: Sequence[int], grams: np.ndarray = grams, sums: np.ndarray = sums, penalty: np.ndarray = penalty
        ) -> np.ndarray:
            """Coefficients from the trials of some folds, shape (ridges, basis, strategies)."""
            gram, moment = grams[list(among)].sum(axis=0), sums[list(among)].sum(axis=0)
            ridged = gram + 1e-9 * np.eye(len(gram)) + (RIDGES * gram[0, 0] / FOLDS)[:, None, None] * penalty
            return np.linalg.solve(ridged, np.broadcast_to(moment, (RIDGES.size, *moment.shape)))

        others = [k for k in range(FOLDS) if k != fold]
        errors = np.zeros((RIDGES.size, len(given.gains)))
        for inner in others:
            forms = fitted([k for k in others if k != inner])
            errors += (forms * (grams[inner] @ forms - 2.0 * sums[inner])).sum(axis=1)
        found[:, held] = fitted(others)[errors.argmin(axis=0), :, strategies] @ _quadratic(scores[:, held], kept)
    return found


def _moments(
    scores: np.ndarray, kept: tuple[int, ...], given: Choice, folds: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Products of the form's terms with each other and with the gains, summed over each fold."""
    grams, sums = [], []
    for held in folds:
        basis = _quadratic(scores[:, held], kept)
        own = basis if given.weight is None else basis * given.weight[held]
        grams.append(own @ basis.T)
        sums.append(own @ given.gains[:, held].T)
    return np.stack(grams), np.stack(sums)


def _quadratic(scores: np.ndarray, kept: tuple[int, ...]) -> np.ndarray:
    """1, the scores and their squares, and the products of some, a row each."""
    products = [scores[i] * scores[j] for i, j in combinations(kept, 2)]
    return np.stack([np.ones(scores.shape[1]), *scores, *(np.square(scores) - 1.0), *products])


def _most_influential(scores: np.ndarray, gains: np.ndarray, weight: np.ndarray | None = None) -> tuple[int, ...]:
    """The parameters, at most `MOST_IN_PRODUCTS`, on which some gain depends most.

    By its correlations with their scores and squares.
    """
    own = gains - np.average(gains, axis=1, weights=weight)[:, None]
    if weight is not None:
        own = own * weight
    size = np.sqrt(np.square(own).sum(axis=1, keepdims=True))
    own = np.divide(own, size, out=np.zeros_like(own), where=size > 0.0)
    squares = (np.square(scores) - 1.0) / np.sqrt(2.0)
    strength = (np.square(scores @ own.T) + np.square(squares @ own.T)).max(axis=1)
    return tuple(sorted(np.argsort(-strength, kind="stable")[:MOST_IN_PRODUCTS].tolist()))


def _trees(scores: np.ndarray, gain: np.ndarray, held: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Predictions of boosted trees, fitted to the trials not held out, for those held out."""
    # scikit-learn takes a second or two to import, so it is imported only here.
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    if np.ptp(gain[~held]) == 0.0:
        return np.full(int(held.sum()), gain[~held].mean())
    own = None if weight is None else weight[~held]
    table = scores[list(_most_influential(scores[:, ~held], gain[None, ~held], own))].T
    trees = HistGradientBoostingRegressor(
        max_iter=TREE_ITERATIONS,
        learning_rate=0.2,
        max_leaf_nodes=12,
        max_bins=32,
        min_samples_leaf=max(20, min(200, gain.size // 200)),
        early_stopping=False,
        random_state=_SEED,
    )
    # Threads would wait for each other on busy cores, and would add up in a varying order.
    with threadpool_limits(1):
        return trees.fit(table[~held], gain[~held], sample_weight=own).predict(table[held])


def _stacked(predicted: np.ndarray, gain: np.ndarray, held: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """The mixture of predictions, shape (2, trials), that is best outside the trials held out, in these."""
    from scipy.optimize import nnls

    own = None if weight is None else weight[~held]
    centre = np.average(predicted[:, ~held], axis=1, weights=own)[:, None]
    mean = np.average(gain[~held], weights=own)
    scale = np.ones(1) if own is None else np.sqrt(own)
    shares, _ = nnls(((predicted[:, ~held] - centre) * scale).T, (gain[~held] - mean) * scale)
    return mean + shares @ (predicted[:, held] - centre)


def _chosen(expected: np.ndarray, best: int) -> np.ndarray:
    """The strategy with the greatest predicted gain; the best on average if none gains anything."""
    first = expected.argmax(axis=0)
    return np.where(expected.max(axis=0) > 0.0, first, best)


def _worth(given: Choice, chosen: np.ndarray, promised: float | None) -> Worth:
    # The best strategy gains nothing over itself.
    rows = np.flatnonzero(chosen != given.best)
    gain = np.zeros(chosen.size)
    gain[rows] = given.gains[chosen[rows], rows]
    counts = np.bincount(chosen, given.weight, len(given.gains))
    shares = counts / counts.sum()
    return Worth(
        given.mean(gain), None if promised is None else max(0.0, promised), tuple(float(share) for share in shares)
    )
