"""Parameter points: each design, the copula, and the generator beneath them."""

from typing import get_args

import numpy as np
import pytest
from scipy import stats
from scipy.stats import qmc

from sim.faults import InvalidInput
from sim.sampling.chance import IN_CACHE, Chance, _blocks, check_seed, purpose_key
from sim.sampling.designs import DESIGNS, SAMPLES, find_design
from sim.sampling.latin_hypercube import permuted
from sim.sampling.names import DesignName, SampleName
from sim.sampling.points import draw_points
from sim.sampling.saltelli import PLAYS
from sim.sampling.sobol_points import REPLICATES, _reversed_bits, _scrambled, sobol_uniform
from sim.scenario.scenario import Scenario, scenario_from_document
from tests.support.examples import changed, document, every_mechanism

TRIALS = 40_000
TWO = {"target_win": {"uniform": [0, 1]}, "credibility": {"beta": {"alpha": 2, "beta": 5}}}


def points(
    given: Scenario,
    name: str,
    strategy: str = "base",
    seed: int = 7,
    first: int = 0,
    count: int = TRIALS,
    trials: int | None = TRIALS,
) -> dict:
    return draw_points(given, strategy, Chance(seed, first, count), find_design(name, trials))


def test_the_names_of_designs_are_those_of_the_types():
    assert get_args(DesignName) == tuple(DESIGNS)
    assert get_args(SampleName) == SAMPLES


def test_the_generator_gives_the_published_words(monkeypatch):
    """Known answers of Philox-4x64-10 (Random123's kat_vectors), with numpy's counter one step behind."""
    assert [f"{w:016x}" for w in np.random.Philox(counter=2**256 - 1, key=0).random_raw(4)] == [
        "16554d9eca36314c",
        "db20fe9d672d0fdc",
        "d7e772cee186176b",
        "7e68b68aec7ba23b",
    ]
    monkeypatch.setattr("sim.sampling.chance.purpose_key", lambda _: 0)
    block = _blocks(0, "any", 0)(1).view("<u8")
    assert [f"{w:016x}" for w in block] == [
        "16554d9eca36314c",
        "db20fe9d672d0fdc",
        "d7e772cee186176b",
        "7e68b68aec7ba23b",
    ]


def test_a_word_is_addressed_by_its_trial():
    whole = Chance(3, 0, 1000).words("a")
    for first in (0, 1, 7, 8, 9, 500):
        np.testing.assert_array_equal(Chance(3, first, 100).words("a"), whole[first : first + 100])
    assert Chance(3, 10**18, 3).words("a").size == 3


@pytest.mark.parametrize("kind", ["words", "uniform", "exponential"])
def test_numbers_are_the_same_in_however_many_parts_they_are_drawn(kind):
    first, count = 8 * 1000 + 5, 2 * IN_CACHE + 21
    whole = getattr(Chance(3, first, count), kind)("a")
    parts = [getattr(Chance(3, first, count).part(k, min(999, count - k)), kind)("a") for k in range(0, count, 999)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert np.unique(whole).size > 0.99 * count


def test_purposes_have_keys_of_their_own():
    names = [f"parameter/{k}" for k in range(5000)] + [f"concession/sender/a/{k}" for k in range(5000)]
    assert len({purpose_key(name) for name in names}) == len(names)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, True, "1", None])
def test_a_value_that_is_not_a_seed_is_refused(seed):
    with pytest.raises(InvalidInput, match="seed"):
        check_seed(seed)


@pytest.mark.parametrize("design", ["random", "latin_hypercube", "sobol"])
def test_every_parameter_has_its_distribution(design):
    """Kolmogorov-Smirnov at p > 1e-6; the designs other than random lie closer than chance would."""
    given = scenario_from_document(every_mechanism())
    found = points(given, design)
    for name in given.uncertain:
        grid = given.base[name].quantile(np.linspace(0.005, 0.995, 200))
        empirical = np.searchsorted(np.sort(found[name]), grid, side="right") / TRIALS
        distance = np.abs(empirical - given.base[name].cdf(grid)).max()
        assert stats.kstwo.sf(distance, TRIALS) > 1e-6, name


