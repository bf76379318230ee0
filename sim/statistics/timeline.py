"""The state of a dispute in each week, read from the columns of finished trials.

A trial's columns record weeks, not states; but a state begins and ends with events whose weeks are recorded or follow
from others, so that each state of each trial is a span of weeks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from sim.model.calendar import whole_weeks
from sim.scenario.distributions import Fixed
from sim.scenario.expressions import Expression, parse_measure
from sim.scenario.scenario import Scenario
from sim.statistics.estimates import TAIL
from sim.statistics.tallies import common_term

DRAWS = 4000
BY_THEN, AT_THE_END, DURING = "by then", "at the end of the week", "during the week"


@dataclass(frozen=True)
class State:
    """A state, its label for charts, the time in a week to which it refers, and its meaning."""

    name: str
    label: str
    when: str
    meaning: str


STATES = (
    State("agreement", "agreement reached", BY_THEN, "an agreement was reached"),
    State("agreement_in_talks", "agreement in talks", BY_THEN, "an agreement was reached before any threat"),
    State(
        "agreement_under_threat", "agreement under threat", BY_THEN, "an agreement was reached under a standing threat"
    ),
    State(
        "agreement_under_sanctions", "agreement under sanctions", BY_THEN, "an agreement was reached under sanctions"
    ),
    State(
        "agreement_after_retreat",
        "agreement after a retreat",
        BY_THEN,
        "an agreement was reached after the sender had backed down or withdrawn",
    ),
    State("threat", "sanctions announced", BY_THEN, "sanctions were announced"),
    State("sanctions", "sanctions imposed", BY_THEN, "sanctions were imposed, or in force from the start"),
    State("complaint", "complaint filed", BY_THEN, "the target complained to the WTO"),
    State("ruling_for_target", "ruling for the target", BY_THEN, "a final ruling found for the target"),
    State("ruling_for_sender", "ruling for the sender", BY_THEN, "a final ruling found for the sender"),
    State("partial_deal", "partial deal", BY_THEN, "an agreement was signed at a deadline with issues open"),
    State("breached", "agreement breached", BY_THEN, "an agreement was reached, and broken"),
    State("quiet", "no threat yet", AT_THE_END, "no agreement, no threat yet and no sanctions"),
    State("threat_standing", "threat standing", AT_THE_END, "no agreement, and a deadline still to come"),
    State(
        "sanctions_standing", "sanctions standing", AT_THE_END, "no agreement, and sanctions imposed and not withdrawn"
    ),
    State("backed_down", "sender backed down", AT_THE_END, "no agreement, and the threat dropped at a deadline"),
    State("withdrawn", "sanctions withdrawn", AT_THE_END, "no agreement, and sanctions withdrawn"),
    State("lapsed", "talks lapsed", AT_THE_END, "no agreement, and talks lapsed and not resumed by the horizon"),
    State("sanctions_in_force", "sanctions in force", DURING, "sanctions in force, as sanctions_weeks counts them"),
    State(
        "retaliation_in_force", "retaliation in force", DURING, "retaliation in force, as retaliation_weeks counts them"
    ),
)
EXCLUSIVE_STATES = (
    "agreement_in_talks",
    "agreement_under_threat",
    "agreement_under_sanctions",
    "agreement_after_retreat",
    "quiet",
    "threat_standing",
    "sanctions_standing",
    "backed_down",
    "withdrawn",
)
"""States of which each trial is in exactly one at the end of every week."""

WEEKS = (
    "agreement_week",
    "threat_week",
    "sanctions_week",
    "filing_week",
    "ruling_week",
    "lapse_week",
    "breach_week",
)
COUNTS = ("sanctions_weeks", "retaliation_weeks", "extensions")
CONDITIONS = (*(state.name for state in STATES[1:5]), "retreat", "ruling_for_target", "partial_deal")
DURATIONS = ("deadline_weeks", "extension_weeks")

Spans = dict[str, tuple[np.ndarray, np.ndarray | int]]
"""By state the first week in it in each trial, and the first week no longer in it, int32 or one number for all trials.
The state is never entered where the second is not later."""


def state_inputs(scenario: Scenario, strategy: str) -> tuple[dict[str, Expression], dict[str, float]]:
    """What `state_spans` needs of a strategy's trials: values to read from each, and those that are fixed."""
    distributions = scenario.parameters(strategy)
    fixed = {
        name: given.value
        for name in DURATIONS
        if name not in scenario.uncertain and isinstance(given := distributions[name], Fixed)
    }
    drawn = {name: parse_measure(name, scenario) for name in DURATIONS if name not in fixed}
    return {**{name: common_term(name) for name in (*WEEKS, *COUNTS, *CONDITIONS)}, **drawn}, fixed


