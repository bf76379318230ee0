"""Seeds, purposes and trials share no stream: neither numbers that repeat nor numbers that correlate.

Well-known generators fail here in well-known ways: seed s + 1 gives the second number of seed s, seed 0 counts
as none and draws from the clock, forked workers repeat one another.
"""

import itertools

import numpy as np
import pytest
from scipy import stats

from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.sampling.designs import find_design
from sim.sampling.points import draw_points
from sim.scenario.scenario import scenario_from_document
from tests.support.examples import document, every_mechanism, issue

SEEDS = (0, 1, 2, 3, 255, 256, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 2, 2**63 - 1)
PURPOSES = (
    "parameter/target_win",
    "parameter/credibility",
    "threat/announcement",
    "concession/sender/a/0",
    "concession/sender/a/1",
    "concession/target/a/0",
    "concession/sender/b/0",
)
N = 20_000


def grid() -> dict[tuple[int, str], np.ndarray]:
    return {(seed, purpose): Chance(seed, 0, N).uniform(purpose) for seed in SEEDS for purpose in PURPOSES}


def test_streams_do_not_correlate_at_any_small_lag():
    """All pairs of 91 streams at lags -2 to 2, some 20,000 correlations: the largest is as large as it should be."""
    streams = np.stack(list(grid().values()))
    z = (streams - streams.mean(axis=1, keepdims=True)) / streams.std(axis=1, keepdims=True)
    largest = 0.0
    pairs = 0
    for lag in range(3):
        r = z[:, : N - lag] @ z[:, lag:].T / (N - lag)
        if lag == 0:
            r = r[np.triu_indices_from(r, k=1)]
        largest = max(largest, float(np.abs(r).max()))
        pairs += r.size
    # One in a million that any of them is larger by chance.
    assert largest < stats.norm.isf(1e-6 / 2 / pairs) / np.sqrt(N)
    assert largest > stats.norm.isf(0.5 / 2) / np.sqrt(N)


def test_streams_share_no_numbers():
    """64-bit pairs of words, over all streams and trials: by chance one pair in two hundred such grids repeats."""
    pairs = np.concatenate(
        [Chance(seed, 0, N).words(purpose).reshape(-1, 2).copy().view("<u8") for seed in SEEDS for purpose in PURPOSES]
    )
    # 910,000 numbers of 64 bits: the chance of any repeat is 2e-8.
    assert len(np.unique(pairs)) == len(pairs)


def test_far_trials_do_not_repeat_near_ones():
    starts = (0, 2**16, 2**31, 2**32, 2**35, 2**40)
    pairs = np.concatenate([Chance(5, start, N).words("a").reshape(-1, 2).copy().view("<u8") for start in starts])
    assert len(np.unique(pairs)) == len(pairs)


def test_each_stream_is_uniform():
    for key, numbers in grid().items():
        assert stats.kstest(numbers, "uniform").pvalue > 1e-7, key


@pytest.mark.parametrize("design", ["random", "latin_hypercube", "sobol"])
def test_parameters_under_neighbouring_seeds_are_independent(design):
    example = scenario_from_document(
        document(parameters={name: {"uniform": [0, 1]} for name in ("target_win", "credibility", "follow_through")})
    )
    drawn = {
        (seed, name): values
        for seed in SEEDS
        for name, values in draw_points(example, "base", Chance(seed, 0, 4096), find_design(design, 4096)).items()
        if np.ndim(values)
    }
    assert len(drawn) == 3 * len(SEEDS)
    limit = stats.norm.isf(1e-6 / 2 / (len(drawn) ** 2 / 2)) / np.sqrt(4096)
    for (one, a), (other, b) in itertools.combinations(drawn.items(), 2):
        assert len(np.intersect1d(a, b)) <= 2, (one, other)
        assert abs(np.corrcoef(a, b)[0, 1]) < limit, (one, other)


def test_outcomes_under_neighbouring_seeds_are_independent():
    """Two seeds agree on a trial's outcome as often as chance has it."""
    example = scenario_from_document(every_mechanism())
    count = 20_000
    outcomes = [simulate(example, "base", Chance(seed, 0, count))["outcome"] for seed in SEEDS[:6]]
    for one, other in itertools.combinations(outcomes, 2):
        table = np.zeros((7, 7))
        np.add.at(table, (one, other), 1)
        table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
        assert stats.chi2_contingency(table).pvalue > 1e-6


def test_seed_zero_is_a_seed():
    example = scenario_from_document(document(issues={"access": issue({"uniform": [0.2, 1]}, 0.1, 0.1)}))
    first, again = (simulate(example, "base", Chance(0, 0, 500)) for _ in range(2))
    for name, values in first.items():
        assert values.tobytes() == again[name].tobytes()
    one = simulate(example, "base", Chance(1, 0, 500))
    assert not np.any(first["issues.access.gap"] == one["issues.access.gap"])
