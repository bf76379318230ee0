"""Base rates: how often comparable threats ended in each way, with partial pooling between classes and their scores.

A class is a group of episodes (for example specific demands under strong commitment). Its own counts are few, so its
rates are shrunk towards the overall rates: the posterior of a Dirichlet prior whose mean is the overall rate and whose
weight, in episodes, is estimated from all classes together (empirical Bayes; Efron & Morris 1975, "Data analysis using
Stein's estimator and its generalizations", JASA 70; for counts Minka 2000, "Estimating a Dirichlet distribution").
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betainccinv, betaincinv, gammaln, stdtrit

from sim.statistics.estimates import UNKNOWN, Estimate, around, proportion

ENDINGS = ("settled", "imposed", "dropped")
"""How a threat ended: the target conceded or an agreement was made; the sanctions were imposed; neither."""
WEIGHTS = np.geomspace(0.5, 512.0, 81)
"""Prior weights, in episodes, from which the one with the greatest likelihood is chosen."""
BANDS = ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0 + 1e-12))
"""Bands of forecast probability in a reliability diagram."""


def rates(counts: Sequence[int]) -> dict[str, Estimate]:
    """The share of each of `ENDINGS` with Wilson's 95 % interval; `counts` are in their order."""
    total = sum(counts)
    return {name: proportion(count, total) for name, count in zip(ENDINGS, counts, strict=True)}


def prior_weight(counts: np.ndarray) -> float:
    """The weight, in episodes, of the overall rates in each class's rates: that of `WEIGHTS` with the greatest
    likelihood.

    `counts` is whole numbers, shape (classes, endings). Maximises the Dirichlet-multinomial likelihood of the classes
    with the overall rates as the prior's mean. Classes that differ no more than chance allows give the greatest.
    """
    overall = (counts.sum(axis=0) + 0.5) / (counts.sum() + 0.5 * counts.shape[1])
    sizes = counts.sum(axis=1)
    likelihood = [
        float(
            (gammaln(weight) - gammaln(weight + sizes)).sum()
            + (gammaln(weight * overall + counts) - gammaln(weight * overall)).sum()
        )
        for weight in WEIGHTS
    ]
    return float(WEIGHTS[int(np.argmax(likelihood))])


def partition_weight(counts: Sequence[Sequence[int]]) -> float:
    """As `prior_weight`, of the classes of a partition; the greatest weight where fewer than two have an episode."""
    some = [list(own) for own in counts if sum(own)]
    return prior_weight(np.array(some, np.int64)) if len(some) > 1 else float(WEIGHTS[-1])


def pooled_rates(counts: Sequence[int], overall: Sequence[int], weight: float) -> np.ndarray:
    """A class's rates shrunk towards the overall rates, shape (endings,). `overall` counts all episodes, including
    those of the class; `weight` is that of the prior, in episodes.
    """
    prior = _mean(overall)
    return (np.asarray(counts) + weight * prior) / (sum(counts) + weight)


def pooled_estimates(counts: Sequence[int], overall: Sequence[int], weight: float) -> dict[str, Estimate]:
    """A class's rates shrunk towards the overall rates: posterior mean, standard deviation and 95 % interval.

    Each rate has a beta distribution whose variance is that of the posterior, given the overall rates, plus the part
    that the error of the overall rates has in it (the variance of the conditional mean). Where the class is all
    episodes, nothing is pooled with itself: the width is that of its own counts.
    """
    every = len(ENDINGS) / 2.0
    pairs = zip(ENDINGS, counts, overall, strict=True)
    return {name: _pooled(own, sum(counts), all_, sum(overall), weight, every) for name, own, all_ in pairs}


def _pooled(own: float, of: float, overall: float, of_overall: float, weight: float, prior: float) -> Estimate:
    """A share pooled with an overall one; `prior` is the weight of Jeffreys' prior in this, half of it for a category.

    The mean and the variance of a mixture: of the beta distributions that the overall shares give, each of which has
    the weight `weight` in its mean.
    """
    centre = (overall + 0.5) / (of_overall + prior)
    error = centre * (1.0 - centre) / (of_overall + prior + 1.0)
    total = of + weight
    mean = (own + weight * centre) / total
    if (own, of) == (overall, of_overall):
        variance = mean * (1.0 - mean) / (of + prior + 1.0)
    else:
        variance = mean * (1.0 - mean) / (total + 1.0) + (weight / total) ** 2 * error
    size = mean * (1.0 - mean) / variance - 1.0
    return _beta(mean * size, (1.0 - mean) * size)


