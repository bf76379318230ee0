"""Sensitivity from given data: functions with known indices, SALib's own call, and intervals over seeds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from SALib.analyze import pawn as salib
from scipy import stats
from scipy.stats import qmc

from sim.statistics import sensitivity as s
from sim.statistics.estimates import Estimate
from sim.statistics.ranked import rank

TRIALS = 50_000
STANDARD_ERRORS = 4.0


def grouped(n: int, groups: int | None = None) -> s.Jackknife:
    groups = groups or s.number_of_groups(n)
    return s.Jackknife(np.arange(n) % groups, groups)


def index(y: np.ndarray, *x: np.ndarray, groups: s.Jackknife | None = None) -> dict:
    """The first-order index of one parameter, or the joint one of several, as the answer has it."""
    groups = groups or grouped(y.size)
    return explained(y, *x, groups=groups).interval(groups)


def explained(y: np.ndarray, *x: np.ndarray, groups: s.Jackknife) -> s.Explained:
    return s.explained(s.response(y, groups), list(map(rank, x)), groups)


def pawn(columns: dict[str, np.ndarray], y: np.ndarray) -> dict[str, dict[str, Estimate]]:
    return s.pawn({name: s.slices(x) for name, x in columns.items()}, y, s.pawn_noise(y))


def assert_near(found: dict, truth: float, lost: float) -> None:
    """Within four standard errors; a cell's width may lose the share `lost` of the index besides."""
    error = STANDARD_ERRORS * found["standard_error"]
    assert truth * (1 - lost) - error <= found["estimate"] <= truth + error
    assert found["standard_error"] < 0.01


def test_ishigami_has_its_known_indices():
    x = np.random.default_rng(1).uniform(-np.pi, np.pi, (4, TRIALS))
    y = np.sin(x[0]) + 7.0 * np.sin(x[1]) ** 2 + 0.1 * x[2] ** 4 * np.sin(x[0])
    v1, v2 = 0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2, 49.0 / 8
    whole = v1 + v2 + 0.01 * np.pi**8 * (1 / 18 - 1 / 50)
    for column, truth in zip(x, (v1 / whole, v2 / whole, 0.0, 0.0), strict=True):
        assert_near(index(y, column), truth, lost=0.003)


def test_sobol_g_has_its_known_indices():
    a = np.array([0.0, 1.0, 4.5, 9.0, 99.0])
    x = np.random.default_rng(2).random((5, TRIALS))
    y = np.prod((np.abs(4 * x - 2) + a[:, None]) / (1 + a[:, None]), axis=0)
    parts = 1 / 3 / (1 + a) ** 2
    for column, part in zip(x, parts, strict=True):
        assert_near(index(y, column), part / (np.prod(1 + parts) - 1), lost=0.003)


def test_a_correlated_linear_model_has_its_known_indices_and_its_joint_one():
    covariance = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]])
    slopes = np.array([1.0, 0.5, 1.0])
    rng = np.random.default_rng(3)
    x = rng.multivariate_normal(np.zeros(3), covariance, TRIALS).T
    y = slopes @ x + rng.normal(size=TRIALS)
    whole = slopes @ covariance @ slopes + 1.0
    truths = (covariance @ slopes) ** 2 / whole
    for column, truth in zip(x, truths, strict=True):
        assert_near(index(y, column), truth, lost=0.005)
    assert truths.sum() > 1.0, "first-order indices of correlated parameters do not add up"
    joint = index(y, *x[:2])
    assert_near(joint, (slopes[:2] @ covariance[:2, :2] @ slopes[:2]) / whole, lost=0.02)


@pytest.mark.slow
def test_intervals_of_first_order_indices_have_their_coverage():
    # Power: were the coverage 80 %, fewer than 135 of 150 would hold it with probability 99.9 %.
    held = np.zeros(2, int)
    groups = grouped(4000)
    for seed in range(150):
        rng = np.random.default_rng(seed)
        x = rng.random((2, 4000))
        y = x[0] + rng.normal(0, np.sqrt(1 / 12), 4000)
        for k, truth in enumerate((0.5, 0.0)):
            found = index(y, x[k], groups=groups)
            held[k] += found["low"] <= truth <= found["high"]
    assert (held >= 135).all(), held


