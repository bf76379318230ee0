"""The dispute, played: from parameters to the table of trials.

A trial is a dispute of `horizon_weeks` weeks, and each week has nine steps. Read here where each is played:

1. Announcement   `Quiet`: the week of the announcement; `lay_out_threat`: whether the target defies it;
                  `lay_out_case`: files.
2. Reframing      `lay_out_reframing`: which numerical issues count as voluntary plans from which week on.
3. Concessions    `lay_out_shifts`: how threat, sanctions, litigation and a lapse change both sides' hazards;
                  `bargain`: who concedes on what.
4. Costs          `incidence`: annual costs of a tariff; `read_trials`: the weeks they accrued.
5. Agreement      `bargain`: the week in which enough weight is settled; `read_trials`: what it is worth;
                  `lay_out_breach`: when it is broken.
6. Fatigue        `lay_out_case`: when sanctions in force are withdrawn.
7. Litigation     `lay_out_case`: consultation, panel, appeal, compliance, authorised retaliation.
8. Deadline       `lay_out_threat`, `decide`: a partial deal, sanctions, an extension or a retreat;
                  `lay_out_tranches`: the parts in which sanctions come; `lay_out_case`: the answer to sanctions.
9. Retreat        `lay_out_case`, `read_trials`: what lapses once sanctions are withdrawn or dropped;
                  `first_lapse`, `lay_out_lapse`: when talks lapse.

Where nothing depends on the table and one strategy is played, its `Course` is known before the talks, which are played
in one pass. Else a trial has two parts. In the weeks before a threat (`Quiet`) little happens besides the talks, and
strategies that differ only in what follows share these weeks. With its announcement a trial enters the second part
(`Course`). What happens there apart from the talks depends on them only through the weight of the settled issues, and
is computed for all weeks at once, as it would be if nothing more were settled. The talks of both parts are played week
by week by `bargain`. Where a settled issue changes what happens at a deadline, `Course` computes the rest of that trial
again. Finally each trial is read up to its end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.model.bargaining import Clocks, Entry, Talks, Terms, bargain, most_concessions, open_talks
from sim.model.course import Course
from sim.model.outcomes import read_trials
from sim.model.quiet import Quiet, is_known_before_talks, watches_table
from sim.model.sharing import Shared
from sim.sampling.base import Design
from sim.sampling.chance import Chance, KeptChance
from sim.sampling.designs import RANDOM
from sim.sampling.points import Points, draw_points_of_strategies
from sim.scenario.distributions import Fixed
from sim.scenario.scenario import Scenario

CLOCKS_AT_A_TIME = 2**20
"""Concession clocks run at a time, trials x issues x sides. With fewer, a week's fixed cost weighs more."""
CLOCKS_IN_ONE_PASS = 2**18
"""The same where the talks are played in one pass: its weeks cost less, and what few trials need stays in the cache."""


def simulate(scenario: Scenario, strategy: str, chance: Chance, design: Design = RANDOM) -> dict[str, np.ndarray]:
    """Play the trials of `chance` of a scenario under a strategy.

    Returns an array of shape (count,) for each column of `sim.scenario.columns.columns` but the strategy. A trial's
    row depends on the scenario, the strategy, the seed, the design and its number alone. Raises `InvalidInput`.
    """
    return simulate_strategies(scenario, (strategy,), chance, design)[strategy]


def simulate_strategies(
    scenario: Scenario, strategies: Sequence[str], chance: Chance, design: Design = RANDOM
) -> dict[str, dict[str, np.ndarray]]:
    """Play the trials of `chance` of a scenario under each of several strategies: the tables of `simulate`.

    Points and chance that strategies share are drawn once. Raises `InvalidInput`.
    """
    blocks: dict[str, list[dict[str, np.ndarray]]] = {strategy: [] for strategy in strategies}
    block_size = _clocks_at_a_time(scenario, strategies) // (2 * len(scenario.issues))
    for start in range(0, chance.count, block_size):
        part = chance.part(start, min(block_size, chance.count - start))
        points = draw_points_of_strategies(scenario, strategies, part, design)
        clocks = Clocks(scenario, part, max(most_concessions(scenario, own) for own in points.values()) + 1)
        kept, shared, drawn = KeptChance(part), Shared(), _Drawn(part.count)
        for strategy in strategies:
            played = _play(scenario, points[strategy], kept, clocks, shared, alone=len(strategies) == 1)
            blocks[strategy].append(_read(scenario, played, drawn))
    return {strategy: _joined(parts) for strategy, parts in blocks.items()}


