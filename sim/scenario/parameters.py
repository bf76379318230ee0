"""The catalogue of parameters: names, who decides them, units, domains, neutral defaults and meanings, defined once."""

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Domain:
    """An interval of numbers."""

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    def contains(self, value: float) -> bool:
        """Whether a number lies in the interval."""
        above = self.low < value if self.open_low else self.low <= value
        below = value < self.high if self.open_high else value <= self.high
        return above and below

    def __str__(self) -> str:
        """As in mathematics: [0, 1), or > 0 where there is no upper end."""
        if self.high == inf:
            return f"{'>' if self.open_low else '>='} {self.low:g}"
        return f"{'(' if self.open_low else '['}{self.low:g}, {self.high:g}{')' if self.open_high else ']'}"


PROBABILITY = Domain(0.0, 1.0)
CHANCE_BELOW_ONE = Domain(0.0, 1.0, open_high=True)
SHARE = Domain(0.0, 1.0)
POSITIVE_SHARE = Domain(0.0, 1.0, open_low=True)
NON_NEGATIVE = Domain(0.0, inf, open_high=True)
POSITIVE = Domain(0.0, inf, open_low=True, open_high=True)


@dataclass(frozen=True)
class Parameter:
    """One parameter of the model. `default` is None where a scenario must give a value.

    `decided_by` says whose the value is: the sender's own choice, the target's, both sides' together, the court's, or
    nature's (markets, costs, how things are). A strategy that sets anything but the sender's own is an assumption.

    `kind` is "real", "rounded" (a duration or a number, drawn as a real number and rounded to the nearest whole one,
    halves to even, at least 1) or "whole" (whole numbers only).
    """

    name: str
    group: str
    decided_by: str
    unit: str
    domain: Domain
    default: float | None
    meaning: str
    kind: str = "real"
    added: int = 0
    """The extension of the model that brought it. In a Sobol design the parameters of later extensions take later
    dimensions, so that older ones keep theirs."""


SENDER, TARGET, BOTH, COURT, NATURE = "sender", "target", "both sides", "court", "nature"
PER_WEEK = "probability a week"
PROB = "probability"
MULTIPLIER = "multiplier on hazard"
BN_A_YEAR = "bn USD a year"


def _weeks(name: str, group: str, decided_by: str, default: float, meaning: str) -> Parameter:
    return Parameter(name, group, decided_by, "weeks", NON_NEGATIVE, default, meaning, "rounded")


