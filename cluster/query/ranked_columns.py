"""Uncertain parameters of some trials by their rank.

The ranks among a run's first trials do not depend on a condition: a process finds them once, and keeps them.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from cluster.query.samples import sample, values_of
from cluster.query.trials import StoredRun
from cluster.results.result_folder import shard_path
from sim.scenario.expressions import Expression, parse_measure
from sim.statistics.ranked import Ranked, rank

MOST_RANKED = 250_000
"""The first trials of a strategy whose ranks are kept: as many as answers about parameters read."""


def ranked_parameters(run: StoredRun, strategy: str, names: Sequence[str], trial: np.ndarray) -> dict[str, Ranked]:
    """Parameters of some trials of a strategy by their rank, by name. `trial` has their numbers, in rising order."""
    values = {name: parse_measure(name, run.plan.scenario) for name in names}
    kept = _kept(run, strategy, values, trial)
    return {name: rank(own) for name, own in values_of(run, strategy, values, trial).items()} if kept is None else kept


def _kept(
    run: StoredRun, strategy: str, values: Mapping[str, Expression], trial: np.ndarray
) -> dict[str, Ranked] | None:
    """From the ranks among the first trials; None without a cache, and if there are other trials too."""
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
    for name, column in (values_of(run, strategy, missing, numbers) if missing else {}).items():
        found[name] = whole = rank(column)
        run.cache.put((*key, name), whole, whole.code.nbytes + whole.values.nbytes)
    # Others than those that are kept, since what is counted of them takes memory too.
    return {
        name: Ranked(one.code, one.values) if rows is None else one.take(rows)
        for name, one in found.items()
        if one is not None
    }