def test_both_points_of_a_saltelli_design_are_nets_of_their_own():
    """A and B of a replicate's first 2^8 base points: one in each of 2^8 cells; the two, and replicates, apart."""
    n = 2**8
    given = scenario_from_document(document(parameters=TWO))
    shape = (n, len(TWO) + 2, PLAYS, REPLICATES)
    found = points(given, "saltelli", count=int(np.prod(shape)))
    u = {name: given.base[name].cdf(found[name]).reshape(shape)[:, :, 0] for name in TWO}
    for name, each in u.items():
        for replicate in range(REPLICATES):
            for matrix in (0, -1):
                cells = np.sort((each[:, matrix, replicate] * n).astype(int))
                assert np.array_equal(cells, np.arange(n)), name
        assert abs(np.corrcoef(each[:, 0].ravel(), each[:, -1].ravel())[0, 1]) < 5 / np.sqrt(n * REPLICATES)
        assert np.unique(each[0, [0, -1]]).size == 2 * REPLICATES


def test_a_latin_hypercube_has_one_trial_in_each_stratum():
    for trials in (1, 2, 3, 10, 1000, 4097):
        found = points(scenario_from_document(document(parameters=TWO)), "latin_hypercube", count=trials, trials=trials)
        np.testing.assert_array_equal(np.sort((found["target_win"] * trials).astype(int)), np.arange(trials))


def test_of_correlated_parameters_one_keeps_the_strata_of_a_latin_hypercube():
    """As README and docs/answers.md say: the first one in the catalogue's order; a partner has trials in 64 %."""
    uniform = {"target_win": {"uniform": [0, 1]}, "file_on_threat": {"uniform": [0, 1]}}
    given = document(parameters=uniform, correlations=[{"between": list(uniform), "spearman": 0.6}])
    found = points(scenario_from_document(given), "latin_hypercube", count=4000, trials=4000)
    filled = sorted(np.unique((found[name] * 4000).astype(int)).size for name in uniform)
    # Random points would fill 63.2 % of the strata, with a standard error of 0.5 points.
    assert filled[1] == 4000
    assert 0.60 < filled[0] / 4000 < 0.68


def test_the_permutation_is_one_and_pairs_nothing():
    n = 20_000
    a = permuted(np.arange(n, dtype=np.uint64), n, 1, "a")
    b = permuted(np.arange(n, dtype=np.uint64), n, 1, "b")
    assert np.array_equal(np.sort(a), np.arange(n))
    for x, y in ((a, np.arange(n)), (a, b), (a[:-1], a[1:])):
        assert abs(stats.spearmanr(x, y).statistic) < 5 / np.sqrt(n)


def test_sobol_points_before_scrambling_are_scipys(monkeypatch):
    """SciPy takes the points in the order of the Gray code of their number."""
    monkeypatch.setattr("sim.sampling.sobol_points._scrambled", lambda digits, purpose, replicate: digits)
    number = np.concatenate([np.arange(1, 300), [2**11, 2**20 + 77, 2**22 + 2**11 + 5]]).astype(np.uint32)
    sequence = qmc.Sobol(30, scramble=False, bits=32)
    theirs = [sequence.reset().fast_forward(int(n)).random(1)[0] for n in number]
    gray = number ^ (number >> np.uint32(1))
    ours = np.stack([sobol_uniform(0, "any", dimension, gray, gray) for dimension in range(30)], axis=1)
    np.testing.assert_array_equal(ours - 2.0**-33, theirs)


