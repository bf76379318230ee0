"""Soft evidence: weights against direct reweighting, a general optimizer and a rejection sample; contradictions."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from sim.statistics.soft_evidence import Belief, Contradiction, Weighting, weigh


def exactly(share: float) -> Belief:
    return Belief(share, share)


def patterns_of(holds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The patterns of some trials' conditions, their counts, and each trial's pattern."""
    patterns, place, counts = np.unique(holds, axis=0, return_inverse=True, return_counts=True)
    return patterns, counts, place.ravel()


def divergence(weighting: Weighting) -> float:
    """The relative entropy of the weighted trials to the trials."""
    shares = weighting.counts * weighting.weights / weighting.trials
    return float(shares @ np.log(weighting.weights))


def test_conditions_that_exclude_each_other_are_scaled_by_jeffreys_rule():
    holds = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], bool)
    counts = np.array([400, 300, 200, 100])
    found = weigh(holds, counts, [exactly(0.1), exactly(0.2), exactly(0.3)])
    believed = np.array([0.1, 0.2, 0.3, 0.4])
    assert found.weights == pytest.approx(believed / (counts / 1000))
    assert found.is_jeffrey()
    assert found.before == pytest.approx([0.4, 0.3, 0.2])
    assert found.after == pytest.approx([0.1, 0.2, 0.3])
    assert found.effective == pytest.approx(1000**2 / (counts @ found.weights**2))


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10**9), st.integers(1, 10**9), st.floats(1e-4, 1.0 - 1e-4))
def test_one_belief_gives_jeffreys_weights_however_rare_its_condition_is(with_it: int, without: int, share: float):
    found = weigh(np.array([[True], [False]]), np.array([with_it, without]), [exactly(share)])
    trials = with_it + without
    assert found.after == pytest.approx([share], abs=1e-9)
    assert found.weights == pytest.approx([share * trials / with_it, (1.0 - share) * trials / without], rel=1e-5)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_weights_are_found_however_rare_patterns_are(conditions: int, seed: int):
    """Beliefs of any kind either contradict each other and the trials, or have weights."""
    rng = np.random.default_rng(seed)
    holds = (np.arange(2**conditions)[:, None] >> np.arange(conditions) & 1).astype(bool)
    counts = np.ceil(np.exp(rng.uniform(0.0, 14.0, len(holds))))
    some = rng.permutation(len(holds))[: rng.integers(2, len(holds), endpoint=True)]
    kinds = (
        exactly(rng.random()),
        Belief(*sorted(rng.random(2).tolist())),
        Belief(0.3, 0.3, np.exp(rng.uniform(0, 8))),
    )
    beliefs = [kinds[rng.integers(3)] for _ in range(conditions)]
    try:
        found = weigh(holds[some], counts[some], beliefs)
    except Contradiction:
        return
    assert found.counts @ found.weights == pytest.approx(counts[some].sum())
    for one, after in zip(beliefs, found.after, strict=True):
        assert one.strength is not None or one.low - 1e-7 <= after <= one.high + 1e-7


def test_a_partition_whose_probabilities_sum_to_1_is_met_and_any_other_sum_refused():
    holds, counts = np.eye(3, dtype=bool), np.array([50, 30, 20])
    assert weigh(holds, counts, [exactly(0.2), exactly(0.3), exactly(0.5)]).weights == pytest.approx([0.4, 1.0, 2.5])
    with pytest.raises(Contradiction) as caught:
        weigh(holds, counts, [exactly(0.2), exactly(0.3), exactly(0.4)])
    assert caught.value.beliefs == (0, 1, 2)
    assert (caught.value.low, caught.value.high) == pytest.approx((0.5, 0.5))


@pytest.mark.parametrize(
    "beliefs",
    [
        (exactly(0.2), exactly(0.7), exactly(0.5)),
        (exactly(0.2), Belief(0.3, 0.4), Belief(0.0, 0.9)),
        (Belief(0.1, 0.3, None), Belief(0.6, 1.0), Belief(0.4, 0.4, 30.0)),
        (Belief(0.2, 0.2, 5.0), Belief(0.9, 0.9, 2.0), Belief(0.5, 0.5, 0.5)),
    ],
)
def test_weights_are_those_that_a_general_optimizer_finds(beliefs):
    """The primal problem, over the shares of the patterns, by SLSQP: an independent way to the same weights."""
    rng = np.random.default_rng(7)
    first = rng.random(4000) < 0.4
    second = rng.random(4000) < np.where(first, 0.6, 0.2)
    third = rng.random(4000) < np.where(second, 0.5, 0.3)
    holds, counts, _ = patterns_of(np.stack([first, second, third], axis=1))
    played = counts / counts.sum()

    def objective(shares: np.ndarray) -> float:
        value = float(shares @ np.log(shares / played))
        for k, one in enumerate(beliefs):
            if one.strength is not None:
                q = shares @ holds[:, k]
                value -= one.strength * (one.low * np.log(q) + (1 - one.low) * np.log(1 - q))
        return value

    constraints = [{"type": "eq", "fun": lambda shares: shares.sum() - 1.0}]
    for k, one in enumerate(beliefs):
        if one.strength is None:
            constraints.append({"type": "ineq", "fun": lambda shares, k=k, one=one: shares @ holds[:, k] - one.low})
            constraints.append({"type": "ineq", "fun": lambda shares, k=k, one=one: one.high - shares @ holds[:, k]})
    best = minimize(
        objective,
        played,
        method="SLSQP",
        bounds=[(1e-9, 1.0)] * played.size,
        constraints=constraints,
        options={"ftol": 1e-14, "maxiter": 2000},
    )
    assert best.success
    found = weigh(holds, counts, beliefs)
    assert counts * found.weights / counts.sum() == pytest.approx(best.x, abs=2e-5)


