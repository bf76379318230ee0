"""The difference of two estimates from samples that are independent of each other."""

from math import hypot

from sim.statistics.estimates import UNKNOWN, Estimate


def difference_of_independent(first: Estimate, second: Estimate) -> Estimate:
    """The first estimate less the second, whose errors are independent.

    The 95 % interval is made from those of the two (Zou & Donner 2008, Statistics in Medicine 27, "MOVER"): each of its
    bounds lies as far from the difference as the root of the squared distances from the two estimates to their bounds
    on that side. For two probabilities with Wilson's intervals this is Newcombe's (1998) method 10, which is valid for
    rare events too. What is not known of either is not known of the difference.
    """
    a, b = first["estimate"], second["estimate"]
    if a is None or b is None:
        return UNKNOWN
    errors = (first["standard_error"], second["standard_error"])
    return {
        "estimate": a - b,
        "standard_error": None if errors[0] is None or errors[1] is None else hypot(errors[0], errors[1]),
        "low": _bound(a, first["low"], b, second["high"], -1.0),
        "high": _bound(a, first["high"], b, second["low"], 1.0),
    }


def _bound(a: float, end: float | None, b: float, other: float | None, side: float) -> float | None:
    return None if end is None or other is None else a - b + side * hypot(a - end, b - other)