def test_scrambling_is_a_nested_permutation():
    """Numbers with the same leading digits still share leading digits, and no two become one."""
    digits = (np.arange(4096, dtype=np.uint32) << np.uint32(20)) | np.uint32(12345)
    scrambled = _scrambled(digits, "any", np.full(digits.size, 3))
    assert np.unique(scrambled).size == 4096
    for kept in (1, 4, 9):
        before, after = (digits >> np.uint32(32 - kept)), (scrambled >> np.uint32(32 - kept))
        assert len({*zip(before.tolist(), after.tolist(), strict=True)}) == 2**kept


def test_each_replicate_of_sobol_points_stays_a_net_when_scrambled():
    """Each of 2^10 equal cells of each dimension holds one of a replicate's first 2^10 points, and likewise squares."""
    n = 2**10
    given = scenario_from_document(document(parameters=TWO))
    found = points(given, "sobol", count=n * REPLICATES)
    starts = set()
    for replicate in range(REPLICATES):
        u = {name: given.base[name].cdf(found[name][replicate::REPLICATES]) for name in TWO}
        assert np.array_equal(np.sort((u["target_win"] * n).astype(int)), np.arange(n))
        squares = (u["target_win"] * 32).astype(int) * 32 + (u["credibility"] * 32).astype(int)
        assert np.unique(squares).size > 0.99 * n
        starts.add(u["target_win"][0])
    assert len(starts) == REPLICATES


def test_scrambled_means_vary_less_than_random_ones():
    """The mean of a smooth function over 1024 points: the error over 40 seeds is at least five times smaller."""
    given = scenario_from_document(document(parameters=TWO))

    def error(design: str) -> float:
        means = []
        for seed in range(40):
            p = points(given, design, seed=seed, count=1024, trials=1024)
            means.append(np.mean(p["target_win"] * (1 + p["credibility"])))
        return float(np.std(means))

    assert error("sobol") * 5 < error("random")
    assert error("latin_hypercube") * 2 < error("random")


def test_bits_are_reversed():
    assert _reversed_bits(np.array([1, 2**31, 0xF0F0F0F0], np.uint32)).tolist() == [2**31, 1, 0x0F0F0F0F]


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("spearman", [0.5, -0.9, 1.0])
def test_rank_correlations_are_those_requested(design, spearman):
    given = scenario_from_document(
        document(parameters=TWO, correlations=[{"between": list(TWO), "spearman": spearman}])
    )
    found = points(given, design)
    measured = stats.spearmanr(found["target_win"], found["credibility"]).statistic
    # The standard error of Spearman's rho is at most (1 - rho^2) * 1.1 / sqrt(n) (Fieller's 1.06, rounded up).
    assert abs(measured - spearman) <= 5 * 1.1 * (1 - spearman**2) / np.sqrt(TRIALS) + 1e-9


@pytest.mark.parametrize("design", DESIGNS)
def test_a_strategy_moves_no_parameter_but_its_own(design):
    given = scenario_from_document(
        changed(
            every_mechanism(),
            correlations=[{"between": ["credibility", "follow_through"], "spearman": 0.6}],
            strategies={
                "base": {},
                "fixed": {"credibility": 0.5},
                "other": {"threat_earliest_week": {"uniform": [1, 9]}, "tariff_rate": {"uniform": [0, 1]}},
            },
        )
    )
    base = points(given, design)
    for strategy, overrides in given.strategies.items():
        found = points(given, design, strategy)
        for name in given.base:
            if name not in overrides:
                np.testing.assert_array_equal(found[name], base[name])


def test_uniform_numbers_are_never_0_or_1():
    u = Chance(0, 0, 100_000).uniform("x")
    assert u.min() > 0
    assert u.max() < 1


@pytest.mark.parametrize(
    ("design", "stop", "trials"), [("halton", 1, 1), ("sobol", 2**32 + 1, None), ("latin_hypercube", 2, 1)]
)
def test_an_impossible_design_is_refused(design, stop, trials):
    with pytest.raises(InvalidInput):
        points(scenario_from_document(document()), design, first=stop - 1, count=1, trials=trials)
