"""The trials of a strategy that `drivers` reads, and in which of them the measure is known."""

from dataclasses import dataclass

import numpy as np

from cluster.query.trials import StoredRun, Thinning, sample
from sim.scenario.expressions import TRUTH, Expression
from sim.statistics import sensitivity
from sim.statistics.estimates import Estimate, mean, mean_of_replicates, proportion, proportion_of_replicates
from sim.statistics.sensitivity import Jackknife
from sim.statistics.tallies import Moments, moments

MOST_READ = 250_000
"""First-order indices and deciles are computed from at most this many trials."""
FEWEST_KNOWN = 1000
"""The measure must be known in at least this many trials."""


@dataclass(frozen=True)
class KnownTrials:
    """The trials read: the number of each, its measure, whether that is known and finite, and independent groups.

    `trial`, `measure` and `known` have shape (trials,). `thinned` says which trials are kept where beliefs weigh them.
    """

    trial: np.ndarray
    measure: np.ndarray
    known: np.ndarray
    yes_or_no: bool
    replicates: int
    groups: Jackknife
    thinned: Thinning | None = None

    @property
    def y(self) -> np.ndarray:
        """The measure of the trials in which it is known."""
        return self.measure[self.known]

    def filled(self, value: float) -> np.ndarray:
        """The measure of all trials, with `value` where it is not known."""
        return np.where(self.known, self.measure, value)

    def mean_where(self, chosen: np.ndarray) -> Estimate:
        """The measure's mean in some of the known trials, or its probability if it is a condition."""
        y = self.y
        by_replicate = self.trial[self.known] % self.replicates
        parts = [y[chosen & (by_replicate == k)] for k in range(self.replicates)]
        if self.yes_or_no:
            counts = [int(part.sum()) for part in parts], [part.size for part in parts]
            return proportion(counts[0][0], counts[1][0]) if self.replicates == 1 else proportion_of_replicates(*counts)
        tallied: list[Moments] = [moments(part) for part in parts]
        return mean(tallied[0]) if self.replicates == 1 else mean_of_replicates(tallied)


def read_known_trials(
    run: StoredRun, strategy: str, value: Expression, condition: Expression | None, thinned: Thinning | None
) -> KnownTrials:
    """The first `MOST_READ` trials that satisfy the condition and are kept, with the measure `value` of each."""
    drawn = sample(run, strategy, {"measure": value}, given=condition, thinned=thinned, most=MOST_READ)
    replicates = run.plan.design.replicates(run.plan.scenario)
    groups = replicates if replicates > 1 else sensitivity.GROUPS
    known = np.isfinite(drawn["measure"])
    jackknife = Jackknife(drawn["trial"] % groups, groups)
    return KnownTrials(drawn["trial"], drawn["measure"], known, value.kind == TRUTH, replicates, jackknife, thinned)
