"""What the model must give exactly, on scenarios that switch all the rest off.

Each test states its power: the number of trials is such that a formula wrong by half a percent, or a week too
early or too late, would be refused with 99 % probability (see `tests/support/power.py`).
"""

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from sim.model.incidence import incidence
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.sampling.designs import find_design
from sim.scenario.columns import NULL
from sim.scenario.scenario import Scenario, scenario_from_document
from sim.scenario.vocabulary import OUTCOMES, RULINGS, STAGES
from tests.support.examples import (
    CERTAIN_SANCTIONS,
    changed,
    deeper,
    every_mechanism,
    issue,
    litigious,
    reluctant,
    scenario,
)
from tests.support.power import Cells, assert_distributed, tabulate

HALF_A_PERCENT = 1.005


def played(example: Scenario, trials: int, seed: int, strategy: str = "base") -> dict[str, np.ndarray]:
    return simulate(example, strategy, Chance(seed, 0, trials))


def waiting(chances: list[float]) -> Cells:
    """When something first happens whose chance in each week is given; `NULL` if it does not."""
    cells: Cells = {}
    left = 1.0
    for week, chance in enumerate(chances, 1):
        cells[week] = left * chance
        left *= 1 - chance
    return cells | {NULL: left}


def a_week_off(cells: Cells, weeks: int) -> Cells:
    """The same with the week (a key, or a key's first part) moved."""
    moved: Cells = {}
    for key, probability in cells.items():
        if isinstance(key, tuple):
            key = key if key[0] == NULL else (key[0] + weeks, *key[1:])
        elif key != NULL:
            key += weeks
        moved[key] = moved.get(key, 0.0) + probability
    return moved


# 1. One issue, settled at a stroke


def stroke(p: float, q: float, horizon: int) -> Cells:
    """Week and level (0 at 1 - gap, 1 at 1 - gap/2, 2 at 1) of the agreement."""
    cells: Cells = {}
    for week in range(1, horizon + 1):
        still_open = ((1 - p) * (1 - q)) ** (week - 1)
        cells |= {(week, 0): still_open * p * (1 - q), (week, 2): still_open * q * (1 - p)}
        cells[week, 1] = still_open * p * q
    return cells | {(NULL, NULL): ((1 - p) * (1 - q)) ** horizon}


@pytest.mark.parametrize(
    ("p", "q", "gap", "trials", "error"),
    [(0.9, 0.85, 0.5, 1_000_000, HALF_A_PERCENT), (0.1, 0.06, 0.9, 800_000, 1.03)],
)
def test_one_issue_settled_in_one_step(p: float, q: float, gap: float, trials: int, error: float) -> None:
    horizon = 30
    table = played(scenario({"access": issue(gap, p, q)}, horizon_weeks=horizon), trials, seed=11)
    agreed = table["agreement_week"] != NULL
    level = table["market_access"]
    rank = np.rint((level - (1 - gap)) / (gap / 2))
    np.testing.assert_allclose(level[agreed], 1 - gap + rank[agreed] * gap / 2, atol=1e-6)
    np.testing.assert_array_equal(table["settled.access"], level)
    right = stroke(p, q, horizon)
    assert_distributed(
        tabulate(table["agreement_week"], np.where(agreed, rank, NULL)),
        right,
        wrong=[stroke(p * error, q, horizon), stroke(p, q * error, horizon), a_week_off(right, 1)],
    )
    assert_distributed(
        tabulate(table["outcome"]),
        {
            OUTCOMES.index("agreement_in_talks"): 1 - right[NULL, NULL],
            OUTCOMES.index("stalemate"): right[NULL, NULL],
        },
    )


# 2. Steps of 1/m


def steps(m: int, q: float, horizon: int) -> Cells:
    cells: Cells = {week: float(stats.nbinom.pmf(week - m, m, q)) for week in range(m, horizon + 1)}
    return cells | {NULL: float(stats.nbinom.sf(horizon - m, m, q))}


@pytest.mark.parametrize(
    ("m", "q", "trials"), [(2, 0.8, 350_000), (3, 0.7, 400_000), (10, 0.5, 200_000), (49, 0.9, 60_000)]
)
@pytest.mark.parametrize("side", ["sender", "target"])
def test_steps_of_one_side_are_negative_binomial(m: int, q: float, trials: int, side: str) -> None:
    horizon = 60
    one_sided = issue({"uniform": [0.05, 1]}, **{f"{side}_concession": q})
    table = played(scenario({"access": one_sided}, {f"{side}_step": 1 / m}, horizon_weeks=horizon), trials, seed=12 + m)
    right = steps(m, q, horizon)
    assert_distributed(
        tabulate(table["agreement_week"]),
        right,
        wrong=[steps(m, q * HALF_A_PERCENT, horizon), a_week_off(right, 1), a_week_off(right, -1)],
    )
    agreed = table["agreement_week"] != NULL
    level = np.ones(trials) if side == "target" else 1 - table["issues.access.gap"]
    np.testing.assert_allclose(table["market_access"][agreed], level[agreed], atol=2e-6)


# 3. Independent issues


def package(issues: list[tuple[float, float]], threshold: float, horizon: int) -> Cells:
    """When enough weight is settled: issues given as (chance that it is settled in a week, weight)."""

    def reached_by(week: int) -> float:
        total = 0.0
        for settled in itertools.product((True, False), repeat=len(issues)):
            if sum(weight for (_, weight), done in zip(issues, settled, strict=True) if done) >= threshold - 1e-6:
                total += math.prod(
                    1 - (1 - chance) ** week if done else (1 - chance) ** week
                    for (chance, _), done in zip(issues, settled, strict=True)
                )
        return total

    by = [reached_by(week) for week in range(horizon + 1)]
    cells: Cells = {week: by[week] - by[week - 1] for week in range(1, horizon + 1)}
    return cells | {NULL: 1 - by[-1]}


@pytest.mark.parametrize(
    "threshold", [pytest.param(1.0, marks=pytest.mark.slow), 0.6, pytest.param(0.3, marks=pytest.mark.slow)]
)
def test_independent_issues_multiply(threshold: float) -> None:
    horizon, trials = 40, 1_300_000
    sides = {"first": (0.5, 0.4, 0.5), "second": (0.0, 0.7, 0.3), "third": (0.6, 0.3, 0.2)}
    table = played(
        scenario(
            {name: issue(0.5, p, q, weight) for name, (p, q, weight) in sides.items()},
            {"package_threshold": threshold},
            horizon_weeks=horizon,
        ),
        trials,
        seed=13,
    )
    chances = [(1 - (1 - p) * (1 - q), weight) for p, q, weight in sides.values()]
    right = package(chances, threshold, horizon)
    quicker = package([(1 - (1 - chance) ** 1.01, weight) for chance, weight in chances], threshold, horizon)
    assert_distributed(tabulate(table["agreement_week"]), right, wrong=[quicker, a_week_off(right, 1)])


# 4. A certain threat


