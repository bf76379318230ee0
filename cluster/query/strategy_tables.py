"""Columns of a strategy's trials for which a condition holds, as the model's arrays, a block at a time."""

from collections.abc import Iterable, Iterator

import numpy as np

from cluster.query.session import check_time
from cluster.query.trials import StoredRun, blocks_of, read_values
from cluster.results.plan import Shard
from cluster.results.trial_table import table_columns
from sim.scenario.expressions import Expression


def read_tables(
    run: StoredRun, shard: Shard, names: Iterable[str], given: Expression | None
) -> Iterator[dict[str, np.ndarray]]:
    """Columns of a shard's trials for which a condition holds, with ``trial`` among them. The arrays must not be
    changed. Raises `QueryLimit`, and `DamagedTrials` as `cluster.query.trial_columns.read_columns`.
    """
    known = {column.name: column for column in table_columns(run.plan.scenario)}
    wanted = [known[name] for name in sorted({*names, "trial"})]
    with run.open_shard(shard) as columns:
        for first, count in blocks_of(shard):
            check_time()
            holds = None if given is None else read_values(columns, known, [given], first, count)[given]
            if holds is None or holds.all():
                yield columns.read(wanted, first, count)
            elif holds.any():
                table, rows = columns.read(wanted, first, count), np.flatnonzero(holds)
                yield {name: column.take(rows) for name, column in table.items()}
