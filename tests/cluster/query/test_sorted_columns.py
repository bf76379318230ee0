"""Sorted columns that a process keeps: a summary from them is that of a process that keeps nothing."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cluster.answers.registry import ask
from cluster.query.memory_cache import MemoryCache
from cluster.query.sorted_columns import are_columns_sorted, sorted_columns
from cluster.query.trials import StoredRun, open_run
from cluster.runs.options import RunOptions
from cluster.runs.run import Stopped, run
from sim.statistics.trial_counts import REAL
from tests.support.runs import small_plan

GIVEN = ("not agreement or agreement_week > 10", "agreement", "market_access > 0.5 or sender_cost < 0")


@pytest.fixture(scope="module", params=["random", "sobol"])
def found(request, tmp_path_factory) -> StoredRun:
    folder = tmp_path_factory.mktemp("sorted") / "run"
    run(small_plan(trials=6000, design=request.param), folder, RunOptions(engine="inline"))
    return open_run(folder)


@pytest.mark.parametrize("given", GIVEN)
def test_a_summary_is_the_same_from_sorted_columns(found, given):
    remembering = replace(found, cache=MemoryCache(1 << 26))
    expected = json.dumps(ask(found, "summary", {"given": given}))
    for _ in range(2):
        assert are_columns_sorted(remembering, "threaten", len(REAL))
        assert json.dumps(ask(remembering, "summary", {"given": given})) == expected


def test_the_numbers_are_the_known_ones_in_their_order(found):
    """Of an agreement that there never is, the level is null."""
    column = sorted_columns(found, "threaten", ["market_access"])["market_access"]
    assert 0 < column.numbers.size < found.plan.trials
    assert np.all(np.diff(column.numbers) >= 0.0)
    held = np.zeros(found.plan.trials, bool)
    held[column.place[[3, 70, 500]]] = True
    assert column.at_ranks(held, np.array([1, 2, 3])).tolist() == column.numbers[[3, 70, 500]].tolist()


def test_nothing_is_sorted_that_cannot_be_kept(found):
    assert not are_columns_sorted(found, "threaten", len(REAL))
    assert not are_columns_sorted(replace(found, cache=MemoryCache(1 << 19)), "threaten", len(REAL))


def test_columns_are_sorted_once_a_run_grows_no_more(tmp_path):
    """The first trials are committed, a condition is asked, then the others are."""
    plan, cache, done = small_plan(trials=6000), MemoryCache(1 << 26), []
    stopping = RunOptions(engine="inline", on_progress=done.append, should_stop=lambda: len(done) > 4)
    with pytest.raises(Stopped):
        run(plan, tmp_path / "run", stopping)
    played, are_sorted = [], []
    for _ in range(2):
        growing, alone = (replace(open_run(tmp_path / "run"), cache=one) for one in (cache, None))
        summary = ask(growing, "summary", {"given": "agreement"})
        assert summary == ask(alone, "summary", {"given": "agreement"})
        played.append(summary["strategies"]["threaten"]["trials_played"])
        are_sorted.append(are_columns_sorted(growing, "threaten", len(REAL)))
        run(plan, tmp_path / "run", RunOptions(engine="inline"))
    assert 0 < played[0] < played[1] == 6000
    assert are_sorted == [False, True]
