"""Boxes: found where they are, and not where there is nothing."""

import numpy as np
import pytest

from sim.statistics.estimates import proportion
from sim.statistics.scenario_discovery import find_boxes


def test_a_box_is_found_with_its_bounds():
    rng = np.random.default_rng(1)
    columns = {name: rng.random(20_000) for name in ("a", "b", "c")}
    happened = (columns["a"] > 0.7) & (columns["b"] <= 0.4)
    best, *others = find_boxes(columns, happened)
    assert not others
    assert set(best.ranges) == {"a", "b"}
    assert best.ranges["a"] == pytest.approx((0.7, np.inf), abs=1e-3)
    assert best.ranges["b"] == pytest.approx((-np.inf, 0.4), abs=1e-3)
    assert (best.holds(columns) == happened).mean() > 0.999
    assert (best.holds(columns, without="b") == (columns["a"] > best.ranges["a"][0])).all()


def test_boxes_are_disjoint_and_the_likeliest_comes_first():
    rng = np.random.default_rng(2)
    columns = {name: rng.random(20_000) for name in ("a", "b")}
    happened = rng.random(20_000) < columns["a"] * columns["b"]
    boxes = find_boxes(columns, happened)
    inside = np.array([box.holds(columns) for box in boxes])
    assert inside.sum(axis=0).max() == 1
    density = [happened[own].mean() for own in inside]
    assert density == sorted(density, reverse=True)
    assert min(density) > happened.mean()


def test_boxes_found_in_noise_are_worth_nothing_on_other_trials():
    rng = np.random.default_rng(3)
    columns = {str(k): rng.random(20_000) for k in range(20)}
    happened = rng.random(20_000) < 0.3
    half = np.arange(20_000) % 2 == 0
    boxes = find_boxes({name: column[half] for name, column in columns.items()}, happened[half])
    assert boxes
    best = boxes[0].holds(columns)
    assert happened[best & half].mean() > 0.35, "on the trials it was found on it looks good"
    held_out = happened[best & ~half]
    honest = proportion(int(held_out.sum()), held_out.size)
    assert honest["low"] <= 0.3 <= honest["high"]


def test_too_few_trials_have_no_box():
    assert find_boxes({"a": np.arange(150.0)}, np.arange(150) > 70) == []
