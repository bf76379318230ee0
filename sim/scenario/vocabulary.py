"""How a dispute can end and how a case can be ruled on, in words: those of the trials and those of real disputes."""

OUTCOMES = (
    "agreement_in_talks",
    "agreement_under_threat",
    "agreement_under_sanctions",
    "agreement_after_retreat",
    "sanctions_standing",
    "retreat",
    "stalemate",
)
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
