"""The kernel against independent implementations of the model, on scenarios with every mechanism.

Both play the same parameter points with chance of their own, so that each trial gives a difference whose
expectation is 0 whatever the point. It is tested in the mean, and against every parameter: a mechanism that
worked right on the average and wrong at either end of a parameter would show there.
"""

from functools import partial

import numpy as np
import pytest

from benchmarks.compiled import play_compiled
from benchmarks.plain import play_plain
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.sampling.designs import find_design
from sim.sampling.points import draw_points
from sim.scenario.columns import NULL
from sim.scenario.scenario import scenario_from_document
from sim.scenario.vocabulary import OUTCOMES, RULINGS, STAGES
from tests.support.examples import deeper, every_mechanism, litigious, reluctant

pytestmark = pytest.mark.slow
TRIALS = 200_000
SEED = 31
STANDARD_ERRORS = 5.0
"""Some five thousand numbers are compared a scenario: a sound kernel fails here once in three hundred changes
of the seed. At 200,000 trials an event of one in two is off by 5 standard errors if its probability is wrong
by 0.008."""

CATEGORIES = {
    "outcome": OUTCOMES,
    "ruling": RULINGS,
    "litigation": STAGES,
    "defiant": ("no", "yes"),
    "partial_deal": ("no", "yes"),
}


def features(table: dict[str, np.ndarray], inputs: list[str]) -> dict[str, np.ndarray]:
    """What is compared of each column: whether it is null, its value and its square, or each category; float64."""
    found: dict[str, np.ndarray] = {}
    for name, column in table.items():
        if name == "trial" or name in inputs:
            continue
        if name in CATEGORIES:
            for k, category in enumerate(CATEGORIES[name]):
                found[f"{name} = {category}"] = (column == k).astype(float)
            continue
        present = ~np.isnan(column) if column.dtype.kind == "f" else column != NULL
        value = np.where(present, column, 0).astype(float)
        found[f"{name} is there"] = present.astype(float)
        found[name] = value
        found[f"{name} squared"] = value**2
    return found


BUILDS = (every_mechanism, litigious, reluctant, partial(deeper, litigious), partial(deeper, reluctant))


@pytest.mark.parametrize(
    ("build", "play"),
    [*((build, play_plain) for build in BUILDS), (every_mechanism, play_compiled), (BUILDS[3], play_compiled)],
)
def test_every_column_given_the_parameters(build, play):
    example = scenario_from_document(build())
    points = draw_points(example, "base", Chance(SEED, 0, TRIALS), find_design("random", TRIALS))
    ours = simulate(example, "base", Chance(SEED, 0, TRIALS))
    drawn = {name: values for name, values in points.items() if np.ndim(values)}
    theirs = play(example, "base", SEED, TRIALS, points=drawn)
    assert set(theirs) | set(drawn) == set(ours)

    mine, plain = features(ours, list(drawn)), features(theirs, list(drawn))
    conditions = {"on average": np.ones(TRIALS)}
    for name, values in drawn.items():
        ranks = np.argsort(np.argsort(values)) / TRIALS
        conditions |= {f"with {name}": 2 * ranks - 1, f"at the ends of {name}": np.abs(2 * ranks - 1) - 0.5}
    weights = np.stack(list(conditions.values()))
    squared = weights**2
    apart = {}
    for feature, values in mine.items():
        difference = values - plain[feature]
        mean = weights @ difference / TRIALS
        error = np.sqrt(np.maximum(squared @ difference**2 / TRIALS - mean**2, 0.0) / TRIALS)
        score = np.divide(mean, error, out=np.zeros_like(error), where=error > 0)
        for condition in np.flatnonzero(np.abs(score) > STANDARD_ERRORS):
            apart[f"{feature}, {list(conditions)[condition]}"] = round(float(score[condition]), 1)
    assert not apart


def test_every_branch_was_reached():
    """The comparison above is one of every outcome, ruling and stage of litigation."""
    reached: dict[str, set[int]] = {name: set() for name in CATEGORIES}
    for build in BUILDS[:4]:
        table = simulate(scenario_from_document(build()), "base", Chance(SEED, 0, TRIALS))
        for name, seen in reached.items():
            seen |= set(np.unique(table[name]).tolist())
    assert all(reached[name] - {NULL} == set(range(len(CATEGORIES[name]))) for name in CATEGORIES)
