"""Trials reduced to counts: how often each measure has each value or bin, and how long each state lasted.

The counts of disjoint sets of trials add up exactly, in any order. Together with the tallies (`sim.statistics.tallies`)
they give the summary and the timeline of any number of trials, without the trials.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.scenario.columns import COMMON_COLUMNS, NULL, columns
from sim.scenario.evaluation import evaluate
from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import MEASURES
from sim.statistics.bins import BINS, SMALLEST, bin_edges, bins_of
from sim.statistics.tallies import Tally
from sim.statistics.timeline import STATES, span_places, state_inputs, state_spans

WHOLE = tuple(name for name in MEASURES if COMMON_COLUMNS[name].kind != "float32")
"""Measures in whole numbers from 0, which are counted by value."""
REAL = tuple(name for name in MEASURES if COMMON_COLUMNS[name].kind == "float32")
"""Measures that are counted by bin (`sim.statistics.bins`)."""
_VALUES = 1 << 15


@dataclass(frozen=True)
class Counts:
    """How often each key occurs: int64 arrays of one shape, in increasing order of (replicate, key), without zeros.

    The key is a value of a measure in `WHOLE`, a bin of one in `REAL`, and the span of a state: the first week in it
    times (horizon + 2), plus the first week no longer in it.
    """

    replicate: np.ndarray
    key: np.ndarray
    count: np.ndarray


_NOTHING = Counts(*(np.empty(0, np.int64) for _ in range(3)))


def no_counts() -> dict[str, Counts]:
    """The counts of no trials."""
    return dict.fromkeys(counted_names(), _NOTHING)


def counted_names() -> tuple[str, ...]:
    """The names of what is counted: measures and states."""
    return (*MEASURES, *(f"state.{state.name}" for state in STATES))


def key_count(name: str, horizon_weeks: int) -> int:
    """The number of keys that something counted can have: they are less than this."""
    if name in REAL:
        return BINS
    return _VALUES if name in WHOLE else (horizon_weeks + 2) ** 2


def count_trials(
    scenario: Scenario, strategy: str, table: Mapping[str, np.ndarray], replicates: int
) -> dict[str, Counts]:
    """The counts of consecutive trials of a strategy, columns as `sim.model.kernel.simulate` returns them.

    Trial *i* belongs to replicate *i* mod `replicates`. A measure is counted in the trials in which it is not null.
    """
    replicate = table["trial"] % replicates
    return count_measures(table, replicate) | _count_states(scenario, strategy, table, replicate)


def count_measures(table: Mapping[str, np.ndarray], replicate: np.ndarray) -> dict[str, Counts]:
    """The counts of the measures; `replicate` is that of each trial."""
    found = {}
    for name in MEASURES:
        column = table[name]
        known = ~np.isnan(column) if name in REAL else column != NULL
        numbers = column[known]
        found[name] = _counted(bins_of(numbers) if name in REAL else numbers.astype(np.int64), replicate[known])
    return found


def _count_states(
    scenario: Scenario, strategy: str, table: Mapping[str, np.ndarray], replicate: np.ndarray
) -> dict[str, Counts]:
    read, fixed = state_inputs(scenario, strategy)
    known = {column.name: column for column in columns(scenario)}
    values = {name: evaluate(value, table, known).astype(np.float64, copy=False) for name, value in read.items()}
    values |= {name: np.full(replicate.shape, value) for name, value in fixed.items()}
    horizon = scenario.horizon_weeks
    places = span_places(state_spans(values, horizon), horizon)
    return {f"state.{name}": _counted(place, replicate) for name, place in places.items()}


def _counted(key: np.ndarray, replicate: np.ndarray) -> Counts:
    if not key.size:
        return _NOTHING
    least = int(key.min())
    width = int(key.max()) - least + 1
    counted = np.bincount(replicate * width + (key - least))
    place = np.flatnonzero(counted)
    return Counts(place // width, least + place % width, counted[place])


def merge_counts(parts: Sequence[Mapping[str, Counts]]) -> dict[str, Counts]:
    """The counts of disjoint sets of trials together."""
    return {name: _merged([part[name] for part in parts]) for name in parts[0]}


def _merged(parts: Sequence[Counts]) -> Counts:
    if len(parts) == 1:
        return parts[0]
    replicate, key, count = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("replicate", "key", "count")
    )
    if not key.size:
        return parts[0]
    code = (replicate << 32) | key
    order = np.argsort(code, kind="stable")
    code = code[order]
    first = np.flatnonzero(np.concatenate([[True], code[1:] != code[:-1]]))
    return Counts(code[first] >> 32, code[first] & 0xFFFFFFFF, np.add.reduceat(count[order], first))


def equal_counts(a: Counts, b: Counts) -> bool:
    """Whether two counts are the same."""
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("replicate", "key", "count"))


def disagreement(tallies: Sequence[Tally], counts: Mapping[str, Counts]) -> str | None:
    """The name of something whose counts do not agree with the tallies of the same trials' replicates; None if all do.

    A mean agrees if it lies between those of the edges of the bins, and a state is counted in all trials.
    """
    for name, own in counts.items():
        if name in MEASURES:
            numbers = [tally.measures[name].count for tally in tallies]
        else:
            numbers = [tally.trials for tally in tallies]
        if own.key.size and own.replicate.max() >= len(tallies):
            return name
        if np.bincount(own.replicate, own.count, len(tallies)).astype(np.int64).tolist() != numbers:
            return name
        low, high = bin_edges(own.key) if name in REAL else (own.key, own.key)
        least, most = (np.bincount(own.replicate, own.count * edge, len(tallies)) for edge in (low, high))
        for tally, below, above in zip(tallies, least.tolist(), most.tolist(), strict=True):
            if name in MEASURES and tally.measures[name].count:
                total = tally.measures[name].mean * tally.measures[name].count
                slack = 1e-9 * (abs(below) + abs(above)) + SMALLEST * tally.trials
                if not below - slack <= total <= above + slack:
                    return name
    return None
