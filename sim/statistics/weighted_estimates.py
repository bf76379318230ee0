"""Estimates from weighted trials, with intervals that allow for the weights and for their estimation.

All that is counted is counted by replicate and by pattern of the conditions believed (see
`sim.statistics.soft_evidence`), since trials of one pattern have one weight. An estimate's error is that of the mean of
its linearised values: what each trial adds to the estimate, with the part that goes with the conditions taken away,
because weights that are estimated from the same trials meet the beliefs in them exactly (Deville & Särndal 1992, JASA
87; Deville 1999, Survey Methodology 25). These values then have the intervals of unweighted numbers.
"""

from dataclasses import dataclass
from functools import reduce
from math import sqrt

import numpy as np

from sim.statistics.estimates import (
    ANY_NUMBER,
    FEW,
    TAIL,
    UNKNOWN,
    Estimate,
    Range,
    Z,
    around,
    around_replicates,
    mean,
    mean_bounds,
    mean_of_replicates,
    proportion,
    student,
)
from sim.statistics.grouped_moments import GroupedMoments, grouped_counts
from sim.statistics.quantile_bounds import Bounds, quantile_bounds
from sim.statistics.soft_evidence import Weighting
from sim.statistics.tallies import NO_NUMBERS, Moments, merge_moments

EXACT = 1e-12
"""A variance, relative to that of one trial, below which an estimate is what the beliefs say, without an error."""
RARE = 100
"""Trials with an event, or without it, below which its interval spans the gamma interval of weighted counts too."""
MOST_EFFECTIVE = 10**12


@dataclass(frozen=True)
class Linearised:
    """Some numbers' weighted mean, and the moments of their linearised values in each replicate.

    The linearised values scatter around the mean; `count` in the moments is the number of trials that know the number.
    """

    mean: float
    replicates: tuple[Moments, ...]

    @property
    def whole(self) -> Moments:
        """The moments over all replicates."""
        return reduce(merge_moments, self.replicates, NO_NUMBERS)

    @property
    def variance(self) -> float:
        """The variance of the weighted mean, if trials are independent."""
        whole = self.whole
        return whole.m2 / (whole.count - 1) / whole.count if whole.count > 1 else float("inf")


def linearise(weighting: Weighting, numbers: GroupedMoments, trials: np.ndarray) -> Linearised | None:
    """The weighted mean of some numbers and their linearised values; None where no trial knows the number.

    The numbers are grouped by replicate and pattern. `trials` counts the trials of each group, those too that do not
    know the number, shape (replicates, patterns).
    """
    count, means, m2, least, greatest = numbers.count, numbers.mean, numbers.m2, numbers.least, numbers.greatest
    weights = weighting.weights
    known = float((count * weights).sum())
    if not known > 0.0:
        return None
    found = float((count * weights * means).sum() / known)
    share = known / weighting.trials
    deviations = (count * (means - found)).sum(axis=0) / (share * np.maximum(weighting.counts, 1.0))
    explained = weighting.explained(deviations)
    # The values of trials that know the number, then of the others, which are the same in a pattern; shape (2, ...).
    scale = float(count.sum()) / weighting.trials
    slope, offset = scale * weights / share, scale * weights * explained
    sizes = np.stack([count, trials - count])
    centres = np.stack([slope * (means - found) - offset, np.broadcast_to(-offset, count.shape)])
    own = (sizes * centres).sum(axis=(0, 2))
    of_all = np.maximum(trials.sum(axis=1), 1)
    spread = (sizes * np.square(centres - (own / of_all)[:, None])).sum(axis=(0, 2)) + (np.square(slope) * m2).sum(
        axis=1
    )
    present = sizes > 0
    low = np.where(present, np.stack([slope * (least - found) - offset, centres[1]]), np.inf).min(axis=(0, 2))
    high = np.where(present, np.stack([slope * (greatest - found) - offset, centres[1]]), -np.inf).max(axis=(0, 2))
    replicates = tuple(
        Moments(int(n), found + float(own[k] / n), float(spread[k]), found + float(low[k]), found + float(high[k]))
        if n
        else NO_NUMBERS
        for k, n in enumerate(count.sum(axis=1))
    )
    return Linearised(found, replicates)


def weighted_mean(
    weighting: Weighting,
    numbers: GroupedMoments,
    trials: np.ndarray,
    per_point: int = 1,
    within: Range = ANY_NUMBER,
) -> Estimate:
    """A weighted mean's estimate over the trials that know the number, with standard error and 95 % interval."""
    found = linearise(weighting, numbers, trials)
    if found is None:
        return UNKNOWN
    known = numbers.together()
    if known.least == known.greatest:
        # What other trials could have shown, each of them with the greatest weight.
        count = max(1, int(known.count / (weighting.greatest * per_point)))
        return mean(Moments(count, known.mean, 0.0, known.least, known.greatest), within)
    whole = found.whole
    if whole.m2 <= EXACT * known.m2:
        return _exact(found.mean)
    if len(found.replicates) == 1:
        return mean(whole, within)
    return {**mean_of_replicates(found.replicates, per_point, within), "estimate": found.mean}