def _clocks_at_a_time(scenario: Scenario, strategies: Sequence[str]) -> int:
    if len(strategies) > 1:
        return CLOCKS_AT_A_TIME
    given = scenario.parameters(strategies[0])
    fixed = {name: value.value for name, value in given.items() if isinstance(value, Fixed)}
    return CLOCKS_IN_ONE_PASS if is_known_before_talks(fixed) else CLOCKS_AT_A_TIME


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class _Drawn:
    """Drawn parameters as columns; strategies that share a parameter's points share its column."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._columns: dict[int, tuple[object, np.ndarray]] = {}

    def column(self, value: np.ndarray | float) -> np.ndarray:
        """float32, shape (count,), not to be changed."""
        if id(value) not in self._columns:
            column = np.broadcast_to(np.asarray(value, np.float32), (self._count,))
            # The value is kept, so that nothing else can have its identity.
            self._columns[id(value)] = value, column
        return self._columns[id(value)][1]


@dataclass(frozen=True)
class Played:
    """What happened in a block of trials, before it is read into columns."""

    course: Course
    talks: Talks


def play_weeks(scenario: Scenario, points: Points, chance: Chance) -> Played:
    """Play a block of trials at given parameter points."""
    clocks = Clocks(scenario, chance, most_concessions(scenario, points) + 1)
    return _play(scenario, points, KeptChance(chance), clocks, Shared(), alone=True)


def _play(
    scenario: Scenario, points: Points, chance: KeptChance, clocks: Clocks, shared: Shared, *, alone: bool
) -> Played:
    """Play a block of trials, with what strategies played before share with this one, unless it is `alone`."""
    if alone and is_known_before_talks(points):
        terms, talks, everyone = open_talks(scenario, points, clocks)
        course = Course(scenario, points, chance, Quiet(scenario, points, chance, False), shared)
        bargain(scenario, terms, talks, everyone, course, clocks)
        return Played(course, talks)
    begun = shared.result(_begin, scenario, points, chance, clocks, watches_table(points))
    course = Course(scenario, points, chance, begun.quiet, shared)
    talks = begun.talks if alone else begun.talks.copy()
    if begun.threatened.trial.size:
        bargain(scenario, begun.terms, talks, begun.threatened, course, clocks)
    return Played(course, talks)


@dataclass(frozen=True)
class _Begun:
    """The weeks of a block of trials until a threat or sanctions."""

    terms: Terms
    talks: Talks
    quiet: Quiet
    threatened: Entry
    """The trials that come to a threat, or have sanctions from the start, in the order in which they do."""


def _begin(scenario: Scenario, points: Points, chance: KeptChance, clocks: Clocks, watched: bool) -> _Begun:
    """Play the weeks of a block of trials until a threat or sanctions."""
    terms, talks, everyone = open_talks(scenario, points, clocks)
    quiet = Quiet(scenario, points, chance, watched)
    threatened = bargain(scenario, terms, talks, everyone, quiet, clocks)
    quiet.end(threatened.trial)
    return _Begun(terms, talks, quiet, threatened)


def read_played(scenario: Scenario, played: Played) -> dict[str, np.ndarray]:
    """A block of played trials up to the scenario's horizon, or to their agreement; the columns of `simulate`.

    The scenario may have a shorter horizon than the one that was played.
    """
    return _read(scenario, played, _Drawn(played.course.chance.count))


def _read(scenario: Scenario, played: Played, drawn: _Drawn) -> dict[str, np.ndarray]:
    chance = played.course.chance.chance
    return {
        "trial": np.arange(chance.first, chance.first + chance.count),
        **read_trials(scenario, played.course, played.talks),
        **{name: drawn.column(played.course.points[name]) for name in scenario.uncertain},
    }


def play(scenario: Scenario, points: Points, chance: Chance) -> dict[str, np.ndarray]:
    """Play a block of trials at given parameter points; the columns of `simulate`."""
    return read_played(scenario, play_weeks(scenario, points, chance))