def deadlines(follow: float, extend: float, first: int, extension: int, horizon: int) -> Cells:
    """Week of imposition, extensions, outcome."""
    cells: Cells = {}
    left = 1.0
    for extensions in itertools.count():
        week = first + extensions * extension
        if week > horizon:
            return cells | {(NULL, extensions, OUTCOMES.index("stalemate")): left}
        cells[week, extensions, OUTCOMES.index("sanctions_standing")] = left * follow
        cells[NULL, extensions, OUTCOMES.index("retreat")] = left * (1 - follow) * (1 - extend)
        left *= (1 - follow) * extend
    raise AssertionError


@pytest.mark.slow
@pytest.mark.parametrize(
    ("follow", "extend", "horizon", "trials", "error"),
    [
        (0.9, 0.0, 20, 500_000, HALF_A_PERCENT),
        (0.5, 0.8, 43, 2_600_000, HALF_A_PERCENT),
        (0.5, 0.8, 42, 2_600_000, HALF_A_PERCENT),
        (0.08, 0.97, 52, 1_500_000, 1.05),
    ],
)
def test_deadlines_are_a_geometric_mixture(
    follow: float, extend: float, horizon: int, trials: int, error: float
) -> None:
    table = played(
        scenario(
            parameters={
                "threat_probability": 1.0,
                "deadline_weeks": 6,
                "extension_weeks": 4,
                "follow_through": follow,
                "extension_probability": extend,
            },
            horizon_weeks=horizon,
        ),
        trials,
        seed=14,
    )
    assert np.all(table["threat_week"] == 1)
    right = deadlines(follow, extend, 7, 4, horizon)
    wrong = [
        deadlines(follow * error, extend, 7, 4, horizon),
        deadlines(follow, extend, 8, 4, horizon),
        deadlines(follow, extend, 6, 4, horizon),
    ]
    if extend:
        wrong += [deadlines(follow, extend * HALF_A_PERCENT, 7, 4, horizon), deadlines(follow, extend, 7, 5, horizon)]
    assert_distributed(tabulate(table["sanctions_week"], table["extensions"], table["outcome"]), right, wrong)
    in_force = np.where(table["sanctions_week"] == NULL, 0, horizon - table["sanctions_week"])
    np.testing.assert_array_equal(table["sanctions_weeks"], in_force)


@pytest.mark.parametrize(("earliest", "whole"), [(1, 1), (4.5, 4), (5.5, 6), (0.2, 1)])
def test_announcement_waits_for_its_week_and_then_geometrically(earliest: float, whole: int) -> None:
    horizon, chance = 20, 0.8
    parameters = {"threat_earliest_week": earliest, "threat_probability": chance, "deadline_weeks": 40}
    table = played(scenario(parameters=parameters, horizon_weeks=horizon), 600_000, seed=15)
    right = waiting([chance if week >= whole else 0.0 for week in range(1, horizon + 1)])
    more = waiting([chance * HALF_A_PERCENT if week >= whole else 0.0 for week in range(1, horizon + 1)])
    assert_distributed(tabulate(table["threat_week"]), right, wrong=[more, a_week_off(right, 1)])
    assert np.all(table["outcome"] == OUTCOMES.index("stalemate"))


# 5. The litigation tree


def litigation_tree(chances: dict[str, float], lengths: dict[str, int], horizon: int) -> Cells:
    """Filing week, ruling week, ruling, last stage, sanctions weeks, retaliation weeks.

    Announced in week 1, imposed at the end of week 2. Each branch is walked down with its probability.
    """
    cells: Cells = {}
    standing = horizon - 2

    def leaf(probability: float, filing: int, ruled: int, ruling: int, stage: str, weeks: tuple[int, int]) -> None:
        if probability > 0:
            key = (ruled, filing, ruling, STAGES.index(stage), *weeks)
            cells[key] = cells.get(key, 0.0) + probability

    def rule(probability: float, filing: int, week: int, for_target: bool) -> None:
        ruling = RULINGS.index("for_target" if for_target else "for_sender")
        over = week + lengths["compliance_weeks"]
        if not for_target:
            leaf(probability, filing, week, ruling, "upheld", (standing, 0))
        elif over > horizon:
            leaf(probability, filing, week, ruling, "compliance", (standing, 0))
        else:
            complies = chances["compliance_probability"]
            leaf(probability * complies, filing, week, ruling, "complied", (over - 2, 0))
            leaf(probability * (1 - complies), filing, week, ruling, "retaliation", (standing, horizon - over))

    def file(probability: float, week: int) -> None:
        panel = max(week + lengths["consultation_weeks"] - 1, 3)
        report = panel + lengths["panel_weeks"]
        final = report + lengths["appeal_weeks"]
        if report > horizon:
            leaf(probability, week, NULL, NULL, "panel" if panel <= horizon else "consultation", (standing, 0))
            return
        win, appeal, turn = (chances[name] for name in ("target_win", "appeal_probability", "reversal_probability"))
        for for_target, found in ((True, win), (False, 1 - win)):
            rule(probability * found * (1 - appeal), week, report, for_target)
            if final > horizon:
                leaf(probability * found * appeal, week, NULL, NULL, "appeal", (standing, 0))
            else:
                rule(probability * found * appeal * (1 - turn), week, final, for_target)
                rule(probability * found * appeal * turn, week, final, not for_target)

    on_threat, on_sanctions = chances["file_on_threat"], chances["file_on_sanctions"]
    file(on_threat, 1)
    file((1 - on_threat) * on_sanctions, 2)
    leaf((1 - on_threat) * (1 - on_sanctions), NULL, NULL, NULL, "none", (standing, 0))
    return cells


CHANCES = {
    "file_on_threat": 0.8,
    "file_on_sanctions": 0.9,
    "target_win": 0.85,
    "appeal_probability": 0.8,
    "reversal_probability": 0.8,
    "compliance_probability": 0.9,
}
LENGTHS = {"consultation_weeks": 4, "panel_weeks": 9, "appeal_weeks": 5, "compliance_weeks": 7}
SHORTEST = dict.fromkeys(LENGTHS, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lengths", "horizon"),
    [(LENGTHS, 40), (LENGTHS, 20), (LENGTHS, 18), (LENGTHS, 13), (LENGTHS, 4), (SHORTEST, 20), (SHORTEST, 5)],
)
def test_litigation_tree(lengths: dict[str, int], horizon: int) -> None:
    whole = horizon == 40
    table = played(
        scenario(parameters=CERTAIN_SANCTIONS | CHANCES | lengths, horizon_weeks=horizon),
        2_800_000 if whole else 300_000,
        seed=16,
    )
    right = litigation_tree(CHANCES, lengths, horizon)
    wrong = []
    if whole:
        for name, chance in CHANCES.items():
            wrong.append(litigation_tree(CHANCES | {name: chance * HALF_A_PERCENT}, lengths, horizon))
        for name, length in lengths.items():
            wrong.append(litigation_tree(CHANCES, lengths | {name: length + 1}, horizon))
    names = ("ruling_week", "filing_week", "ruling", "litigation", "sanctions_weeks", "retaliation_weeks")
    assert_distributed(tabulate(*(table[name] for name in names)), right, wrong)
    complied = table["litigation"] == STAGES.index("complied")
    np.testing.assert_array_equal(
        table["outcome"], np.where(complied, OUTCOMES.index("retreat"), OUTCOMES.index("sanctions_standing"))
    )


