"""The columns of the table of trials, computed from played trials."""

import numpy as np

from sim.model.bargaining import Talks
from sim.model.calendar import NEVER
from sim.model.course import Course
from sim.model.litigation import Case
from sim.scenario.columns import NULL
from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import STAGES


def read_trials(scenario: Scenario, course: Course, talks: Talks) -> dict[str, np.ndarray]:
    """The outcome columns of a block of played trials, arrays of shape (count,) as `Column` describes them.

    Steps 4 and 5 of the week are summed here, over the events up to the trial's end. An agreement in week w ends the
    trial before steps 6 to 8 of that week.
    """
    horizon = scenario.horizon_weeks
    threat, case, lapse = course.pressure.threat, course.pressure.case, course.pressure.lapse
    agreed = talks.agreement_week <= horizon
    end = np.where(agreed, talks.agreement_week, horizon)
    last_full_week = np.where(agreed, end - 1, horizon)

    threatened = threat.week <= end
    imposed = threat.imposition_week <= last_full_week
    backed_down = threat.retreat_week <= last_full_week
    withdrawn = case.withdrawal_week <= last_full_week
    standing = imposed & ~withdrawn
    filed = np.where(case.filed_on_threat, case.filing_week <= end, case.weighs_from <= last_full_week + 1)
    ruled = case.ruling_week <= last_full_week

    last, begin, retaliation_begin = in_force(course, end)
    settled, access = _settlement(scenario, course, talks, agreed, end)
    breached = course.breach_week(talks.agreement_week)
    lapsed = np.full(agreed.shape, NEVER) if lapse is None else lapse.standing(threat, end)
    return {
        "outcome": _outcome(threatened, agreed, standing, backed_down | withdrawn),
        "agreement_week": _week(talks.agreement_week, agreed),
        "threat_week": _week(threat.week, threatened),
        "sanctions_week": _week(threat.imposition_week, imposed),
        "filing_week": _week(case.filing_week, filed),
        "ruling_week": _week(case.ruling_week, ruled),
        "lapse_week": _week(lapsed, ~agreed & (lapsed <= horizon)),
        "breach_week": _week(talks.agreement_week if breached is None else breached, _by(breached, horizon, agreed)),
        "partial_deal": np.where(agreed, talks.partial, NULL).astype(np.int8),
        "sanctions_weeks": (last - begin).astype(np.int16),
        "retaliation_weeks": (last - retaliation_begin).astype(np.int16),
        "extensions": threat.extensions_before(last_full_week + 1).astype(np.int16),
        "ruling": np.where(ruled, np.where(case.for_target, 0, 1), NULL).astype(np.int8),
        "litigation": _stage(case, filed, agreed | backed_down | withdrawn, last_full_week),
        "defiant": np.where(threatened | imposed, threat.defiant, NULL).astype(np.int8),
        "market_access": np.where(agreed, access, np.nan).astype(np.float32),
        **settled,
        **{
            f"reframed.{issue.name}": course.reframing_week[issue.name] <= np.minimum(talks.settled_week[k], end)
            for k, issue in enumerate(scenario.issues)
            if issue.numerical
        },
        **_money(scenario, course, agreed, standing, end, last_full_week, access, breached),
    }


def _money(
    scenario: Scenario,
    course: Course,
    agreed: np.ndarray,
    standing: np.ndarray,
    end: np.ndarray,
    last_full_week: np.ndarray,
    access: np.ndarray,
    breach_week: np.ndarray | None,
) -> dict[str, np.ndarray]:
    """The columns of money: step 4 of the week, and the value of an agreement or of standing sanctions."""
    horizon, points = scenario.horizon_weeks, course.points
    threat, case, tranches = course.pressure.threat, course.pressure.case, course.pressure.tranches
    sanctions, retaliation = course.pressure.sanctions, course.pressure.retaliation
    elapsed = discounted_years(horizon, scenario.discount_rate)
    last, begin, retaliation_begin = in_force(course, end)
    if tranches is None:
        share: np.ndarray | float = 1.0
        years = elapsed[last] - elapsed[begin]
        retaliation_years = elapsed[last] - elapsed[retaliation_begin]
    else:
        share = tranches.share(end - threat.imposition_week)
        years = tranches.years(elapsed, threat.imposition_week, begin, last)
        retaliation_years = tranches.years(elapsed, threat.imposition_week, retaliation_begin, last)
    after = elapsed[horizon] - elapsed[end]
    kept_access = after
    residual: np.ndarray | float = 0.0
    if np.any(points["residual_sanctions"] != 0.0):
        residual = np.where(agreed & standing, points["residual_sanctions"] * share, 0.0)
        years = years + residual * after
    agreed_access = np.where(agreed, access, 0.0)
    kept: np.ndarray | float = 1.0
    if breach_week is not None:
        breached = agreed & (breach_week <= horizon)
        kept = np.where(breached, points["breach_retention"], 1.0)
        kept_access = after - (1.0 - kept) * (elapsed[horizon] - elapsed[np.minimum(breach_week - 1, horizon)])
    standing_change = share * (
        sanctions.trade_fall - np.where(case.retaliation_week <= last_full_week, retaliation.trade_fall, 0.0)
    )
    with_agreement = agreed_access * points["full_access"] * kept + residual * sanctions.trade_fall
    found = {
        "sender_cost": sanctions.buyer_loss * years + retaliation.exporter_loss * retaliation_years,
        "target_cost": sanctions.exporter_loss * years + retaliation.buyer_loss * retaliation_years,
        "export_gain": agreed_access * points["full_access"] * kept_access,
        "balance_change": np.where(agreed, with_agreement, np.where(standing, standing_change, 0.0)),
    }
    return {name: np.broadcast_to(value, end.shape).astype(np.float32) for name, value in found.items()}


