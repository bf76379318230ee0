"""Grouped statistics against pandas on the raw table; in every format, from Python, HTTP and the shell."""

import io
import json
from functools import partial

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api.cli.program import build
from api.formats import ARROW, CSV, JSON, PARQUET, encode, negotiate
from api.http.routes.answers import OFFERED
from cluster.answers.aggregate import answer_table
from cluster.answers.aggregate_statistics import STATISTICS
from cluster.query.trials import StoredRun, open_run
from cluster.runs.options import RunOptions
from cluster.runs.run import begin, run
from cluster.runs.shard import run_shards
from cluster.storage.address import open_folder
from sim.faults import InvalidInput
from tests.support.answers import document_of, result_of, served_run
from tests.support.command_line import brink
from tests.support.runs import small_plan

aggregate = partial(result_of, "aggregate")


def grouping(value: str, name: str | None = None, **ways: object) -> dict:
    return {"value": value, **({} if name is None else {"name": name}), **ways}


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> StoredRun:
    folder = tmp_path_factory.mktemp("aggregate") / "run"
    run(small_plan(), folder, RunOptions(engine="inline"))
    return open_run(folder)


@pytest.fixture(scope="module")
def table(found) -> pd.DataFrame:
    return pd.read_parquet(f"{found.folder.address}/trials").astype({"strategy": str, "outcome": str})


def same(one: pa.Table, other: pa.Table) -> None:
    """Tables that agree but for the order in which threads summed."""
    assert one.schema.equals(other.schema)
    pd.testing.assert_frame_equal(one.to_pandas(), other.to_pandas(), rtol=1e-12)


def without_rows(document: dict) -> dict:
    return {**document, "result": {**document["result"], "rows": []}}


def quantile(numbers: pd.Series, level: float) -> float:
    known = numbers.dropna().astype(float)
    return float(np.quantile(known, level, method="inverted_cdf")) if len(known) else np.nan


def test_every_statistic_is_pandas(found, table):
    statistics = [*STATISTICS, "q05", "0.9"]
    answer = aggregate(found, measures=["agreement_week"], statistics=statistics, by=["strategy", "outcome"])
    groups = table.groupby(["strategy", "outcome"])
    assert len(answer["rows"]) == len(groups)
    for row in answer["rows"]:
        rows = groups.get_group((row["strategy"], row["outcome"]))
        weeks = rows.agreement_week.astype(float)
        expected = {
            "count": weeks.count(),
            "known": weeks.notna().mean(),
            "mean": weeks.mean(),
            "standard_deviation": weeks.std(),
            "standard_error": weeks.sem(),
            "min": weeks.min(),
            "max": weeks.max(),
            "sum": weeks.sum() if weeks.count() else np.nan,
            "median": quantile(weeks, 0.5),
            "q05": quantile(weeks, 0.05),
            "q90": quantile(weeks, 0.9),
        }
        assert row["trials"] == len(rows)
        for name, value in expected.items():
            one = row[f"agreement_week.{name}"]
            assert (one is None and np.isnan(value)) or one == pytest.approx(value, rel=1e-9), (row, name)
    assert [row["strategy"] for row in answer["rows"]] == sorted(
        (row["strategy"] for row in answer["rows"]), key=found.plan.strategies.index
    )
    json.dumps(answer, allow_nan=False)


def test_measures_may_be_named_expressions_and_conditions(found, table):
    whole = document_of(
        "aggregate",
        found,
        measures={"net": "export_gain - sender_cost", "soon": "agreement_week <= 12"},
        statistics=["mean", "q95"],
        given="threat_week is not null",
        strategies=["threaten"],
    )
    answer = whole["result"]
    (row,) = answer["rows"]
    rows = table[(table.strategy == "threaten") & table.threat_week.notna()]
    net = rows.export_gain.astype(float) - rows.sender_cost.astype(float)
    assert row["trials"] == whole["trials"]["used"] == len(rows)
    assert row["net.mean"] == pytest.approx(net.mean())
    assert row["net.q95"] == pytest.approx(quantile(net, 0.95))
    assert row["soon.mean"] == pytest.approx((rows.agreement_week <= 12).fillna(False).mean())