def test_retaliation_at_once() -> None:
    horizon, chance = 10, 0.9
    parameters = CERTAIN_SANCTIONS | {"unilateral_retaliation": chance}
    table = played(scenario(parameters=parameters, horizon_weeks=horizon), 500_000, seed=17)

    def weeks(probability: float, number: int) -> Cells:
        return {number: probability, 0: 1 - probability}

    assert_distributed(
        tabulate(table["retaliation_weeks"]),
        weeks(chance, 8),
        wrong=[weeks(chance * HALF_A_PERCENT, 8), weeks(chance, 7), weeks(chance, 9)],
    )


# 6. Fatigue


def tiring(chance: float, horizon: int) -> Cells:
    """Sanctions weeks, outcome."""
    most = horizon - 2
    cells: Cells = {
        (weeks, OUTCOMES.index("retreat")): chance * (1 - chance) ** (weeks - 1) for weeks in range(1, most + 1)
    }
    return cells | {(most, OUTCOMES.index("sanctions_standing")): (1 - chance) ** most}


@pytest.mark.parametrize(
    ("chance", "horizon", "trials", "error"), [(0.9, 12, 400_000, HALF_A_PERCENT), (0.04, 30, 400_000, 1.03)]
)
def test_fatigue_is_geometric(chance: float, horizon: int, trials: int, error: float) -> None:
    parameters = CERTAIN_SANCTIONS | {"sanction_fatigue": chance}
    table = played(scenario(parameters=parameters, horizon_weeks=horizon), trials, seed=18)
    right = tiring(chance, horizon)
    assert_distributed(
        tabulate(table["sanctions_weeks"], table["outcome"]),
        right,
        wrong=[tiring(chance * error, horizon), a_week_off(right, 1)],
    )


# 7. Tariff incidence

ELASTICITIES = [(0.4, 0.5), (1.0, 1.0), (1.0, 3.0), (1.4, 2.0), (3.7, 0.8), (2.5, 40.0)]


@pytest.mark.parametrize(("demand", "supply"), ELASTICITIES)
@pytest.mark.parametrize("tariff", [0.0, 0.1, 1.0, 4.0])
def test_incidence_is_the_area_beside_the_curves(demand: float, supply: float, tariff: float) -> None:
    trade = 5.9

    def excess(price: float) -> float:
        return (price * (1 + tariff)) ** -demand - price**supply

    price = optimize.brentq(excess, 1e-3, 1.0 + 1e-9, xtol=1e-15, rtol=1e-14)
    paid, quantity = price * (1 + tariff), price**supply
    producers = integrate.quad(lambda x: trade * x**supply, price, 1, epsabs=1e-13)[0]
    consumers = integrate.quad(lambda x: trade * x**-demand, 1, paid, epsabs=1e-13)[0]
    found = incidence(np.array([trade]), np.array([tariff]), np.array([demand]), np.array([supply]))
    revenue = trade * (paid - price) * quantity
    np.testing.assert_allclose(found.exporter_loss, producers, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found.buyer_loss, consumers - revenue, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found.trade_fall, trade * (1 - price * quantity), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("demand", "supply"), ELASTICITIES)
@pytest.mark.parametrize("tariff", [1e-2, 1e-3, 1e-4])
def test_small_tariffs_lose_the_harberger_triangle(demand: float, supply: float, tariff: float) -> None:
    found = incidence(np.array([2.0]), np.array([tariff]), np.array([demand]), np.array([supply]))
    triangle = 0.5 * 2.0 * tariff**2 * demand * supply / (demand + supply)
    loss = found.exporter_loss + found.buyer_loss
    np.testing.assert_allclose(loss / triangle, 1.0, atol=3 * tariff * max(demand, 1.0) + 1e-6)


def test_incidence_does_not_jump_at_unit_elasticity() -> None:
    near = 1.0 + np.array([-1e-6, -1e-9, -1e-12, 0.0, 1e-12, 1e-9, 1e-6])
    found = incidence(np.ones(7), np.ones(7), near, np.full(7, 2.0))
    np.testing.assert_allclose(found.buyer_loss, found.buyer_loss[3], rtol=2e-6)


@pytest.mark.parametrize("rate", [0.0, 0.07])
def test_costs_and_gains_add_up_to_the_week(rate: float) -> None:
    """A certain course: sanctions from week 3 on with retaliation, no agreement; and an agreement in week 1."""
    horizon = 60
    parameters = CERTAIN_SANCTIONS | {
        "sanctioned_trade": 5.9,
        "tariff_rate": 1.0,
        "import_elasticity": 1.4,
        "supply_elasticity": 2.2,
        "retaliation_share": 0.4,
        "retaliation_tariff": 0.6,
        "retaliation_import_elasticity": 0.9,
        "retaliation_supply_elasticity": 3.0,
        "unilateral_retaliation": 1.0,
        "full_access": 9.0,
    }
    first = incidence(5.9, 1.0, 1.4, 2.2)
    second = incidence(5.9 * 0.4, 0.6, 0.9, 3.0)

    def years(weeks: range) -> float:
        return sum((1 + rate) ** (-week / 52) for week in weeks) / 52

    table = played(scenario(parameters=parameters, horizon_weeks=horizon, discount_rate=rate), 3, seed=1)
    force = years(range(3, horizon + 1))
    np.testing.assert_allclose(table["sender_cost"], (first.buyer_loss + second.exporter_loss) * force, rtol=1e-6)
    np.testing.assert_allclose(table["target_cost"], (first.exporter_loss + second.buyer_loss) * force, rtol=1e-6)
    np.testing.assert_allclose(table["balance_change"], first.trade_fall - second.trade_fall, rtol=1e-6)
    assert np.all(table["export_gain"] == 0)
    assert np.all(np.isnan(table["market_access"]))

    at_once = scenario(parameters=parameters | {"package_threshold": 0.0}, horizon_weeks=horizon, discount_rate=rate)
    table = played(at_once, 3, seed=1)
    np.testing.assert_array_equal(table["agreement_week"], 1)
    np.testing.assert_array_equal(table["market_access"], np.float32(0.5))
    np.testing.assert_allclose(table["export_gain"], 0.5 * 9.0 * years(range(2, horizon + 1)), rtol=1e-6)
    np.testing.assert_allclose(table["balance_change"], 0.5 * 9.0, rtol=1e-6)
    assert np.all(table["sender_cost"] == 0)


# 8. Proportional hazards


