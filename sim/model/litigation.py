"""The case before the WTO, retaliation, and the withdrawal of sanctions (steps 6, 7 and 9 of a week).

The case depends on the course of the threat and on its own chance, not on the talks: it is computed with the threat, as
it would run without an agreement. Its own chance and durations are drawn once (`CaseDraws`).
"""

from dataclasses import dataclass

import numpy as np

from sim.model.calendar import NEVER, never_after, waiting_weeks, weekly_hazard, whole_weeks
from sim.model.threat import Threat
from sim.sampling.chance import Numbers, happens
from sim.sampling.points import Points


@dataclass(frozen=True)
class CaseDraws:
    """What does not depend on the threat: arrays of shape (count,), whole weeks and truth values."""

    tired: np.ndarray
    """Weeks until sanctions are withdrawn by fatigue."""
    consultation_weeks: np.ndarray
    panel_weeks: np.ndarray
    appeal_weeks: np.ndarray
    compliance_weeks: np.ndarray
    file_on_threat: np.ndarray
    file_on_sanctions: np.ndarray
    appealed: np.ndarray
    decided: np.ndarray
    """A void appeal is never decided."""
    found_for_target: np.ndarray
    for_target: np.ndarray
    complies: np.ndarray
    retaliates_at_once: np.ndarray


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


def draw_case(points: Points, chance: Numbers) -> CaseDraws:
    """What is drawn for the cases of the trials of `chance`."""

    def comes(purpose: str, probability: str) -> np.ndarray:
        return chance.uniform(f"litigation/{purpose}") < points[probability]

    def weeks(name: str) -> np.ndarray:
        return np.broadcast_to(whole_weeks(points[name]), (chance.count,))

    appealed, found_for_target = comes("appeal", "appeal_probability"), comes("panel", "target_win")
    return CaseDraws(
        tired=waiting_weeks(chance.exponential("sanctions/fatigue"), weekly_hazard(points["sanction_fatigue"])),
        consultation_weeks=weeks("consultation_weeks"),
        panel_weeks=weeks("panel_weeks"),
        appeal_weeks=weeks("appeal_weeks"),
        compliance_weeks=weeks("compliance_weeks"),
        file_on_threat=comes("file-on-threat", "file_on_threat"),
        file_on_sanctions=comes("file-on-sanctions", "file_on_sanctions"),
        appealed=appealed,
        decided=~(appealed & happens(chance, "litigation/void", points["void_probability"])),
        found_for_target=found_for_target,
        for_target=found_for_target ^ (appealed & comes("reversal", "reversal_probability")),
        complies=comes("compliance", "compliance_probability"),
        retaliates_at_once=comes("unilateral-retaliation", "unilateral_retaliation"),
    )


def lay_out_case(draws: CaseDraws, threat: Threat) -> Case:
    """The course of the case, of retaliation and of the sanctions in some trials, from their threats."""
    imposition = threat.imposition_week
    fatigue_week = np.minimum(imposition + draws.tired, NEVER)

    imposed = imposition < NEVER
    on_threat = draws.file_on_threat & (threat.week < NEVER)
    on_sanctions = draws.file_on_sanctions & ~on_threat & imposed
    # Sanctions from the start count as imposed in week 0, with the complaint in week 1.
    filing_week = np.where(on_threat, threat.week, never_after(np.maximum(imposition, 1), on_sanctions))
    weighs_from = np.where(on_threat, threat.week, never_after(imposition + 1, on_sanctions))

    # Each stage ends with step 7 of its last week. Fatigue comes before that step, and a case lapses after it: a stage
    # that ends in the week of withdrawal still takes its step, but no new panel is requested.
    panel_week = np.maximum(filing_week + draws.consultation_weeks - 1, imposition + 1)
    panel_week = never_after(panel_week, imposed & (panel_week < fatigue_week))

    def ends(start: np.ndarray, weeks: np.ndarray, happens: np.ndarray | None = None) -> np.ndarray:
        end = start + weeks
        in_time = (end <= fatigue_week) & (start < NEVER)
        return never_after(end, in_time if happens is None else happens & in_time)

    report_week = ends(panel_week, draws.panel_weeks)
    ruling_week = np.where(draws.appealed, ends(report_week, draws.appeal_weeks, draws.decided), report_week)
    complied_or_not = ends(ruling_week, draws.compliance_weeks, draws.for_target)
    compliance_week = never_after(complied_or_not, draws.complies)
    authorised_week = never_after(complied_or_not, ~draws.complies)
    return Case(
        filing_week=filing_week,
        filed_on_threat=on_threat,
        weighs_from=weighs_from,
        panel_week=panel_week,
        appeal_week=never_after(report_week, draws.appealed),
        found_for_target=draws.found_for_target,
        ruling_week=ruling_week,
        for_target=draws.for_target,
        compliance_week=compliance_week,
        authorised_week=authorised_week,
        retaliation_week=np.where(draws.retaliates_at_once, imposition, authorised_week),
        withdrawal_week=np.minimum(fatigue_week, compliance_week),
    )
