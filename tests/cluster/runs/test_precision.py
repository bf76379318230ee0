"""Precision instead of a number of trials: when a run stops, and that it is then any run of so many trials."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from cluster.results.result_folder import verify
from cluster.runs.options import Progress, RunOptions
from cluster.runs.precision import run_to_precision
from cluster.runs.run import Stopped, run
from sim.faults import InvalidInput
from sim.sampling.designs import RANDOM, SOBOL
from sim.statistics.estimates import proportion, proportion_of_replicates
from sim.statistics.stopping import FIRST_LOOK, GROWTH, first_look, next_look, trials_needed
from tests.support.runs import small_plan

MOST = 200_000
REQUESTED = {"agreement": 0.006, "target_cost": 0.02}


def plan(trials: int = MOST, **options: object):
    return small_plan(trials=trials, **{"shard_trials": 10_000, "strategies": ("threaten",)} | options)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module", params=["random", "sobol"])
def precise(request, tmp_path_factory) -> tuple[str, Path, dict, dict]:
    folder = tmp_path_factory.mktemp("precise") / "run"
    return (
        request.param,
        folder,
        *run_to_precision(plan(design=request.param), folder, REQUESTED, RunOptions(engine="inline")),
    )


def test_a_precise_run_is_the_run_of_its_number_of_trials(precise, tmp_path):
    design, folder, summary, took = precise
    assert took["looks"][0] == FIRST_LOOK < took["trials"] == took["looks"][-1] == summary["trials"] < MOST
    assert took["trials"] % 10_000 != 0
    assert run(plan(took["trials"], design=design), tmp_path / "direct", RunOptions(engine="inline")) == summary
    assert contents(tmp_path / "direct") == contents(folder)
    assert verify(folder) == []


def test_a_run_stops_once_all_is_as_precise_as_requested(precise):
    _, _, summary, took = precise
    found = summary["strategies"]["threaten"]
    agreement, cost = found["events"]["agreement"], found["measures"]["target_cost"]["mean"]
    assert took["reached"]
    for estimate, (name, requested) in zip((agreement, cost), REQUESTED.items(), strict=True):
        half = (estimate["high"] - estimate["low"]) / 2
        assert half <= requested
        assert took["requested"][name]["half_widths"] == {"threaten": half}


def test_an_interrupted_run_ends_where_it_would_have_ended(precise, tmp_path):
    design, folder, _, took = precise

    def stop(progress: Progress) -> None:
        if progress.trials_total > FIRST_LOOK and progress.shards_done == 2:
            raise KeyboardInterrupt

    with pytest.raises(Stopped, match=f"of {took['looks'][1]} trials committed"):
        run_to_precision(
            plan(design=design), tmp_path / "run", REQUESTED, RunOptions(engine="inline", on_progress=stop)
        )
    run_to_precision(plan(design=design), tmp_path / "run", REQUESTED, RunOptions(engine="inline"))
    assert contents(tmp_path / "run") == contents(folder)


def test_a_run_with_fewer_trials_is_continued_and_one_with_more_is_not(tmp_path):
    run(plan(12_000), tmp_path / "run", RunOptions(engine="inline"))
    with pytest.raises(InvalidInput, match="holds a run of 12000 trials already"):
        run_to_precision(plan(11_999), tmp_path / "run", {"agreement": 0.1}, RunOptions(engine="inline"))
    with pytest.raises(InvalidInput, match="seed is 11, not 12"):
        run_to_precision(plan(seed=12), tmp_path / "run", {"agreement": 0.1}, RunOptions(engine="inline"))
    summary, took = run_to_precision(plan(), tmp_path / "run", {"agreement": 0.1}, RunOptions(engine="inline"))
    assert (took["looks"], summary["trials"]) == ([12_000], 12_000)
    _, took = run_to_precision(plan(), tmp_path / "run", {"agreement": 0.006}, RunOptions(engine="inline"))
    run(plan(took["trials"]), tmp_path / "direct", RunOptions(engine="inline"))
    assert contents(tmp_path / "direct") == contents(tmp_path / "run")


@pytest.mark.parametrize("design", ["random", "sobol"])
def test_the_most_trials_are_a_limit_and_the_trials_needed_are_reported(tmp_path, design):
    """What is foretold is an estimate: half as many again suffices, a third less does not."""
    summary, took = run_to_precision(
        plan(18_000, design=design), tmp_path / "run", {"agreement": 0.005}, RunOptions(engine="inline")
    )
    assert not took["reached"]
    assert took["trials"] == summary["trials"] == {"random": 18_000, "sobol": FIRST_LOOK}[design]
    needed = took["requested"]["agreement"]["trials_needed"]
    _, less = run_to_precision(
        plan(needed * 2 // 3, design=design), tmp_path / "run", {"agreement": 0.005}, RunOptions(engine="inline")
    )
    _, more = run_to_precision(
        plan(needed * 3 // 2, design=design), tmp_path / "run", {"agreement": 0.005}, RunOptions(engine="inline")
    )
    assert (less["reached"], more["reached"]) == (False, True)


def test_a_measure_that_is_never_known_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr("cluster.runs.precision.FIRST_LOOK", 200)
    _, took = run_to_precision(
        plan(strategies=("threaten", "talk")), tmp_path / "run", {"threat_week": 1.0}, RunOptions(engine="inline")
    )
    assert took["looks"] == [FIRST_LOOK]
    assert took["requested"]["threat_week"]["never_known"] == ["talk"]
    assert took["requested"]["threat_week"]["half_widths"]["talk"] is None


@pytest.mark.parametrize(
    ("requested", "design", "says"),
    [
        (
            {"agremeent": 0.1},
            "random",
            "agreement_in_talks, .*, retaliation, .*, agreement_week, .*, balance_",
        ),
        ({"agreement": 0.0}, "random", "precision.agreement: .*between 0 and 0.5"),
        ({"agreement": 0.5}, "random", "precision.agreement"),
        ({"agreement": float("nan")}, "random", "precision.agreement"),
        ({"target_cost": -1.0}, "random", "precision.target_cost: .*above 0"),
        ({"target_cost": float("inf")}, "random", "precision.target_cost"),
        ({"agreement": 1e-300}, "random", "precision.agreement: must be at least 1e-10"),
        ({"target_cost": 5e-324}, "random", "precision.target_cost: must be at least 1e-10"),
        ({"agreement": 0.1}, "latin_hypercube", "random, sobol: the points of latin_hypercube depend on the number"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(tmp_path, requested, design, says):
    with pytest.raises(InvalidInput, match=says):
        run_to_precision(plan(design=design), tmp_path / "run", requested, RunOptions(engine="inline"))
    assert not (tmp_path / "run").exists()


def test_sobol_runs_stop_only_at_whole_nets():
    for trials in (16, 1000, FIRST_LOOK, 99_999, 10**6):
        for needed in (trials + 1, trials + 5000, 3 * trials, 10**9, None):
            found = next_look(SOBOL, trials, needed, 10**9)
            assert found > trials
            assert found <= max(1.25 * min(needed or 10**10, GROWTH * trials), trials + 20_000)
            points, rest = divmod(found, 16)
            assert rest == 0
            net = points & -points
            assert points // net < 8
    assert first_look(SOBOL, 1000) == 16 * 56
    assert next_look(SOBOL, 1024, 10**6, 1100) == 1024
    assert next_look(RANDOM, 1024, 10**6, 1100) == 1100


@pytest.mark.parametrize(
    ("replicates", "needed", "claimed"), [*itertools.product((1,), (20_000, 60_000), (0.95,)), (16, 60_000, 0.94)]
)
def test_intervals_at_the_end_of_precise_runs_have_their_coverage(replicates, needed, claimed):
    """2,500 runs of the stopping rule on binomial numbers; 4.5 standard errors are 2 points.

    Stopping at the first of many small steps whose interval is narrow enough would hold it in fewer cases.
    """
    rng, probability, runs = np.random.default_rng(5), 0.3, 2500
    requested = 1.96 * np.sqrt(probability * (1 - probability) / needed)
    design = RANDOM if replicates == 1 else SOBOL
    held = 0
    for _ in range(runs):
        trials = first_look(design, 10**8)
        hits = rng.binomial(trials // replicates, probability, replicates)
        while True:
            size = trials // replicates
            found = (
                proportion(int(hits[0]), size)
                if replicates == 1
                else proportion_of_replicates(hits.tolist(), [size] * replicates)
            )
            half = (found["high"] - found["low"]) / 2
            if half <= requested:
                break
            following = next_look(design, trials, trials_needed(trials, half, requested), 10**8)
            hits = hits + rng.binomial((following - trials) // replicates, probability, replicates)
            trials = following
        held += found["low"] <= probability <= found["high"]
    assert abs(held / runs - claimed) < 0.02