def proportional(p: float, multipliers: list[float], error: float = 1.0) -> list[float]:
    """Weekly chances 1 - (1-p)^multiplier, those that are really multiplied (if any are) wrong by a factor."""
    neutral = {0.0} if set(multipliers) <= {0.0, 1.0} else {0.0, 1.0}
    return [(1 - (1 - p) ** factor) * (1.0 if factor in neutral else error) for factor in multipliers]


def check_hazards(
    p: float,
    multipliers: list[float],
    parameters: dict,
    *,
    side: str = "target",
    trials: int = 1_000_000,
    numerical: bool = False,
    **fields: object,
) -> None:
    """One side alone concedes, at a stroke: the week of agreement is that of the multiplied hazards."""
    one_sided = issue(0.5, **{f"{side}_concession": p}, numerical=numerical)
    example = scenario({"access": one_sided}, parameters, horizon_weeks=len(multipliers), **fields)
    table = played(example, trials, seed=19)
    chances = [proportional(p, multipliers), proportional(p, multipliers, HALF_A_PERCENT)]
    if len(set(multipliers)) > 1:
        chances.append(proportional(p, [multipliers[0], *multipliers[:-1]]))
        chances.append(proportional(p, [*multipliers[1:], multipliers[-1]]))
    right, *wrong = map(waiting, chances)
    assert_distributed(tabulate(table["agreement_week"]), right, wrong)


SIDES = ("sender", "target")


@pytest.mark.parametrize("side", SIDES)
def test_authority(side: str) -> None:
    check_hazards(
        0.02,
        [0, 1, 90, 0, 120, 0],
        {"technical_authority": 90.0, "senior_authority": 120.0},
        side=side,
        sessions={"first": ["none", "mid"], "cycle": ["technical", "none", "senior", "none"]},
    )


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("window", "extend", "p", "multipliers"),
    [
        (3, 0.0, 0.02, [1, 1, 1, 1, 90, 90, 90, 1, 1, 1]),
        pytest.param(1, 1.0, 0.02, [1, 1, 1, 1, 1, 1, 90, 1, 1, 1, 90, 1], marks=pytest.mark.slow),
        pytest.param(2, 1.0, 0.02, [1, 1, 1, 1, 1, 90, 90, 1, 1, 90, 90, 1], marks=pytest.mark.slow),
        pytest.param(9, 0.0, 0.009, [90] * 7 + [1, 1], marks=pytest.mark.slow),
        (0, 1.0, 0.95, [1] * 12),
    ],
)
def test_the_effect_of_a_near_deadline(
    side: str, window: int, extend: float, p: float, multipliers: list[float]
) -> None:
    """Announced in week 1: the deadline is week 7, an extended one week 11."""
    parameters = {
        "threat_probability": 1.0,
        "deadline_weeks": 6,
        "extension_weeks": 4,
        "extension_probability": extend,
        "deadline_window": window,
        "deadline_multiplier": 90.0,
    }
    check_hazards(p, multipliers, parameters, side=side, trials=1_500_000)


def test_quota_aversion() -> None:
    check_hazards(0.999, [0.5] * 3, {"quota_aversion": 0.5}, numerical=True, trials=400_000)
    check_hazards(0.95, [1.0] * 3, {"quota_aversion": 0.5}, trials=300_000)
    check_hazards(0.95, [1.0] * 3, {"quota_aversion": 0.5}, side="sender", numerical=True, trials=300_000)


