"""Distributions as a scenario writes them, read and checked."""

import itertools
from collections.abc import Callable
from math import erfc, inf, isfinite, sqrt
from typing import Any

import numpy as np

from sim.scenario import validation
from sim.scenario.distributions import (
    Beta,
    Discrete,
    Distribution,
    Fixed,
    LogNormal,
    LogUniform,
    Mixture,
    Normal,
    Pert,
    Quantiles,
    Triangular,
    Uniform,
    lognormal_from_percentiles,
    normal_from_percentiles,
)
from sim.scenario.parameters import PARAMETERS, Parameter
from sim.scenario.places import Path
from sim.scenario.validation import Report

GREATEST = 1e12
"""The greatest number allowed: products of greater ones would not fit a float32 column."""
LEAST = 1e-12
"""The least number allowed for what is divided by."""
_FARTHEST = (2.0**-53, 1.0 - 2.0**-53)
"""The tail probability up to which a distribution may be drawn."""
MAX_POINTS = 1000
MAX_COMPONENTS = 50
WEIGHT_TOLERANCE = 1e-6
UNREADABLE = Uniform(0.0, 1.0)
"""A placeholder for a distribution with a fault, so that reading can continue."""


def read_parameters(report: Report, given: object) -> dict[str, Distribution]:
    """The distributions of the parameters that are not an issue's, defaults filled in, in the catalogue's order."""
    body = validation.mapping(report, ("parameters",), {} if given is None else given, "parameters by name")
    validation.known_keys(report, ("parameters",), body, [known.name for known in PARAMETERS])
    base: dict[str, Distribution] = {}
    for known in PARAMETERS:
        default = Fixed(0.0 if known.default is None else known.default)
        if known.name in body:
            found = read_distribution(report, ("parameters", known.name), body[known.name], known)
            base[known.name] = found or UNREADABLE
        else:
            base[known.name] = default
    return base


def read_distribution(report: Report, path: Path, given: object, parameter: Parameter) -> Distribution | None:
    """The distribution of a parameter, checked against its domain; None, with its faults recorded, if it has any."""
    found = _read(report, path, given, allow_mixture=True)
    if found is None:
        return None
    support, domain = found.support, parameter.domain
    allowed = f"{parameter.name} must lie in {domain}"
    for end, atom, opened in (
        (support.low, support.low_is_atom, domain.open_low),
        (support.high, support.high_is_atom, domain.open_high),
    ):
        inside = domain.low <= end <= domain.high if not (atom and opened) else domain.contains(end)
        if not inside:
            reach = f"{support.low:g}" if support.low == support.high else f"from {support.low:g} to {support.high:g}"
            if not (isfinite(support.low) and isfinite(support.high)):
                hint = "; truncate it with low and high"
            elif domain.high == 1.0 and support.low >= 0.0 and 1.0 < support.high <= 100.0:
                hint = f"; {support.high:g} % is {support.high / 100.0:g}"
            else:
                hint = ""
            report.fault(path, given, f"{allowed}, but this reaches {reach}{hint}")
            return None
    least = LEAST if domain.low == 0.0 and domain.open_low and domain.high > 1.0 else 0.0
    low, high = _reach(found)
    if not (least <= low and high <= GREATEST):
        low, high = found.quantile(np.array(_FARTHEST))
    if not (low >= least and high <= GREATEST):
        limit = f"at most {GREATEST:g}" if low >= least else f"at least {least:g}"
        report.fault(path, given, f"{parameter.name} must be {limit}, but this reaches from {low:g} to {high:g}")
        return None
    if parameter.kind == "whole" and not _is_whole(found):
        report.fault(path, given, f"{allowed} and be a whole number, or discrete with whole values")
        return None
    return found


def _reach(found: Distribution) -> tuple[float, float]:
    """An interval that contains every draw and is cheap to compute; it may be wider than necessary."""
    if isinstance(found, Normal | LogNormal):
        return found.reach
    if isinstance(found, Mixture):
        ends = [_reach(one) for one in found.of]
        return min(low for low, _ in ends), max(high for _, high in ends)
    return found.support.low, found.support.high


def _is_whole(distribution: Distribution) -> bool:
    if isinstance(distribution, Fixed):
        return distribution.value == int(distribution.value)
    return isinstance(distribution, Discrete) and all(value == int(value) for value in distribution.values)


def _read(report: Report, path: Path, given: object, *, allow_mixture: bool) -> Distribution | None:
    if validation.is_number(given):
        value = validation.number(report, path, given)
        return None if value is None else Fixed(value)
    readers = _READERS if allow_mixture else {kind: read for kind, read in _READERS.items() if kind != "mixture"}
    kinds = ", ".join(readers)
    if not isinstance(given, dict) or len(given) != 1:
        report.fault(path, given, f"must be a number or one distribution: {kinds}")
        return None
    kind, body = next(iter(given.items()))
    if kind == "mixture" and not allow_mixture:
        report.fault((*path, kind), None, "a mixture inside a mixture is not allowed")
        return None
    if kind not in readers:
        validation.known_keys(report, path, given, readers)
        return None
    before = len(report.faults)
    try:
        found = readers[kind](report, (*path, kind), body)
    except (OverflowError, ZeroDivisionError):
        report.fault((*path, kind), body, "is out of the range of floating-point numbers")
        return None
    return found if len(report.faults) == before else None


