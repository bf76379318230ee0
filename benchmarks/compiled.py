"""A compiled scalar loop of the dispute model: a yardstick for speed.

It plays one trial after the other, one week after the other, the nine steps in their order, compiled by numba: how one
would write the model for speed without numpy. It draws its parameters itself, from tables of their inverse distribution
functions, and new chance in each week, and leaves a trial when it has ended. It shares nothing with the kernel but
names.
"""

import math
from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from sim.scenario.correlations import correlation_factor
from sim.scenario.distributions import Fixed, has_atoms
from sim.scenario.parameters import PARAMETERS
from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import OUTCOMES, RULINGS, STAGES

LEVELS = 4096
NEVER = -1
NAMES = [known.name for known in PARAMETERS]
AT: Any = namedtuple("AT", NAMES)(*range(len(NAMES)))
"""The positions of the parameters among a trial's values; three for each issue follow, from `ISSUES` on."""
ISSUES = len(NAMES)
QUIET, THREAT, SANCTIONS, BACKED_DOWN, WITHDRAWN = range(5)
NONE, CONSULTATION, PANEL, APPEAL, COMPLIANCE, RETALIATION, UPHELD, COMPLIED, LAPSED = (
    STAGES.index(stage)
    for stage in (
        "none",
        "consultation",
        "panel",
        "appeal",
        "compliance",
        "retaliation",
        "upheld",
        "complied",
        "lapsed",
    )
)
IN_TALKS, UNDER_THREAT, UNDER_SANCTIONS, AFTER_RETREAT, STANDING, RETREAT, STALEMATE = (
    OUTCOMES.index(name)
    for name in (
        "agreement_in_talks",
        "agreement_under_threat",
        "agreement_under_sanctions",
        "agreement_after_retreat",
        "sanctions_standing",
        "retreat",
        "stalemate",
    )
)
FOR_TARGET, FOR_SENDER = RULINGS.index("for_target"), RULINGS.index("for_sender")
SESSIONS = ("none", "technical", "mid", "senior")
SHORT = (
    "agreement_week",
    "threat_week",
    "sanctions_week",
    "filing_week",
    "ruling_week",
    "lapse_week",
    "breach_week",
    "sanctions_weeks",
    "retaliation_weeks",
    "extensions",
)
TINY = ("outcome", "ruling", "litigation", "defiant", "partial_deal")
MONEY = ("market_access", "sender_cost", "target_cost", "export_gain", "balance_change")


@dataclass(frozen=True)
class World:
    """A scenario under a strategy as arrays."""

    names: list[str]
    """The parameters, in their order."""
    fixed: np.ndarray
    """Values of the parameters that are fixed; float64."""
    drawn: np.ndarray
    """The positions of those that are drawn; int64."""
    tables: np.ndarray
    """Their quantiles at equal steps, shape (drawn, LEVELS + 1)."""
    stepped: np.ndarray
    """Which of them jump, and are read without interpolation; bool."""
    linked: np.ndarray
    """Which of them the copula joins, by their place in it; else -1; int64."""
    factor: np.ndarray
    """The copula's factor."""
    weights: np.ndarray
    numerical: np.ndarray
    sessions: np.ndarray
    """Kind of session by week, from week 1 on; int64."""
    discount: np.ndarray
    """Years of each week, discounted, from week 0 on."""
    given: np.ndarray
    """Values of the drawn parameters that are given and not drawn, shape (drawn, trials); empty if they are drawn."""


