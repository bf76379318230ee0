"""Columns read back are the arrays that the model returned, wherever a block begins and ends."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from cluster.query.parquet_files import DamagedTrials, open_parquet
from cluster.query.samples import sample
from cluster.query.trial_columns import no_trials, read_columns
from cluster.query.trials import open_run
from cluster.results.plan import Shard, make_plan
from cluster.results.result_folder import shard_path
from cluster.results.trial_table import table_columns, table_schema, to_table
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.storage.address import open_folder
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.expressions import parse_measure
from sim.scenario.scenario import scenario_from_document
from tests.support.examples import every_mechanism
from tests.support.runs import small_plan

SCENARIO = scenario_from_document(every_mechanism())
STRATEGY = next(iter(SCENARIO.strategies))
SHARD = Shard(STRATEGY, 2, 2000, 1000)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The shard's arrays, and its file in row groups of 300."""
    arrays = simulate(SCENARIO, STRATEGY, Chance(5, SHARD.first, SHARD.count))
    folder = open_folder(tmp_path_factory.mktemp("columns"))
    path = folder.root / shard_path(SHARD)
    path.parent.mkdir(parents=True)
    pq.write_table(to_table(SCENARIO, table_schema(SCENARIO, {}), arrays), path, row_group_size=300)
    return arrays, folder


@pytest.mark.parametrize(("place", "count"), [(0, 1000), (0, 1), (299, 2), (300, 300), (150, 800), (999, 1)])
def test_columns_are_the_models_arrays(written, place, count):
    arrays, folder = written
    with open_parquet(folder, shard_path(SHARD)) as file:
        found = read_columns(file, SHARD, table_columns(SCENARIO), SHARD.first + place, count)
        none = no_trials(table_columns(SCENARIO))
        assert {name: column.dtype for name, column in none.items()} == {name: found[name].dtype for name in none}
    assert found.keys() == arrays.keys() - {"strategy"}
    for name, column in found.items():
        np.testing.assert_array_equal(column, arrays[name][place : place + count], err_msg=name)


def test_trials_that_are_not_where_they_should_be_are_damage(written):
    _, folder = written
    moved = Shard(STRATEGY, 2, 2001, 999)
    with open_parquet(folder, shard_path(SHARD)) as file, pytest.raises(DamagedTrials, match="its trials are not 2001"):
        read_columns(file, moved, [], 2001, 999)


def test_a_damaged_page_is_reported_by_what_reads_samples(tmp_path):
    plan = small_plan(trials=2000)
    run(plan, tmp_path / "run", RunOptions(engine="inline"))
    file = tmp_path / "run" / "trials" / "strategy=talk" / "part-00001.parquet"
    content = bytearray(file.read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    file.write_bytes(content)
    with pytest.raises(DamagedTrials, match="brink verify"):
        sample(open_run(tmp_path / "run"), "talk", {"week": parse_measure("agreement_week", plan.scenario)}, most=2000)


def test_a_run_of_one_strategy_and_one_trial_is_read(tmp_path):
    plan = make_plan(small_plan().scenario, trials=1, seed=1, strategies=("talk",))
    run(plan, tmp_path / "run", RunOptions(engine="inline"))
    assert sample(open_run(tmp_path / "run"), "talk", {}, most=5)["trial"].tolist() == [0]
