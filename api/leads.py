"""Which strategy leads over the range of each parameter: what a comparison found, in the order of its weight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TOO_CLOSE = "too close to call"
NAMED = 2
"""Of more strategies that are ahead together, none is named."""
SHOWN_PARTS = 3
"""Parts of a parameter's range that are said where not everything is asked for."""


@dataclass(frozen=True)
class LeadPart:
    """A part of a parameter's range, from `low` to `high`, with the strategies ahead in it and its share of the trials.

    One that is ahead alone leads; between several it is too close to call.
    """

    low: float
    high: float
    share: float
    ahead: tuple[str, ...]

    @property
    def leader(self) -> str | None:
        """The strategy that leads, None if it is too close to call."""
        return self.ahead[0] if len(self.ahead) == 1 else None


def lead_parts(one: Mapping[str, Any]) -> list[LeadPart]:
    """The parts of a parameter's range, of which two beside each other are one if both are too close to call.

    The strategies ahead in such a part are those that are ahead in any of its parts.
    """
    found: list[LeadPart] = []
    for part in one["ranges"]:
        own = LeadPart(part["low"], part["high"], part["share"], tuple(part["ahead"]))
        if found and found[-1].leader is None and own.leader is None:
            last = found.pop()
            ahead = tuple(dict.fromkeys((*last.ahead, *own.ahead)))
            own = LeadPart(last.low, own.high, last.share + own.share, ahead)
        found.append(own)
    return found


def share_of_others(one: Mapping[str, Any], best: str) -> float:
    """The share of the trials in the parts of a parameter's range in which another strategy than the best leads."""
    return float(sum(part["share"] for part in one["ranges"] if part["leads"] not in (None, best)))


def ordered_leads(leads: Sequence[Mapping[str, Any]], best: str) -> list[Mapping[str, Any]]:
    """Parameters by how far the choice depends on them: where others lead first, then where it is too close to call."""

    def weight(one: Mapping[str, Any]) -> tuple[float, float]:
        close = sum(part["share"] for part in one["ranges"] if part["leads"] is None)
        return -share_of_others(one, best), -close

    return sorted(leads, key=weight)


def lead_text(part: LeadPart) -> str:
    """A part in words, such as ``bluff from 0.1 to 0.5`` in the parameter's unit; without names if there are many."""
    who = " or ".join(part.ahead) if len(part.ahead) <= NAMED else TOO_CLOSE
    if part.low == part.high:
        return f"{who} at {part.low:.3g}"
    return f"{who} from {part.low:.3g} to {part.high:.3g}"


def leads_text(parts: Sequence[LeadPart], best: str, most: int | None = None) -> str:
    """The parts of a range in words; of more than `most` only some, and how many are left.

    Those in which another strategy than the best leads are preferred, then those with the largest shares.
    """
    shown = list(parts)
    if most is not None and len(parts) > most:
        largest = sorted(parts, key=lambda part: (part.leader in (None, best), -part.share))[:most]
        shown = [part for part in parts if part in largest]
    left = len(parts) - len(shown)
    texts = [*map(lead_text, shown), *([f"{left} more part{'s' * (left > 1)}"] if left else [])]
    return "; ".join(texts)
