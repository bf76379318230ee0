"""Sobol indices of the conditional expectation, from the trials of a Saltelli design.

The effect of parameters on a measure is its mean over chance, E[measure | parameters]; chance adds the variance between
the plays of one point. That variance is estimated from the plays of each point, and its contribution to the squares of
points' means is subtracted: noise counts neither as an effect nor as an interaction.

All indices are computed from sums over base points, kept by replicate, so that trials can be read a block at a time.
Their errors come from the replicates (delete-one jackknife; Tukey 1958).
"""

from dataclasses import dataclass, fields

import numpy as np

from sim.statistics.estimates import UNKNOWN, Estimate, around, student

MOST_LEFT_OUT = 0.05
"""There is no index if the measure is not known well enough at more than this share of the base points."""


@dataclass(frozen=True)
class Sums:
    """Sums over base points, by replicate. The last axis is the replicate; the one before it, if any, the input.

    Values are points' means over the plays in which the measure is known, less the centre; *noise* is the variance of
    such a mean, *within* that of one play.
    """

    points: np.ndarray
    rows: np.ndarray
    rows_total: np.ndarray
    pairs: np.ndarray
    total: np.ndarray
    squares: np.ndarray
    noise: np.ndarray
    within: np.ndarray
    triples: np.ndarray
    products: np.ndarray
    moves: np.ndarray
    jumps: np.ndarray
    jump_noise: np.ndarray

    def __add__(self, other: "Sums") -> "Sums":
        """The sums over two sets of base points together, about the same centre."""
        return Sums(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


@dataclass(frozen=True)
class Indices:
    """First- and total-order index of each input, the sum of the first, and where the variance comes from.

    An index is a share of the variance of the conditional expectation. All are unknown if that variance is not
    significantly above 0. That of an input is unknown if the measure is not known well enough at too many base points
    (`left_out`, int64, shape (inputs,)). `plain` has first and total order without subtracting noise, float64, shape
    (2, inputs): it equals SALib's result for the points' means.
    """

    first: list[Estimate]
    total: list[Estimate]
    alone: Estimate
    parameters: Estimate
    chance: Estimate
    variance: float
    plain: np.ndarray
    left_out: np.ndarray


def sums(values: np.ndarray, centre: float) -> Sums:
    """The sums over some base points: `values` has shape (points, inputs + 2, plays, replicates), NaN where not known.

    The centre should be near the mean. Points with fewer than two plays with a known measure are left out of all sums.
    """
    known, mean, within, noise = _points(values - centre)
    pair = known[:, 0] & known[:, -1]
    triple = pair[:, None] & known[:, 1:-1]

    def over(where: np.ndarray, what: np.ndarray) -> np.ndarray:
        return np.where(where, what, 0.0).sum(axis=0)

    move = mean[:, 1:-1] - mean[:, :1]
    return Sums(
        points=np.full(known.shape[2], float(len(known))),
        rows=known.sum(axis=(0, 1)).astype(np.float64),
        rows_total=over(known, mean).sum(axis=0),
        pairs=pair.sum(axis=0).astype(np.float64),
        total=over(pair, mean[:, 0] + mean[:, -1]),
        squares=over(pair, mean[:, 0] ** 2 + mean[:, -1] ** 2),
        noise=over(pair, noise[:, 0] + noise[:, -1]),
        within=over(pair, within[:, 0] + within[:, -1]),
        triples=triple.sum(axis=0).astype(np.float64),
        products=over(triple, mean[:, -1:] * move),
        moves=over(triple, move),
        jumps=over(triple, move**2 / 2.0),
        jump_noise=over(triple, (noise[:, :1] + noise[:, 1:-1]) / 2.0),
    )


def _points(values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of each point whether it is known well enough, its mean, the variance of a play and that of the mean."""
    known = np.isfinite(values)
    count = known.sum(axis=2)
    divisor = np.maximum(count, 1)
    mean = np.where(known, values, 0.0).sum(axis=2) / divisor
    deviation = np.where(known, values - mean[:, :, None], 0.0)
    within = np.square(deviation).sum(axis=2) / np.maximum(count - 1, 1)
    return count >= 2, mean, within, within / divisor


def indices(found: Sums) -> Indices:
    """The indices from the sums: first order by Saltelli et al. (2010), total order by Jansen (1999).

    Unbiased except for the division by the variance; 95 % intervals by Student's t over the replicates.
    """
    # Each sum over all replicates first, then over all but one, for the jackknife.
    replicates = found.points.size
    kept = np.vstack([np.ones(replicates), 1.0 - np.eye(replicates)])
    over = Sums(*(getattr(found, field.name) @ kept.T for field in fields(found)))
    with np.errstate(invalid="ignore", divide="ignore"):
        points = 2.0 * over.pairs
        between = over.squares / points - (over.total / points) ** 2
        variance, within = between - over.noise / points, over.within / points
        parameters = _jackknife(variance / (variance + within))
        chance = _jackknife(within / (variance + within))
        # Centred on the mean of all rows, as SALib does.
        effects = (over.products - over.rows_total / over.rows * over.moves) / over.triples
        jumps = over.jumps / over.triples
        first, total = effects / variance, (jumps - over.jump_noise / over.triples) / variance
        plain = np.stack([effects[:, 0], jumps[:, 0]]) / between[0]
    left_out = found.points.sum() - found.triples.sum(axis=1)
    measurable = (parameters["low"] or 0.0) > 0.0
    estimable = measurable & (left_out <= MOST_LEFT_OUT * found.points.sum())
    return Indices(
        first=[_jackknife(one) if known else UNKNOWN for one, known in zip(first, estimable, strict=True)],
        total=[_jackknife(one) if known else UNKNOWN for one, known in zip(total, estimable, strict=True)],
        alone=_jackknife(first.sum(axis=0)) if estimable.all() else UNKNOWN,
        parameters=parameters,
        chance=chance,
        variance=float(variance[0]),
        plain=plain,
        left_out=left_out.astype(np.int64),
    )


def _jackknife(values: np.ndarray) -> Estimate:
    """An estimate (the first value) and its error, from those with each replicate left out (the others)."""
    if not np.isfinite(values).all():
        return UNKNOWN
    without = values[1:]
    scatter = np.square(without - without.mean()).sum()
    error = float(np.sqrt(scatter * (without.size - 1) / without.size))
    return around(float(values[0]), error, student(without.size - 1))