def pooled_share(count: float, of: float, overall: tuple[float, float], weight: float) -> Estimate:
    """A class's share shrunk towards the overall share, as in `pooled_estimates`; `overall` is its count and total."""
    return _pooled(count, of, *overall, weight, 1.0)


def share_of_share(share: Estimate, count: int, of: int) -> Estimate:
    """A share of a share, such as threats settled soon: the share settled, and how many of some settled were soon.

    The second factor has the posterior of Jeffreys' prior. The product of the independent factors has the beta
    distribution with its mean and variance. Not known where `share` is not, and of no cases.
    """
    p, error = share["estimate"], share["standard_error"]
    if p is None or error is None or not of:
        return UNKNOWN
    q = _beta(count + 0.5, of - count + 0.5)
    mean = p * float(q["estimate"] or 0.0)
    squares = (p * p + error * error) * (float(q["estimate"] or 0.0) ** 2 + float(q["standard_error"] or 0.0) ** 2)
    total = mean * (1.0 - mean) / (squares - mean * mean) - 1.0
    return _beta(mean * total, (1.0 - mean) * total)


def _beta(a: float, b: float) -> Estimate:
    """The mean, standard deviation and 95 % interval of a beta distribution."""
    total = a + b
    mean = a / total
    return {
        "estimate": mean,
        "standard_error": float(np.sqrt(mean * (1.0 - mean) / (total + 1.0))),
        "low": float(betaincinv(a, b, 0.025)),
        "high": float(betainccinv(a, b, 0.025)),
    }


def _mean(overall: Sequence[int]) -> np.ndarray:
    return (np.asarray(overall) + 0.5) / (sum(overall) + 0.5 * len(overall))


def brier_scores(forecast: np.ndarray, ending: np.ndarray) -> np.ndarray:
    """The Brier score of each forecast, from 0 to 2, shape (episodes,).

    `forecast` has shape (episodes, endings), `ending` the place of what happened, shape (episodes,).
    """
    happened = np.eye(forecast.shape[1])[ending]
    return np.square(forecast - happened).sum(axis=1)


def log_scores(forecast: np.ndarray, ending: np.ndarray) -> np.ndarray:
    """Minus the natural logarithm of the forecast probability of what happened, shape (episodes,)."""
    return -np.log(forecast[np.arange(ending.size), ending])


@dataclass(frozen=True)
class Episodes:
    """Ended episodes as arrays of shape (episodes,): the class, the ending's place in `ENDINGS`, target and dates.

    `began` and `ended` are days as float64, NaN where unknown; `cell` numbers the class from 0.
    """

    cell: np.ndarray
    ending: np.ndarray
    target: np.ndarray
    began: np.ndarray
    ended: np.ndarray


@dataclass(frozen=True)
class Forecasts:
    """Two forecasts' probabilities of each ending, shape (scored episodes, endings), and which episodes were scored."""

    scored: np.ndarray
    by_class: np.ndarray
    overall: np.ndarray


def forecasts(episodes: Episodes, known: np.ndarray) -> Forecasts:
    """Forecast each episode from those that are `known` for it: by its class's pooled rates, and by overall rates.

    `known` is bool, shape (episodes, episodes): whether the column's episode may be used for the row's forecast. An
    episode is scored if at least `FEWEST` others are known for it. The prior's weight is estimated for each episode
    from the known ones, so that the scored episode does not influence its own forecast.
    """
    cells, endings = int(episodes.cell.max()) + 1, len(ENDINGS)
    place = episodes.cell * endings + episodes.ending
    scored = np.flatnonzero(known.sum(axis=1) >= FEWEST)
    by_class, overall = np.empty((scored.size, endings)), np.empty((scored.size, endings))
    for row, episode in enumerate(scored):
        counts = np.bincount(place[known[episode]], minlength=cells * endings).reshape(cells, endings)
        total = counts.sum(axis=0)
        overall[row] = _mean(total)
        by_class[row] = pooled_rates(counts[episodes.cell[episode]], total, prior_weight(counts[counts.any(axis=1)]))
    return Forecasts(scored, by_class, overall)