def change_of_mean(weighting: Weighting, numbers: GroupedMoments, trials: np.ndarray) -> Estimate:
    """The change of a mean by the weights: the weighted mean less that of the trials as they were played.

    Both are of the same trials, and the interval is that of the difference of their linearised values.
    """
    count, means, m2 = numbers.count, numbers.mean, numbers.m2
    weights, size = weighting.weights, weighting.trials
    known = float((count * weights).sum())
    if not known > 0.0:
        return UNKNOWN
    weighted, played = float((count * weights * means).sum() / known), float((count * means).sum() / count.sum())
    share, plain_share = known / size, float(count.sum()) / size
    deviations = (count * (means - weighted)).sum(axis=0) / (share * np.maximum(weighting.counts, 1.0))
    offset = weights * weighting.explained(deviations)
    slope = weights / share - 1.0 / plain_share
    centres = weights * (means - weighted) / share - (means - played) / plain_share - offset
    own = (count * centres).sum(axis=1) - ((trials - count) * offset).sum(axis=1)
    if len(count) > 1:
        replicates = own / np.maximum(trials.sum(axis=1), 1)
        found = around_replicates((weighted - played + replicates).tolist(), trials.sum(axis=1).tolist())
        return {**found, "estimate": weighted - played}
    spread = float((count * np.square(centres)).sum() + (np.square(slope) * m2).sum())
    spread += float(((trials - count) * np.square(offset)).sum())
    return around(weighted - played, sqrt(spread) / size, Z)


def difference_of_groups(
    weighting: Weighting, inside: GroupedMoments, outside: GroupedMoments, trials: np.ndarray, scale: float = 1.0
) -> Estimate:
    """The weighted mean of some trials' numbers less that of other trials', in units of `scale`, with its interval.

    Both are grouped by replicate and pattern; no trial is in both, and `trials` counts all. The interval is that of the
    mean of the linearised values of the difference, with Student's quantile for the effective number of trials of the
    smaller group, or for the replicates. Without variance there is no error.
    """
    weights, size = weighting.weights, weighting.trials
    sides = []
    for one in (inside, outside):
        known = float((one.count * weights).sum())
        if one.count.sum() < 2 or not scale > 0.0:
            return UNKNOWN
        sides.append((one, float((one.count * weights * one.mean).sum() / known), known / size))
    step = (sides[0][1] - sides[1][1]) / scale
    signed = [(1.0, *sides[0]), (-1.0, *sides[1])]
    deviations = sum(
        sign * (one.count * (one.mean - centre)).sum(axis=0) / share for sign, one, centre, share in signed
    ) / np.maximum(weighting.counts, 1.0)
    offset = weights * weighting.explained(np.asarray(deviations))
    centres = [sign * weights * (one.mean - centre) / share - offset for sign, one, centre, share in signed]
    rest = trials - inside.count - outside.count
    own = sum((one.count * values).sum(axis=1) for (_, one, _, _), values in zip(signed, centres, strict=True))
    own = np.asarray(own) - (rest * offset).sum(axis=1)
    if len(trials) > 1 and min(float(one.count.sum(axis=1).min()) for one, _, _ in sides) >= FEW:
        sizes = trials.sum(axis=1)
        spread = around_replicates((own / sizes).tolist(), sizes.tolist())
        return around(step, float(spread["standard_error"] or 0.0) / scale, student(len(trials) - 1))
    squares = float((rest * np.square(offset)).sum())
    for (_, one, _, share), values in zip(signed, centres, strict=True):
        squares += float((one.count * np.square(values)).sum() + (np.square(weights / share) * one.m2).sum())
    fewest = min(
        float((one.count * weights).sum()) ** 2 / float((one.count * np.square(weights)).sum()) for one, _, _ in sides
    )
    return around(step, sqrt(squares) / size / scale, student(max(1, int(fewest) - 1)))