CURVES = {
    "square": np.square,
    "steep": lambda x: np.exp(3.0 * x),
    "wave": lambda x: np.sin(6.0 * np.pi * x),
    "step": lambda x: (x > 0.37).astype(float),
    "kink": lambda x: np.abs(x - 0.4),
    "teeth": lambda x: 20.0 * x % 1.0,
}


@pytest.mark.slow
@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("noisy", [False, True])
def test_intervals_of_first_order_indices_have_their_coverage_on_curves(curve, noisy):
    """A curve alone has the index 1, the sum of two 1/2. Of 100 intervals 88 or more hold it.

    Measured on 150 other seeds: 97 % or more for each curve; at 95 % fewer than 88 come in 0.1 % of tests. Without
    what lines in cells miss, a wave or a step alone is never held and a kink in a third of the runs.
    """
    held = 0
    for seed in range(100):
        x = np.random.default_rng(seed).random((2, 4000))
        y = CURVES[curve](x[0]) + (CURVES[curve](x[1]) if noisy else 0.0)
        found = index(y, x[0])
        held += found["low"] <= (0.5 if noisy else 1.0) <= found["high"]
    assert held >= 88


def test_what_lines_miss_hardly_widens_the_interval_of_a_parameter_without_influence():
    wider = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        x, y, groups = rng.random(4000), rng.normal(size=4000), grouped(4000)
        found = explained(y, x, groups=groups)
        own, plain = found.interval(groups), groups.interval(found.index)
        assert own["low"] == plain["low"]
        wider.append((own["high"] - own["low"]) / (plain["high"] - plain["low"]))
    assert np.mean(wider) < 1.25


def test_joint_indices_of_curved_surfaces_have_intervals_that_hold_them():
    """All is explained by two parameters together: all of 60 other runs hold 1, none without what is missed."""
    for seed in range(100, 120):
        a, b = np.random.default_rng(seed).random((2, 4000))
        for surface in (a * b, np.sin(4.0 * a) * b):
            found = index(surface, a, b)
            assert 0.999 < found["estimate"] <= 1.0 <= found["high"]


@pytest.mark.parametrize("sigma", [0.67, 1.0, 1.5])
@pytest.mark.parametrize(("power", "lost"), [(1.0, 0.0), (1.5, 0.02), (0.5, 0.002)])
def test_one_heavy_tailed_parameter_explains_everything(sigma, power, lost):
    """A lognormal parameter, alone, straight and curved: the truth is 1. Cells' means alone give .70 for sigma 1.5."""
    for trials in (1000, 20_000):
        x = np.random.default_rng(trials).lognormal(0.0, sigma, trials)
        assert index(x**power, x)["estimate"] == pytest.approx(1.0, abs=lost + 1e-6)


@pytest.mark.parametrize("sigma", [0.67, 1.0, 1.5])
def test_a_heavy_tailed_parameter_among_others_has_its_index(sigma):
    """The sum of two lognormals: 1/2 each. The mean of 30 runs lies within four of its standard errors."""
    found = []
    for seed in range(30):
        x = np.random.default_rng(seed).lognormal(0.0, sigma, (2, 5000))
        found.append([index(x.sum(axis=0), one)["estimate"] for one in x])
    # The two estimates of a run share its largest values, and err in opposite directions: each is tested by itself.
    error = np.std(found, axis=0) / np.sqrt(30)
    assert (np.abs(np.mean(found, axis=0) - 0.5) < 4.0 * error).all()
    assert (error < 0.03).all()


def test_irrelevant_parameters_of_a_sobol_run_have_intervals_around_zero():
    """Of 96 intervals of 95 % at most 8 may miss 0 (probability of more: 7 %, were they exact; these are wider).

    If the noise of random points were subtracted, 15 to 29 of 48 would lie wholly below 0.
    """
    missed = 0
    groups = grouped(16 * 512, 16)
    for seed in range(4):
        points = [qmc.Sobol(28, scramble=True, seed=100 * seed + k).random(512) for k in range(16)]
        x = np.stack(points, axis=1).reshape(16 * 512, 28)
        noise = np.random.default_rng(seed).normal(size=16 * 512)
        y = 2.0 * x[:, 0] + x[:, 1] + x[:, 2] ** 2 + 0.3 * x[:, 3] + 0.1 * noise
        for k in range(4, 28):
            found = index(y, x[:, k], groups=groups)
            missed += not found["low"] <= 0.0 <= found["high"]
    assert missed <= 8