FEWEST = 20
"""The least number of other episodes from which an episode is forecast."""


def all_but_same_target(episodes: Episodes) -> np.ndarray:
    """For leave-one-target-out: an episode is forecast from those of all other targets. Bool, shape (n, n)."""
    return episodes.target[:, None] != episodes.target[None, :]


def all_but_itself(episodes: Episodes) -> np.ndarray:
    """For leave-one-out: an episode is forecast from all others. Bool, shape (n, n)."""
    return ~np.eye(episodes.target.size, dtype=bool)


def ended_before(episodes: Episodes) -> np.ndarray:
    """For a rolling origin: an episode is forecast from those that had ended before it began. Bool, shape (n, n).

    Episodes whose dates are not known are neither forecast nor used.
    """
    with np.errstate(invalid="ignore"):
        return episodes.ended[None, :] < episodes.began[:, None]


def clustered_mean(values: np.ndarray, *groups: np.ndarray) -> Estimate:
    """A mean with an interval that allows for dependence within groups, of one or two groupings.

    Variance by Cameron, Gelbach & Miller (2011), "Robust inference with multiway clustering", JBES 29: that of the
    first grouping plus that of the second less that of both combined; each with the correction G / (G - 1) for G
    groups. If it is not positive, the largest of the parts is used. The interval has Student's quantile with the
    degrees of freedom of the grouping with fewest groups.
    """
    if values.size < 2:
        return UNKNOWN if not values.size else {**UNKNOWN, "estimate": float(values.mean())}
    centred = (values - values.mean()) / values.size
    labels = [np.unique(group, return_inverse=True)[1] for group in groups] or [np.arange(values.size)]
    parts = [_cluster_variance(centred, label) for label in labels]
    variance = sum(parts)
    if len(labels) == 2:
        both = labels[0] * (int(labels[1].max()) + 1) + labels[1]
        variance -= _cluster_variance(centred, np.unique(both, return_inverse=True)[1])
    if variance <= 0.0:
        variance = max(parts)
    freedom = min(int(label.max()) + 1 for label in labels) - 1
    if freedom < 1:
        return {**UNKNOWN, "estimate": float(values.mean())}
    return around(float(values.mean()), float(np.sqrt(variance)), float(stdtrit(freedom, 0.975)))


def _cluster_variance(centred: np.ndarray, label: np.ndarray) -> float:
    sums = np.bincount(label, centred)
    groups = sums.size
    return float(np.square(sums).sum() * groups / max(1, groups - 1))


@dataclass(frozen=True)
class Band:
    """A band of a reliability diagram: forecasts between `low` and `high`, their mean, and how often it happened."""

    low: float
    high: float
    count: int
    forecast: float
    happened: Estimate


def reliability(forecast: np.ndarray, happened: np.ndarray) -> tuple[Band, ...]:
    """Bands of forecast probability with the observed share and Wilson's 95 % interval; empty bands are left out.

    `forecast` is probabilities, shape (episodes,), `happened` bool. (Murphy & Winkler 1977, "Reliability of subjective
    probability forecasts of precipitation and temperature", Applied Statistics 26.)
    """
    found = []
    for low, high in BANDS:
        inside = (forecast >= low) & (forecast < high)
        count = int(inside.sum())
        if count:
            share = proportion(int(happened[inside].sum()), count)
            found.append(Band(low, min(high, 1.0), count, float(forecast[inside].mean()), share))
    return tuple(found)


@dataclass(frozen=True)
class Counted:
    """So many of so many episodes; neither need be whole, where the counts stand for a share with a given variance."""

    count: float
    of: float

    def share(self) -> Estimate:
        """The share with Wilson's 95 % interval; not known of no episodes."""
        return proportion(self.count, self.of)