def compile_world(scenario: Scenario, strategy: str, points: dict[str, np.ndarray] | None = None) -> World:
    """The arrays of a scenario under a strategy; `points` gives the drawn parameters instead of their distributions."""
    distributions = scenario.parameters(strategy)
    issues = [f"issues.{issue.name}." for issue in scenario.issues]
    order = NAMES + [f"{one}{field}" for one in issues for field in ("gap", "sender_concession", "target_concession")]
    drawn = [name for name in order if not isinstance(distributions[name], Fixed)]
    names, factor = correlation_factor(scenario.correlations, tuple(scenario.base.items()))
    levels = np.clip(np.arange(LEVELS + 1) / LEVELS, 1e-4 / LEVELS, 1 - 1e-4 / LEVELS)
    middles = np.clip((np.arange(LEVELS + 1) + 0.5) / LEVELS, 0, 1 - 1e-4 / LEVELS)
    stepped = np.array([has_atoms(distributions[name]) for name in drawn], bool)
    discount = (1 + scenario.discount_rate) ** (-np.arange(scenario.horizon_weeks + 1) / 52) / 52
    return World(
        names=order,
        fixed=np.array([given.value if isinstance(given := distributions[name], Fixed) else 0.0 for name in order]),
        drawn=np.array([order.index(name) for name in drawn], np.int64),
        tables=np.array(
            [
                distributions[name].quantile(middles if jumps else levels)
                for name, jumps in zip(drawn, stepped, strict=True)
            ]
        ).reshape(len(drawn), LEVELS + 1),
        stepped=stepped,
        linked=np.array([names.index(name) if name in names else -1 for name in drawn], np.int64),
        factor=factor,
        weights=np.array([issue.weight for issue in scenario.issues]),
        numerical=np.array([issue.numerical for issue in scenario.issues]),
        sessions=np.array([SESSIONS.index(kind) for kind in scenario.session_calendar()], np.int64),
        discount=discount,
        given=np.array([points[name] for name in drawn]) if points else np.empty((0, 0)),
    )