def in_force(course: Course, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The last week with sanctions in force, and the weeks after which sanctions and retaliation are: int32.

    `end` is each trial's last week. Where they never are, it is after the last week.
    """
    threat, case = course.pressure.threat, course.pressure.case
    last = np.minimum(end, case.withdrawal_week)
    begin = np.minimum(threat.imposition_week, last)
    return last, begin, np.minimum(np.maximum(case.retaliation_week, begin), last)


def _by(week: np.ndarray | None, horizon_weeks: int, agreed: np.ndarray) -> np.ndarray:
    """Whether something that may follow an agreement happens by the horizon."""
    return np.zeros_like(agreed) if week is None else agreed & (week <= horizon_weeks)


def discounted_years(horizon_weeks: int, discount_rate: float) -> np.ndarray:
    """Years from the start to the end of week w, each week discounted by (1 + rate)^(-w/52).

    float64, shape (horizon + 1,), for w from 0.
    """
    weeks = np.arange(horizon_weeks + 1)
    return (np.cumsum((1.0 + discount_rate) ** (-weeks / 52.0)) - 1.0) / 52.0


def _week(week: np.ndarray, happened: np.ndarray) -> np.ndarray:
    return np.where(happened, week, NULL).astype(np.int16)


def _outcome(threatened: np.ndarray, agreed: np.ndarray, standing: np.ndarray, retreated: np.ndarray) -> np.ndarray:
    with_agreement = np.where(retreated, 3, np.where(standing, 2, np.where(threatened, 1, 0)))
    without = np.where(retreated, 5, np.where(standing, 4, 6))
    return np.where(agreed, with_agreement, without).astype(np.int8)


def _stage(case: Case, filed: np.ndarray, over: np.ndarray, last_full_week: np.ndarray) -> np.ndarray:
    """The last stage of each case; `over` marks trials whose running case has lapsed."""
    ruled = case.ruling_week <= last_full_week
    running = np.select(
        [
            case.authorised_week <= last_full_week,
            ruled,
            case.appeal_week <= last_full_week,
            case.panel_week <= last_full_week,
        ],
        [
            STAGES.index("retaliation"),
            STAGES.index("compliance"),
            STAGES.index("appeal"),
            STAGES.index("panel"),
        ],
        STAGES.index("consultation"),
    )
    return np.select(
        [~filed, ruled & ~case.for_target, case.compliance_week <= last_full_week, over],
        [STAGES.index("none"), STAGES.index("upheld"), STAGES.index("complied"), STAGES.index("lapsed")],
        running,
    ).astype(np.int8)


def _settlement(
    scenario: Scenario, course: Course, talks: Talks, agreed: np.ndarray, end: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The level of each settled issue, and the market access of the whole package."""
    settled = {}
    access = np.zeros(agreed.shape)
    for k, issue in enumerate(scenario.issues):
        gap = course.points[f"issues.{issue.name}.gap"]
        closed = talks.settled_week[k] <= end
        given_up, offered = talks.conceded[0, k], talks.conceded[1, k]
        level = 1.0 - gap * (1.0 + given_up - offered) / 2.0
        offer = 1.0 - gap * (1.0 - offered)
        worth: np.ndarray | float = 1.0
        if issue.numerical:
            reframed = course.reframing_week[issue.name] <= talks.settled_week[k]
            worth = np.where(reframed, course.points["voluntary_value"], 1.0)
        access += issue.weight * np.where(closed, level * worth, offer)
        settled[f"settled.{issue.name}"] = np.where(closed, level, np.nan).astype(np.float32)
    return settled, access
