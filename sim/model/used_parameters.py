"""Which parameters a trial used: those of which another value could have changed what happened in it.

Each parameter has its condition. A parameter that is not used may have any other value: the trial's row stays the same.
The reverse need not hold, since a small change of a value that was used may change nothing.
"""

from collections.abc import Collection, Mapping

import numpy as np

from sim.model.calendar import NEVER
from sim.model.kernel import Played
from sim.scenario.scenario import Scenario


def used_parameters(
    scenario: Scenario, played: Played, row: Mapping[str, object], sessions: Collection[str]
) -> dict[str, bool]:
    """Whether a trial used each parameter of the catalogue, besides those of its issues, which every trial uses.

    `played` is the trial, the only one of its block, `row` its row, and `sessions` the kinds of session that were held.
    """
    course, talks = played.course, played.talks
    points, threat, case = course.points, course.pressure.threat, course.pressure.case

    def value(name: str) -> float:
        return float(np.ravel(points[name])[0])

    agreed = row["agreement_week"] is not None
    last = min(int(talks.agreement_week[0]), scenario.horizon_weeks)
    # An agreement ends a week before step 6, one that is signed at a deadline in step 8.
    full = last - 1 if agreed and not row["partial_deal"] else last
    start = int(threat.imposition_week[0]) == 0
    announced = int(threat.week[0])
    threatened, imposed = row["threat_week"] is not None, row["sanctions_week"] is not None
    in_force = imposed and last > int(threat.imposition_week[0])
    withdrawn = int(case.withdrawal_week[0]) <= full
    over = withdrawn or int(threat.retreat_week[0]) <= full

    settled = [int(week) for week in talks.settled_week[:, 0] if week <= last]
    first_settled = min(settled, default=NEVER)
    deadline, moves = int(threat.first_deadline[0]), int(threat.extensions[0])
    decided = threatened and deadline <= full
    last_deadline = deadline + min(moves, (full - deadline) // int(threat.extension_weeks[0])) * int(
        threat.extension_weeks[0]
    )
    table = decided and first_settled <= last_deadline
    window = value("deadline_window")
    near = threatened and window > 0.0 and min(last, int(threat.end_week[0])) > deadline - window

    numerical = any(issue.numerical for issue in scenario.issues)
    recast = any(row.get(f"reframed.{issue.name}") for issue in scenario.issues)
    moved = [bool(np.any(talks.conceded[side] > 0.0)) for side in (0, 1)]
    filed = row["filing_week"] is not None
    panel = int(case.panel_week[0]) <= full
    appealed, ruled = int(case.appeal_week[0]) <= full, int(case.ruling_week[0]) <= full
    reported = appealed or ruled
    lost = ruled and bool(case.for_target[0])
    retaliates = imposed and int(case.retaliation_week[0]) <= full
    believed = in_force or (threatened and value("credibility") > 0.0)
    presses = believed and value("target_pressure") > 0.0
    cost = imposed or presses

    return {
        "sender_step": moved[0],
        "target_step": moved[1],
        "package_threshold": bool(settled),
        "senior_authority": "senior" in sessions,
        "technical_authority": "technical" in sessions,
        "quota_aversion": numerical,
        "reframe_probability": numerical and bool({"mid", "senior"} & set(sessions)),
        "sender_readiness": True,
        "target_readiness": True,
        "lapse_probability": over or not (start or (threatened and announced == 1) or full < 1),
        "voluntary_value": agreed and recast,
        "threat_earliest_week": not start,
        "threat_probability": not start,
        "patience": not start and first_settled < min(announced, last),
        "restraint": table,
        "partial_deal_probability": table,
        "deadline_weeks": threatened,
        "deadline_window": threatened,
        "deadline_multiplier": near,
        "credibility": threatened,
        "follow_through": decided,
        "extension_probability": decided,
        "extension_weeks": threatened and int(threat.extensions_before(full + 1)[0]) > 0,
        "credibility_decay": threatened and int(threat.extensions_before(last)[0]) > 0,
        "defiance_probability": threatened or start,
        "defiance_multiplier": row["defiant"] is True,
        "sanctioned_trade": cost,
        "tariff_rate": cost,
        "import_elasticity": cost,
        "supply_elasticity": cost,
        "sanctions_at_start": True,
        "tranches": imposed,
        "tranche_weeks": imposed and value("tranches") > 1.0,
        "residual_sanctions": row["outcome"] == "agreement_under_sanctions",
        "sanction_fatigue": imposed and full > int(threat.imposition_week[0]),
        "target_pressure": believed,
        "target_stake": presses,
        "sender_pressure": in_force,
        "sender_stake": in_force and value("sender_pressure") > 0.0,
        "retaliation_share": retaliates,
        "retaliation_tariff": retaliates,
        "retaliation_import_elasticity": retaliates,
        "retaliation_supply_elasticity": retaliates,
        "unilateral_retaliation": imposed,
        "file_on_threat": threatened,
        "file_on_sanctions": imposed and not bool(case.filed_on_threat[0]),
        "consultation_weeks": filed and imposed,
        "panel_weeks": panel,
        "target_win": reported,
        "appeal_probability": reported,
        "appeal_weeks": appealed,
        "void_probability": appealed,
        "reversal_probability": appealed and ruled,
        "compliance_weeks": lost,
        "compliance_probability": min(int(case.compliance_week[0]), int(case.authorised_week[0])) <= full,
        "litigation_relief": filed and presses,
        "full_access": agreed,
        "breach_probability": agreed,
        "breach_retention": row["breach_week"] is not None,
    }
