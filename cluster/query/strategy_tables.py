"""Columns of a strategy's trials for which a condition holds, as the model's arrays, a block at a time."""

from collections.abc import Iterable, Iterator

import numpy as np

from cluster.query.session import check_time
from cluster.query.trials import BLOCK, StoredRun
from cluster.results.plan import Shard
from cluster.results.trial_table import table_columns
from sim.scenario.evaluation import evaluate
from sim.scenario.expressions import Expression


def read_tables(
    run: StoredRun, shard: Shard, names: Iterable[str], given: Expression | None
) -> Iterator[dict[str, np.ndarray]]:
    """Columns of a shard's trials for which a condition holds, with ``trial`` among them. The arrays must not be
    changed. Raises `QueryLimit`, and `DamagedTrials` as `cluster.query.trial_columns.read_columns`.
    """
    known = {column.name: column for column in table_columns(run.plan.scenario)}
    names = {*names, "trial"}
    wanted = [known[name] for name in sorted({*names, *(() if given is None else given.columns())})]
    with run.open_shard(shard) as columns:
        for first in range(shard.first, shard.first + shard.count, BLOCK):
            check_time()
            table = columns.read(wanted, first, min(BLOCK, shard.first + shard.count - first))
            if given is None:
                yield table
                continue
            # Its columns are in the table, and need not be read again, unless its values are kept.
            holds = None if columns.cache is None else columns.find(given, first, len(table["trial"]))
            if holds is None:
                holds = evaluate(given, table, known)
                columns.put(given, first, len(table["trial"]), holds)
            if holds.all():
                yield table
            elif holds.any():
                rows = np.flatnonzero(holds)
                yield {name: table[name].take(rows) for name in names}
