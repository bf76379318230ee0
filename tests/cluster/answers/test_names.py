"""Whatever accepted names the scenario, its strategies and its issues have, a run gives the same answers and tables."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cluster.answers.summary_verification import verify_summary
from cluster.query.trials import open_run
from cluster.results.plan import make_plan
from cluster.results.result_folder import verify
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.scenario.scenario import Scenario, scenario_from_document
from tests.support.answers import document_of
from tests.support.readers import read_by_every_reader

PLAIN = ("plain-scenario", "plain-strategy-one", "plain-strategy-two", "plain-issue-one", "plain-issue-two")
"""Names of a scenario, two strategies and two issues."""


TRIALS = 600


def scenario_with(names: tuple[str, ...]) -> Scenario:
    """Two strategies and two issues, one of them numerical, of these names."""
    scenario, one, two, first, second = names
    issue = {"gap": {"uniform": [0.3, 0.9]}, "sender_concession": 0.02, "target_concession": {"uniform": [0.0, 0.1]}}
    return scenario_from_document(
        {
            "schema": 1,
            "name": scenario,
            "title": "A title",
            "horizon_weeks": 20,
            "issues": {first: issue | {"weight": 0.4, "numerical": True}, second: issue | {"weight": 0.6}},
            "parameters": {"threat_probability": {"uniform": [0, 1]}, "full_access": 5, "reframe_probability": 0.1},
            "strategies": {one: {}, two: {"threat_probability": 0, f"issues.{first}.gap": 0.5}},
        }
    )


def answers_and_tables(names: tuple[str, ...], folder: Path) -> tuple[dict[str, Any], list[list]]:
    """The answers, and the table as each reader reads it, in which every name is replaced by the plain one."""
    scenario = scenario_with(names)
    run(make_plan(scenario, trials=TRIALS, seed=3, shard_trials=400), folder, RunOptions(engine="inline"))
    found = open_run(folder)
    assert verify(folder) == verify_summary(found) == []
    _, one, two, first, second = names
    settled = [f"settled.{first}", f"issues.{second}.gap > 0.5", f"not reframed.{first}"]
    documents = {
        "summary": document_of("summary", found),
        "given": document_of("summary", found, given=f"settled.{second} is null"),
        "aggregate": document_of("aggregate", found, measures=settled, by=["strategy"]),
        "compare": document_of("compare", found, measures=["agreement"], strategies=[two, one]),
        "replay": document_of("replay", found, trial=550, strategy=two),
    }
    plain = dict(zip((first, second), PLAIN[3:], strict=True))
    tables = []
    for table in read_by_every_reader(folder / "trials").values():
        table = table.astype({"strategy": str, "outcome": str})
        table["strategy"] = table["strategy"].map({one: PLAIN[1], two: PLAIN[2]})
        table.columns = [".".join(plain.get(p, p) if k == 1 else p for k, p in enumerate(c.split("."))) for c in table]
        table = table.sort_values(["strategy", "trial"], ignore_index=True)[sorted(table.columns)]
        tables.append([json.loads(table[column].to_json()) for column in table.columns] + [list(table.columns)])
    return documents, tables


def expected_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """Plain names of the scenario and the strategies. Draws are addressed by the names of issues, which stay."""
    return (*PLAIN[:3], *names[3:])


NAMES = st.lists(
    st.text("0123456789abcdeABCDEinfx-", min_size=1, max_size=12)
    | st.sampled_from(
        ["trial", "strategy", "outcome", "null", "select", "and", "not", "gap", "week", "e5", "1e5", "base"]
    ),
    min_size=5,
    max_size=5,
).map(lambda names: (names[0], *sorted(names[1:3]), *names[3:]))
"""Strategies are in the order of their names, as are the rows of `aggregate`."""


@pytest.mark.slow
@settings(max_examples=4)
@given(names=NAMES)
@example(names=("summary", "strategy", "trial", "outcome", "gap"))
@example(names=("1", "1-a", "a-1", "1", "-"))
@example(names=("null", "not", "null-", "and", "null"))
@example(names=("x" * 64, "x" * 64, "y" * 64, "x" * 64, "y" * 64))
def test_names_of_any_kind_give_the_answers_and_tables_of_plain_ones(names, tmp_path_factory):
    try:
        scenario_with(names)
    except InvalidInput:
        assume(False)
    documents, tables = answers_and_tables(names, tmp_path_factory.mktemp("names") / "run")
    plain_documents, plain_tables = answers_and_tables(expected_of(names), tmp_path_factory.mktemp("plain") / "run")
    assert numbers(documents) == pytest.approx(numbers(plain_documents), rel=1e-9, nan_ok=True)
    assert tables[0] == tables[1] == tables[2] == tables[3] == plain_tables[0]
    columns = dict(zip(tables[0][-1], tables[0][:-1], strict=True))
    levels = list(columns[f"settled.{PLAIN[4]}"].values())
    unsettled = [sum(level is None for level in levels[start : start + TRIALS]) for start in (0, TRIALS)]
    assert [one["trials"] for one in documents["given"]["strategies"].values()] == unsettled


def numbers(document: Any) -> list[float]:
    """The numbers of a document in its order."""
    if isinstance(document, dict):
        return [number for value in document.values() for number in numbers(value)]
    if isinstance(document, list):
        return [number for value in document for number in numbers(value)]
    return [float(document)] if isinstance(document, int | float) else []
