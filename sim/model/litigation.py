"""The case before the WTO, retaliation, and the withdrawal of sanctions (steps 6, 7 and 9 of a week).

The case depends on the course of the threat and on its own chance, not on the talks: it is computed with the threat, as
it would run without an agreement.
"""

from dataclasses import dataclass

import numpy as np

from sim.model.calendar import NEVER, never_after, waiting_weeks, weekly_hazard, whole_weeks
from sim.model.threat import Threat
from sim.sampling.chance import Numbers, happens
from sim.sampling.points import Points


@dataclass(frozen=True)
class Case:
    """The course of each trial's case; arrays of shape (count,), weeks `NEVER` for what does not happen."""

    filing_week: np.ndarray
    filed_on_threat: np.ndarray
    weighs_from: np.ndarray
    """The first week in whose talks the case is pending."""
    panel_week: np.ndarray
    """The week at whose end the case goes to a panel."""
    appeal_week: np.ndarray
    """The week at whose end the panel's report is appealed."""
    found_for_target: np.ndarray
    """The direction of the panel's report, where there is one."""
    ruling_week: np.ndarray
    for_target: np.ndarray
    """The final ruling's direction, where there is one."""
    compliance_week: np.ndarray
    """The week in which a losing sender complies."""
    authorised_week: np.ndarray
    """The week at whose end retaliation is authorised."""
    retaliation_week: np.ndarray
    """The week at whose end retaliation is switched on, authorised or not."""
    withdrawal_week: np.ndarray
    """The week in which sanctions are withdrawn, by fatigue or in compliance."""


def lay_out_case(points: Points, threat: Threat, chance: Numbers) -> Case:
    """The course of the case, of retaliation and of the sanctions in the trials of `chance`."""

    def comes(purpose: str, probability: str) -> np.ndarray:
        return chance.uniform(f"litigation/{purpose}") < points[probability]

    imposition = threat.imposition_week
    tired = waiting_weeks(chance.exponential("sanctions/fatigue"), weekly_hazard(points["sanction_fatigue"]))
    fatigue_week = np.minimum(imposition + tired, NEVER)

    on_threat = comes("file-on-threat", "file_on_threat") & (threat.week < NEVER)
    on_sanctions = comes("file-on-sanctions", "file_on_sanctions") & ~on_threat
    # Sanctions from the start count as imposed in week 0, with the complaint in week 1.
    filing_week = np.where(on_threat, threat.week, never_after(np.maximum(imposition, 1), on_sanctions))
    weighs_from = np.where(on_threat, threat.week, never_after(imposition + 1, on_sanctions & (imposition < NEVER)))

    # Each stage ends with step 7 of its last week. Fatigue comes before that step, and a case lapses after it: a stage
    # that ends in the week of withdrawal still takes its step, but no new panel is requested.
    consulted = filing_week + whole_weeks(points["consultation_weeks"]) - 1
    panel_week = np.maximum(consulted, imposition + 1)
    panel_week = never_after(panel_week, (imposition < NEVER) & (panel_week < fatigue_week))

    def ends(start: np.ndarray, weeks: str, happens: np.ndarray) -> np.ndarray:
        end = start + whole_weeks(points[weeks])
        return never_after(end, happens & (end <= fatigue_week) & (start < NEVER))

    every = np.ones(chance.count, bool)
    report_week = ends(panel_week, "panel_weeks", every)
    appealed = comes("appeal", "appeal_probability")
    # A void appeal is never decided.
    decided = ~happens(chance, "litigation/void", points["void_probability"])
    ruling_week = np.where(appealed, ends(report_week, "appeal_weeks", decided), report_week)
    found_for_target = comes("panel", "target_win")
    for_target = found_for_target ^ (appealed & comes("reversal", "reversal_probability"))
    complies = comes("compliance", "compliance_probability")
    compliance_week = ends(ruling_week, "compliance_weeks", for_target & complies)
    authorised_week = ends(ruling_week, "compliance_weeks", for_target & ~complies)
    at_once = comes("unilateral-retaliation", "unilateral_retaliation")
    return Case(
        filing_week=filing_week,
        filed_on_threat=on_threat,
        weighs_from=weighs_from,
        panel_week=panel_week,
        appeal_week=never_after(report_week, appealed),
        found_for_target=found_for_target,
        ruling_week=ruling_week,
        for_target=for_target,
        compliance_week=compliance_week,
        authorised_week=authorised_week,
        retaliation_week=np.where(at_once, imposition, authorised_week),
        withdrawal_week=np.minimum(fatigue_week, compliance_week),
    )
