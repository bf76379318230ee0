"""The trials of a strategy that `drivers` reads, in which of them the measure is known, and their weights, if any."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cluster.answers.beliefs import StatedBelief, WeightedTrials, code_of, weigh_sample
from cluster.answers.shared import too_few_given
from cluster.query.samples import sample
from cluster.query.trials import CODE, StoredRun
from sim.scenario.expressions import TRUTH, Expression
from sim.statistics import sensitivity
from sim.statistics.estimates import Estimate, mean, mean_of_replicates, proportion, proportion_of_replicates
from sim.statistics.sensitivity import Jackknife, Response
from sim.statistics.tallies import Moments, moments
from sim.statistics.weighted_sample import WeightedSample

MOST_READ = 250_000
"""First-order indices and deciles are computed from at most this many trials."""
FEWEST_KNOWN = 1000
"""The measure must be known in at least this many trials."""


@dataclass(frozen=True)
class Weighted:
    """The weights of the trials read, and the trials as they are estimated from."""

    trials: WeightedTrials
    sample: WeightedSample


@dataclass(frozen=True)
class KnownTrials:
    """The trials read: the number of each, its measure, whether that is known and finite, and independent groups.

    `trial`, `measure` and `known` have shape (trials,). `weighted` is None where nothing is believed.
    """

    trial: np.ndarray
    measure: np.ndarray
    known: np.ndarray
    yes_or_no: bool
    replicates: int
    groups: Jackknife
    weighted: Weighted | None = None

    @cached_property
    def y(self) -> np.ndarray:
        """The measure of the trials in which it is known."""
        return self.measure[self.known]

    @cached_property
    def groups_of_known(self) -> Jackknife:
        """The groups of the trials in which the measure is known."""
        return self.groups.of(self.known)

    @cached_property
    def response(self) -> Response | None:
        """The measure of these trials, of which first-order indices are computed."""
        return sensitivity.response(self.y, self.groups_of_known, self.some_weights())

    @cached_property
    def replicate(self) -> np.ndarray:
        """The replicate of each of these trials."""
        return self.trial[self.known] % self.replicates

    @property
    def code(self) -> dict[str, Expression] | None:
        """The codes with which other values of the same trials are read."""
        return None if self.weighted is None else code_of(self.weighted.trials.stated)

    @property
    def weights(self) -> np.ndarray | None:
        """The weight of each trial, shape (trials,)."""
        return None if self.weighted is None else self.weighted.sample.weight

    def some_weights(self, most: int | None = None) -> np.ndarray | None:
        """The weights of the first known trials, of all known ones without a number."""
        weights = self.weights
        return None if weights is None else weights[self.known][:most]

    def filled(self, value: float) -> np.ndarray:
        """The measure of all trials, with `value` where it is not known."""
        return np.where(self.known, self.measure, value)

    def standard_deviation(self) -> float:
        """The standard deviation of the measure where it is known."""
        y, weights = self.y, self.some_weights()
        if weights is None:
            return float(y.std())
        centre = np.average(y, weights=weights)
        return float(np.sqrt(np.average(np.square(y - centre), weights=weights)))

    def mean_where(self, chosen: np.ndarray) -> Estimate:
        """The measure's mean in some of the known trials, or its probability if it is a condition."""
        if self.weighted is not None:
            of = np.zeros(self.trial.size, bool)
            of[np.flatnonzero(self.known)[chosen]] = True
            own = self.weighted.sample
            return own.share(self.measure > 0.0, of) if self.yes_or_no else own.mean(self.measure, of)
        y, each = self.y, range(self.replicates)
        parts = [y[chosen]] if self.replicates == 1 else [y[chosen & (self.replicate == k)] for k in each]
        if self.yes_or_no:
            counts = [int(part.sum()) for part in parts], [part.size for part in parts]
            return proportion(counts[0][0], counts[1][0]) if self.replicates == 1 else proportion_of_replicates(*counts)
        tallied: list[Moments] = [moments(part) for part in parts]
        return mean(tallied[0]) if self.replicates == 1 else mean_of_replicates(tallied)


def read_known_trials(
    run: StoredRun,
    strategy: str,
    value: Expression,
    condition: Expression | None,
    inside: Expression | None,
    stated: Sequence[StatedBelief],
    trials: int | None = None,
) -> KnownTrials:
    """The first trials that satisfy the condition, with the measure `value` of each: at most `MOST_READ` of them, and
    at most so many `trials`.

    The beliefs hold in these trials. The measure counts as not known where another condition, `inside`, does not hold.
    """
    values = {"measure": value} | ({} if inside is None else {"inside": inside})
    drawn = sample(
        run, strategy, values, given=condition, code=code_of(stated), most=min(MOST_READ, trials or MOST_READ)
    )
    trial, measure = drawn["trial"], drawn["measure"]
    if inside is not None:
        measure = np.where(drawn["inside"] > 0.0, measure, np.nan)
    replicates = run.plan.design.replicates(run.plan.scenario)
    groups = replicates if replicates > 1 else sensitivity.number_of_groups(trial.size)
    weighted = None
    if stated:
        if not trial.size:
            raise too_few_given(0, strategy, condition)
        found = weigh_sample(stated, drawn[CODE], condition)
        weighted = Weighted(found, found.sample(drawn[CODE], trial, replicates))
    known = np.isfinite(measure)
    jackknife = Jackknife(trial % groups, groups)
    return KnownTrials(trial, measure, known, value.kind == TRUTH, replicates, jackknife, weighted)