def _numbers(report: Report, path: Path, body: object, names: tuple[str, ...]) -> list[float] | None:
    """A list of as many numbers as there are names."""
    form = f"[{', '.join(names)}]"
    if not isinstance(body, list | tuple) or len(body) != len(names):
        report.fault(path, body, f"must be {form}")
        return None
    values = [validation.number(report, (*path, k), value, f"a number, in {form}") for k, value in enumerate(body)]
    return None if None in values else values  # type: ignore[return-value]


def _rising(report: Report, path: Path, low: float, high: float, what: str = "low < high") -> bool:
    if low < high and isfinite(high - low):
        return True
    report.fault(path, [low, high], f"must have {what}")
    return False


def _uniform(report: Report, path: Path, body: object) -> Distribution | None:
    values = _numbers(report, path, body, ("low", "high"))
    if values is None or not _rising(report, path, values[0], values[1]):
        return None
    return Uniform(*values)


def _loguniform(report: Report, path: Path, body: object) -> Distribution | None:
    values = _numbers(report, path, body, ("low", "high"))
    if values is None or not _rising(report, path, values[0], values[1]):
        return None
    if values[0] <= 0.0:
        report.fault(path, body, "must have low > 0")
        return None
    return LogUniform(*values)


def _three_point(kind: Callable[[float, float, float], Distribution]) -> "Reader":
    def read(report: Report, path: Path, body: object) -> Distribution | None:
        values = _numbers(report, path, body, ("low", "mode", "high"))
        if values is None or not _rising(report, path, values[0], values[2]):
            return None
        if not values[0] <= values[1] <= values[2]:
            report.fault(path, body, "must have low <= mode <= high")
            return None
        return kind(*values)

    return read


def _fields(
    report: Report, path: Path, body: object, forms: tuple[tuple[str, ...], ...], optional: tuple[str, ...]
) -> dict[str, float] | None:
    """Numbers by name: the names of one of the forms, and any of the optional ones."""
    shown = " or ".join("{" + ", ".join(form) + "}" for form in forms)
    if not isinstance(body, dict):
        report.fault(path, body, f"must be {shown}, optionally with {', '.join(optional)}")
        return None
    known = {name for form in forms for name in form} | set(optional)
    before = len(report.faults)
    validation.known_keys(report, path, body, sorted(known))
    values = {key: validation.number(report, (*path, key), value) for key, value in body.items() if key in known}
    if len(report.faults) > before:
        return None
    if set(values) - set(optional) not in [set(form) for form in forms]:
        report.fault(path, body, f"must have {shown}, optionally with {', '.join(optional)}")
        return None
    return values  # type: ignore[return-value]


def _normal(report: Report, path: Path, body: object) -> Distribution | None:
    given = _fields(report, path, body, (("mean", "sd"), ("p05", "p95")), ("low", "high"))
    if given is None:
        return None
    low, high = given.get("low", -inf), given.get("high", inf)
    if not low < high:
        report.fault(path, body, "must have low < high")
        return None
    if "sd" in given:
        if given["sd"] <= 0.0:
            report.fault((*path, "sd"), given["sd"], "must be > 0")
            return None
        found = Normal(given["mean"], given["sd"], low, high)
    else:
        if not _rising(report, path, given["p05"], given["p95"], "p05 < p95"):
            return None
        found = normal_from_percentiles(given["p05"], given["p95"], low, high)
    return _with_mass(report, path, body, found, found)


def _lognormal(report: Report, path: Path, body: object) -> Distribution | None:
    given = _fields(report, path, body, (("median", "sigma"), ("p05", "p95")), ("low", "high"))
    if given is None:
        return None
    low, high = given.get("low", 0.0), given.get("high", inf)
    for field in ("median", "sigma", "p05", "p95", "high"):
        if given.get(field, 1.0) <= 0.0:
            report.fault((*path, field), given[field], "must be > 0")
            return None
    if not 0.0 <= low < high:
        report.fault(path, body, "must have 0 <= low < high")
        return None
    if "sigma" in given:
        found = LogNormal(given["median"], given["sigma"], low, high)
    else:
        if not _rising(report, path, given["p05"], given["p95"], "p05 < p95"):
            return None
        found = lognormal_from_percentiles(given["p05"], given["p95"], low, high)
    return _with_mass(report, path, body, found, found._normal)


def _with_mass(report: Report, path: Path, body: object, found: Distribution, normal: Normal) -> Distribution | None:
    """Refuse a truncation that leaves almost nothing of the distribution."""
    a, b = ((end - normal.mean) / normal.sd for end in (normal.low, normal.high))
    # Near the middle the complementary error function is exact enough, and needs no SciPy.
    if (erfc(a / sqrt(2.0)) - erfc(b / sqrt(2.0))) / 2.0 > 1e-6 or normal._tails[1] > 1e-12:
        return found
    report.fault(path, body, "leaves less than 1e-12 of the distribution between low and high")
    return None