def test_reframing_ends_quota_aversion() -> None:
    """Week of agreement, reframed: at technical sessions nothing is reframed, and it works in the same week."""
    p, chance, sessions = 0.95, 0.8, ["technical", "mid", "none", "technical", "senior", "mid"]

    def cells(p: float, chance: float, sessions: list[str]) -> Cells:
        result: Cells = {}
        averse, reframed = 1.0, 0.0
        for week, session in enumerate(sessions, 1):
            turned = averse * chance * (session in ("mid", "senior"))
            averse, reframed = averse - turned, reframed + turned
            if session != "none":
                result[week, 0] = averse * (1 - (1 - p) ** 0.1)
                result[week, 1] = reframed * p
                averse, reframed = averse - result[week, 0], reframed - result[week, 1]
        return result | {(NULL, 0): averse, (NULL, 1): reframed}

    table = played(
        scenario(
            {"access": issue(0.6, 0.0, p, numerical=True)},
            {"quota_aversion": 0.1, "reframe_probability": chance, "voluntary_value": 0.7},
            horizon_weeks=len(sessions),
            sessions={"cycle": sessions},
        ),
        1_000_000,
        seed=20,
    )
    right = cells(p, chance, sessions)
    wrong = [
        cells(p * HALF_A_PERCENT, chance, sessions),
        cells(p, chance * HALF_A_PERCENT, sessions),
        cells(p, chance, ["technical", "technical", "none", "mid", "senior", "mid"]),
    ]
    assert_distributed(tabulate(table["agreement_week"], table["reframed.access"]), right, wrong)
    agreed = table["agreement_week"] != NULL
    value = np.where(table["reframed.access"], 0.7, 1.0)
    np.testing.assert_allclose(table["market_access"][agreed], value[agreed], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("follow", [0.0, 1.0])
def test_defiance(follow: float) -> None:
    """Week of agreement, defiant. The threat stands in weeks 1 to 3, and sanctions from week 4 on or nothing."""
    share, p, weeks = 0.5, 0.999, 5

    def cells(share: float, p: float, until: int) -> Cells:
        result: Cells = {}
        for defiant, probability in ((0, 1 - share), (1, share)):
            factors = [0.1 if defiant and week <= until else 1.0 for week in range(1, weeks + 1)]
            for week, chance in waiting(proportional(p, factors)).items():
                result[week, defiant] = probability * chance
        return result

    parameters = {
        "threat_probability": 1.0,
        "deadline_weeks": 2,
        "follow_through": follow,
        "defiance_probability": share,
        "defiance_multiplier": 0.1,
    }
    table = played(scenario({"access": issue(0.5, 0.0, p)}, parameters, horizon_weeks=weeks), 4_000_000, seed=21)
    until = weeks if follow else 3
    assert_distributed(
        tabulate(table["agreement_week"], table["defiant"]),
        cells(share, p, until),
        wrong=[cells(share * HALF_A_PERCENT, p, until), cells(share, p, 4 if not follow else 3)],
    )


TRADE = {"sanctioned_trade": 4.0, "tariff_rate": 1.0, "import_elasticity": 1.4, "supply_elasticity": 2.2}
PAIN = incidence(4.0, 1.0, 1.4, 2.2)
THREATENED = {"threat_probability": 1.0, "deadline_weeks": 3, "extension_weeks": 3, "target_stake": 3.0}


def target_pressure(exponent: float) -> dict:
    """Parameters under which the full cost multiplies the target's hazard by exp(exponent)."""
    return TRADE | {"target_pressure": exponent * 3.0 / float(PAIN.exporter_loss), "target_stake": 3.0}


@pytest.mark.slow
def test_target_pressure_under_threat() -> None:
    """Deadlines in weeks 4, 7 and 10; credibility 0.9, halved at each extension."""
    parameters = THREATENED | target_pressure(4.0)
    parameters |= {"credibility": 0.9, "credibility_decay": 0.5, "extension_probability": 1.0}
    factors = [math.exp(3.6)] * 4 + [math.exp(1.8)] * 3 + [math.exp(0.9)] * 2
    check_hazards(0.01, factors, parameters, trials=5_000_000)


def test_target_pressure_ends_with_the_threat() -> None:
    parameters = THREATENED | target_pressure(4.0) | {"credibility": 0.9}
    check_hazards(0.03, [math.exp(3.6)] * 4 + [1.0] * 3, parameters)


def test_target_pressure_under_sanctions() -> None:
    """In force from week 5 on; under the threat the target believes nothing."""
    parameters = THREATENED | target_pressure(4.5) | {"follow_through": 1.0}
    check_hazards(0.02, [1.0] * 4 + [math.exp(4.5)] * 2, parameters)


def test_target_pressure_ends_with_the_sanctions() -> None:
    parameters = CERTAIN_SANCTIONS | target_pressure(4.0) | {"sanction_fatigue": 1.0}
    check_hazards(0.02, [1.0, 1.0, math.exp(4.0), 1.0, 1.0], parameters, trials=1_500_000)


@pytest.mark.parametrize(
    ("parameters", "relieved"),
    [
        # Filed in week 1, panel from week 4 on (it waits for sanctions), report in week 5: upheld.
        ({"file_on_threat": 1.0, "target_win": 0.0}, {1, 2, 3, 4, 5}),
        # Consultation to week 4, report in week 6, appealed, turned round in week 7.
        pytest.param(
            {
                "file_on_threat": 1.0,
                "consultation_weeks": 4,
                "target_win": 1.0,
                "appeal_probability": 1.0,
                "reversal_probability": 1.0,
            },
            {1, 2, 3, 4, 5, 6, 7},
            marks=pytest.mark.slow,
        ),
        # Filed at the end of week 2; lost by the sender in week 4; retaliation authorised in week 5.
        pytest.param({"file_on_sanctions": 1.0, "target_win": 1.0}, {3, 4, 5, 6, 7, 8, 9}, marks=pytest.mark.slow),
    ],
)
def test_litigation_relieves_the_pressure(parameters: dict, relieved: set[int]) -> None:
    """Threat in weeks 1 and 2, sanctions from week 3 on; a running case leaves a quarter of the exponent."""
    stages = {"consultation_weeks": 1, "panel_weeks": 2, "appeal_weeks": 1, "compliance_weeks": 1}
    factors = [math.exp(4.0 * (0.25 if week in relieved else 1.0)) for week in range(1, 10)]
    base = CERTAIN_SANCTIONS | target_pressure(4.0) | {"credibility": 1.0, "litigation_relief": 0.75} | stages
    check_hazards(0.06 if 1 in relieved else 0.02, factors, base | parameters, trials=2_000_000)


def sender_pressure(exponent: float, own_cost: float) -> dict:
    return TRADE | {"sender_pressure": exponent * 2.0 / own_cost, "sender_stake": 2.0}


OWN = incidence(4.0, 1.0, 0.4, 5.0)
ANSWER = {"retaliation_share": 0.5, "retaliation_tariff": 0.8}
ANSWERED = incidence(2.0, 0.8, 1.0, 1.0)


@pytest.mark.slow
def test_sender_pressure() -> None:
    """Its own cost weighs only while sanctions are in force: weeks 3 and 4, withdrawn in week 4 by compliance."""
    parameters = CERTAIN_SANCTIONS | sender_pressure(4.0, float(OWN.buyer_loss))
    parameters |= {"import_elasticity": 0.4, "supply_elasticity": 5.0}
    check_hazards(0.02, [1, 1, math.exp(4.0), math.exp(4.0)], parameters, side="sender")
    tired = parameters | {"sanction_fatigue": 1.0}
    check_hazards(0.02, [1, 1, math.exp(4.0), 1, 1], tired, side="sender", trials=1_500_000)


@pytest.mark.slow
def test_sender_pressure_of_retaliation() -> None:
    """Retaliation, at once or authorised in week 5, adds the sender's loss as an exporter."""
    ratio = float((OWN.buyer_loss + ANSWERED.exporter_loss) / OWN.buyer_loss)
    low, high = math.exp(2.0), math.exp(2.0 * ratio)
    parameters = CERTAIN_SANCTIONS | ANSWER | sender_pressure(2.0, float(OWN.buyer_loss))
    parameters |= {"import_elasticity": 0.4, "supply_elasticity": 5.0}
    at_once = parameters | {"unilateral_retaliation": 1.0}
    check_hazards(0.05, [1, 1, high, high], at_once, side="sender", trials=2_000_000)
    authorised = parameters | {
        "file_on_threat": 1.0,
        "consultation_weeks": 1,
        "panel_weeks": 1,
        "target_win": 1.0,
        "compliance_weeks": 1,
    }
    check_hazards(0.05, [1, 1, low, low, low, high, high], authorised, side="sender", trials=4_000_000)


def test_a_gain_from_sanctions_does_not_hold_the_sender_back() -> None:
    parameters = CERTAIN_SANCTIONS | TRADE | {"tariff_rate": 0.1, "import_elasticity": 4.0, "supply_elasticity": 0.3}
    assert incidence(4.0, 0.1, 4.0, 0.3).buyer_loss < 0
    check_hazards(0.9, [1.0] * 5, parameters | {"sender_pressure": 50.0}, side="sender", trials=400_000)


# 9. Nothing changed, nothing moved


def same_rows(one: dict[str, np.ndarray], other: dict[str, np.ndarray], but: tuple[str, ...] = ()) -> None:
    """The columns that both tables have are equal bit for bit, and both have all outcomes."""
    shared = [name for name in one if name in other and name not in but]
    assert {"outcome", "litigation", "market_access", "sender_cost", "balance_change"} <= {*shared, *but}
    for name in shared:
        assert one[name].tobytes() == other[name].tobytes(), name


@pytest.mark.parametrize("design", ["random", "sobol", "latin_hypercube"])
def test_a_strategy_that_overrides_nothing_is_the_base(design: str) -> None:
    full = changed(
        every_mechanism(),
        strategies={"base": {}, "same": {}, "talk": {"threat_probability": 0}, "sure": {"follow_through": 0.5}},
    )
    alone = every_mechanism()
    trials = 20_000

    def rows(given: dict, strategy: str) -> dict[str, np.ndarray]:
        return simulate(scenario_from_document(given), strategy, Chance(22, 0, trials), find_design(design, trials))

    base = rows(full, "base")
    same_rows(base, rows(full, "same"))
    same_rows(base, rows(alone, "base"))
    talk = rows(full, "talk")
    np.testing.assert_array_equal(base["issues.dealers.gap"], talk["issues.dealers.gap"])
    quiet = base["threat_week"] == NULL
    assert quiet.any()
    for name in base:
        if name != "threat_probability":
            assert base[name][quiet].tobytes() == talk[name][quiet].tobytes(), name


THREAT_EFFECTS = (
    "threat_earliest_week",
    "deadline_weeks",
    "deadline_window",
    "deadline_multiplier",
    "credibility",
    "follow_through",
    "extension_probability",
    "extension_weeks",
    "credibility_decay",
    "defiance_probability",
    "defiance_multiplier",
)
SANCTIONS = (
    "sanctioned_trade",
    "tariff_rate",
    "import_elasticity",
    "supply_elasticity",
    "sanction_fatigue",
    "target_pressure",
    "sender_pressure",
    "target_stake",
    "sender_stake",
)
RETALIATION = (
    "retaliation_share",
    "retaliation_tariff",
    "retaliation_import_elasticity",
    "retaliation_supply_elasticity",
    "unilateral_retaliation",
)
CASE = (
    "consultation_weeks",
    "panel_weeks",
    "appeal_weeks",
    "compliance_weeks",
    "target_win",
    "appeal_probability",
    "reversal_probability",
    "compliance_probability",
    "litigation_relief",
)
FILING = ("file_on_threat", "file_on_sanctions")


@pytest.mark.parametrize("full", [every_mechanism, litigious, reluctant], ids=lambda build: build.__name__)
@pytest.mark.parametrize(
    ("off", "without"),
    [
        ({"threat_probability": 0}, (*THREAT_EFFECTS, *SANCTIONS, *RETALIATION, *FILING, *CASE)),
        ({"follow_through": 0, "credibility": 0}, (*SANCTIONS, *RETALIATION, *CASE, "file_on_sanctions")),
        ({"deadline_multiplier": 1}, ("deadline_window",)),
        ({"deadline_window": 0}, ("deadline_multiplier",)),
        ({"extension_probability": 0}, ("extension_weeks", "credibility_decay")),
        ({"defiance_probability": 0}, ("defiance_multiplier",)),
        ({"credibility": 0}, ("credibility_decay",)),
        ({"target_pressure": 0}, ("target_stake", "credibility", "credibility_decay", "litigation_relief")),
        ({"sender_pressure": 0}, ("sender_stake",)),
        ({"file_on_threat": 0, "file_on_sanctions": 0}, CASE),
        ({"appeal_probability": 0}, ("appeal_weeks", "reversal_probability")),
        ({"target_win": 0, "reversal_probability": 0}, ("compliance_weeks", "compliance_probability")),
        ({"retaliation_share": 0}, RETALIATION[1:4]),
        ({"retaliation_tariff": 0}, RETALIATION[2:4]),
        ({"sanctioned_trade": 0}, ("tariff_rate", "import_elasticity", "supply_elasticity", "retaliation_share")),
        ({"reframe_probability": 0}, ("voluntary_value",)),
        ({"sanction_fatigue": 0}, ()),
        ({"quota_aversion": 1}, ()),
        ({"technical_authority": 1}, ()),
    ],
    ids=lambda given: "-".join(given)[:40] if isinstance(given, dict) else "",
)
def test_a_mechanism_switched_off_is_as_if_it_were_not_there(full, off: dict, without: tuple[str, ...]) -> None:
    given = changed(full(), correlations=[])
    zero = played(scenario_from_document(changed(given, off)), 12_000, seed=23)
    neutral = tuple(name for name, value in off.items() if value in (0, 1))
    none = played(
        scenario_from_document(changed(given, without=(*without, *neutral), parameters=_kept(off))), 12_000, seed=23
    )
    same_rows(zero, none)


def _kept(off: dict) -> dict:
    """What a switch has to say aloud, because its neutral default is another value."""
    return {name: value for name, value in off.items() if name == "target_win"}


@pytest.mark.parametrize("full", [every_mechanism, reluctant], ids=lambda build: build.__name__)
def test_a_numerical_issue_without_aversion_and_reframing_is_any_other(full) -> None:
    given = changed(full(), {"quota_aversion": 1, "reframe_probability": 0})
    plain = changed(given)
    for one in plain["issues"].values():
        one["numerical"] = False
    same_rows(
        played(scenario_from_document(given), 12_000, seed=24), played(scenario_from_document(plain), 12_000, seed=24)
    )


# 10. Lapse


def lapsing(p: float, q: float, lapse: float, horizon: int) -> Cells:
    """Week of agreement, week of the lapse."""
    r = (1 - p) * (1 - q)
    cells: Cells = {(NULL, NULL): (r * (1 - lapse)) ** horizon}
    for week in range(1, horizon + 1):
        still = (r * (1 - lapse)) ** (week - 1)
        cells |= {(week, NULL): still * (1 - r), (NULL, week): still * r * lapse}
    return cells


@pytest.mark.parametrize(("p", "q", "lapse"), [pytest.param(0.3, 0.2, 0.8, marks=pytest.mark.slow), (0.05, 0.04, 0.5)])
def test_lapse_without_other_mechanisms(p: float, q: float, lapse: float) -> None:
    horizon = 25
    example = scenario({"access": issue(0.5, p, q)}, {"lapse_probability": lapse}, horizon_weeks=horizon)
    table = played(example, 1_500_000, seed=30)
    right = lapsing(p, q, lapse, horizon)
    assert_distributed(
        tabulate(table["agreement_week"], table["lapse_week"]),
        right,
        wrong=[
            lapsing(p * 1.05, q, lapse, horizon),
            lapsing(p, q, lapse * 1.02, horizon),
            a_week_off(right, 1),
        ],
    )


def test_an_announcement_revives_talks_and_a_retreat_lets_them_lapse_again() -> None:
    """Talks lapse at the end of weeks 1 and 3 for certain; a threat stands in weeks 2 and 3, and is dropped then."""
    q = 0.4
    parameters = {"lapse_probability": 1.0, "threat_earliest_week": 2, "threat_probability": 1.0, "deadline_weeks": 1}
    table = played(scenario({"access": issue(0.5, 0.0, q)}, parameters, horizon_weeks=9), 200_000, seed=31)

    def cells(q: float) -> Cells:
        return {(1, NULL): q, (2, NULL): (1 - q) * q, (3, NULL): (1 - q) ** 2 * q, (NULL, 3): (1 - q) ** 3}

    assert_distributed(tabulate(table["agreement_week"], table["lapse_week"]), cells(q), wrong=[cells(q * 1.02)])


def test_nothing_is_reframed_while_talks_are_lapsed() -> None:
    """Lapsed in weeks 2 and 3, revived in week 4: reframed in week 1, 4, 5 and so on."""
    chance = 0.3
    parameters = {
        "lapse_probability": 1.0,
        "threat_earliest_week": 4,
        "threat_probability": 1.0,
        "deadline_weeks": 40,
        "reframe_probability": chance,
    }

    def reframed_by(horizon: int) -> float:
        numerical = {"access": issue(0.5, numerical=True)}
        table = played(scenario(numerical, parameters, horizon_weeks=horizon), 300_000, seed=32)
        return float(table["reframed.access"].mean())

    for horizon, sessions in ((1, 1), (2, 1), (3, 1), (4, 2), (6, 4)):
        expected = 1 - (1 - chance) ** sessions
        assert abs(reframed_by(horizon) - expected) < 5 * math.sqrt(expected * (1 - expected) / 300_000)


# 11. Decisions that look at the table


def looking(chances: dict[str, float], weight: float, horizon: int, deadline: int = 3, extension: int = 2) -> Cells:
    """Threat week, agreement week, sanctions week, extensions; issues of the weight settled in week 1."""
    later = 1 - (1 - chances["threat_probability"]) ** (1 - chances["patience"] * weight)
    sign = chances["partial_deal_probability"] * weight
    impose = (1 - sign) * chances["follow_through"] * (1 - chances["restraint"] * weight)
    extend = (1 - sign - impose) * chances["extension_probability"]
    cells: Cells = {}

    def add(key: tuple[int, ...], probability: float) -> None:
        cells[key] = cells.get(key, 0.0) + probability

    quiet = 1.0
    for week in range(1, horizon + 1):
        announced = chances["threat_probability"] if week == 1 else later
        left, due, extensions = quiet * announced, week + deadline, 0
        while due <= horizon:
            add((week, due, NULL, extensions), left * sign)
            add((week, NULL, due, extensions), left * impose)
            add((week, NULL, NULL, extensions), left * (1 - sign - impose - extend))
            left, due, extensions = left * extend, due + extension, extensions + 1
        add((week, NULL, NULL, extensions), left)
        quiet *= 1 - announced
    add((NULL, NULL, NULL, 0), quiet)
    return cells


@pytest.mark.slow
@pytest.mark.parametrize("weight", [0.6, 0.9])
def test_threat_and_deadline_look_at_the_table(weight: float) -> None:
    horizon = 14
    chances = {
        "threat_probability": 0.4,
        "patience": 0.7,
        "follow_through": 0.6,
        "restraint": 0.8,
        "partial_deal_probability": 0.5,
        "extension_probability": 0.7,
    }
    parameters = {**chances, "deadline_weeks": 3, "extension_weeks": 2, "target_readiness": 1e6}
    example = scenario(
        {"settled": issue(0.5, 0.0, 0.01, weight), "open": issue(0.8, 0.0, 0.0, 1 - weight)},
        parameters,
        horizon_weeks=horizon,
    )
    trials = 1_500_000
    table = played(example, trials, seed=33)
    right = looking(chances, weight, horizon)
    wrong = [looking(chances | {name: 1.05 * chance}, weight, horizon) for name, chance in chances.items()]
    names = ("threat_week", "agreement_week", "sanctions_week", "extensions")
    assert_distributed(tabulate(*(table[name] for name in names)), right, wrong)
    agreed = table["agreement_week"] != NULL
    assert np.all(table["partial_deal"] == np.where(agreed, 1, NULL))
    assert np.all(table["outcome"][agreed] == OUTCOMES.index("agreement_under_threat"))
    np.testing.assert_allclose(table["market_access"][agreed], weight + (1 - weight) * 0.2, rtol=1e-6)
    assert np.isnan(table["settled.open"]).all()


# 12. Sanctions from the start, in tranches; residual sanctions; a breach


def share_in_force(week: int, imposed: int, number: int, apart: int) -> float:
    return min(number, 1 + (week - imposed - 1) // apart) / number


SIDES_OF_TRADE = {
    "sanctioned_trade": 5.9,
    "tariff_rate": 1.0,
    "import_elasticity": 1.4,
    "supply_elasticity": 2.2,
    "retaliation_share": 0.4,
    "retaliation_tariff": 0.6,
    "retaliation_import_elasticity": 0.9,
    "retaliation_supply_elasticity": 3.0,
}
LIST, ANSWER_LIST = incidence(5.9, 1.0, 1.4, 2.2), incidence(5.9 * 0.4, 0.6, 0.9, 3.0)


@pytest.mark.parametrize(("number", "apart"), [(1, 13), (4, 6), (3, 1), (40, 2), (2.5, 6.5)])
@pytest.mark.parametrize("at_start", [True, False])
def test_costs_of_sanctions_in_tranches(number: float, apart: float, at_start: bool) -> None:
    """A certain course: both sides' costs are the sum over weeks of the share in force."""
    horizon, rate = 30, 0.07
    parameters = SIDES_OF_TRADE | {"tranches": number, "tranche_weeks": apart, "unilateral_retaliation": 1.0}
    parameters |= {"sanctions_at_start": 1.0, "file_on_sanctions": 1.0} if at_start else CERTAIN_SANCTIONS
    table = played(scenario(parameters=parameters, horizon_weeks=horizon, discount_rate=rate), 3, seed=1)
    imposed = 0 if at_start else 2
    shares = [share_in_force(week, imposed, round(number), round(apart)) for week in range(imposed + 1, horizon + 1)]
    years = sum(
        share * (1 + rate) ** (-week / 52) / 52 for week, share in zip(range(imposed + 1, 31), shares, strict=True)
    )
    assert np.all(table["sanctions_week"] == imposed)
    assert np.all(table["threat_week"] == (NULL if at_start else 1))
    assert np.all(table["filing_week"] == (1 if at_start else NULL))
    assert np.all(table["defiant"] == 0)
    assert np.all(table["sanctions_weeks"] == horizon - imposed)
    assert np.all(table["retaliation_weeks"] == horizon - imposed)
    np.testing.assert_allclose(table["sender_cost"], (LIST.buyer_loss + ANSWER_LIST.exporter_loss) * years, rtol=1e-6)
    np.testing.assert_allclose(table["target_cost"], (LIST.exporter_loss + ANSWER_LIST.buyer_loss) * years, rtol=1e-6)
    fall = shares[-1] * (LIST.trade_fall - ANSWER_LIST.trade_fall)
    np.testing.assert_allclose(table["balance_change"], fall, rtol=1e-6)


def test_residual_sanctions_and_a_breach() -> None:
    """The sender alone concedes, at a stroke: each trial's money follows from the weeks of agreement and breach."""
    horizon, rate, p, breach, trials = 24, 0.05, 0.15, 0.1, 1_500_000
    number, apart, residual, kept, gap, access = 3, 5, 0.4, 0.3, 0.5, 9.0
    parameters = SIDES_OF_TRADE | {
        "sanctions_at_start": 1.0,
        "tranches": number,
        "tranche_weeks": apart,
        "residual_sanctions": residual,
        "breach_probability": breach,
        "breach_retention": kept,
        "full_access": access,
    }
    example = scenario({"access": issue(gap, p)}, parameters, horizon_weeks=horizon, discount_rate=rate)
    table = played(example, trials, seed=34)

    def cells(p: float, breach: float) -> Cells:
        found: Cells = {(NULL, NULL): (1 - p) ** horizon}
        for agreed in range(1, horizon + 1):
            chance = p * (1 - p) ** (agreed - 1)
            for broken in range(agreed + 1, horizon + 1):
                found[agreed, broken] = chance * breach * (1 - breach) ** (broken - agreed - 1)
            found[agreed, NULL] = chance * (1 - breach) ** (horizon - agreed)
        return found

    right = cells(p, breach)
    wrong = [cells(p * 1.02, breach), cells(p, breach * 1.02), a_week_off(right, 1)]
    assert_distributed(tabulate(table["agreement_week"], table["breach_week"]), right, wrong)

    year = [(1 + rate) ** (-week / 52) / 52 for week in range(horizon + 1)]
    share = [share_in_force(week, 0, number, apart) for week in range(horizon + 1)]
    for agreed, broken in right:
        here = np.flatnonzero((table["agreement_week"] == agreed) & (table["breach_week"] == broken))[:1]
        if not here.size:
            continue
        end = horizon if agreed == NULL else int(agreed)
        after = range(end + 1, horizon + 1)
        years = sum(share[week] * year[week] for week in range(1, end + 1))
        years += sum(residual * share[end] * year[week] for week in after)
        worth = [kept if broken != NULL and week >= broken else 1.0 for week in after]
        level = 0.0 if agreed == NULL else 1 - gap
        gain = level * access * sum(value * year[week] for value, week in zip(worth, after, strict=True))
        balance = share[end] * float(LIST.trade_fall)
        if agreed != NULL:
            balance = level * access * (kept if broken != NULL else 1.0) + residual * balance
        np.testing.assert_allclose(table["sender_cost"][here], LIST.buyer_loss * years, rtol=1e-6)
        np.testing.assert_allclose(table["target_cost"][here], LIST.exporter_loss * years, rtol=1e-6)
        np.testing.assert_allclose(table["export_gain"][here], gain, rtol=1e-6)
        np.testing.assert_allclose(table["balance_change"][here], balance, rtol=1e-6)
    under = table["agreement_week"] != NULL
    assert np.all(table["outcome"][under] == OUTCOMES.index("agreement_under_sanctions"))


@pytest.mark.slow
def test_pressure_comes_with_the_share_in_force() -> None:
    """Sanctions from the start in three parts, two weeks apart; the target alone concedes."""
    parameters = target_pressure(4.0) | {"sanctions_at_start": 1.0, "tranches": 3, "tranche_weeks": 2}
    check_hazards(0.02, [math.exp(4 / 3)] * 2 + [math.exp(8 / 3)] * 2 + [math.exp(4)] * 2, parameters, trials=2_500_000)
    parameters = sender_pressure(4.0, float(OWN.buyer_loss)) | {"sanctions_at_start": 1.0, "tranches": 2}
    parameters |= {"import_elasticity": 0.4, "supply_elasticity": 5.0, "tranche_weeks": 2}
    check_hazards(0.02, [math.exp(2.0)] * 2 + [math.exp(4.0)] * 2, parameters, side="sender", trials=2_500_000)


def test_readiness_multiplies_a_sides_hazards() -> None:
    for side, other in (("sender", "target"), ("target", "sender")):
        ready = {f"{side}_readiness": 0.5, f"{other}_readiness": 7.0}
        check_hazards(0.999, [0.5] * 3, ready, side=side, trials=400_000)
    check_hazards(0.9, [1.0, 1.0], {"sender_readiness": 7.0}, trials=300_000)


# 13. A void appeal


@pytest.mark.slow
def test_a_void_appeal_is_never_decided() -> None:
    """Imposed at the end of week 2, complained of then; the tree at a far horizon: stage, ruling."""
    chances = {
        "target_win": 0.7,
        "appeal_probability": 0.6,
        "void_probability": 0.4,
        "reversal_probability": 0.3,
        "compliance_probability": 0.8,
    }

    def cells(chances: dict[str, float]) -> Cells:
        win, appeal, void, turn, comply = chances.values()
        decided = appeal * (1 - void)
        for_target = win * (1 - appeal) + decided * (win * (1 - turn) + (1 - win) * turn)
        for_sender = (1 - win) * (1 - appeal) + decided * ((1 - win) * (1 - turn) + win * turn)
        return {
            (STAGES.index("appeal"), NULL): appeal * void,
            (STAGES.index("upheld"), RULINGS.index("for_sender")): for_sender,
            (STAGES.index("complied"), RULINGS.index("for_target")): for_target * comply,
            (STAGES.index("retaliation"), RULINGS.index("for_target")): for_target * (1 - comply),
        }

    parameters = CERTAIN_SANCTIONS | LENGTHS | chances | {"file_on_sanctions": 1.0}
    table = played(scenario(parameters=parameters, horizon_weeks=60), 2_500_000, seed=35)
    wrong = [cells(chances | {name: chance * 1.1}) for name, chance in chances.items()]
    assert_distributed(tabulate(table["litigation"], table["ruling"]), cells(chances), wrong)


# 14. The deeper model switched off: see also test_unchanged_tables


DEEPER_OFF = {
    "sender_readiness": 1,
    "target_readiness": 1,
    "lapse_probability": 0,
    "patience": 0,
    "restraint": 0,
    "partial_deal_probability": 0,
    "sanctions_at_start": 0,
    "tranches": 1,
    "residual_sanctions": 0,
    "void_probability": 0,
    "breach_probability": 0,
}
INERT_WITHOUT = {"tranches": ("tranche_weeks",), "breach_probability": ("breach_retention",)}


@pytest.mark.parametrize("full", [litigious, reluctant], ids=lambda build: build.__name__)
@pytest.mark.parametrize("off", DEEPER_OFF)
def test_a_mechanism_of_the_deeper_model_switched_off_is_as_if_it_were_not_there(full, off: str) -> None:
    given = deeper(full)
    zero = played(scenario_from_document(changed(given, {off: DEEPER_OFF[off]})), 6_000, seed=36)
    without = changed(given, without=(off, *INERT_WITHOUT.get(off, ())))
    same_rows(zero, played(scenario_from_document(without), 6_000, seed=36))


@pytest.mark.parametrize("readiness", [0.0, 1e-12, 1e12])
def test_the_greatest_and_the_least_readiness_are_finite(readiness: float) -> None:
    """With multipliers that are cut, too: nothing overflows, and talks settle at once or never."""
    parameters = CERTAIN_SANCTIONS | TRADE | {"target_readiness": readiness, "target_pressure": 1e9}
    table = played(scenario({"access": issue(0.5, 0.0, 0.5)}, parameters), 100, seed=37)
    # Sanctions come into force in week 3, with a pressure that makes the least readiness enough.
    expected = {0.0: NULL, 1e-12: 3}.get(readiness, 1)
    np.testing.assert_array_equal(table["agreement_week"], expected)
