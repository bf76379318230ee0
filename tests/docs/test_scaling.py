import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docs.scaling import SPREAD, wall_seconds

COUNTS = st.integers(1, 60)


@settings(max_examples=50)
@given(COUNTS, COUNTS, st.floats(0.01, 10.0), st.floats(0.0, 1.0))
def test_no_number_of_workers_is_faster_than_its_share_of_the_work(tasks, workers, task_seconds, latency):
    alone = wall_seconds(tasks, task_seconds, 1, latency, 1, 0.0)
    together = wall_seconds(tasks, task_seconds, 1, latency, workers, 0.0)
    assert alone / workers <= together * (1 + 1e-9)
    assert together <= alone * (1 + 1e-9)
    # A list schedule is within its longest task of an even one (Graham 1969).
    longest = task_seconds * (1 + 6 * SPREAD) + 20 * latency
    assert together <= alone / workers + longest


def test_equal_work_on_as_many_workers_as_tasks_takes_one_task():
    whole = wall_seconds(40, 2.0, 3, 0.0, 40, 0.0)
    assert 2.0 < whole < 2.0 * (1 + 6 * SPREAD)


def test_a_slow_driver_is_the_limit():
    assert wall_seconds(200, 0.001, 1, 0.0, 1000, 1.0) == pytest.approx(200.0, rel=0.01)