def _beta(report: Report, path: Path, body: object) -> Distribution | None:
    given = _fields(report, path, body, (("alpha", "beta"),), ("low", "high"))
    if given is None:
        return None
    for field in ("alpha", "beta"):
        if not 0.0 < given[field] <= 1e6:
            report.fault((*path, field), given[field], "must lie in (0, 1e6]")
            return None
    low, high = given.get("low", 0.0), given.get("high", 1.0)
    if not _rising(report, path, low, high):
        return None
    return Beta(given["alpha"], given["beta"], low, high)


def _weights(report: Report, path: Path, given: object, count: int) -> tuple[float, ...] | None:
    """A list of `count` weights >= 0. They are relative, and scaled to sum to 1 unless they do."""
    entries = validation.sequence(report, path, given, "weights", MAX_POINTS)
    if count == 0:
        # What the weights are of is at fault already.
        return None
    if len(entries) != count:
        report.fault(path, given, f"must be a list of {count} weights")
        return None
    values = [validation.number(report, (*path, k), value) for k, value in enumerate(entries)]
    weights = [value for value in values if value is not None]
    if len(weights) < count:
        return None
    total = sum(weights)
    if min(weights) < 0.0 or not LEAST <= total <= GREATEST:
        allowed = f"must be >= 0 and sum to a number from {LEAST:g} to {GREATEST:g}; they sum to {total:g}"
        report.fault(path, given, f"{allowed}; only their ratios matter")
        return None
    if abs(total - 1.0) <= WEIGHT_TOLERANCE:
        return tuple(weights)
    return tuple(weight / total for weight in weights)


def _two_lists(report: Report, path: Path, body: object, first: str, most: int) -> tuple[list[Any], object] | None:
    if not isinstance(body, dict) or set(body) != {first, "weights"}:
        report.fault(path, body, "must be {" + first + ", weights}")
        return None
    before = len(report.faults)
    entries = validation.sequence(report, (*path, first), body[first], "values", most)
    if not entries and len(report.faults) == before:
        report.fault((*path, first), body[first], "must be a list that is not empty")
        return None
    return entries, body["weights"]


def _discrete(report: Report, path: Path, body: object) -> Distribution | None:
    parts = _two_lists(report, path, body, "values", MAX_POINTS)
    if parts is None:
        return None
    values = [validation.number(report, (*path, "values", k), value) for k, value in enumerate(parts[0])]
    weights = _weights(report, (*path, "weights"), parts[1], len(values))
    if weights is None or None in values:
        return None
    total: dict[float, float] = {}
    for value, weight in sorted(zip(values, weights, strict=True)):
        total[value] = total.get(value, 0.0) + weight  # type: ignore[index, arg-type]
    return Discrete(tuple(total), tuple(total.values()))


def _quantiles(report: Report, path: Path, body: object) -> Distribution | None:
    if not isinstance(body, dict) or not 2 <= len(body) <= MAX_POINTS:
        report.fault(path, body, "must be a mapping of at least two levels, 0 and 1 among them, to values")
        return None
    points: dict[float, float] = {}
    for key, value in body.items():
        try:
            level = float(key) if not isinstance(key, bool) else -1.0
        except (TypeError, ValueError):
            level = -1.0
        if not 0.0 <= level <= 1.0 or level in points:
            report.fault((*path, str(key)), None, "must be a level from 0 to 1, given once")
            return None
        found = validation.number(report, (*path, str(key)), value)
        if found is None:
            return None
        points[level] = found
    levels = tuple(sorted(points))
    values = tuple(points[level] for level in levels)
    if levels[0] != 0.0 or levels[-1] != 1.0:
        report.fault(path, body, "must give the levels 0 and 1")
        return None
    if any(a > b for a, b in itertools.pairwise(values)) or values[0] == values[-1]:
        report.fault(path, body, "must have values that rise with the level")
        return None
    return Quantiles(levels, values)


def _mixture(report: Report, path: Path, body: object) -> Distribution | None:
    parts = _two_lists(report, path, body, "of", MAX_COMPONENTS)
    if parts is None:
        return None
    found = [_read(report, (*path, "of", k), value, allow_mixture=False) for k, value in enumerate(parts[0])]
    weights = _weights(report, (*path, "weights"), parts[1], len(found))
    components = [component for component in found if component is not None]
    if weights is None or len(components) < len(found):
        return None
    return Mixture(tuple(components), weights)


Reader = Callable[[Report, Path, object], Distribution | None]
_READERS: dict[str, Reader] = {
    "uniform": _uniform,
    "loguniform": _loguniform,
    "triangular": _three_point(Triangular),
    "pert": _three_point(Pert),
    "normal": _normal,
    "lognormal": _lognormal,
    "beta": _beta,
    "discrete": _discrete,
    "quantiles": _quantiles,
    "mixture": _mixture,
}
