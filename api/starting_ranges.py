"""The ranges with which a scenario of one's own begins, fitted to how past threats of its class ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from math import exp, log
from typing import Any

import yaml

FITTED = (
    "deadline_multiplier",
    "follow_through",
    "extension_probability",
    "sanction_fatigue",
    "target_pressure",
    "sender_pressure",
)
"""The parameters whose ranges are fitted, besides the readiness of both sides."""


@dataclass(frozen=True)
class StartingRanges:
    """The fitted ranges of a class of past threats.

    `readiness` is that of both sides by the number of issues, of the shipped numbers of issues in growing order, with
    weekly meetings and a deadline six weeks off; `readiness_without_costs` the same where the sanctions cost nothing,
    so that no costs press. `meetings` has the factor by which readiness must be greater still than in proportion to
    what fewer meetings can decide, since a side moves once a meeting at most. `ranges` has the documents of the
    distributions of `FITTED`.
    """

    reference: str
    readiness: Mapping[int, float]
    readiness_without_costs: Mapping[int, float]
    meetings: Mapping[str, float]
    ranges: Mapping[str, Any]

    def readiness_of(self, issues: int, costs: bool) -> float:
        """The readiness for a number of issues, between two of those known on the line through their logarithms."""
        known = self.readiness if costs else self.readiness_without_costs
        if issues in known or len(known) == 1:
            return known.get(issues, next(iter(known.values())))
        (least, low), (greatest, high) = next(
            (pair for pair in pairwise(known.items()) if issues < pair[1][0]), list(pairwise(known.items()))[-1]
        )
        return exp(log(low) + log(high / low) * log(issues / least) / log(greatest / least))


@cache
def shipped_starting_ranges() -> tuple[str, Mapping[str, StartingRanges]]:
    """The source of the fitted ranges and the ranges of each class, from ``configs/starting_ranges.yaml``."""
    document = yaml.safe_load((resources.files("configs") / "starting_ranges.yaml").read_text(encoding="utf-8"))
    return document["source"], {
        name: StartingRanges(
            name,
            {int(issues): float(value) for issues, value in one["readiness"].items()},
            {int(issues): float(value) for issues, value in one["readiness_without_costs"].items()},
            {name: float(value) for name, value in one["meetings"].items()},
            {parameter: one[parameter] for parameter in FITTED},
        )
        for name, one in document["classes"].items()
    }
