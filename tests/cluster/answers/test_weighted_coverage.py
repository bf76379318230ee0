"""Weighted answers of whole runs, from the engine to the document: their 95 % intervals hold the truth in 95 % of runs.

The example is that of `tests.support.one_issue`. Believed is that an agreement comes by week 2 with 0.3, and that full
access is above 6 with 0.7. The two are independent, so that the truths are known in closed form.
"""

from functools import lru_cache
from math import sqrt

import numpy as np
import pytest

from cluster.query.trials import open_run
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.scenario.scenario import scenario_document, scenario_from_document
from tests.support.answers import document_of, result_of
from tests.support.examples import changed
from tests.support.one_issue import EXAMPLE, WEEKS, A, B, C, D, open_after

TRIALS, RUNS = 1600, 200
EARLY, ABOVE, LIMIT = 0.3, 0.7, 6.0
BELIEFS = [f"agreement_week <= 2 = {EARLY}", f"full_access > {LIMIT} = {ABOVE}"]
TOLERANCE = 4.0 * sqrt(0.95 * 0.05 / RUNS)


def by_week(week: int) -> float:
    """The probability believed of an agreement by a week from 2 on."""
    return EARLY + (1 - EARLY) * (open_after(2) - open_after(week)) / open_after(2)


BOUND = 8.0
BREAKS = ABOVE * (D - BOUND) / (D - LIMIT)
"""The probability believed of full access above `BOUND`."""


def spread_of_access() -> tuple[float, float]:
    """The mean and the standard deviation believed of full access, which is uniform below and above `LIMIT`."""
    parts = ((1 - ABOVE, C, LIMIT), (ABOVE, LIMIT, D))
    mean = sum(share * (low + high) / 2 for share, low, high in parts)
    square = sum(share * (low * low + low * high + high * high) / 3 for share, low, high in parts)
    return mean, sqrt(square - mean * mean)


MEAN, DEVIATION = spread_of_access()
BALANCE = by_week(WEEKS) * MEAN
TRUTH = {
    "summary, agreement": by_week(WEEKS),
    "summary, balance": BALANCE,
    "timeline, week 5": by_week(5),
    "convergence, balance": BALANCE,
    "aggregate, balance": BALANCE,
    "drivers, agreement in the highest decile of access": by_week(WEEKS),
    "drivers, balance in the lowest decile of access": by_week(WEEKS) * (C + 0.1 / (1 - ABOVE) * (LIMIT - C) / 2),
    "stress, probability": BREAKS,
    "stress, agreement where the bound is broken": by_week(WEEKS),
    "stress, agreement inside less outside": 0.0,
    # The mean inside less the overall mean is so many times the mean inside less that outside.
    "stress, shift": ((BOUND + D) / 2 - MEAN) / (1 - BREAKS) / DEVIATION,
    "discover, probability": BREAKS,
}


def intervals(found: dict[str, dict]) -> dict[str, tuple[float, float]]:
    summary, course = found["summary"]["strategies"]["base"], found["timeline"]["strategies"]["base"]["states"]
    settles = found["convergence"]["strategies"]["base"]
    (row,) = found["aggregate"]["rows"]
    half = 1.96 * row["balance_change.standard_error"]
    access = {
        name: next(one for one in found[name]["parameters"] if one["name"] == "full_access")
        for name in ("drivers", "balance", "stress")
    }
    agreement = next(one for one in found["stress"]["events"] if one["name"] == "agreement")
    estimates = {
        "summary, agreement": summary["events"]["agreement"],
        "summary, balance": summary["measures"]["balance_change"]["mean"],
        "timeline, week 5": {end: course["agreement"][end][4] for end in ("low", "high")},
        "convergence, balance": {end: settles[end][-1] for end in ("low", "high")},
        "aggregate, balance": {
            "low": row["balance_change.mean"] - half,
            "high": row["balance_change.mean"] + half,
        },
        "drivers, agreement in the highest decile of access": access["drivers"]["highest_decile"]["mean"],
        "drivers, balance in the lowest decile of access": access["balance"]["lowest_decile"]["mean"],
        "stress, probability": found["stress"]["probability"],
        "stress, agreement where the bound is broken": agreement["inside"],
        "stress, agreement inside less outside": agreement["difference"],
        "stress, shift": access["stress"]["shift"],
        "discover, probability": found["discover"]["probability"],
    }
    return {name: (one["low"], one["high"]) for name, one in estimates.items()}


