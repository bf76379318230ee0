"""Estimates as trials are added: each is what a run of so many trials gives."""

from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from cluster.answers.convergence import looks
from cluster.answers.registry import ask
from cluster.query.trials import StoredRun, open_run
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from tests.support.answers import result_of
from tests.support.runs import small_plan

convergence = partial(result_of, "convergence")


def stored(folder: Path, **options: object) -> StoredRun:
    run(small_plan(**options), folder, RunOptions(engine="inline"))
    return open_run(folder)


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> StoredRun:
    """In shards whose bounds are not among the numbers of trials that are looked at."""
    return stored(tmp_path_factory.mktemp("convergence") / "run", trials=3300, shard_trials=700)


def test_the_looks_are_round_numbers_and_the_last():
    assert looks(60) == [60]
    assert looks(100) == [100]
    assert looks(3300) == [100, 200, 500, 1000, 2000, 3300]


def test_each_estimate_is_that_of_the_first_trials(found):
    answer = convergence(found, measure="agreement_week")
    assert answer["after"] == [100, 200, 500, 1000, 2000, 3300]
    table = pd.read_parquet(f"{found.folder.address}/trials")
    for name, one in answer["strategies"].items():
        column = table[table.strategy == name].set_index("trial").sort_index().agreement_week.astype(float)
        assert one["trials"] == answer["after"]
        for k, after in enumerate(answer["after"]):
            assert one["estimate"][k] == pytest.approx(column[:after].mean())
            assert one["standard_error"][k] == pytest.approx(column[:after].sem())
            assert one["low"][k] < one["estimate"][k] < one["high"][k]


def test_the_estimates_agree_with_smaller_runs_and_the_summary(found, tmp_path):
    answer = convergence(found, measure="agreement", strategies=["threaten"])["strategies"]["threaten"]
    for k, trials in ((3, 1000), (5, 3300)):
        small = stored(tmp_path / str(trials), trials=trials) if trials != 3300 else found
        event = ask(small, "summary")["strategies"]["threaten"]["events"]["agreement"]
        assert {key: answer[key][k] for key in event} == pytest.approx(event)


def test_replicates_of_a_sobol_run_give_its_errors(tmp_path):
    sobol = stored(tmp_path / "sobol", design="sobol", trials=2048, shard_trials=512)
    answer = convergence(sobol, measure="agreement", strategies=["threaten"])["strategies"]["threaten"]
    event = ask(sobol, "summary")["strategies"]["threaten"]["events"]["agreement"]
    assert {key: answer[key][-1] for key in event} == pytest.approx(event)


def test_a_condition_leaves_fewer_trials_at_each_look(found):
    answer = convergence(found, measure="export_gain", given="agreement")["strategies"]["threaten"]
    table = pd.read_parquet(f"{found.folder.address}/trials")
    own = table[(table.strategy == "threaten") & table.agreement_week.notna()]
    assert answer["trials"] == [int((own.trial < after).sum()) for after in (100, 200, 500, 1000, 2000, 3300)]
    with pytest.raises(InvalidInput, match="too few"):
        convergence(found, given="agreement_week > 10000")