def test_few_values_have_a_cell_each_and_equal_values_share_one():
    x = np.random.default_rng(4).choice([0.5, 1.0, 7.0], 3000, p=[0.1, 0.6, 0.3])
    cell, count = s.cells(x, 100)
    assert count == 3
    assert {(value, own) for value, own in zip(x, cell, strict=True)} == {(0.5, 0), (1.0, 1), (7.0, 2)}


@given(st.lists(st.integers(0, 30), min_size=30, max_size=200), st.integers(2, 10))
def test_cells_keep_order_and_ties(values, most):
    x = np.array(values, float)
    cell, count = s.cells(x, most)
    order = np.argsort(x, kind="stable")
    assert (np.diff(cell[order]) >= 0).all()
    assert ((np.diff(x[order]) == 0) <= (np.diff(cell[order]) == 0)).all()
    assert cell.min() == 0
    assert cell.max() < count <= most


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e150))
@settings(max_examples=25)
def test_an_index_is_invariant_to_location_and_scale(place, scale):
    rng = np.random.default_rng(5)
    x, noise = rng.random(2000), rng.random(2000)
    y = x + noise
    found = index((y + place) * scale, 3.0 * x + 1.0)
    assert found["estimate"] == pytest.approx(index(y, x)["estimate"], rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(200, 6000),
    st.sampled_from(["even", "heavy", "few", "ties"]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_finer_cells_give_the_index_of_the_usual_ones(trials: int, kind: str, weighted: bool, seed: int) -> None:
    """An index from the sums of finer cells is that of lines fitted to the trials of each cell themselves."""
    rng = np.random.default_rng(seed)
    even = rng.random(trials)
    x = {"even": even, "heavy": np.exp(3.0 * rng.normal(size=trials)), "few": np.round(5.0 * even)}.get(kind)
    x = np.where(even < 0.4, 7.0, np.round(even, 2)) if x is None else x
    y = np.sin(9.0 * even) + rng.normal(size=trials)
    groups = s.Jackknife(np.arange(trials) % 8, 8)
    response = s.response(y, groups, rng.random(trials) + 0.5 if weighted else None)
    ranked = rank(x)
    found = s.explained(response, [ranked], groups)
    usual, finer = (s.pieces([ranked], factor) for factor in (1.0, s.FINER))
    index, of_finer = (s.index_of(response, cut, groups) for cut in (usual, finer))
    assert found.cells == usual.count
    np.testing.assert_allclose(found.index, index, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.gain, of_finer - index, rtol=1e-9, atol=1e-9)


def test_a_constant_has_no_index():
    assert index(np.full(2000, 3.0), np.random.default_rng(6).random(2000))["estimate"] is None


def mixed(n: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    columns = {
        "strong": rng.random(n),
        "few": rng.choice([1.0, 2.0, 3.0], n, p=[0.3, 0.3, 0.4]),
        "none": rng.random(n),
    }
    return columns, np.round(np.maximum(2 * columns["strong"] + columns["few"] + rng.normal(size=n), 2.0), 1)


def distances_of(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Median and maximum distance of a parameter, without intervals."""
    median, maximum = s._medians_and_maxima(s.distances(s.slices(x), s.SLICES, *s._coded(y)))
    return float(median), float(maximum)


def test_pawn_is_salibs():
    columns, y = mixed(3000, 7)
    found = pawn(columns, y)
    problem = {"num_vars": 3, "names": list(columns)}
    direct = salib.analyze(problem, np.column_stack(list(columns.values())), y, S=10)
    for k, name in enumerate(columns):
        for statistic in ("median", "maximum"):
            assert found[name][statistic]["estimate"] == pytest.approx(direct[statistic][k], abs=1e-12)
            own = distances_of(columns[name], y)
            assert own[statistic == "maximum"] == pytest.approx(direct[statistic][k], abs=1e-12)
    # SALib has no slice for the greatest value, here two trials in five.
    assert (s.slices(columns["few"]) == s.SLICES).sum() == (columns["few"] == 3.0).sum()


def test_pawn_by_value_has_every_value():
    columns, y = mixed(3000, 8)
    expected = [stats.ks_2samp(y[columns["few"] == value], y).statistic for value in (1.0, 2.0, 3.0)]
    found = s.pawn_by_value(rank(columns["few"]), y)
    assert found["maximum"]["estimate"] == pytest.approx(max(expected), abs=1e-12)
    assert found["median"]["estimate"] == pytest.approx(np.median(expected), abs=1e-12)


def test_intervals_of_pawn_cover_the_value_of_many_trials():
    columns, y = mixed(400_000, 9)
    truth = {name: distances_of(x, y) for name, x in columns.items()}
    truth["none"] = (0.0, 0.0)
    held = {(name, statistic): 0 for name in columns for statistic in ("median", "maximum")}
    for seed in range(100, 140):
        columns, y = mixed(2000, seed)
        found = pawn(columns, y)
        for name, statistic in held:
            one = found[name][statistic]
            held[name, statistic] += one["low"] <= truth[name][statistic == "maximum"] <= one["high"]
    # Power: were the coverage 75 %, 35 of 40 would be reached four times in a hundred.
    assert min(held.values()) >= 35, held


def test_noise_is_what_parameters_without_influence_stay_below():
    # With a level of 95 %, fewer than 50 of 60 come with probability 0.03 %.
    rng = np.random.default_rng(10)
    y = rng.normal(size=2000)
    noise = s.pawn_noise(y)
    found = [distances_of(rng.random(2000), y) for _ in range(60)]
    assert sum(median <= noise[0] for median, _ in found) >= 50
    assert sum(maximum <= noise[1] for _, maximum in found) >= 50


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_two_plays_give_the_parameters_share(share):
    rng = np.random.default_rng(11)
    shared, chance = rng.normal(size=TRIALS), rng.normal(size=(2, TRIALS))
    y, again = 5 + np.sqrt(share) * shared + np.sqrt(1 - share) * chance
    groups = grouped(TRIALS)
    found = groups.interval(s.paired_share(y, again, groups))
    assert abs(found["estimate"] - share) <= STANDARD_ERRORS * found["standard_error"] + 1e-12
    assert found["standard_error"] < 0.006


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_ranks_of_equal_values_are_their_mean(values):
    np.testing.assert_array_equal(s.average_ranks(rank(np.array(values))), stats.rankdata(values))


def test_outer_deciles_of_few_values_do_not_overlap():
    assert s.outer_deciles(rank(np.arange(1.0, 101.0))) == (10.0, 90.0)
    assert s.outer_deciles(rank(np.repeat([0.5, 1.0], [5, 95]))) == (0.5, 1.0)
    assert s.outer_deciles(rank(np.full(10, 2.0))) is None


def test_a_difference_of_proportions_has_newcombes_interval():
    # Newcombe (1998), Statistics in Medicine 17, table II: 56/70 - 48/80, method 10.
    from sim.statistics.estimates import proportion

    found = s.difference(proportion(56, 70), proportion(48, 80))
    assert found["estimate"] == pytest.approx(0.2)
    assert (found["low"], found["high"]) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize("most", [3, 20, 200])
@pytest.mark.parametrize("kind", ["float32", "float64", "few values", "ties"])
def test_cells_of_some_trials_are_the_same_by_the_ranks_of_all(kind: str, most: int) -> None:
    x = np.random.default_rng(8).normal(size=5000)
    x = {"float32": x.astype(np.float32).astype(float), "few values": np.rint(x), "ties": np.maximum(x, 0.0)}.get(
        kind, x
    )
    rows = np.flatnonzero(np.random.default_rng(9).random(x.size) < 0.3)
    for own, ranked in ((x, rank(x)), (x[rows], rank(x).take(rows))):
        cell, count = s.cells(own, most)
        known, of_known = s.cells(ranked, most)
        assert count == of_known
        np.testing.assert_array_equal(cell, known)
        np.testing.assert_array_equal(ranked.numbers, own)
