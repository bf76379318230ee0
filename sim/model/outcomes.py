"""What a trial yields: the table's columns, and how a played trial is read into them."""

import numpy as np

from sim.model.bargaining import Talks
from sim.model.incidence import Incidence
from sim.model.litigation import Case
from sim.model.threat import Threat
from sim.sampling.designs import Points
from sim.scenario.columns import NULL
from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import STAGES


def read_trials(
    scenario: Scenario,
    points: Points,
    threat: Threat,
    case: Case,
    talks: Talks,
    sanctions: Incidence,
    retaliation: Incidence,
) -> dict[str, np.ndarray]:
    """The outcome columns of a block of played trials, arrays of shape (count,) as `Column` describes them.

    Steps 4 and 5 of the week are summed up here: what is on record are the events up to the trial's end. An
    agreement in week w ends the trial before steps 6 to 8 of that week.
    """
    horizon = scenario.horizon_weeks
    agreed = talks.agreement_week <= horizon
    end = np.where(agreed, talks.agreement_week, horizon)
    last_full_week = np.where(agreed, end - 1, horizon)

    threatened = threat.week <= end
    imposed = threat.imposition_week <= last_full_week
    backed_down = threat.retreat_week <= last_full_week
    withdrawn = case.withdrawal_week <= last_full_week
    standing = imposed & ~withdrawn
    filed = case.filing_week <= np.where(case.filed_on_threat, end, last_full_week)
    ruled = case.ruling_week <= last_full_week

    last_week_in_force = np.minimum(end, case.withdrawal_week)
    in_force_from = np.minimum(threat.imposition_week, last_week_in_force)
    retaliation_from = np.minimum(np.maximum(case.retaliation_week, in_force_from), last_week_in_force)
    elapsed = discounted_years(horizon, scenario.discount_rate)
    years = elapsed[last_week_in_force] - elapsed[in_force_from]
    retaliation_years = elapsed[last_week_in_force] - elapsed[retaliation_from]

    settled, access = _settlement(scenario, points, talks, agreed, end)
    full_access = points["full_access"]
    standing_change = sanctions.trade_fall - np.where(
        case.retaliation_week <= last_full_week, retaliation.trade_fall, 0.0
    )
    agreed_access = np.where(agreed, access, 0.0)
    return {
        "outcome": _outcome(threatened, agreed, standing, backed_down | withdrawn),
        "agreement_week": _week(talks.agreement_week, agreed),
        "threat_week": _week(threat.week, threatened),
        "sanctions_week": _week(threat.imposition_week, imposed),
        "filing_week": _week(case.filing_week, filed),
        "ruling_week": _week(case.ruling_week, ruled),
        "sanctions_weeks": (last_week_in_force - in_force_from).astype(np.int16),
        "retaliation_weeks": (last_week_in_force - retaliation_from).astype(np.int16),
        "extensions": threat.extensions_before(last_full_week + 1).astype(np.int16),
        "ruling": np.where(ruled, np.where(case.for_target, 0, 1), NULL).astype(np.int8),
        "litigation": _stage(case, filed, agreed | backed_down | withdrawn, last_full_week),
        "defiant": np.where(threatened, threat.defiant, NULL).astype(np.int8),
        "market_access": np.where(agreed, access, np.nan).astype(np.float32),
        **settled,
        **{
            f"reframed.{name}": week <= np.minimum(talks.settled_week[k], end)
            for k, (name, week) in enumerate(talks.reframing_week.items())
            if week is not None
        },
        "sender_cost": (sanctions.buyer_loss * years + retaliation.exporter_loss * retaliation_years).astype(
            np.float32
        ),
        "target_cost": (sanctions.exporter_loss * years + retaliation.buyer_loss * retaliation_years).astype(
            np.float32
        ),
        "export_gain": (agreed_access * full_access * (elapsed[horizon] - elapsed[end])).astype(np.float32),
        "balance_change": np.where(
            agreed, agreed_access * full_access, np.where(standing, standing_change, 0.0)
        ).astype(np.float32),
    }


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
    scenario: Scenario, points: Points, talks: Talks, agreed: np.ndarray, end: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The level of each settled issue, and the market access of the whole package."""
    settled = {}
    access = np.zeros(agreed.shape)
    for k, issue in enumerate(scenario.issues):
        gap = points[f"issues.{issue.name}.gap"]
        closed = talks.settled_week[k] <= end
        given_up, offered = talks.conceded[0, k], talks.conceded[1, k]
        level = 1.0 - gap * (1.0 + given_up - offered) / 2.0
        offer = 1.0 - gap * (1.0 - offered)
        worth: np.ndarray | float = 1.0
        reframing = talks.reframing_week[issue.name]
        if reframing is not None:
            worth = np.where(reframing <= talks.settled_week[k], points["voluntary_value"], 1.0)
        access += issue.weight * np.where(closed, level * worth, offer)
        settled[f"settled.{issue.name}"] = np.where(closed, level, np.nan).astype(np.float32)
    return settled, access