def test_bins_of_equal_width_are_numpys(found, table):
    answer = aggregate(
        found,
        measures=["export_gain"],
        statistics=["mean"],
        by=[grouping("sender_cost", bins=7)],
        strategies=["threaten"],
    )
    cost = table[table.strategy == "threaten"].sender_cost.astype(float)
    counts, edges = np.histogram(cost, 7)
    kept = [(low, high, count) for count, low, high in zip(counts, edges, edges[1:], strict=False) if count]
    made = [(row["sender_cost.low"], row["sender_cost.high"], row["trials"]) for row in answer["rows"]]
    np.testing.assert_allclose(made, kept, rtol=1e-12)
    assert answer["rows"][0]["sender_cost.low"] == cost.min()
    assert answer["rows"][-1]["sender_cost.high"] == cost.max()


def test_quantile_bins_hold_equal_numbers(found):
    name = next(iter(found.plan.scenario.uncertain))
    answer = aggregate(
        found, measures=[name], statistics=["min", "max"], by=[grouping(name, "it", quantiles=8)], strategies=["talk"]
    )
    assert len(answer["rows"]) == 8
    assert max(abs(row["trials"] - 625) for row in answer["rows"]) <= 2
    for row in answer["rows"]:
        assert row["it.low"] <= row[f"{name}.min"] <= row[f"{name}.max"] <= row["it.high"]


def test_edges_leave_groups_for_what_lies_outside_and_for_nulls(found, table):
    answer = aggregate(
        found,
        measures=["trial"],
        statistics=["count"],
        by=[grouping("agreement_week", edges=(3, 5, 9))],
    )
    weeks = table.agreement_week.astype(float)
    assert {(row["agreement_week.low"], row["agreement_week.high"]): row["trials"] for row in answer["rows"]} == {
        (None, 3): (weeks < 3).sum(),
        (3, 5): ((weeks >= 3) & (weeks < 5)).sum(),
        (5, 9): ((weeks >= 5) & (weeks <= 9)).sum(),
        (9, None): (weeks > 9).sum(),
        (None, None): weeks.isna().sum(),
    }


def test_weeks_and_truth_values_are_groups_with_their_nulls(found, table):
    answer = aggregate(found, measures=["export_gain"], statistics=["mean"], by=["threat_week", "defiant"])
    expected = table.groupby(["threat_week", "defiant"], dropna=False).size()
    assert len(answer["rows"]) == len(expected)
    never = [row for row in answer["rows"] if row["threat_week"] is None]
    assert [(row["defiant"], row["trials"]) for row in never] == [(None, table.threat_week.isna().sum())]
    assert answer["rows"][-1] == never[0]


def test_strategies_together_have_no_standard_error(found, table):
    whole = document_of("aggregate", found, measures=["export_gain"], by=["outcome"])
    answer = whole["result"]
    means = table.groupby("outcome").export_gain.apply(lambda gains: gains.astype(float).mean())
    for row in answer["rows"]:
        assert row["export_gain.mean"] == pytest.approx(means[row["outcome"]])
        assert row["export_gain.standard_error"] is None
    assert "group by strategy" in whole["method"]["errors"]


def test_undefined_numbers_are_unknown(found, table):
    answer = aggregate(
        found, measures={"rate": "export_gain / sanctions_weeks"}, statistics=["known", "max"], strategies=["threaten"]
    )
    weeks = table[table.strategy == "threaten"].sanctions_weeks
    assert answer["rows"][0]["rate.known"] == pytest.approx((weeks > 0).mean())
    assert np.isfinite(answer["rows"][0]["rate.max"])
    assert json.dumps(answer, allow_nan=False)


def test_a_condition_that_nothing_meets_gives_no_groups(found):
    nothing = {"measures": ["export_gain"], "given": "agreement_week > 5000"}
    assert aggregate(found, **nothing)["rows"] == []
    answer = aggregate(found, **nothing, by=[], strategies=["talk"])
    assert answer["rows"] == [{"trials": 0} | dict.fromkeys(list(answer["rows"][0])[1:])]
    assert aggregate(found, **nothing, by=[grouping("sender_cost", bins=3)], strategies=["talk"])["rows"] == []


