"""Estimates as text: as many digits as their intervals support, and never a 0 or a 100 % that is not one."""

from collections.abc import Mapping
from math import ceil, floor, log10
from typing import Any

_MOST_DIGITS = 6


def share(estimate: Mapping[str, Any]) -> str:
    """A probability in per cent, such as ``37.5 %``.

    Of an event that no trial or every trial had, how likely or unlikely it may be all the same: ``under 0.04 %``.
    """
    value, half = 100.0 * estimate["estimate"], 50.0 * (estimate["high"] - estimate["low"])
    if value == 0.0:
        return f"under {rounded_up(100.0 * estimate['high'])} %"
    if value == 100.0 and estimate["low"] < 1.0:
        return f"over {_rest(rounded_up(100.0 * (1.0 - estimate['low'])))} %"
    return f"{percent(value, 1 if half < 0.5 else 0)} %"


def of_the_trials(estimate: Mapping[str, Any]) -> str:
    """In how many trials something happens, to stand after "in": ``37.5 % of the trials``, ``none of the trials``."""
    if estimate["estimate"] in (0.0, 1.0):
        return f"{'all' if estimate['estimate'] else 'none'} of the trials"
    return f"{share(estimate)} of the trials"


def share_of_them(estimate: Mapping[str, Any]) -> str:
    """The same after the trials were named: ``37.5 %``, ``none``."""
    return of_the_trials(estimate).removesuffix(" of the trials")


def share_with_error(estimate: Mapping[str, Any]) -> str:
    """A probability in per cent with half its interval, such as ``37.5 % ±0.4``; what no trial had as in `share`."""
    if estimate["estimate"] is None:
        return "-"
    if estimate["estimate"] in (0.0, 1.0):
        return share(estimate)
    half = 50.0 * (estimate["high"] - estimate["low"])
    digits = max(1, min(_decimals(half, 1), 3))
    return f"{percent(100.0 * estimate['estimate'], digits)} % ±{half:.{digits}f}"


def percent(value: float, digits: int) -> str:
    """A percentage with `digits` decimals, or as many more as it needs to differ from 0 and from 100."""
    while digits < _MOST_DIGITS and 0.0 < value < 100.0 and float(f"{value:.{digits}f}") in (0.0, 100.0):
        digits += 1
    return f"{value:z.{digits}f}"


def amount(estimate: Mapping[str, Any], unit: str = "", *, significant: int = 1) -> str:
    """A number and half its interval, both with the decimals of the interval's `significant` digits: ``7.0 ±0.1``."""
    if estimate["estimate"] is None:
        return "-"
    if estimate["low"] is None or estimate["high"] is None:
        return f"{estimate['estimate']:z.3g}{unit}"
    digits, half = decimals(estimate, significant), half_width(estimate)
    return f"{estimate['estimate']:z.{digits}f}{unit} ±{half:.{digits}f}"


def share_and_interval(found: Mapping[str, Any]) -> str:
    """A whole percentage with its interval, such as ``37 % (31 to 44)``; a dash where either is not known."""
    if found["estimate"] is None or found["low"] is None:
        return "-"
    return f"{100 * found['estimate']:.0f} % ({100 * found['low']:.0f} to {100 * found['high']:.0f})"


def days_and_interval(found: Mapping[str, Any]) -> str:
    """A number of days with its interval, such as ``60 (41 to ?)``, with a question mark for an end not known."""
    if found["estimate"] is None:
        return "not reached"
    low, high = (f"{found[end]:.0f}" if found[end] is not None else "?" for end in ("low", "high"))
    return f"{found['estimate']:.0f} ({low} to {high})"


def percentage_points(change: Mapping[str, Any]) -> str:
    """A difference of two probabilities: ``+1.2 percentage points ±0.3``."""
    digits = _decimals_of_points(change)
    return f"{100.0 * change['estimate']:+z.{digits}f} percentage points ±{100.0 * half_width(change):.{digits}f}"


def share_beside(difference: Mapping[str, Any], side: str) -> str:
    """The share of one side of a difference, ``37.5 %``, ``none`` or ``all``, with the decimals of the change."""
    value = 100.0 * difference[side]["estimate"]
    if value in (0.0, 100.0):
        return "all" if value else "none"
    return f"{percent(value, _decimals_of_points(difference['change']))} %"


def _decimals_of_points(change: Mapping[str, Any]) -> int:
    return max(1, min(_decimals(100.0 * half_width(change), 1), 3))


def signed(change: Mapping[str, Any], factor: float = 1.0, digits: int = 1, *, space: str = "") -> str:
    """A difference times a factor with its sign and half its interval, ``~`` before it where the interval contains 0.

    It has `digits` decimals, one at least, or as many more as half the interval needs.
    """
    if change["low"] is None or change["high"] is None:
        return f"{factor * change['estimate']:+z.{max(digits, 1)}f}{space}±?"
    half = factor * half_width(change)
    digits = max(digits, 1, min(_decimals(half, 1), 4))
    clear = change["low"] > 0.0 or change["high"] < 0.0
    return f"{'' if clear else '~'}{factor * change['estimate']:+z.{digits}f}{space}±{half:.{digits}f}"


def negated(estimate: Mapping[str, Any]) -> dict[str, Any]:
    """The estimate of the number with the other sign."""
    turned = {name: None if estimate[name] is None else -estimate[name] for name in ("estimate", "low", "high")}
    return {**estimate, "estimate": turned["estimate"], "low": turned["high"], "high": turned["low"]}


def half_width(estimate: Mapping[str, Any]) -> float:
    """Half the interval of an estimate that has one."""
    return float(estimate["high"] - estimate["low"]) / 2.0


def decimals(estimate: Mapping[str, Any], significant: int = 1) -> int:
    """The decimals that show the first `significant` digits of half an estimate's interval."""
    half = half_width(estimate)
    return _decimals(half, significant) if half > 0.0 else 2


def _decimals(half: float, significant: int) -> int:
    if half <= 0.0:
        return 1
    # Rounded first: 0.0999 is 0.1.
    size = floor(log10(float(f"{half:.{significant - 1}e}")))
    return min(max(0, significant - 1 - size), _MOST_DIGITS)


def rounded_up(value: float) -> str:
    """A number that is not negative, rounded up: to a whole one from 1 on, else to its first digit."""
    if value <= 0.0:
        return "0"
    digits = max(0, -floor(log10(value)))
    # Less than a rounding error above a digit is that digit.
    up = ceil(value * 10.0**digits - 1e-9) / 10.0**digits
    return f"{up:.{max(0, -floor(log10(up)))}f}"


def _rest(percentage: str) -> str:
    """A percentage less than 100, from what it lacks."""
    return f"{100.0 - float(percentage):.{len(percentage.partition('.')[2])}f}"
