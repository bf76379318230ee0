"""Weighted answers of whole runs, from the engine to the document: their 95 % intervals hold the truth in 95 % of runs.

The example is that of `tests.support.one_issue`. Believed is that an agreement comes by week 2 with 0.3, and that full
access is above 6 with 0.7. The two are independent, so that the truths are known in closed form.
"""

from functools import lru_cache
from math import sqrt

import pytest

from cluster.query.trials import open_run
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from tests.support.answers import document_of, result_of
from tests.support.one_issue import EXAMPLE, WEEKS, C, D, open_after

TRIALS, RUNS = 1600, 200
EARLY, ABOVE, LIMIT = 0.3, 0.7, 6.0
BELIEFS = [f"agreement_week <= 2 = {EARLY}", f"full_access > {LIMIT} = {ABOVE}"]
TOLERANCE = 4.0 * sqrt(0.95 * 0.05 / RUNS)


def by_week(week: int) -> float:
    """The probability believed of an agreement by a week from 2 on."""
    return EARLY + (1 - EARLY) * (open_after(2) - open_after(week)) / open_after(2)


TRUTH = {
    "summary, agreement": by_week(WEEKS),
    "summary, balance": by_week(WEEKS) * (ABOVE * (LIMIT + D) / 2 + (1 - ABOVE) * (C + LIMIT) / 2),
    "timeline, week 5": by_week(5),
}


def intervals(found: dict[str, dict]) -> dict[str, tuple[float, float]]:
    summary, course = found["summary"]["strategies"]["base"], found["timeline"]["strategies"]["base"]["states"]
    agreement, balance = summary["events"]["agreement"], summary["measures"]["balance_change"]["mean"]
    return {
        "summary, agreement": (agreement["low"], agreement["high"]),
        "summary, balance": (balance["low"], balance["high"]),
        "timeline, week 5": (course["agreement"]["low"][4], course["agreement"]["high"][4]),
    }


@lru_cache
def coverage(folder, design: str) -> dict[str, float]:
    """The share of runs, each of a seed of its own, whose intervals hold the truth."""
    held = dict.fromkeys(TRUTH, 0)
    for seed in range(RUNS):
        made = folder / f"{design}-{seed}"
        run(make_plan(EXAMPLE, trials=TRIALS, seed=seed, design=design), made, RunOptions(engine="inline"))
        stored = open_run(made)
        found = {
            "summary": document_of("summary", stored, believe=BELIEFS),
            "timeline": result_of("timeline", stored, believe=BELIEFS),
        }
        for name, (low, high) in intervals(found).items():
            held[name] += low <= TRUTH[name] <= high
    return {name: count / RUNS for name, count in held.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("coverage")


@pytest.mark.slow
@pytest.mark.parametrize("design", ["random", "sobol"])
@pytest.mark.parametrize("kind", list(TRUTH))
def test_weighted_intervals_of_whole_runs_have_their_nominal_coverage(folder, design, kind):
    """A true coverage of 85 % would be found out with a probability of 93 %."""
    assert coverage(folder, design)[kind] == pytest.approx(0.95, abs=TOLERANCE)