ASKED: dict[str, tuple[str, dict[str, object]]] = {
    "timeline": ("timeline", {}),
    "convergence": ("convergence", {"measure": "balance_change"}),
    "aggregate": ("aggregate", {"measures": ["balance_change"], "statistics": ["mean", "standard_error"]}),
    "drivers": ("drivers", {"measure": "agreement"}),
    "balance": ("drivers", {"measure": "balance_change"}),
    "stress": ("stress", {"bound": f"full_access > {BOUND}"}),
    "discover": ("discover", {"outcome": f"full_access > {BOUND}"}),
}
"""The answers besides the summary: what each is called, its name and its request."""


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
            **{name: result_of(answer, stored, believe=BELIEFS, **asked) for name, (answer, asked) in ASKED.items()},
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


def shares_of_box(box: dict) -> dict[str, tuple[float, tuple[float, float]]]:
    """The density, coverage and mass believed of a box for an agreement by week 5, and their intervals.

    Given the chance of a concession, an agreement by week 2 has the belief's weight, as has one that comes later.
    """
    ranges = {one["name"]: (one["above"], one["up_to"]) for one in box["restrictions"]}
    low, high = (
        default if end is None else end
        for end, default in zip(ranges.get("issues.access.target_concession", (None, None)), (A, B), strict=True)
    )
    least, greatest = (
        default if end is None else end
        for end, default in zip(ranges.get("full_access", (None, None)), (C, D), strict=True)
    )

    def still_open(week: int) -> float:
        return ((1 - low) ** (week + 1) - (1 - high) ** (week + 1)) / ((week + 1) * (B - A))

    early = EARLY / (1 - open_after(2)) * ((high - low) / (B - A) - still_open(2))
    later = (1 - EARLY) / open_after(2)
    happened, inside = early + later * (still_open(2) - still_open(5)), early + later * still_open(2)
    access = (1 - ABOVE) * (min(greatest, LIMIT) - min(least, LIMIT)) / (LIMIT - C)
    access += ABOVE * (max(greatest, LIMIT) - max(least, LIMIT)) / (D - LIMIT)
    truth = {"density": happened / inside, "coverage": access * happened / by_week(5), "mass": access * inside}
    return {name: (value, (box[name]["low"], box[name]["high"])) for name, value in truth.items()}


@pytest.mark.slow
@pytest.mark.parametrize("design", ["random", "sobol"])
def test_weighted_shares_of_boxes_have_their_nominal_coverage(folder, design):
    """Of the box that each run finds. A true coverage of 85 % would be found out with a probability of 93 %."""
    coverage(folder, design)
    held: dict[str, list[bool]] = {"density": [], "coverage": [], "mass": []}
    for seed in range(RUNS):
        stored = open_run(folder / f"{design}-{seed}")
        for box in result_of("discover", stored, outcome="agreement_week <= 5", believe=BELIEFS)["boxes"][:1]:
            for name, (truth, (low, high)) in shares_of_box(box).items():
                held[name].append(low <= truth <= high)
    for name, found in held.items():
        assert len(found) > 0.9 * RUNS
        assert np.mean(found) == pytest.approx(0.95, abs=TOLERANCE), name


CHOICE = scenario_from_document(
    changed(
        scenario_document(EXAMPLE),
        strategies={
            "demand": {"target_readiness": 1e6},
            "concede": {"target_readiness": 0, "sender_readiness": 1e6, "issues.access.sender_concession": 0.5},
        },
    )
)
"""Under the first strategy all is granted in week 1, under the second half of it."""
MEASURE = "balance_change * (10 - balance_change)"


def value_of_access() -> float:
    """The value believed of learning full access before the choice: the first strategy is better below 20/3."""
    grid = [np.linspace(low, high, 200_001) for low, high in ((C, LIMIT), (LIMIT, D))]
    gains = [np.stack([x * (10 - x), x / 2 * (10 - x / 2)]) for x in grid]
    shares = (1 - ABOVE, ABOVE)
    now = max(sum(share * gain.mean(axis=1) for share, gain in zip(shares, gains, strict=True)))
    return sum(share * gain.max(axis=0).mean() for share, gain in zip(shares, gains, strict=True)) - float(now)


@pytest.mark.slow
@pytest.mark.parametrize("design", ["random", "sobol"])
def test_weighted_values_of_learning_have_their_nominal_coverage(folder, design):
    """A true coverage of 85 % would be found out with a probability of 93 %."""
    truth = value_of_access()
    held: dict[str, list[bool]] = {"full_access": [], "everything": []}
    for seed in range(RUNS):
        made = folder / f"choice-{design}-{seed}"
        run(make_plan(CHOICE, trials=TRIALS, seed=seed, design=design), made, RunOptions(engine="inline"))
        found = result_of("worth", open_run(made), measure=MEASURE, believe=BELIEFS[1:])
        access = next(one["value"] for one in found["parameters"] if one["name"] == "full_access")
        for name, one in (("full_access", access), ("everything", found["everything"])):
            held[name].append(one["low"] <= truth <= one["high"])
    for name, found in held.items():
        assert np.mean(found) == pytest.approx(0.95, abs=TOLERANCE), name
