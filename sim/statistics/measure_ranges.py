"""The values that a measure can have under a strategy, from the scenario.

If a measure has the same value in every trial played, its error cannot be estimated from the trials. The values that
other trials could have follow from the scenario: a strategy that never threatens has no sanctions and no cost of them,
and a number of weeks lies between 0 and the horizon.
"""

from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import MEASURES
from sim.statistics.estimates import ANY_NUMBER, Range

NOTHING: Range = (0.0, 0.0)


def measure_ranges(scenario: Scenario, strategy: str) -> dict[str, Range]:
    """The least and the greatest value that each of `MEASURES` can have; infinite where no bound is known."""
    given = scenario.parameters(strategy)
    horizon = float(scenario.horizon_weeks)
    never_threatens = given["threat_probability"].support.high == 0.0
    never_imposes = never_threatens or given["follow_through"].support.high == 0.0
    never_extends = (
        never_threatens
        or given["extension_probability"].support.high == 0.0
        or given["follow_through"].support.low == 1.0
    )
    no_trade_hit = never_imposes or any(given[name].support.high == 0.0 for name in ("sanctioned_trade", "tariff_rate"))
    weeks = (1.0, horizon)
    ranges = {
        "agreement_week": weeks,
        "threat_week": weeks,
        "sanctions_week": weeks,
        "filing_week": weeks,
        "ruling_week": weeks,
        "sanctions_weeks": NOTHING if never_imposes else (0.0, horizon),
        "retaliation_weeks": NOTHING if never_imposes else (0.0, horizon),
        "extensions": NOTHING if never_extends else (0.0, horizon),
        "sender_cost": NOTHING if no_trade_hit else ANY_NUMBER,
        "target_cost": NOTHING if no_trade_hit else ANY_NUMBER,
    }
    if given["full_access"].support.high == 0.0:
        ranges["export_gain"] = NOTHING
        ranges["balance_change"] = NOTHING if no_trade_hit else ANY_NUMBER
    return {name: ranges.get(name, ANY_NUMBER) for name in MEASURES}


def difference_range(first: Range, second: Range) -> Range:
    """The range of the first measure's value less the second's."""
    return first[0] - second[1], first[1] - second[0]
