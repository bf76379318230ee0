"""The dispute, played: from parameters to the table of trials.

A trial is a dispute of `horizon_weeks` weeks, and each week has nine steps. Read here where each is played:

1. Announcement   `lay_out_threat`: the week of the threat, whether the target defies it; `lay_out_case`: files.
2. Reframing      `bargain`: which numerical issues count as voluntary plans from this week on.
3. Concessions    `lay_out_shifts`: how threat, sanctions and litigation change both sides' hazards;
                  `bargain`: who concedes on what.
4. Costs          `incidence`: annual costs of a tariff; `read_trials`: the weeks they accrued.
5. Agreement      `bargain`: the week in which enough weight is settled; `read_trials`: what it is worth.
6. Fatigue        `lay_out_case`: when sanctions in force are withdrawn.
7. Litigation     `lay_out_case`: consultation, panel, appeal, compliance, authorised retaliation.
8. Deadline       `lay_out_threat`: sanctions, an extension or a retreat; `lay_out_case`: the answer to sanctions.
9. Retreat        `lay_out_case`, `read_trials`: what lapses once sanctions are withdrawn or dropped.

The talks depend on threat and case, but these on nothing at the table: an agreement does not change their
course, it cuts it off. So they are laid out first, all weeks at once, then the talks are played week by week,
and at last each trial is read up to its end.
"""

from dataclasses import dataclass

import numpy as np

from sim.model.bargaining import Talks, bargain
from sim.model.hazards import lay_out_shifts
from sim.model.incidence import Incidence, incidence
from sim.model.litigation import Case, lay_out_case
from sim.model.outcomes import read_trials
from sim.model.threat import Threat, lay_out_threat
from sim.sampling.chance import Chance
from sim.sampling.design import Design
from sim.sampling.designs import RANDOM, Points, draw_points
from sim.scenario.columns import columns
from sim.scenario.scenario import Scenario

CLOCKS_AT_A_TIME = 2**17
"""Concession clocks run at a time, trials x issues x sides: what they need stays in a core's cache."""


def simulate(scenario: Scenario, strategy: str, chance: Chance, design: Design = RANDOM) -> dict[str, np.ndarray]:
    """Play the trials of `chance` of a scenario under a strategy.

    Returns an array of shape (count,) for each column of `sim.scenario.columns.columns` but the strategy. A trial's
    row depends on the scenario, the strategy, the seed, the design and its number alone. Raises `InvalidInput`.
    """
    table = {
        column.name: np.empty(
            chance.count,
            "int8" if column.kind == "category" or (column.nullable and column.kind == "bool") else column.kind,
        )
        for column in columns(scenario)
        if column.name != "strategy"
    }
    block_size = CLOCKS_AT_A_TIME // (2 * len(scenario.issues))
    for start in range(0, chance.count, block_size):
        size = min(block_size, chance.count - start)
        part = chance.part(start, size)
        block = play(scenario, draw_points(scenario, strategy, part, design), part)
        for name, column in table.items():
            column[start : start + size] = block[name]
    return table


@dataclass(frozen=True)
class Course:
    """What happened in a block of trials, before it is read into columns."""

    threat: Threat
    case: Case
    talks: Talks
    sanctions: Incidence
    retaliation: Incidence


def run_course(scenario: Scenario, points: Points, chance: Chance) -> Course:
    """Play a block of trials at given parameter points."""
    threat = lay_out_threat(points, chance)
    case = lay_out_case(points, threat, chance)
    sanctions = incidence(
        points["sanctioned_trade"],
        points["tariff_rate"],
        points["import_elasticity"],
        points["supply_elasticity"],
    )
    retaliation = incidence(
        points["sanctioned_trade"] * points["retaliation_share"],
        points["retaliation_tariff"],
        points["retaliation_import_elasticity"],
        points["retaliation_supply_elasticity"],
    )
    shifts = lay_out_shifts(points, threat, case, sanctions, retaliation, scenario.horizon_weeks)
    talks = bargain(scenario, points, shifts, chance)
    return Course(threat, case, talks, sanctions, retaliation)


def read_course(scenario: Scenario, points: Points, course: Course, chance: Chance) -> dict[str, np.ndarray]:
    """A block of played trials up to the scenario's horizon, or to their agreement; the columns of `simulate`."""
    return {
        "trial": np.arange(chance.first, chance.first + chance.count),
        **read_trials(scenario, points, course.threat, course.case, course.talks, course.sanctions, course.retaliation),
        **{name: np.broadcast_to(points[name], (chance.count,)) for name in scenario.uncertain},
    }


def play(scenario: Scenario, points: Points, chance: Chance) -> dict[str, np.ndarray]:
    """Play a block of trials at given parameter points; the columns of `simulate`."""
    course = run_course(scenario, points, chance)
    return read_course(scenario, points, course, chance)
