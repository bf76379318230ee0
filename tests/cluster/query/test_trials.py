"""Stored runs read back: pairs of trials in blocks, samples, and folders that are no runs."""

import numpy as np
import pandas as pd
import pytest

from cluster.query import trials as module
from cluster.query.memory_cache import MemoryCache
from cluster.query.samples import sample, values_of
from cluster.query.shard_columns import ShardColumns
from cluster.query.trials import StoredRun, chosen_strategies, open_run, paired_blocks, trials_table
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.scenario.expressions import parse_condition, parse_measure
from tests.support.runs import small_plan

PLAN = small_plan()
SCENARIO = PLAN.scenario
GAIN = parse_measure("export_gain - sender_cost", SCENARIO)
WEEK = parse_measure("agreement_week", SCENARIO)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored") / "run"
    run(PLAN, folder, RunOptions(engine="inline"))
    return open_run(folder), pd.read_parquet(folder / "trials")


def test_blocks_hold_the_same_trials_of_every_strategy(stored, monkeypatch):
    found, table = stored
    monkeypatch.setattr(module, "BLOCK", 300)
    blocks = list(paired_blocks(found, ("threaten", "talk"), {"gain": GAIN, "week": WEEK}))
    assert len(blocks) > 5
    for strategy in ("threaten", "talk"):
        one = table[table.strategy == strategy].sort_values("trial")
        trial = np.concatenate([block[strategy]["trial"] for block in blocks])
        assert np.array_equal(trial, np.arange(PLAN.trials))
        gain = np.concatenate([block[strategy]["gain"] for block in blocks])
        assert np.allclose(gain, one.export_gain.astype(float) - one.sender_cost.astype(float), rtol=0, atol=1e-12)
        week = np.concatenate([block[strategy]["week"] for block in blocks])
        assert np.array_equal(week, one.agreement_week.to_numpy(float, na_value=np.nan), equal_nan=True)


def test_a_condition_must_hold_under_every_strategy_of_a_pair(stored):
    found, table = stored
    given = parse_condition("agreement_week > 10", SCENARIO)
    kept = np.concatenate(
        [b["talk"]["trial"] for b in paired_blocks(found, ("threaten", "talk"), {"week": WEEK}, given=given)]
    )
    late = table[table.agreement_week > 10].groupby("trial").size()
    assert np.array_equal(kept, late[late == 2].index)
    assert 0 < kept.size < PLAN.trials


def test_conditions_that_are_written_alike_are_not_taken_for_each_other(stored):
    """0.1 and the float32 nearest to it are both shown as 0.1; a tenth lies below the second alone."""
    found, _ = stored
    remembering = StoredRun(found.plan, found.folder, MemoryCache(1 << 24))
    below = [parse_condition(f"trial / 10 < {text}", SCENARIO) for text in ("0.1", "0.10000000149011612")]
    assert str(below[0]) == str(below[1])
    for run_ in (found, remembering, remembering):
        kept = [sample(run_, "talk", {}, given=one, most=9)["trial"].tolist() for one in below]
        assert kept == [[0], [0, 1]]


def test_a_sample_is_the_first_trials_that_agree(stored):
    found, table = stored
    given = parse_condition("threat_week <= 5", SCENARIO)
    drawn = sample(found, "threaten", {"gain": GAIN}, given=given, most=700)
    expected = table[(table.strategy == "threaten") & (table.threat_week <= 5)].sort_values("trial").trial[:700]
    assert np.array_equal(drawn["trial"], expected)
    none = sample(found, "threaten", {"gain": GAIN}, given=parse_condition("threat_week > 999", SCENARIO), most=5)
    assert none["trial"].size == none["gain"].size == 0


def test_the_view_has_the_strategy_as_a_column(stored):
    found, table = stored
    with trials_table(found, ("threaten", "talk")) as database:
        rows = database.execute("SELECT strategy, count(*), count(agreement_week) FROM trials GROUP BY 1").fetchall()
    counted = table.groupby("strategy", observed=True).agreement_week.agg(["size", "count"])
    assert {name: (size, count) for name, size, count in rows} == {n: tuple(row) for n, row in counted.iterrows()}


def test_a_folder_that_is_no_run_is_refused(stored, tmp_path):
    with pytest.raises(InvalidInput, match="no such folder"):
        open_run(tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match="no such folder, or it is empty"):
        open_run(tmp_path)
    with pytest.raises(InvalidInput, match="there are threaten, talk"):
        chosen_strategies(stored[0], ("bluff",))


def test_conditions_hold_for_the_trials_that_pandas_finds(stored):
    found, table = stored
    rows = table[table.strategy == "threaten"].sort_values("trial").reset_index(drop=True)
    defiant, gap = rows.defiant.astype(object), rows["package_threshold"]
    ratio = rows.sender_cost.astype(float) / rows.sanctions_weeks.where(rows.sanctions_weeks > 0)
    expected = {
        "defiant is null": defiant.isna(),
        "defiant is not null and not defiant": defiant.eq(False),
        "defiant == false": defiant.eq(False),
        "defiant != false": ~defiant.eq(False),
        "defiant in (true)": defiant.eq(True),
        # 0.7 and 0.9 are not what float32 holds of them.
        "package_threshold <= 0.7": gap == np.float32(0.7),
        "package_threshold in (0.7, 0.9)": gap < 1.0,
        "-0.9 == -package_threshold or 0.9 == package_threshold": gap == np.float32(0.9),
        # 0 / 0 is neither greater nor less than anything.
        "sender_cost / sanctions_weeks >= -1e9": ratio.notna(),
        "sender_cost / sanctions_weeks < 0 or sender_cost / sanctions_weeks is null": ~(ratio >= 0.0),
        "market_access < 1e300": rows.market_access.notna(),
    }
    for text, holds in expected.items():
        given = parse_condition(text, SCENARIO)
        assert parse_condition(str(given), SCENARIO) == given
        drawn = sample(found, "threaten", {"week": WEEK}, given=given, most=PLAN.trials)
        assert 0 < holds.sum() < PLAN.trials
        assert np.array_equal(drawn["trial"], rows.trial[holds.to_numpy(bool)]), text


def test_shards_that_cannot_contribute_are_not_read(stored, monkeypatch):
    found, table = stored
    read, reading = [], ShardColumns._read

    def noted(columns, *given):
        read.append(columns.shard.index)
        return reading(columns, *given)

    monkeypatch.setattr(ShardColumns, "_read", noted)
    given = parse_condition("trial >= 4100 and sender_cost > -1000", SCENARIO)
    drawn = sample(found, "threaten", {"gain": GAIN}, given=given, most=500)
    assert np.array_equal(drawn["trial"], np.arange(4100, 4600))
    assert set(read) == {4}
    read.clear()
    own = table[table.strategy == "threaten"].sort_values("trial").sender_cost.to_numpy(float)
    known = values_of(found, "threaten", {"cost": parse_measure("sender_cost", SCENARIO)}, np.array([3, 2001, 2900]))
    assert np.array_equal(known["cost"], own[[3, 2001, 2900]])
    assert set(read) == {0, 2}
