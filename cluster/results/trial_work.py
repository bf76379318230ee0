"""The work of a trial, estimated from the scenario's document alone, and the size of shards that follows from it.

Nothing is measured when a run is planned, so that the same document has the same plan on every machine. The estimate is
within a factor of two of what `python -m benchmarks.estimates` measures; `cluster.runs.cost` measures a run's own
trials where seconds matter.
"""

from sim.scenario.scenario import Scenario

SHARD_TRIALS = 100_000
"""Trials in a shard of a run that has no more of a strategy."""
SHARD_SECONDS = 0.6
"""About the work of a shard of a run that is not large, in seconds of one core."""
_SIZES = (10_000, 20_000, 50_000, 100_000, 200_000)
"""Sizes of such a shard. They are far apart, so that a scenario that changes a little keeps its size."""


def trial_seconds(scenario: Scenario) -> float:
    """About the seconds of one core that a trial of one strategy takes, with its share of its file.

    A linear fit to the shipped scenarios with horizons of 26 to 400 weeks, and to variants of one of them with 1 to 50
    issues, on one core of a cloud machine in 2026.
    """
    uncertain, issues, weeks = len(scenario.uncertain), len(scenario.issues), scenario.horizon_weeks
    return 1e-6 * (0.5 + 0.03 * uncertain + 0.8 * issues + 0.0035 * weeks)


def shard_size(scenario: Scenario, trials: int) -> int:
    """Trials in a shard of a run of so many trials that is not large."""
    if trials <= SHARD_TRIALS:
        return SHARD_TRIALS
    return max((size for size in _SIZES if size * trial_seconds(scenario) <= SHARD_SECONDS), default=_SIZES[0])