def test_weighted_means_are_those_of_a_rejection_sample():
    """A trial is accepted with a chance in proportion to its weight: 200,000 trials, all means within 5 errors."""
    rng = np.random.default_rng(11)
    trials = 200_000
    measure = rng.gamma(2.0, 1.0, trials)
    late, dear = measure + rng.normal(0, 1, trials) > 2.5, measure * rng.lognormal(0, 0.7, trials) > 3.0
    holds, counts, place = patterns_of(np.stack([late, dear], axis=1))
    found = weigh(holds, counts, [exactly(0.2), exactly(0.45)])
    weights = found.weights[place]
    accepted = rng.random(trials) < weights / found.greatest
    for values in (measure, late, dear, np.square(measure), measure * late):
        mean = float(weights @ values / weights.sum())
        sample = values[accepted]
        assert abs(mean - sample.mean()) < 5 * sample.std() / np.sqrt(sample.size) + 1e-12
    assert 0.1 < accepted.mean() < 0.9


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 5000), min_size=8, max_size=8),
    st.lists(st.floats(0.02, 1.0), min_size=8, max_size=8),
    st.lists(st.tuples(st.floats(0.0, 0.2), st.floats(0.0, 0.2)), min_size=3, max_size=3),
)
def test_beliefs_that_some_weights_meet_are_met_with_the_least_relative_entropy(counts, weights, slack):
    """Shares that meet the beliefs are drawn first, so that there are some; no others that meet them are nearer."""
    holds = np.array(list(product((False, True), repeat=3)))
    others = np.array(counts) * np.array(weights)
    shares = others / others.sum()
    reached = shares @ holds
    beliefs = [
        Belief(max(0.0, float(q) - below), min(1.0, float(q) + above))
        for q, (below, above) in zip(reached, slack, strict=True)
    ]
    found = weigh(holds, np.array(counts), beliefs)
    for q, one in zip(found.after, beliefs, strict=True):
        assert one.low - 1e-8 <= q <= one.high + 1e-8
    played = np.array(counts) / np.sum(counts)
    assert divergence(found) <= float(shares @ np.log(shares / played)) + 1e-8
    assert found.counts @ found.weights == pytest.approx(found.trials)
    assert found.effective <= found.trials * (1 + 1e-12)


def test_a_range_that_holds_already_moves_nothing():
    holds, counts = np.array([[True], [False]]), np.array([30, 70])
    found = weigh(holds, counts, [Belief(0.2, 0.4)])
    assert found.weights == pytest.approx([1.0, 1.0])
    assert found.moved == ()
    assert weigh(holds, counts, [Belief(0.4, 0.6)]).after == pytest.approx([0.4])
    assert weigh(holds, counts, [Belief(0.1, 0.2)]).after == pytest.approx([0.2])


def test_strength_is_a_number_of_observations_beside_the_trials_as_one():
    holds, counts = np.array([[True], [False]]), np.array([600, 400])
    for n in (1e-6, 0.5, 1.0, 5.0, 50.0, 1e9):
        q = weigh(holds, counts, [Belief(0.1, 0.1, n)]).after[0]
        # The condition for a minimum of KL(q, 0.6) + n (-0.1 ln q - 0.9 ln(1 - q)).
        assert np.log(q / 0.6) - np.log((1 - q) / 0.4) - n * (0.1 - q) / (q * (1 - q)) == pytest.approx(0, abs=1e-5 * n)
        assert q == pytest.approx((0.6 + n * 0.1) / (1 + n), abs=0.06)


def test_contradictions_name_the_fewest_beliefs_and_what_the_last_could_be():
    first, second, third = (np.arange(8) >> k & 1 == 1 for k in range(3))
    holds = np.stack([third, first, first & second], axis=1)
    counts = np.full(8, 100)
    with pytest.raises(Contradiction) as caught:
        weigh(holds, counts, [exactly(0.5), exactly(0.3), exactly(0.4)])
    assert caught.value.beliefs == (1, 2)
    assert (caught.value.low, caught.value.high) == pytest.approx((0.0, 0.3), abs=1e-9)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_condition_of_all_trials_or_of_none_can_have_no_other_probability(share):
    holds = np.array([[True, False], [False, False]]) if share == 0.0 else np.array([[True, True], [False, True]])
    with pytest.raises(Contradiction) as caught:
        weigh(holds, np.array([50, 50]), [exactly(0.5), exactly(0.5)])
    assert (caught.value.beliefs, caught.value.low, caught.value.high) == ((1,), share, share)


def test_a_certainty_leaves_trials_without_weight_and_is_refused():
    holds = np.array([[True], [False]])
    for share in (0.0, 1.0):
        with pytest.raises(Contradiction) as caught:
            weigh(holds, np.array([50, 50]), [exactly(share)])
        assert (caught.value.low, caught.value.high) == (0.0, 1.0)


def test_the_same_belief_twice_is_the_belief_once():
    holds = np.array([[True, True], [False, False]])
    found = weigh(holds, np.array([30, 70]), [exactly(0.6), exactly(0.6)])
    assert found.weights == pytest.approx([2.0, 4 / 7])
    assert np.isfinite(found.explained(np.array([1.0, -1.0]))).all()