def play_compiled(
    scenario: Scenario, strategy: str, seed: int, count: int, points: dict[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Play `count` trials; the columns of `sim.model.kernel.simulate`, with its kinds and its nulls.

    `points` gives the drawn parameters, as float64 arrays of shape (count,) by name; they are not drawn then.
    """
    return play_world(compile_world(scenario, strategy, points), scenario, seed, count)


def play_world(world: World, scenario: Scenario, seed: int, count: int) -> dict[str, np.ndarray]:
    """Play `count` trials of a scenario under a strategy that is compiled into arrays; the columns of the kernel."""
    issues = len(world.weights)
    short, tiny = np.empty((len(SHORT), count), np.int16), np.empty((len(TINY), count), np.int8)
    money, settled = np.empty((len(MONEY), count), np.float32), np.empty((issues, count), np.float32)
    reframed, values = np.empty((issues, count), np.bool_), np.empty((len(world.drawn), count), np.float32)
    _play(
        np.random.default_rng(seed),
        count,
        world.fixed.copy(),
        world.drawn,
        world.tables,
        world.stepped,
        world.linked,
        world.factor,
        world.weights,
        world.numerical,
        world.sessions,
        world.discount,
        world.given,
        short,
        tiny,
        money,
        settled,
        reframed,
        values,
    )
    return {
        "trial": np.arange(count),
        **dict(zip(SHORT, short, strict=True)),
        **dict(zip(TINY, tiny, strict=True)),
        **dict(zip(MONEY, money, strict=True)),
        **{f"settled.{issue.name}": settled[k] for k, issue in enumerate(scenario.issues)},
        **{f"reframed.{issue.name}": reframed[k] for k, issue in enumerate(scenario.issues) if issue.numerical},
        **{world.names[place]: values[k] for k, place in enumerate(world.drawn)},
    }


@numba.njit
def _happens(rng, probability):  # type: ignore[no-untyped-def]  # compiled for the types it is given
    return probability > 0.0 and rng.random() < probability


@numba.njit
def _weeks(duration):  # type: ignore[no-untyped-def]
    return max(1.0, round(duration))


@numba.njit
def _effects(trade, tariff, demand, supply):  # type: ignore[no-untyped-def]
    """The exporter's and the buyer's annual loss, and the fall of the trade's value."""
    wedge = math.log1p(tariff)
    price = math.exp(-demand * wedge / (supply + demand))
    buyer = math.exp(supply * wedge / (supply + demand))
    quantity = math.exp(-demand * supply * wedge / (supply + demand))
    surplus = math.log(buyer) if abs(demand - 1.0) < 1e-9 else (buyer ** (1.0 - demand) - 1.0) / (1.0 - demand)
    return (
        trade * (1.0 - price ** (supply + 1.0)) / (supply + 1.0),
        trade * surplus - trade * (buyer - price) * quantity,
        trade * (1.0 - price * quantity),
    )


@numba.njit
def _share(week, imposed, tranches, tranche_weeks):  # type: ignore[no-untyped-def]
    return min(tranches, 1.0 + math.floor((week - imposed - 1) / tranche_weeks)) / tranches


@numba.njit
def _draw(rng, p, drawn, tables, stepped, linked, factor, normals):  # type: ignore[no-untyped-def]
    for k in range(normals.size):
        normals[k] = rng.standard_normal()
    for k in range(drawn.size):
        if linked[k] >= 0:
            total = 0.0
            for j in range(linked[k] + 1):
                total += factor[linked[k], j] * normals[j]
            u = 0.5 * math.erfc(-total / math.sqrt(2.0))
        else:
            u = rng.random()
        place = u * LEVELS
        cell = min(int(place), LEVELS - 1)
        value = tables[k, cell]
        if not stepped[k]:
            value += (tables[k, cell + 1] - value) * (place - cell)
        p[drawn[k]] = value


@numba.njit
def _play(  # type: ignore[no-untyped-def]
    rng,
    count,
    p,
    drawn,
    tables,
    stepped,
    linked,
    factor,
    weights,
    numerical,
    sessions,
    discount,
    given,
    short,
    tiny,
    money,
    settled_levels,
    reframed_issues,
    values,
):
    issues, horizon = weights.size, sessions.size
    gap, a, b = np.empty(issues), np.empty(issues), np.empty(issues)
    sender_hazard, target_hazard = np.empty(issues), np.empty(issues)
    settled, reframed = np.empty(issues, np.bool_), np.empty(issues, np.bool_)
    normals = np.empty(factor.shape[0])
    for trial in range(count):
        if given.size:
            for k in range(drawn.size):
                p[drawn[k]] = given[k, trial]
        else:
            _draw(rng, p, drawn, tables, stepped, linked, factor, normals)
        for k in range(drawn.size):
            values[k, trial] = p[drawn[k]]
        for k in range(issues):
            gap[k] = p[ISSUES + 3 * k]
            sender_hazard[k] = -math.log1p(-p[ISSUES + 3 * k + 1]) * p[AT.sender_readiness]
            target_hazard[k] = -math.log1p(-p[ISSUES + 3 * k + 2]) * p[AT.target_readiness]
            a[k], b[k] = 1.0, 1.0 - gap[k]
            settled[k] = reframed[k] = False
        loss, buyer_loss, fall = _effects(
            p[AT.sanctioned_trade], p[AT.tariff_rate], p[AT.import_elasticity], p[AT.supply_elasticity]
        )
        back_loss, back_buyer_loss, back_fall = _effects(
            p[AT.sanctioned_trade] * p[AT.retaliation_share],
            p[AT.retaliation_tariff],
            p[AT.retaliation_import_elasticity],
            p[AT.retaliation_supply_elasticity],
        )
        earliest, tranches, tranche_weeks = (
            _weeks(p[AT.threat_earliest_week]),
            _weeks(p[AT.tranches]),
            _weeks(p[AT.tranche_weeks]),
        )
        state, stage, stage_end = QUIET, NONE, 0.0
        deadline, credibility = 0.0, 0.0
        defiant, retaliation, for_target, lapsed, partial = False, False, False, False, False
        agreement_week = threat_week = sanctions_week = filing_week = ruling_week = lapse_week = breach_week = NEVER
        sanctions_weeks = retaliation_weeks = extensions = 0
        sender_cost, target_cost, progress = 0.0, 0.0, 0.0
        if _happens(rng, p[AT.sanctions_at_start]):
            state, sanctions_week = SANCTIONS, 0
            defiant = _happens(rng, p[AT.defiance_probability])
            retaliation = _happens(rng, p[AT.unilateral_retaliation])
            if _happens(rng, p[AT.file_on_sanctions]):
                filing_week, stage, stage_end = 1, CONSULTATION, _weeks(p[AT.consultation_weeks])

        for week in range(1, horizon + 1):
            # 1. Announcement
            if state == QUIET and threat_week == NEVER and week >= earliest:
                announces = 1.0 - (1.0 - p[AT.threat_probability]) ** (1.0 - p[AT.patience] * progress)
                if _happens(rng, announces):
                    state, threat_week, lapsed, lapse_week = THREAT, week, False, NEVER
                    deadline = week + _weeks(p[AT.deadline_weeks])
                    credibility = p[AT.credibility]
                    defiant = _happens(rng, p[AT.defiance_probability])
                    if _happens(rng, p[AT.file_on_threat]):
                        filing_week, stage = week, CONSULTATION
                        stage_end = week + _weeks(p[AT.consultation_weeks]) - 1
            # 2. Reframing
            session = sessions[week - 1]
            if session >= 2 and not lapsed:
                for k in range(issues):
                    if numerical[k] and not settled[k] and not reframed[k]:
                        reframed[k] = _happens(rng, p[AT.reframe_probability])
            # 3. Concessions
            in_force = state == SANCTIONS
            share = _share(week, sanctions_week, tranches, tranche_weeks) if in_force else 1.0
            pending = CONSULTATION <= stage <= RETALIATION
            if session > 0 and not lapsed:
                pace = 1.0
                if session == 1:
                    pace = p[AT.technical_authority]
                elif session == 3:
                    pace = p[AT.senior_authority]
                if state == THREAT and deadline - week < p[AT.deadline_window]:
                    pace *= p[AT.deadline_multiplier]
                sender_pace, target_pace = pace, pace
                if in_force:
                    own = buyer_loss + (back_loss if retaliation else 0.0)
                    sender_pace *= math.exp(p[AT.sender_pressure] * share * max(own, 0.0) / p[AT.sender_stake])
                if in_force or state == THREAT:
                    real = 1.0 if in_force else credibility
                    if pending:
                        real *= 1.0 - p[AT.litigation_relief]
                    target_pace *= math.exp(p[AT.target_pressure] * real * share * loss / p[AT.target_stake])
                    if defiant:
                        target_pace *= p[AT.defiance_multiplier]
                for k in range(issues):
                    if settled[k]:
                        continue
                    aversion = p[AT.quota_aversion] if numerical[k] and not reframed[k] else 1.0
                    sender_moves = _happens(rng, 1.0 - math.exp(-sender_hazard[k] * sender_pace))
                    target_moves = _happens(rng, 1.0 - math.exp(-target_hazard[k] * target_pace * aversion))
                    if sender_moves or target_moves:
                        a_before, b_before = a[k], b[k]
                        if sender_moves:
                            a[k] = max(a_before - p[AT.sender_step] * gap[k], b_before)
                        if target_moves:
                            b[k] = min(b_before + p[AT.target_step] * gap[k], a_before)
                        if a[k] - b[k] <= 1e-6:
                            settled[k] = True
                            progress += weights[k]
            # 4. Costs
            if in_force:
                sanctions_weeks += 1
                sender_cost += discount[week] * share * buyer_loss
                target_cost += discount[week] * share * loss
                if retaliation:
                    retaliation_weeks += 1
                    sender_cost += discount[week] * share * back_loss
                    target_cost += discount[week] * share * back_buyer_loss
            # 5. Agreement
            if progress >= p[AT.package_threshold] - 1e-6:
                agreement_week = week
                break
            # 6. Fatigue
            if in_force and _happens(rng, p[AT.sanction_fatigue]):
                state = WITHDRAWN
            # 7. Litigation
            if pending and week >= stage_end:
                final = False
                if stage == CONSULTATION:
                    if state == SANCTIONS:
                        stage, stage_end = PANEL, week + _weeks(p[AT.panel_weeks])
                elif stage == PANEL:
                    for_target = _happens(rng, p[AT.target_win])
                    if _happens(rng, p[AT.appeal_probability]):
                        stage, stage_end = APPEAL, week + _weeks(p[AT.appeal_weeks])
                        if _happens(rng, p[AT.void_probability]):
                            stage_end = math.inf
                    else:
                        final = True
                elif stage == APPEAL:
                    if _happens(rng, p[AT.reversal_probability]):
                        for_target = not for_target
                    final = True
                elif stage == COMPLIANCE:
                    if _happens(rng, p[AT.compliance_probability]):
                        stage, state = COMPLIED, WITHDRAWN
                    else:
                        stage, retaliation = RETALIATION, True
                if final:
                    ruling_week = week
                    if for_target:
                        stage, stage_end = COMPLIANCE, week + _weeks(p[AT.compliance_weeks])
                    else:
                        stage = UPHELD
            # 8. Deadline
            if state == THREAT and week >= deadline:
                if _happens(rng, p[AT.partial_deal_probability] * progress):
                    agreement_week, partial = week, True
                    break
                if _happens(rng, p[AT.follow_through] * (1.0 - p[AT.restraint] * progress)):
                    state, sanctions_week = SANCTIONS, week
                    if filing_week == NEVER and _happens(rng, p[AT.file_on_sanctions]):
                        filing_week, stage = week, CONSULTATION
                        stage_end = week + _weeks(p[AT.consultation_weeks]) - 1
                    retaliation = _happens(rng, p[AT.unilateral_retaliation])
                elif _happens(rng, p[AT.extension_probability]):
                    deadline = week + _weeks(p[AT.extension_weeks])
                    extensions += 1
                    credibility *= p[AT.credibility_decay]
                else:
                    state = BACKED_DOWN
            # 9. Retreat and lapse
            if state >= BACKED_DOWN:
                retaliation = False
                if CONSULTATION <= stage <= RETALIATION:
                    stage = LAPSED
            if state != THREAT and state != SANCTIONS and not lapsed and _happens(rng, p[AT.lapse_probability]):
                lapsed, lapse_week = True, week

        agreed = agreement_week != NEVER
        access, gain, left, kept = 0.0, 0.0, 0.0, 1.0
        for k in range(issues):
            level = (a[k] + b[k]) / 2.0
            settled_levels[k, trial] = level if settled[k] else np.nan
            reframed_issues[k, trial] = reframed[k]
            if not settled[k]:
                access += weights[k] * b[k]
            elif reframed[k]:
                access += weights[k] * level * p[AT.voluntary_value]
            else:
                access += weights[k] * level
        if agreed:
            if CONSULTATION <= stage <= RETALIATION:
                stage = LAPSED
            if state == SANCTIONS:
                left = p[AT.residual_sanctions] * _share(agreement_week, sanctions_week, tranches, tranche_weeks)
            for week in range(agreement_week + 1, horizon + 1):
                if breach_week == NEVER and _happens(rng, p[AT.breach_probability]):
                    breach_week, kept = week, p[AT.breach_retention]
                gain += discount[week] * access * kept * p[AT.full_access]
                sender_cost += discount[week] * left * buyer_loss
                target_cost += discount[week] * left * loss
        balance = 0.0
        if agreed:
            balance = access * kept * p[AT.full_access] + left * fall
        elif state == SANCTIONS:
            share = max(_share(horizon, sanctions_week, tranches, tranche_weeks), 1.0 / tranches)
            balance = share * (fall - (back_fall if retaliation else 0.0))

        if agreed:
            outcome = IN_TALKS
            if state == THREAT:
                outcome = UNDER_THREAT
            elif state == SANCTIONS:
                outcome = UNDER_SANCTIONS
            elif state >= BACKED_DOWN:
                outcome = AFTER_RETREAT
        elif state == SANCTIONS:
            outcome = STANDING
        else:
            outcome = RETREAT if state >= BACKED_DOWN else STALEMATE
        short[0, trial], short[1, trial], short[2, trial] = agreement_week, threat_week, sanctions_week
        short[3, trial], short[4, trial] = filing_week, ruling_week
        short[5, trial] = lapse_week if lapsed and not agreed else NEVER
        short[6, trial], short[7, trial] = breach_week, sanctions_weeks
        short[8, trial], short[9, trial] = retaliation_weeks, extensions
        tiny[0, trial] = outcome
        tiny[1, trial] = NEVER
        if ruling_week != NEVER:
            tiny[1, trial] = FOR_TARGET if for_target else FOR_SENDER
        tiny[2, trial] = stage
        tiny[3, trial] = defiant if state != QUIET else NEVER
        tiny[4, trial] = partial if agreed else NEVER
        money[0, trial] = access if agreed else np.nan
        money[1, trial], money[2, trial] = sender_cost, target_cost
        money[3, trial], money[4, trial] = gain, balance