ISSUE_PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "gap",
        "issue",
        BOTH,
        "share",
        POSITIVE_SHARE,
        None,
        "distance between the sides at the start, as a share of the sender's full demand",
    ),
    Parameter(
        "sender_concession",
        "issue",
        SENDER,
        PER_WEEK,
        CHANCE_BELOW_ONE,
        None,
        "chance that the sender moves in a week with a mid-level session, other things equal",
    ),
    Parameter(
        "target_concession",
        "issue",
        TARGET,
        PER_WEEK,
        CHANCE_BELOW_ONE,
        None,
        "chance that the target moves in a week with a mid-level session, other things equal",
    ),
)

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "sender_step",
        "bargaining",
        SENDER,
        "share of the gap",
        POSITIVE_SHARE,
        1.0,
        "how far one concession of the sender moves",
    ),
    Parameter(
        "target_step",
        "bargaining",
        TARGET,
        "share of the gap",
        POSITIVE_SHARE,
        1.0,
        "how far one concession of the target moves",
    ),
    Parameter(
        "package_threshold",
        "bargaining",
        BOTH,
        "share",
        SHARE,
        1.0,
        "weight of settled issues at which the package is accepted",
    ),
    Parameter(
        "senior_authority",
        "bargaining",
        BOTH,
        MULTIPLIER,
        NON_NEGATIVE,
        1.0,
        "how much more a side can concede at a senior session than at a mid-level one",
    ),
    Parameter(
        "technical_authority",
        "bargaining",
        BOTH,
        MULTIPLIER,
        NON_NEGATIVE,
        1.0,
        "how much a side can concede at a technical session, relative to a mid-level one",
    ),
    Parameter(
        "quota_aversion",
        "bargaining",
        TARGET,
        MULTIPLIER,
        NON_NEGATIVE,
        1.0,
        "on the target's hazard for a numerical issue that has not been reframed",
    ),
    Parameter(
        "reframe_probability",
        "bargaining",
        BOTH,
        PER_WEEK,
        PROBABILITY,
        0.0,
        "chance at a mid-level or senior session that an open numerical issue is reframed as a voluntary plan",
    ),
    Parameter(
        "sender_readiness",
        "bargaining",
        SENDER,
        MULTIPLIER,
        NON_NEGATIVE,
        1.0,
        "on all of the sender's hazards, for the whole dispute",
        added=1,
    ),
    Parameter(
        "target_readiness",
        "bargaining",
        TARGET,
        MULTIPLIER,
        NON_NEGATIVE,
        1.0,
        "on all of the target's hazards, for the whole dispute",
        added=1,
    ),
    Parameter(
        "lapse_probability",
        "bargaining",
        BOTH,
        PER_WEEK,
        PROBABILITY,
        0.0,
        "that talks lapse, at the end of a week in which no threat stands and no sanctions are in force",
        added=1,
    ),
    Parameter(
        "voluntary_value",
        "bargaining",
        NATURE,
        "share",
        SHARE,
        1.0,
        "what a reframed settlement is worth to the sender, relative to a binding one",
    ),
    Parameter(
        "threat_earliest_week",
        "threat",
        SENDER,
        "week",
        NON_NEGATIVE,
        1.0,
        "first week in which the sender may announce sanctions",
        "rounded",
    ),
    Parameter(
        "threat_probability",
        "threat",
        SENDER,
        PER_WEEK,
        PROBABILITY,
        0.0,
        "chance of announcing sanctions in each week from the earliest on, until announced once",
    ),
    Parameter(
        "patience",
        "threat",
        SENDER,
        "share",
        SHARE,
        0.0,
        "how much progress at the table delays the announcement",
        added=1,
    ),
    Parameter(
        "restraint",
        "threat",
        SENDER,
        "share",
        SHARE,
        0.0,
        "how much progress at the table holds the sender back from imposing sanctions at a deadline",
        added=1,
    ),
    Parameter(
        "partial_deal_probability",
        "threat",
        BOTH,
        PROB,
        PROBABILITY,
        0.0,
        "that the sides sign at a deadline what is settled, if all were settled; in proportion to the weight that is",
        added=1,
    ),
    _weeks("deadline_weeks", "threat", SENDER, 6.0, "from announcement to deadline"),
    Parameter(
        "deadline_window",
        "threat",
        BOTH,
        "weeks",
        NON_NEGATIVE,
        0.0,
        "how long before the deadline the deadline effect works",
        "whole",
    ),
    Parameter(
        "deadline_multiplier", "threat", BOTH, MULTIPLIER, NON_NEGATIVE, 1.0, "the deadline effect, on both sides"
    ),
    Parameter(
        "credibility", "threat", BOTH, "share", SHARE, 0.0, "how much of the threatened cost the target takes for real"
    ),
    Parameter("follow_through", "threat", SENDER, PROB, PROBABILITY, 0.0, "that sanctions are imposed at a deadline"),
    Parameter(
        "extension_probability",
        "threat",
        SENDER,
        PROB,
        PROBABILITY,
        0.0,
        "that the deadline is extended if sanctions are not imposed; otherwise the sender backs down",
    ),
    _weeks("extension_weeks", "threat", SENDER, 4.0, "length of an extension"),
    Parameter(
        "credibility_decay",
        "threat",
        TARGET,
        "share",
        SHARE,
        1.0,
        "credibility is multiplied by this at each extension",
    ),
    Parameter(
        "defiance_probability",
        "threat",
        TARGET,
        PROB,
        PROBABILITY,
        0.0,
        "that the target refuses to negotiate under threat, decided at the announcement",
    ),
    Parameter(
        "defiance_multiplier",
        "threat",
        TARGET,
        MULTIPLIER,
        NON_NEGATIVE,
        1.0,
        "on a defiant target's hazard while a threat or sanctions stand",
    ),
    Parameter(
        "sanctioned_trade", "sanctions", SENDER, BN_A_YEAR, NON_NEGATIVE, 0.0, "imports covered by the sanctions"
    ),
    Parameter(
        "tariff_rate", "sanctions", SENDER, "ad valorem, 1 = 100 %", NON_NEGATIVE, 0.0, "extra tariff of the sanctions"
    ),
    Parameter(
        "sanctions_at_start",
        "sanctions",
        NATURE,
        PROB,
        PROBABILITY,
        0.0,
        "that sanctions are in force already as the dispute begins",
        added=1,
    ),
    Parameter(
        "tranches",
        "sanctions",
        SENDER,
        "number",
        NON_NEGATIVE,
        1.0,
        "number of equal parts in which sanctions come into force",
        "rounded",
        added=1,
    ),
    Parameter(
        "tranche_weeks",
        "sanctions",
        SENDER,
        "weeks",
        NON_NEGATIVE,
        13.0,
        "from one part of the sanctions to the next",
        "rounded",
        added=1,
    ),
    Parameter(
        "residual_sanctions",
        "sanctions",
        BOTH,
        "share",
        SHARE,
        0.0,
        "of the sanctions in force, what an agreement under sanctions leaves standing",
        added=1,
    ),
    Parameter(
        "import_elasticity",
        "sanctions",
        NATURE,
        "elasticity",
        POSITIVE,
        1.0,
        "elasticity of the sender's demand for the covered imports, absolute value",
    ),
    Parameter(
        "supply_elasticity",
        "sanctions",
        NATURE,
        "elasticity",
        POSITIVE,
        1.0,
        "elasticity of the target's supply of the covered imports",
    ),
    Parameter(
        "sanction_fatigue",
        "sanctions",
        SENDER,
        PER_WEEK,
        PROBABILITY,
        0.0,
        "chance that the sender withdraws sanctions in force",
    ),
    Parameter(
        "target_pressure",
        "sanctions",
        TARGET,
        "sensitivity",
        NON_NEGATIVE,
        0.0,
        "sensitivity of the target's hazard to its annual cost relative to its stake",
    ),
    Parameter(
        "sender_pressure",
        "sanctions",
        SENDER,
        "sensitivity",
        NON_NEGATIVE,
        0.0,
        "sensitivity of the sender's hazard to its own annual cost relative to its stake",
    ),
    Parameter(
        "target_stake", "sanctions", NATURE, BN_A_YEAR, POSITIVE, 1.0, "what conceding everything would cost the target"
    ),
    Parameter(
        "sender_stake", "sanctions", NATURE, BN_A_YEAR, POSITIVE, 1.0, "what conceding everything would cost the sender"
    ),
    Parameter(
        "retaliation_share",
        "retaliation",
        TARGET,
        "share",
        SHARE,
        0.0,
        "trade covered by the target's retaliation, relative to sanctioned_trade",
    ),
    Parameter(
        "retaliation_tariff",
        "retaliation",
        TARGET,
        "ad valorem, 1 = 100 %",
        NON_NEGATIVE,
        0.0,
        "extra tariff of the retaliation",
    ),
    Parameter(
        "retaliation_import_elasticity",
        "retaliation",
        NATURE,
        "elasticity",
        POSITIVE,
        1.0,
        "elasticity of the target's demand for the trade covered by its retaliation",
    ),
    Parameter(
        "retaliation_supply_elasticity",
        "retaliation",
        NATURE,
        "elasticity",
        POSITIVE,
        1.0,
        "elasticity of the sender's supply of the trade covered by the retaliation",
    ),
    Parameter(
        "unilateral_retaliation",
        "retaliation",
        TARGET,
        PROB,
        PROBABILITY,
        0.0,
        "that the target retaliates as soon as sanctions are imposed",
    ),
    Parameter(
        "file_on_threat",
        "litigation",
        TARGET,
        PROB,
        PROBABILITY,
        0.0,
        "that the target complains to the WTO when the threat is announced",
    ),
    Parameter(
        "file_on_sanctions",
        "litigation",
        TARGET,
        PROB,
        PROBABILITY,
        0.0,
        "that it complains when sanctions are imposed, if it has not yet",
    ),
    _weeks("consultation_weeks", "litigation", COURT, 9.0, "length of the consultations"),
    _weeks("panel_weeks", "litigation", COURT, 39.0, "length of the panel's work"),
    _weeks("appeal_weeks", "litigation", COURT, 13.0, "length of an appeal"),
    _weeks("compliance_weeks", "litigation", COURT, 65.0, "length of the period to comply"),
    Parameter("target_win", "litigation", COURT, PROB, PROBABILITY, 0.5, "that the panel finds for the target"),
    Parameter("appeal_probability", "litigation", BOTH, PROB, PROBABILITY, 0.0, "that the report is appealed"),
    Parameter(
        "reversal_probability", "litigation", COURT, PROB, PROBABILITY, 0.0, "that an appeal reverses the finding"
    ),
    Parameter(
        "void_probability",
        "litigation",
        COURT,
        PROB,
        PROBABILITY,
        0.0,
        "that an appeal is never decided, because no Appellate Body sits",
        added=1,
    ),
    Parameter(
        "compliance_probability",
        "litigation",
        SENDER,
        PROB,
        PROBABILITY,
        0.0,
        "that a losing sender withdraws the sanctions when the compliance period ends",
    ),
    Parameter(
        "litigation_relief",
        "litigation",
        TARGET,
        "share",
        SHARE,
        0.0,
        "by how much a case that is pending, or decided for the target, weakens the pressure of threat and sanctions",
    ),
    Parameter(
        "full_access",
        "value",
        NATURE,
        BN_A_YEAR,
        NON_NEGATIVE,
        0.0,
        "extra exports of the sender if every demand were met in full",
    ),
    Parameter(
        "breach_probability",
        "value",
        TARGET,
        PER_WEEK,
        PROBABILITY,
        0.0,
        "after an agreement, that the target stops keeping it",
        added=1,
    ),
    Parameter(
        "breach_retention",
        "value",
        TARGET,
        "share",
        SHARE,
        0.0,
        "of the market access won, what is left after a breach",
        added=1,
    ),
)

_BY_NAME = {known.name: known for known in PARAMETERS}
_BY_ISSUE_NAME = {known.name: known for known in ISSUE_PARAMETERS}


def parameter(name: str) -> Parameter:
    """The catalogue's entry for a parameter's name in a scenario: flat, or ``issues.<issue>.<parameter>``.

    Raises `KeyError` for a name that no parameter has.
    """
    if name.startswith("issues."):
        return _BY_ISSUE_NAME[name.rpartition(".")[2]]
    return _BY_NAME[name]
