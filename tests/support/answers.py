"""Answers as tests ask for them: by name, with the fields of the request as keywords."""

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.http.app import create_app
from api.shipped_scenarios import shipped_scenario
from cluster.answers.entry import OnProgress, quiet
from cluster.answers.registry import ask
from cluster.query.trials import StoredRun
from cluster.results.plan import Plan, make_plan
from cluster.service import jobs
from cluster.service.settings import Settings
from sim.scenario.scenario import scenario_from_document
from tests.support.examples import document, issue
from tests.support.served import NO_TIME_LIMITS


def document_of(name: str, run: StoredRun, *, on_progress: OnProgress = quiet, **request: object) -> dict:
    """An answer's document, which JSON must be able to hold."""
    found = ask(run, name, request, on_progress=on_progress)
    json.dumps(found, allow_nan=False)
    return found


def result_of(name: str, run: StoredRun, *, on_progress: OnProgress = quiet, **request: object) -> dict:
    """An answer's result alone."""
    return document_of(name, run, on_progress=on_progress, **request)["result"]


def plans_of_answers(shard_trials: int | None = None) -> dict[str, Plan]:
    """Plans of runs of which every answer can be asked, by the name of their design: one of a real dispute, whose
    history is known, and a small one of the saltelli design.
    """
    small = scenario_from_document(
        document(
            {"access": issue({"uniform": [0.3, 0.9]}, 0.02, {"uniform": [0.0, 0.1]})},
            {"threat_probability": {"uniform": [0, 1]}, "full_access": {"uniform": [5, 10]}},
            horizon_weeks=20,
        )
    )
    return {
        "random": make_plan(shipped_scenario("us-mexico-2019"), trials=4000, seed=1, shard_trials=shard_trials),
        "saltelli": make_plan(small, trials=6 * 1024, seed=1, design="saltelli", shard_trials=shard_trials),
    }


def served_run(run: StoredRun, folder: Path, *, committed: bool = True) -> tuple[TestClient, str]:
    """The service in this process with a job whose results are the run's: its client, and the job's address.

    Without `committed`, the job has no results yet.
    """
    app = create_app(Settings(data_dir=folder, **NO_TIME_LIMITS))
    Path(app.state.settings.results.address).mkdir(parents=True)
    app.state.database = jobs.open_database(app.state.settings.jobs_database)
    job = jobs.submit(app.state.database, run.plan)
    if committed:
        (Path(app.state.settings.results.address) / job.id).symlink_to(run.folder.address)
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False), f"/v1/jobs/{job.id}"


def assert_same(found: object, expected: object) -> None:
    """Two documents are the same up to the last bits of sums, which depend on the order of DuckDB's threads."""
    if isinstance(expected, dict):
        assert isinstance(found, dict)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_same(found[name], value)
    elif isinstance(expected, list | tuple):
        assert isinstance(found, list | tuple)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-9, nan_ok=True)
    else:
        assert found == expected