def weighted_share(
    weighting: Weighting,
    hits: np.ndarray,
    known: np.ndarray,
    trials: np.ndarray,
    per_point: int = 1,
    tail: float = TAIL,
) -> Estimate:
    """A weighted probability's estimate, standard error and 95 % interval (unless `tail` differs).

    `hits` are the trials with the event among those `known` to have it or not, of all `trials`: each of shape
    (replicates, patterns). The interval is that of `sim.statistics.estimates.proportion` for the number of independent
    trials with the same variance (Korn & Graubard 1998, Survey Methodology 24). Of rare events it spans the gamma
    interval of weighted counts (Fay & Feuer 1997), which allows for an unseen trial of the greatest weight; of what no
    trial did it is that of trials of this weight.
    """
    total, seen = float(known.sum()), float(hits.sum())
    if not total:
        return UNKNOWN
    if seen in (0.0, total):
        count = total / (weighting.greatest * per_point)
        return proportion(count if seen else 0.0, count, tail)
    found = linearise(weighting, grouped_counts(hits, known), trials)
    if found is None:
        return UNKNOWN
    p, whole = found.mean, found.whole
    if whole.m2 <= EXACT * total:
        return _exact(p)
    several = len(found.replicates) > 1
    if several and min(seen, total - seen) >= FEW * len(hits) * per_point and (known.sum(axis=1) > 0).all():
        own = around_replicates([one.mean for one in found.replicates], [one.count for one in found.replicates], tail)
        low, high = own["low"] or 0.0, own["high"] or 0.0
        return {**own, "estimate": p, "low": max(0.0, low), "high": min(1.0, high)}
    variance = found.variance * per_point
    effective = min(p * (1.0 - p) / variance, float(MOST_EFFECTIVE))
    estimate = proportion(p * effective, effective, tail)
    low, high = float(estimate["low"] or 0.0), float(estimate["high"] or 0.0)
    if min(seen, total - seen) < RARE * per_point:
        few_hits = seen < total - seen
        ends = (0.0, weighting.greatest) if few_hits else (1.0 - weighting.greatest, 1.0)
        count = total / per_point
        n, centre, m2, least, greatest = (
            np.array([value]) for value in (count, p, variance * count * (count - 1.0), *ends)
        )
        rare_low, rare_high = mean_bounds(n, centre, m2, least, greatest, tail)
        low, high = min(low, float(rare_low[0])), max(high, float(rare_high[0]))
    return {"estimate": p, "standard_error": sqrt(variance), "low": max(0.0, low), "high": min(1.0, high)}


def weighted_difference_of_conditions(
    weighting: Weighting, differences: GroupedMoments, higher: np.ndarray, lower: np.ndarray, trials: np.ndarray
) -> Estimate:
    """The difference of a condition's two weighted probabilities in the same trials.

    As `sim.statistics.paired_differences.difference_of_conditions`, for the number of independent trials with the same
    variance; where no trial differs, for trials of the greatest weight.
    """
    found = weighted_mean(weighting, differences, trials)
    known = float(differences.count.sum())
    changed = float(higher.sum() + lower.sum())
    if not known or found["standard_error"] == 0.0 == changed:
        effective = known / weighting.greatest
        return _bonett_price(found, 0.0, 0.0, effective) if known else found
    if len(differences.count) > 1 and changed >= FEW * len(differences.count):
        return found
    if not found["standard_error"]:
        return found
    up, down = (weighted_share(weighting, own, differences.count, trials)["estimate"] or 0.0 for own in (higher, lower))
    centre = float(found["estimate"] or 0.0)
    effective = max(0.0, up + down - centre**2) / float(found["standard_error"]) ** 2
    return _bonett_price(found, up * effective, down * effective, effective)


def _bonett_price(found: Estimate, higher: float, lower: float, count: float) -> Estimate:
    share = (higher + lower + 2.0) / (count + 2.0)
    centre = (higher - lower) / (count + 2.0)
    error = sqrt(max(0.0, share - centre**2) / (count + 2.0))
    return {**found, "low": max(-1.0, centre - Z * error), "high": min(1.0, centre + Z * error)}


def weighted_quantile_bounds(
    weighting: Weighting,
    level: float,
    below: np.ndarray,
    up_to: np.ndarray,
    known: np.ndarray,
    trials: np.ndarray,
    per_point: int = 1,
) -> Bounds:
    """Levels between whose weighted sample quantiles a quantile lies with 95 % (Woodruff 1952, JASA 47).

    `below` and `up_to` count the numbers less than the estimated quantile, and at most it, among those `known`, of all
    `trials`: each of shape (replicates, patterns).
    """
    half, effective = 0.0, float(known.sum()) / per_point
    degenerate = True
    for hits in (below, up_to):
        found = linearise(weighting, grouped_counts(hits, known), trials)
        if found is None or not 0.0 < found.mean < 1.0:
            continue
        degenerate = False
        if found.whole.m2 <= EXACT * known.sum():
            continue
        variance = found.variance * per_point
        effective = min(effective, found.mean * (1.0 - found.mean) / variance)
        if len(found.replicates) > 1 and (known.sum(axis=1) > 0).all():
            own = around_replicates([one.mean for one in found.replicates], [one.count for one in found.replicates])
            half = max(half, ((own["high"] or 0.0) - (own["low"] or 0.0)) / 2.0)
    if degenerate:
        effective = min(effective, float(known.sum()) / (weighting.greatest * per_point))
    few = FEW * per_point * len(known)
    if len(known) == 1 or min(level, 1.0 - level) * float(known.sum()) < few or not half:
        return quantile_bounds(max(1, round(effective)), level)
    return level - half if level > half else None, level + half if level + half < 1.0 else None


def weighted_quantile(ordered: np.ndarray, cumulated: np.ndarray, level: float) -> float:
    """The smallest of some sorted numbers whose weighted share is at least a level; `cumulated` sums their weights."""
    place = int(np.searchsorted(cumulated, level * cumulated[-1] * (1.0 - 1e-12)))
    return float(ordered[min(place, ordered.size - 1)])


def _exact(value: float) -> Estimate:
    return {"estimate": value, "standard_error": 0.0, "low": value, "high": value}