@dataclass(frozen=True)
class Durations:
    """Quartiles of a duration in days (null beyond what was observed), each with a 95 % interval where one is known."""

    episodes: int
    events: int
    quartiles: dict[str, Estimate]
    observed_median: float | None
    """The median of the episodes that had the event alone."""


def durations(days: np.ndarray, observed: np.ndarray) -> Durations:
    """Quartiles of durations of which some are censored, by Kaplan & Meier (1958), JASA 53, as SciPy computes it.

    `days` is float64, `observed` bool: whether the event happened then, or observation ended. An interval inverts the
    log-log 95 % band of the survival function (Brookmeyer & Crowley 1982, Biometrics 38).
    """
    from scipy.stats import CensoredData, ecdf

    nothing = {"0.25": UNKNOWN, "0.5": UNKNOWN, "0.75": UNKNOWN}
    if not observed.any():
        return Durations(days.size, 0, nothing, None)
    survival = ecdf(CensoredData(uncensored=days[observed], right=days[~observed])).sf
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # SciPy warns that the band is undefined where no or all episodes remain.
        warnings.simplefilter("ignore", RuntimeWarning)
        band: Any = survival.confidence_interval(0.95, method="log-log")
    quartiles = {}
    for level in (0.25, 0.5, 0.75):
        quartiles[str(level)] = {
            "estimate": _first_below(survival.quantiles, survival.probabilities, 1.0 - level),
            "standard_error": None,
            "low": _first_below(survival.quantiles, band.low.probabilities, 1.0 - level),
            "high": _first_below(survival.quantiles, band.high.probabilities, 1.0 - level),
        }
    return Durations(days.size, int(observed.sum()), quartiles, float(np.median(days[observed])))


def _first_below(days: np.ndarray, survival: np.ndarray, level: float) -> float | None:
    """The first day at which a survival function is at most a level; null if it stays above."""
    below = np.flatnonzero(np.nan_to_num(survival, nan=1.0) <= level + 1e-12)
    return float(days[below[0]]) if below.size else None


def incidence_by_day(days: np.ndarray, cause: np.ndarray, at: Sequence[float], which: int) -> list[Counted]:
    """By some days, in how many episodes an event of one cause had happened, where other causes compete with it.

    `cause` is 0 for a censored episode, else 1, 2, ...; `which` is the cause of interest. The share is that of Aalen &
    Johansen (1978), "An empirical transition matrix for non-homogeneous Markov chains", Scandinavian J. Statistics 5,
    with the variance of its linear terms (Marubini & Valsecchi 1995, "Analysing survival data from clinical trials and
    observational studies", section 10.2). It is given as a count out of a total, neither of them whole: those of a
    binomial share with that variance. Where the share is 0 or 1, the total is that of the episodes which were watched
    until the day or until their end.
    """
    order = np.argsort(days, kind="stable")
    days, cause = days[order], cause[order]
    times = np.unique(days[cause > 0])
    at_risk = days.size - np.searchsorted(days, times, "left")
    events = np.searchsorted(days[cause > 0], times, "right") - np.searchsorted(days[cause > 0], times, "left")
    own = np.searchsorted(days[cause == which], times, "right") - np.searchsorted(days[cause == which], times, "left")
    before = np.concatenate(([1.0], np.cumprod(1.0 - events / at_risk)))[:-1]
    incidence = np.cumsum(before * own / at_risk)
    found = []
    for limit in at:
        k = int(np.searchsorted(times, limit, "right"))
        share = min(float(incidence[k - 1]), 1.0) if k else 0.0
        watched = float(((days > limit) | (cause > 0)).sum())
        n, d, c = at_risk[:k], events[:k], own[:k]
        rest = share - incidence[:k]
        with np.errstate(divide="ignore", invalid="ignore"):
            of_survival = np.where(n > d, rest**2 * d / (n * (n - d)), 0.0)
        variance = float(
            (of_survival + before[:k] ** 2 * c * (n - c) / n**3 - 2.0 * rest * before[:k] * c / n**2).sum()
        )
        total = share * (1.0 - share) / variance if variance > 0.0 and 0.0 < share < 1.0 - 1e-9 else watched
        found.append(Counted(min(share * total, total), total))
    return found
