"""Values that have no effect: threats that cost nothing, and parameters of a mechanism that is off.

Each check looks at the least and greatest values of the distributions, so that a warning holds for every trial.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sim.faults import Fault
from sim.scenario.distributions import Distribution, Fixed
from sim.scenario.parameters import parameter
from sim.scenario.places import Path, field_name

if TYPE_CHECKING:
    from sim.scenario.scenario import Scenario

World = Mapping[str, Distribution]

HIGHEST_AMOUNT = 5000.0
"""Billions of dollars a year. The imports of the United States from all countries are less."""
_NUMERICAL = ("quota_aversion", "reframe_probability")
"""Parameters of numerical issues alone."""
_AMOUNTS = ("sanctioned_trade", "full_access", "target_stake", "sender_stake")
_LITIGATION = ("file_on_threat", "file_on_sanctions")
SWITCHES: tuple[tuple[tuple[str, ...], float, tuple[str, ...]], ...] = (
    (("tranches",), 1.0, ("tranche_weeks",)),
    (("extension_probability",), 0.0, ("extension_weeks", "credibility_decay")),
    (("defiance_probability",), 0.0, ("defiance_multiplier",)),
    (("deadline_window",), 0.0, ("deadline_multiplier",)),
    (("breach_probability",), 0.0, ("breach_retention",)),
    (("reframe_probability",), 0.0, ("voluntary_value",)),
    (("appeal_probability",), 0.0, ("reversal_probability", "void_probability", "appeal_weeks")),
    (_LITIGATION, 0.0, ("consultation_weeks", "panel_weeks", "compliance_weeks", "target_win", "litigation_relief")),
    (("retaliation_tariff",), 0.0, ("retaliation_share",)),
    (
        ("threat_probability",),
        0.0,
        ("deadline_weeks", "credibility", "follow_through", "extension_probability", "file_on_threat", "patience"),
    ),
    (
        ("follow_through", "sanctions_at_start"),
        0.0,
        ("file_on_sanctions", "unilateral_retaliation", "sanction_fatigue", "residual_sanctions", "tranches"),
    ),
    (("target_pressure",), 0.0, ("credibility", "target_stake")),
    (("sender_pressure",), 0.0, ("sender_stake",)),
)
"""What switches a mechanism on, the greatest value at which it is off, and the parameters that then do nothing."""


def inert_values(scenario: "Scenario") -> Iterator[Fault]:
    """Warnings of values without effect, in the form of faults without lines."""
    yield from _amounts(scenario)
    yield from _empty_threats(scenario)
    yield from _without_mechanism(scenario)
    yield from _same_strategies(scenario)


def _worlds(scenario: "Scenario") -> dict[str, dict[str, Distribution]]:
    return {strategy: scenario.parameters(strategy) for strategy in scenario.strategies}


def _amounts(scenario: "Scenario") -> Iterator[Fault]:
    for name in _AMOUNTS:
        places: dict[Path, Distribution] = {("parameters", name): scenario.base[name]} | {
            ("strategies", strategy, name): overrides[name]
            for strategy, overrides in scenario.strategies.items()
            if name in overrides
        }
        for path, distribution in places.items():
            least = distribution.support.low
            if least > HIGHEST_AMOUNT:
                yield _warning(path, f"is at least {least:g} billion dollars; is it meant in millions?")
    if scenario.deficit is not None and scenario.deficit > HIGHEST_AMOUNT:
        yield _warning(("deficit",), f"is {scenario.deficit:g} billion dollars a year; is it meant in millions?")


def _empty_threats(scenario: "Scenario") -> Iterator[Fault]:
    """Sanctions that cost the target nothing, and deadlines that come after the horizon; once for each cause."""
    seen: set[Path] = set()
    for strategy, world in _worlds(scenario).items():
        threatened = _reaches(world, "threat_probability")
        if not (threatened or _reaches(world, "sanctions_at_start")):
            continue
        found = [
            (name, f"is 0, so that the sanctions under {strategy} cost nothing")
            for name in ("sanctioned_trade", "tariff_rate")
            if not _reaches(world, name)
        ]
        first = world["threat_earliest_week"].support.low + world["deadline_weeks"].support.low
        horizon = scenario.horizon_weeks
        if threatened and world["threat_earliest_week"].support.low <= horizon < first:
            found.append(("deadline_weeks", f"lets no deadline under {strategy} come within the {horizon} weeks"))
        for name, message in found:
            overridden = name in scenario.strategies[strategy]
            path: Path = ("strategies", strategy, name) if overridden else ("parameters", name)
            if path not in seen:
                seen.add(path)
                yield _warning(path, message)


def _without_mechanism(scenario: "Scenario") -> Iterator[Fault]:
    """Parameters of the base that differ from their neutral values while their mechanism is off everywhere."""
    worlds = _worlds(scenario).values()
    if not any(issue.numerical for issue in scenario.issues):
        for name in _NUMERICAL:
            if not _is_neutral(scenario, name):
                yield _warning(("parameters", name), "has no effect: no issue is numerical")
    seen: set[str] = set()
    for switches, off, names in SWITCHES:
        if any(_reaches(world, switch, off) for world in worlds for switch in switches):
            continue
        for name in names:
            if name not in seen and not _is_neutral(scenario, name):
                seen.add(name)
                which = " and ".join(switches)
                yield _warning(("parameters", name), f"has no effect: {which} never exceeds {off:g}")


def _is_neutral(scenario: "Scenario", name: str) -> bool:
    return scenario.base[name] == Fixed(float(parameter(name).default or 0.0))


def _same_strategies(scenario: "Scenario") -> Iterator[Fault]:
    seen: list[tuple[str, dict[str, Distribution]]] = []
    for strategy, world in _worlds(scenario).items():
        same = next((name for name, other in seen if other == world), None)
        if same is not None:
            yield _warning(("strategies", strategy), f"plays exactly as {same}")
        seen.append((strategy, world))


def _reaches(world: World, name: str, off: float = 0.0) -> bool:
    return world[name].support.high > off


def _warning(path: Path, message: str) -> Fault:
    return Fault(field_name(path), None, message, path=path)
