"""Ranks that a process keeps: answers from them are those of a process that keeps nothing."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cluster.answers.registry import ask
from cluster.query import ranked_columns
from cluster.query.memory_cache import MemoryCache
from cluster.query.ranked_columns import ranked_parameters
from cluster.query.samples import sample
from cluster.query.trials import StoredRun, open_run
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.scenario.expressions import parse_condition, parse_measure
from tests.support.runs import small_plan

PLAN = small_plan(trials=6000)
NAMES = PLAN.scenario.uncertain
GIVEN = "not agreement or agreement_week > 10"
"""It holds in some of the trials under each strategy."""


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> StoredRun:
    folder = tmp_path_factory.mktemp("ranked") / "run"
    run(PLAN, folder, RunOptions(engine="inline"))
    return open_run(folder)


@pytest.mark.parametrize("most", [1000, 250_000])
def test_the_numbers_are_those_of_the_sample(found, monkeypatch, most):
    """With few trials kept, the sample has others too, which are ranked by themselves."""
    monkeypatch.setattr(ranked_columns, "MOST_RANKED", most)
    remembering = replace(found, cache=MemoryCache(1 << 26))
    for given in (None, parse_condition(GIVEN, PLAN.scenario)):
        values = {name: parse_measure(name, PLAN.scenario) for name in NAMES}
        drawn = sample(found, "threaten", values, given=given, most=5000)
        for one in (found, remembering, remembering):
            ranked = ranked_parameters(one, "threaten", NAMES, drawn["trial"])
            assert ranked.keys() == set(NAMES)
            for name in NAMES:
                np.testing.assert_array_equal(ranked[name].numbers, drawn[name])


def test_what_is_kept_is_bounded(found):
    """Nothing is kept in a cache without room, and counts of what is kept are not added to it."""
    remembering = replace(found, cache=MemoryCache(1 << 10))
    drawn = sample(found, "threaten", {}, most=5000)
    ranked = ranked_parameters(remembering, "threaten", NAMES, drawn["trial"])
    assert all(one.size == 5000 for one in ranked.values())
    kept = replace(found, cache=MemoryCache(1 << 26))
    for _ in range(2):
        whole = ranked_parameters(kept, "threaten", NAMES[:1], np.arange(PLAN.trials))[NAMES[0]]
        assert set(vars(whole)) == {"code", "values"}
        assert whole.up_to[-1] == PLAN.trials


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("drivers", {"measure": "sender_cost"}),
        ("worth", {}),
        ("compare", {}),
        ("stress", {"bound": "sanctions"}),
        ("discover", {"outcome": "sanctions"}),
    ],
)
def test_an_answer_is_the_same_from_what_is_kept(found, name, request_):
    remembering = replace(found, cache=MemoryCache(1 << 26))
    for asked in ({**request_, "given": GIVEN}, request_):
        expected = json.dumps(ask(found, name, asked))
        assert json.dumps(ask(remembering, name, asked)) == expected
        assert json.dumps(ask(remembering, name, asked)) == expected
