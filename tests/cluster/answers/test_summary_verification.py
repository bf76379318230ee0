"""The summary counted again from the files."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.answers import summary as summaries
from cluster.answers import summary_recount as recounting
from cluster.answers.summary import summarize
from cluster.answers.summary_verification import recount, verify_summary
from cluster.query.trials import open_run
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from tests.support.answers import assert_same
from tests.support.runs import small_plan


@pytest.mark.parametrize(
    "plan",
    [
        small_plan(trials=2500, shard_trials=1000),
        small_plan(trials=4096, shard_trials=1500, design="sobol"),
        small_plan(trials=3, shard_trials=2),
    ],
    ids=["random", "sobol", "few"],
)
def test_the_recount_is_the_summary(tmp_path: Path, plan):
    run(plan, tmp_path / "run", RunOptions(engine="inline"))
    stored = open_run(tmp_path / "run")
    assert_same(json.loads(json.dumps(recount(stored))), json.loads(json.dumps(summarize(stored))))
    assert verify_summary(stored) == []


def test_verify_uses_neither_the_tallies_nor_the_code_of_the_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run(small_plan(trials=500), tmp_path / "run", RunOptions(engine="inline"))
    stored = open_run(tmp_path / "run")
    monkeypatch.setattr(summaries, "CountedTrials", None)
    monkeypatch.setattr(summaries, "TrialsInMemory", None)
    read = stored._read
    assert all(read.tallies.values())
    stored.__dict__["_read"] = replace(read, tallies=dict.fromkeys(read.tallies, ()))
    assert verify_summary(stored) == []


def test_a_summary_with_a_wrong_quantile_is_found(tmp_path: Path):
    run(small_plan(trials=500), tmp_path / "run", RunOptions(engine="inline"))
    path = tmp_path / "run" / "summary.json"
    document = json.loads(path.read_text())
    document["strategies"]["talk"]["measures"]["export_gain"]["quantiles"]["0.5"] = 9.0
    path.write_text(json.dumps(document))
    assert verify_summary(open_run(tmp_path / "run")) == [
        "summary.json: strategies.talk.measures.export_gain.quantiles.0.5 differs from the trials"
    ]


@pytest.mark.parametrize("number", [0.0, 1.0, -1.0, 3.4e38, -3.4e38, 1e-45, -1e-45, 0.1])
def test_a_number_of_the_summary_is_compared_under_its_own_key(number: float):
    import numpy as np

    bits = np.array([number], np.float32).view(np.uint32)[0]
    key = ~bits if bits >> 31 else bits | np.uint32(1 << 31)
    assert recounting._number(int(key)) == float(np.float32(number))