def state_spans(trials: Mapping[str, np.ndarray], horizon_weeks: int) -> Spans:
    """The span of weeks that each trial spends in each of `STATES`.

    `trials` has float64 arrays of one shape: `WEEKS` (NaN for never), `COUNTS`, `CONDITIONS` as 0 and 1, and the
    drawn `DURATIONS` in weeks.
    """
    after = horizon_weeks + 1
    agreed, announced, imposed, filed, ruled, lapsed, breached = (_week_or(trials[name], after) for name in WEEKS)
    sanctions_weeks, retaliation_weeks, extensions = (trials[name].astype(np.int32) for name in COUNTS)
    true = {name: trials[name] > 0.0 for name in CONDITIONS}
    for_target = true["ruling_for_target"]

    # Sanctions are in force from the week after their deadline, without a gap, until the trial's end or withdrawal.
    last_in_force = imposed + sanctions_weeks
    retreated = true["retreat"] | true["agreement_after_retreat"]
    withdrawn = np.where(retreated & (imposed < after), last_in_force, after)
    # No column has the deadline at which a threat was dropped, but it follows from other columns.
    first_deadline = announced + whole_weeks(trials["deadline_weeks"])
    last_deadline = first_deadline + extensions * whole_weeks(trials["extension_weeks"])
    backed_down = np.where(retreated & (imposed == after), last_deadline, after)
    threat_over = np.minimum(imposed, backed_down)

    def never_more(start: np.ndarray) -> tuple[np.ndarray, int]:
        return start, after

    def before_agreement(start: np.ndarray, stop: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        return start, agreed if stop is None else np.minimum(stop, agreed)

    return {
        "agreement": never_more(agreed),
        **{state.name: never_more(np.where(true[state.name], agreed, after)) for state in STATES[1:5]},
        "threat": never_more(announced),
        "sanctions": never_more(imposed),
        "complaint": never_more(filed),
        "ruling_for_target": never_more(np.where(for_target, ruled, after)),
        "ruling_for_sender": never_more(np.where(for_target, after, ruled)),
        "partial_deal": never_more(np.where(true["partial_deal"], agreed, after)),
        "breached": never_more(breached),
        "quiet": before_agreement(np.ones_like(agreed), np.minimum(announced, imposed)),
        "threat_standing": before_agreement(announced, threat_over),
        "sanctions_standing": before_agreement(imposed, withdrawn),
        "backed_down": before_agreement(backed_down),
        "withdrawn": before_agreement(withdrawn),
        "lapsed": before_agreement(lapsed),
        "sanctions_in_force": (imposed + 1, last_in_force + 1),
        "retaliation_in_force": (last_in_force + 1 - retaliation_weeks, last_in_force + 1),
    }


def _week_or(week: np.ndarray, after: int) -> np.ndarray:
    """Weeks as int32, with `after` for NaN."""
    return np.where(np.isnan(week), np.float64(after), week).astype(np.int32)


def count_states(spans: Spans, replicate: np.ndarray, replicates: int, horizon_weeks: int) -> dict[str, np.ndarray]:
    """The number of trials of each replicate in each state in each week; int64, shape (replicates, horizon_weeks)."""
    width = horizon_weeks + 2
    first = replicate * width

    def at(week: np.ndarray) -> np.ndarray:
        places = first + np.clip(week, 0, width - 1)
        return np.bincount(places, minlength=replicates * width).reshape(replicates, width)

    return {
        name: np.cumsum(at(start) - at(np.maximum(start, stop)), axis=1)[:, 1 : horizon_weeks + 1]
        for name, (start, stop) in spans.items()
    }


def count_spans(spans: Spans, horizon_weeks: int, weight: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """The number of trials that enter each state in one week and leave it in another, or the sum of their weights.

    Shape (horizon + 2, horizon + 2); trials that never enter a state are on the diagonal.
    """
    width = horizon_weeks + 2

    def counted(start: np.ndarray, stop: np.ndarray | int) -> np.ndarray:
        entered = np.clip(start, 0, width - 1)
        if isinstance(stop, int):
            # Left by all in one week, which is after the horizon: one column of the table.
            table = np.zeros((width, width), np.int64 if weight is None else np.float64)
            table[:, stop] = np.bincount(entered, weight, width)
            return table
        places = entered * np.int32(width) + np.maximum(np.minimum(stop, width - 1), entered)
        return np.bincount(places, weight, width * width).reshape(width, width)

    return {name: counted(*span) for name, span in spans.items()}


def span_places(spans: Spans, horizon_weeks: int) -> dict[str, np.ndarray]:
    """The place of each trial in a state's table of `count_spans`, row by row; 0 if it never enters it; int64."""
    width = horizon_weeks + 2

    def place(start: np.ndarray, stop: np.ndarray | int) -> np.ndarray:
        entered = np.clip(start, 0, width - 1).astype(np.int64)
        left = np.minimum(stop, width - 1)
        return np.where(left > entered, entered * width + left, 0)

    return {name: place(*span) for name, span in spans.items()}


def states_of_spans(counted: np.ndarray) -> np.ndarray:
    """The number of trials in a state in each week, from its table of `count_spans`: shape (1, horizon)."""
    return np.cumsum(counted.sum(axis=1) - counted.sum(axis=0))[None, 1:-1]


def simultaneous_tail(counted: np.ndarray) -> float:
    """The probability beyond each end of the weekly intervals at which all of them hold jointly with 95 %.

    `counted` is a state's table of `count_spans`. The estimates of the weeks are jointly about normal, with the
    covariances of the indicators of being in the state; the quantile of their greatest standardised error (sup-t;
    Montiel Olea & Plagborg-Moller 2019, Simultaneous confidence bands) comes from `DRAWS` draws. At most 0.025.
    """
    trials = counted.sum()
    # Trials that have entered by one week and not left by another, for the weeks from 1 to the horizon.
    entered = np.cumsum(counted, axis=0)
    held = (entered.sum(axis=1, keepdims=True) - np.cumsum(entered, axis=1))[1:-1, 1:-1]
    both = np.triu(held) + np.triu(held, 1).T
    share = np.diag(both) / trials
    moving = (share > 0.0) & (share < 1.0)
    if not moving.any():
        return TAIL
    covariance = both[np.ix_(moving, moving)] / trials - np.outer(share[moving], share[moving])
    scale = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    root = (vectors * np.sqrt(np.clip(values, 0.0, None)))[:, values > 1e-6 * values[-1]]
    errors = root.astype(np.float32) @ _draws(root.shape[1])
    # A column for each draw: the greatest error of each is found several times as fast as along rows.
    greatest = np.maximum(errors.max(axis=0), -errors.min(axis=0))
    return min(TAIL, float(ndtr(-np.quantile(greatest, 1.0 - 2.0 * TAIL))))


@lru_cache(maxsize=256)
def _draws(count: int) -> np.ndarray:
    """Standard normal numbers, float32, shape (count, `DRAWS`)."""
    return np.ascontiguousarray(np.random.default_rng(20_250_101).standard_normal((DRAWS, count), np.float32).T)
