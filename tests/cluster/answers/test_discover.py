"""Boxes and steps that other trials do not confirm are left out."""

import numpy as np
import pytest

from cluster.answers.discover import _Held
from cluster.answers.registry import ask
from cluster.query.trials import open_run
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.statistics.scenario_discovery import code_columns, peel
from tests.support.ranks import ranked
from tests.support.runs import small_plan


@pytest.mark.slow
def test_a_box_found_in_noise_is_not_likelier_on_other_trials():
    """Boxes peeled for an outcome that no parameter affects: of 120, at most 9 lie wholly above its probability.

    An interval of 95 % does so in 2.5 % of boxes; more than 9 of 120 independent ones come once in 1,000.
    """
    found = kept = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        columns = {name: rng.random(4000) for name in "abcdef"}
        other = {name: rng.random(4000) for name in "abcdef"}
        held = _Held(rng.random(4000) < 0.2, np.zeros(4000, np.int64), 1)
        boxes = peel(code_columns(ranked(columns)), rng.random(4000) < 0.2)
        if boxes:
            found += 1
            kept += held.is_likelier(boxes[len(boxes) // 2].holds(ranked(other)), held.share(np.ones(4000, bool)))
    assert found > 100
    assert kept <= 9


def test_a_step_that_gains_no_density_on_other_trials_is_not_denser():
    """Removing trials at random is called a gain in 2.5 % of 400 cases: at most 20 (one chance in 1,000 of more)."""
    kept = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        held = _Held(rng.random(3000) < 0.2, np.zeros(3000, np.int64), 1)
        inside = rng.random(3000) < 0.5
        kept += held.is_denser(inside, ~inside)
    assert kept <= 20
    assert held.is_denser(held.happened, ~held.happened)


def test_fewer_trials_are_read_where_the_request_says_so(tmp_path):
    """As if the run had no more of them."""
    found = []
    for trials, asked in ((6000, {"trials": 4000}), (4000, {})):
        run(small_plan(trials=trials), tmp_path / str(trials), RunOptions(engine="inline"))
        found.append(ask(open_run(tmp_path / str(trials)), "discover", {"outcome": "agreement", **asked})["result"])
    assert found[0] == found[1]
    assert found[0]["trials"]["read"] == 4000
    assert found[0]["boxes"]
