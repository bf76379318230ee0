"""Uncertain parameters of some trials by their rank.

The ranks among a run's first trials do not depend on a condition: a process finds them once, and keeps them.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from cluster.query.trials import StoredRun, paired_sample, sample
from cluster.results.result_folder import shard_path
from sim.scenario.expressions import Expression, parse_measure
from sim.statistics.ranked import Ranked, rank

MOST_RANKED = 250_000
"""The first trials of a strategy whose ranks are kept: as many as answers about parameters read."""


def ranked_parameters(
    run: StoredRun,
    strategies: Sequence[str],
    names: Sequence[str],
    trial: np.ndarray,
    *,
    given: Expression | None = None,
    code: Mapping[str, Expression] | None = None,
) -> dict[str, Ranked]:
    """Parameters of a sample's trials by their rank, by name, under the first of the strategies.

    `trial` has the numbers of all trials of the sample, that of `cluster.query.trials.paired_sample` for the same
    strategies, condition and code.
    """
    values = {name: parse_measure(name, run.plan.scenario) for name in names}
    kept = _kept(run, strategies[0], values, trial)
    if kept is not None:
        return kept
    drawn = paired_sample(run, strategies, {}, shared=values, given=given, code=code, most=trial.size)[strategies[0]]
    return {name: rank(drawn[name]) for name in names}


def _kept(
    run: StoredRun, strategy: str, values: Mapping[str, Expression], trial: np.ndarray
) -> dict[str, Ranked] | None:
    """From the ranks among the first trials; None without a cache, and for a sample that has other trials too."""
    if run.cache is None or not trial.size:
        return None
    first, files = 0, []
    for shard in run.shards(strategy):
        if first >= MOST_RANKED:
            break
        first += shard.count
        files.append((shard_path(shard), run.tags[shard_path(shard)]))
    key = ("ranked", run.folder.address, strategy, hash(tuple(files)))
    numbers: np.ndarray | None = run.cache.find(key)
    if numbers is None:
        numbers = sample(run, strategy, {}, most=MOST_RANKED)["trial"]
        run.cache.put(key, numbers, numbers.nbytes)
    if trial[-1] > numbers[-1]:
        return None
    rows = None if trial.size == numbers.size else np.searchsorted(numbers, trial)
    found: dict[str, Ranked | None] = {name: run.cache.find((*key, name)) for name in values}
    missing = {name: values[name] for name, one in found.items() if one is None}
    if missing:
        drawn = sample(run, strategy, missing, most=MOST_RANKED)
        for name in missing:
            found[name] = whole = rank(drawn[name])
            run.cache.put((*key, name), whole, whole.code.nbytes + whole.values.nbytes)
    # Others than those that are kept, since what is counted of them takes memory too.
    return {
        name: Ranked(one.code, one.values) if rows is None else one.take(rows)
        for name, one in found.items()
        if one is not None
    }