def test_a_sobol_designs_errors_are_the_summarys(tmp_path):
    plan = small_plan(trials=4096, shard_trials=1024, design="sobol")
    summary = run(plan, tmp_path / "run", RunOptions(engine="inline"))
    run_found = open_run(tmp_path / "run")
    whole = document_of("aggregate", run_found, measures=["export_gain"], statistics=["mean", "standard_error"])
    answer = whole["result"]
    for row in answer["rows"]:
        known = summary["strategies"][row["strategy"]]["measures"]["export_gain"]["mean"]
        assert row["export_gain.mean"] == pytest.approx(known["estimate"])
        assert row["export_gain.standard_error"] == pytest.approx(known["standard_error"])
    assert "replicates" in whole["method"]["errors"]


def test_an_unfinished_run_is_answered_from_what_is_committed(tmp_path):
    plan, folder = small_plan(), open_folder(tmp_path / "run")
    begin(plan, folder)
    shard = next(iter(plan.shards()))
    list(run_shards(plan, [shard], folder))
    whole = document_of("aggregate", open_run(tmp_path / "run"), measures=["export_gain"])
    answer = whole["result"]
    assert [(row["strategy"], row["trials"]) for row in answer["rows"]] == [(shard.strategy, shard.count)]
    assert not whole["run"]["complete"]


def test_counts_sums_and_quantiles_are_duckdbs_over_the_files(found):
    answer = aggregate(
        found,
        measures={"week": "agreement_week", "net": "export_gain - sender_cost"},
        statistics=["count", "sum", "min", "max", "median", "q95"],
        by=["strategy", "ruling"],
        given="target_cost > 0.1",
    )
    net = "export_gain::DOUBLE - sender_cost::DOUBLE"
    functions = ("count({})", "fsum({})", "min({})", "max({})", "quantile_disc({}, 0.5)", "quantile_disc({}, 0.95)")
    columns = [one.format(value) for value in ("agreement_week::DOUBLE", net) for one in functions]
    rows = duckdb.sql(
        f"SELECT strategy, ruling, count(*), {', '.join(columns)} "
        f"FROM read_parquet('{found.folder.address}/trials/*/*.parquet', hive_partitioning = true) "
        "WHERE target_cost > 0.1::FLOAT GROUP BY ALL"
    ).fetchall()
    expected = {row[:2]: row[2:] for row in rows}
    assert len(answer["rows"]) == len(expected) > 2
    for row in answer["rows"]:
        strategy, ruling, *values = row.values()
        # A real number's sum depends on the order in which it is made.
        rounded = [
            pytest.approx(one, rel=1e-14) if isinstance(one, float) else one for one in expected[strategy, ruling]
        ]
        assert values == rounded


@pytest.mark.parametrize("most_held", [2000, 1])
def test_quantiles_of_more_numbers_than_are_held_are_the_same(found, monkeypatch, most_held):
    asked = {
        "measures": ["trial", "export_gain - sender_cost", "agreement_week", "sender_cost - 1"],
        "statistics": ["median", "q05", "0.999"],
        "by": ["strategy", "outcome", grouping("target_cost", quantiles=3)],
    }
    held = document_of("aggregate", found, **asked)
    monkeypatch.setattr("cluster.query.quantiles.MOST_HELD", most_held)
    assert document_of("aggregate", found, **asked) == held
    assert held["result"]["quantiles"] == "exact"


