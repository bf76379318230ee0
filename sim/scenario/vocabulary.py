"""The words for results: outcomes, events and measures, each with its expression, label and unit, defined once.

The parser of expressions, the estimates, the answers, the tables, the charts and the generated documents all read them
from here. `OUTCOMES`, `EVENTS` and `MEASURES` hold the names, in order.
"""

from dataclasses import dataclass

PROBABILITY = "probability"
WEEK, WEEKS = "week", "weeks"
SHARE_OF_DEMAND = "share of the full demand"
BN, BN_A_YEAR = "bn USD", "bn USD a year"


@dataclass(frozen=True)
class Term:
    """An outcome, an event or a measure.

    `expression` is the text that `sim.scenario.expressions` reads: a condition for an outcome or an event, whose
    probability is estimated; a number for a measure, summarized over the trials in which it is not null. `label` is
    for people. `unit` is that of the estimate.
    """

    name: str
    expression: str
    label: str
    unit: str = PROBABILITY


def _outcome(name: str, label: str) -> Term:
    return Term(name, f"outcome == '{name}'", label)


OUTCOME_TERMS = (
    _outcome("agreement_in_talks", "Agreement in talks, no threat"),
    _outcome("agreement_under_threat", "Agreement under threat"),
    _outcome("agreement_under_sanctions", "Agreement under sanctions"),
    _outcome("agreement_after_retreat", "Agreement after a retreat"),
    _outcome("sanctions_standing", "No agreement, sanctions standing"),
    _outcome("retreat", "No agreement after a retreat"),
    _outcome("stalemate", "No agreement, stalemate"),
)
"""The ways in which a trial can end; each trial ends in exactly one."""

EVENT_TERMS = (
    Term("agreement", "agreement_week is not null", "Any agreement"),
    Term("threat", "threat_week is not null", "Sanctions announced"),
    Term("sanctions", "sanctions_week is not null", "Sanctions imposed"),
    Term("sanctions_from_start", "sanctions_week == 0", "Sanctions in force from the start"),
    Term("complaint", "filing_week is not null", "WTO complaint filed"),
    Term("ruling_for_target", "ruling == 'for_target'", "WTO rules for the target"),
    Term("ruling_for_sender", "ruling == 'for_sender'", "WTO rules for the sender"),
    Term("retaliation", "retaliation_weeks > 0", "Target retaliates"),
    Term("lapsed", "lapse_week is not null", "Talks lapsed"),
    Term("partial_deal", "partial_deal", "Partial deal"),
    Term("breached", "breach_week is not null", "Agreement breached"),
)
"""What may happen in a trial; every summary counts them."""

DETAIL_TERMS = (
    Term("extension", "extensions > 0", "Deadline extended"),
    Term("defiance", "defiant", "Target defies the threat"),
)
"""What may happen in a trial besides; answers that explain count them, summaries do not."""

MEASURE_TERMS = (
    Term("agreement_week", "agreement_week", "Week of agreement, if any", WEEK),
    Term("threat_week", "threat_week", "Week of the announcement, if any", WEEK),
    Term("sanctions_week", "sanctions_week", "Week in which sanctions are imposed, if any", WEEK),
    Term("filing_week", "filing_week", "Week of the WTO complaint, if any", WEEK),
    Term("ruling_week", "ruling_week", "Week of the final ruling, if any", WEEK),
    Term("lapse_week", "lapse_week", "Week in which talks lapse, if they stay so", WEEK),
    Term("breach_week", "breach_week", "Week of the breach, if any", WEEK),
    Term("sanctions_weeks", "sanctions_weeks", "Weeks of sanctions", WEEKS),
    Term("retaliation_weeks", "retaliation_weeks", "Weeks of retaliation", WEEKS),
    Term("extensions", "extensions", "Extensions of the deadline", "1"),
    Term("market_access", "market_access", "Market access won, if agreed", SHARE_OF_DEMAND),
    Term("sender_cost", "sender_cost", "Sender's cost of sanctions", BN),
    Term("target_cost", "target_cost", "Target's cost of sanctions", BN),
    Term("export_gain", "export_gain", "Sender's export gain", BN),
    Term("balance_change", "balance_change", "Change of the sender's balance", BN_A_YEAR),
)
"""Columns summarized by mean and quantiles, over the trials in which they are not null."""

SHARE_OF_DEFICIT = "balance_change_share_of_deficit"
DEFICIT_TERM = Term(SHARE_OF_DEFICIT, "balance_change", "Change of the balance, relative to the deficit", "share")
"""A measure of scenarios with a deficit: the expression's value divided by the deficit."""

OUTCOMES = tuple(term.name for term in OUTCOME_TERMS)
EVENTS = tuple(term.name for term in EVENT_TERMS)
MEASURES = tuple(term.name for term in MEASURE_TERMS)
TERMS = {term.name: term for term in (*OUTCOME_TERMS, *EVENT_TERMS, *DETAIL_TERMS, *MEASURE_TERMS, DEFICIT_TERM)}
"""Every term by its name."""
IMPOSED_TERM = Term("sanctions_imposed", "sanctions_week > 0", "Sanctions imposed at a deadline")
"""A condition that an expression may name: `sanctions` without those in force from the start."""
NAMED = {term.name: term.expression for term in (*EVENT_TERMS, *OUTCOME_TERMS, IMPOSED_TERM)}
"""Events and outcomes that an expression may name, with the conditions that they stand for."""

RULINGS = ("for_target", "for_sender")
STAGES = (
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
