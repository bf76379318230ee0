"""Bands of a course of probabilities hold all weeks together."""

import numpy as np
import pytest
from scipy.special import ndtri

from sim.statistics.estimates import TAIL, proportion
from sim.statistics.timeline import count_spans, count_states, simultaneous_tail

HORIZON, TRIALS, RUNS = 30, 2000, 300


def spans(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A state entered in a geometric week and left after another geometric number of weeks."""
    start = rng.geometric(0.08, TRIALS)
    return np.minimum(start, HORIZON + 1), np.minimum(start + rng.geometric(0.1, TRIALS), HORIZON + 1)


def truth() -> np.ndarray:
    entered = 0.08 * 0.92 ** np.arange(HORIZON)
    return np.array([(entered[:week] * 0.9 ** np.arange(week)[::-1]).sum() for week in range(1, HORIZON + 1)])


@pytest.mark.slow
def test_bands_cover_the_whole_course_and_weekly_intervals_do_not():
    """Of 300 bands of 95 % at least 273 hold it (4 standard errors; a coverage of 85 % would, once in 10 million)."""
    bands = weekly = 0
    for seed in range(RUNS):
        found = {"state": spans(np.random.default_rng(seed))}
        hits = count_states(found, np.zeros(TRIALS, np.int64), 1, HORIZON)["state"][0]
        tail = simultaneous_tail(count_spans(found, HORIZON)["state"])
        for kind, own in (("band", tail), ("weekly", TAIL)):
            each = [proportion(int(hit), TRIALS, own) for hit in hits]
            held = all(one["low"] <= p <= one["high"] for one, p in zip(each, truth(), strict=True))
            bands, weekly = bands + (held and kind == "band"), weekly + (held and kind == "weekly")
    assert bands >= 273
    assert weekly < 240


def test_a_course_of_one_step_needs_no_more_than_a_weeks_interval():
    """A state that all who enter it enter in one week is one proportion; one that nobody enters needs nothing."""
    start = np.where(np.arange(TRIALS) < 700, 5, HORIZON + 1)
    one = simultaneous_tail(count_spans({"state": (start, np.full(TRIALS, HORIZON + 1))}, HORIZON)["state"])
    assert -ndtri(one) == pytest.approx(1.96, abs=0.1)
    never = np.full(TRIALS, HORIZON + 1)
    assert simultaneous_tail(count_spans({"state": (never, never)}, HORIZON)["state"]) == TAIL