def test_quantiles_in_groups_of_more_possible_codes_than_64_bits_hold_with_a_digit(found, monkeypatch):
    # A thousand bins for each of five keys, of which trials have the last ones.
    edges = [*(k - 2000.0 for k in range(997)), 1000.0, 3000.0, 10_000.0]
    by = [grouping("trial", name=f"key{k}", edges=edges) for k in range(5)]
    asked = {"measures": ["export_gain"], "statistics": ["count", "median"], "by": ["strategy", *by[1:]]}
    whole = {**asked, "by": by}
    held = [document_of("aggregate", found, **one) for one in (asked, whole)]
    monkeypatch.setattr("cluster.query.quantiles.MOST_HELD", 100)
    assert [document_of("aggregate", found, **one) for one in (asked, whole)] == held


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"measures": []}, "must name a measure"),
        ({"measures": ["export_gains"]}, "did you mean export_gain"),
        ({"measures": ["outcome"]}, "must be a number or a condition"),
        ({"measures": {"a b": "export_gain"}}, "must be a name"),
        ({"measures": ["export_gain", "export_gain"]}, "twice"),
        ({"statistics": ["mode"]}, "must be one of count, known"),
        ({"statistics": ["q00"]}, "quantile such as q05"),
        ({"statistics": ["mean", "mean"]}, "twice"),
        ({"statistics": []}, "must name one of"),
        ({"measures": [f"trial + {k}" for k in range(60)], "statistics": ["min", "max"]}, "at most 100"),
        ({"by": ["export_gain"]}, "put it into bins"),
        ({"by": ["trial"]}, "put it into bins"),
        ({"by": ["outcome", "outcome"]}, "two columns"),
        ({"by": ["outcome"] * 6}, "at most 5"),
        ({"by": [grouping("outcome", bins=3)]}, "must be a number"),
        ({"by": [grouping("export_gain", bins=3, quantiles=3)]}, "not bins and quantiles"),
        ({"by": [grouping("export_gain", bins=0)]}, "from 1 to 1000"),
        ({"by": [grouping("export_gain", edges=(1, 1))]}, "greater than the one before"),
        ({"by": [grouping("export_gain", edges=(0, float("nan")))]}, "must be a finite number"),
        ({"by": [grouping("export_gain", edges=(0,))]}, "from 2 to 1001"),
        ({"by": [grouping("export_gain", "=x", bins=3)]}, "must be a name"),
        ({"given": "export_gain"}, "must be a condition"),
        ({"strategies": ["bluff"]}, "there are threaten, talk"),
        ({"by": [grouping(f"trial + {k}", quantiles=100) for k in range(2)]}, "makes more than 50 groups"),
    ],
)
def test_impossible_requests_are_refused(found, asked, says, monkeypatch):
    monkeypatch.setattr("cluster.answers.aggregate_groups.MAX_GROUPS", 50)
    with pytest.raises(InvalidInput, match=says):
        aggregate(found, **{"measures": ["export_gain"]} | asked)


def test_formulas_in_texts_and_names_are_escaped_for_spreadsheets():
    table = pa.table({"-export_gain.mean": [1.5, None], "strategy": ["=HYPERLINK(A1)", 'ä "quoted", and more']})
    text = encode(table, CSV).decode("utf-8")
    read = pd.read_csv(io.StringIO(text))
    assert list(read) == ["'-export_gain.mean", "strategy"]
    assert list(read.strategy) == ["'=HYPERLINK(A1)", 'ä "quoted", and more']
    assert np.isnan(read.iloc[1, 0])


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("text/*", CSV),
        (f"{ARROW};q=0.5, {PARQUET}", PARQUET),
        ("application/json;q=0, */*;q=0.1", CSV),
        ("Text/CSV; Q=0.3", CSV),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json;q=x", None),
        ("", JSON),
    ],
)
def test_the_accept_header_decides(accept, chosen):
    assert negotiate(accept, OFFERED) == chosen


@pytest.fixture(scope="module")
def post(found, tmp_path_factory):
    client, job = served_run(found, tmp_path_factory.mktemp("service"))
    with client:
        yield lambda body, accept=JSON: client.post(f"{job}/aggregate", json=body, headers={"Accept": accept})


def test_http_gives_one_answer_in_four_formats(found, post):
    body = {
        "measures": {"net": "export_gain - sender_cost"},
        "by": ["strategy", "outcome", {"value": "sender_cost", "name": "cost", "edges": [0, 1, 5]}],
    }
    answer = document_of(
        "aggregate",
        found,
        measures=body["measures"],
        by=["strategy", "outcome", grouping("sender_cost", "cost", edges=(0, 1, 5))],
    )
    expected = answer_table(answer)
    found_json = post(body)
    assert found_json.status_code == 200, found_json.text
    assert without_rows(found_json.json()) == without_rows(answer)
    same(answer_table(found_json.json()), expected)
    csv, arrow, parquet = (post(body, media_type) for media_type in (CSV, ARROW, PARQUET))
    assert csv.headers["content-type"] == "text/csv; charset=utf-8"
    assert arrow.headers["content-type"] == ARROW
    assert parquet.headers["content-type"] == PARQUET
    pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(csv.content)), expected.to_pandas(), check_dtype=False)
    read = pa.ipc.open_stream(arrow.content).read_all()
    same(read, expected)
    assert read.schema.field("net.mean").metadata == {b"unit": b"1"}
    assert read.schema.metadata[b"brink.quantiles"] == b"exact"
    assert json.loads(read.schema.metadata[b"brink.run"])["seed"] == found.plan.seed
    same(pq.read_table(io.BytesIO(parquet.content)), expected)


@pytest.mark.parametrize(
    ("body", "accept", "status", "pointer"),
    [
        ({"measures": ["export_gain"]}, "image/png", 406, None),
        ({}, JSON, 422, "/measures"),
        ({"measures": ["no_such"]}, JSON, 422, "/measures/0"),
        ({"measures": {"net": "no_such"}}, JSON, 422, "/measures/net"),
        ({"measures": ["export_gain"], "by": [{"value": "x", "edge": [1]}]}, JSON, 422, "/by/0/edge"),
        ({"measures": ["export_gain"], "by": [{"value": "export_gain", "edges": [2, 1]}]}, JSON, 422, "/by/0/edges"),
        ({"measures": ["export_gain"], "by": ["x" * 3000]}, JSON, 422, "/by/0"),
        ({"measures": ["export_gain"], "statistics": ["mode"]}, JSON, 422, "/statistics"),
        ({"measures": ["export_gain"], "limit": 3}, JSON, 422, "/limit"),
    ],
)
def test_http_errors_name_the_field_and_the_cause(post, body, accept, status, pointer):
    refused = post(body, accept)
    assert refused.status_code == status, refused.text
    assert refused.headers["content-type"] == "application/problem+json"
    if pointer:
        assert pointer in [error["pointer"] for error in refused.json()["errors"]]
    else:
        assert all(media_type in refused.json()["detail"] for media_type in OFFERED)


def test_the_command_line_gives_the_same(found, tmp_path, capsys):
    folder = found.folder.address
    options = ["--measure", "export_gain", "--statistic", "mean", "--by", "strategy", "--by", "sender_cost|edges=0,1,5"]
    answer = document_of(
        "aggregate",
        found,
        measures=["export_gain"],
        statistics=["mean"],
        by=["strategy", grouping("sender_cost", edges=(0, 1, 5))],
    )
    shown = brink("aggregate", folder, *options, "--json", status=0)
    printed = json.loads(shown.stdout)
    assert without_rows(printed) == without_rows(answer)
    same(answer_table(printed), answer_table(answer))

    def command(*more: str) -> str:
        build().main(["aggregate", folder, *options, *more], standalone_mode=False)
        return capsys.readouterr().out

    assert "export_gain.mean" in command()
    assert "10,000 trials; " in command()
    for name in ("a.parquet", "a.csv", "a.json", "a.arrow"):
        assert command("--out", str(tmp_path / name)) == ""
    same(pq.read_table(tmp_path / "a.parquet"), answer_table(answer))
    assert json.loads((tmp_path / "a.json").read_text())["result"]["columns"] == answer["result"]["columns"]
    for wrong, says in ((["--by", "sender_cost|bin=3"], r"must end in \|bins=N"), (["--out", "a.ods"], "must end in")):
        with pytest.raises(InvalidInput, match=says):
            command(*wrong)
