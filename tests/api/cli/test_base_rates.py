"""The commands of the outside view, and the same over HTTP."""

import json

import pandas as pd
import pytest

from tests.support.command_line import assert_refused, brink
from tests.support.served import served

OWN = """\
target,began,outcome,imposed_on,ended_on,specific,commitment
Japan,1995-05-16,settled,,1995-06-28,yes,strong
EC,1999-03-03,imposed,1999-04-19,2001-07-01,yes,strong
China,1990-04-03,dropped,,1991-04-03,no,weak
"""


def test_a_table_is_counted(tmp_path):
    (tmp_path / "own.csv").write_text(OWN)
    found = brink("calibrate", tmp_path / "own.csv")
    assert found.returncode == 0, found.stderr
    assert "3 ended threats of 3 chosen from 3 rows" in found.stdout
    document = json.loads(brink("calibrate", tmp_path / "own.csv", "--json").stdout)
    assert document["classes"][0]["counts"] == {"settled": 1, "imposed": 1, "dropped": 1}


def test_the_result_is_written_as_it_is_printed(tmp_path):
    (tmp_path / "own.csv").write_text(OWN)
    printed = brink("calibrate", "own.csv", "--json", "--out", "rates.json", cwd=tmp_path, status=0).stdout
    document = json.loads(printed)
    assert json.loads((tmp_path / "rates.json").read_text()) == document
    brink("calibrate", "own.csv", "--out", "rates.csv", cwd=tmp_path, status=0)
    rows = pd.read_csv(tmp_path / "rates.csv").set_index("class")
    assert list(rows.index) == [one["class"] for one in document["classes"]]
    for one in document["classes"]:
        row = rows.loc[one["class"]]
        assert [row[name] for name in one["counts"]] == list(one["counts"].values())
        assert row["settled_low"] == pytest.approx(one["rates"]["settled"]["low"])
        assert row["imposed_pooled_share"] == pytest.approx(one["pooled"]["imposed"]["estimate"])
    assert rows.loc["all", "threat_to_settlement_days_0.25"] == 43
    for out in ("rates.txt", "nowhere/rates.csv"):
        assert_refused(brink("calibrate", "own.csv", "--out", out, cwd=tmp_path), "--out", out)


def test_the_reliability_of_the_rates_is_drawn(tmp_path):
    rows = [
        f"t{k % 5},{1980 + k // 4}-01-0{1 + k % 4},{('settled', 'dropped')[k % 2]},,{1981 + k // 4}-01-01,"
        f"{('yes', 'no')[k % 2]},strong"
        for k in range(60)
    ]
    (tmp_path / "own.csv").write_text("\n".join([OWN.splitlines()[0], *rows]) + "\n")
    brink("calibrate", "own.csv", "--chart", "reliability.svg", cwd=tmp_path, status=0)
    picture = (tmp_path / "reliability.svg").read_text()
    assert all(word in picture for word in ("settled", "imposed", "dropped", "mean forecast", "happened"))
    (tmp_path / "few.csv").write_text(OWN)
    assert_refused(brink("calibrate", "few.csv", "--chart", "r.svg", cwd=tmp_path), "--chart", "too few threats")
    assert_refused(brink("calibrate", "few.csv", "--chart", "r.pdf", cwd=tmp_path), "--chart", "must end in")


def test_an_unknown_reference_class_is_a_fault_of_the_scenario(tmp_path):
    document = json.loads(brink("scenarios", "us-japan-autos-1995", "--json").stdout) | {"reference": "vague"}
    (tmp_path / "own.json").write_text(json.dumps(document, indent=1))
    found = brink("validate", tmp_path / "own.json")
    assert found.returncode == 2
    assert "reference: is not a reference class; there are all, specific-weak" in found.stderr
    with served(tmp_path / "data") as service:
        answered = service.ask("POST", "/v1/scenarios/validate", json=document).json()
        assert [one["field"] for one in answered["errors"]] == ["reference"]
        asked = service.ask("POST", "/v1/jobs", json={"scenario": document, "trials": 100})
        assert (asked.status_code, asked.json()["errors"][0]["field"]) == (422, "scenario.reference")


def test_the_rates_interface_describes_its_fields(tmp_path):
    with served(tmp_path) as service:
        described = service.ask("GET", "/openapi.json").json()
        answered = described["paths"]["/v1/rates"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        name = answered["$ref"].rpartition("/")[2]
        schemas = described["components"]["schemas"]
        assert set(schemas[name]["properties"]) == {
            "source",
            "scenario",
            "known_on",
            "classes",
            "records",
            "sanctions",
            "wto",
        }
        assert "class" in schemas["ClassRates"]["properties"]


def test_a_bad_table_is_refused_with_row_and_column(tmp_path):
    (tmp_path / "own.csv").write_text(OWN.replace("dropped", "abandoned"))
    found = brink("calibrate", tmp_path / "own.csv")
    assert found.returncode == 2
    assert "own.csv:4:outcome: must be one of settled, imposed, dropped, open (found 'abandoned')" in found.stderr


def test_shipped_rates_are_the_same_on_the_command_line_and_over_http(tmp_path):
    printed = json.loads(brink("rates", "--known-on", "1995-04-17", "--json").stdout)
    with served(tmp_path) as service:
        answered = service.ask("GET", "/v1/rates?known_on=1995-04-17")
        assert answered.status_code == 200
        assert answered.json() == printed
        assert service.ask("GET", "/v1/rates?known_on=soon").status_code == 422
    # Of eight impositions whose first two years were known by then, two had ended within a year and five within two.
    year, two_years = printed["sanctions"]["after_weeks"]
    assert year["counts"] == {"agreed": 2, "withdrawn": 0, "in_force": 6}
    assert two_years["counts"] == {"agreed": 3, "withdrawn": 2, "in_force": 3}
    assert (printed["sanctions"]["days"]["sanctions"], printed["sanctions"]["days"]["ended"]) == (10, 6)
    strong = next(one for one in printed["classes"] if one["class"] == "specific-strong")
    assert strong["counts"] == {"settled": 10, "imposed": 6, "dropped": 1}


def test_a_scenario_has_its_class_as_known_on_its_as_of(tmp_path):
    printed = json.loads(brink("rates", "us-japan-autos-1995", "--json").stdout)
    assert printed["known_on"] == "1995-04-13"
    assert [one["class"] for one in printed["classes"]] == ["specific-strong"]
    assert printed["classes"][0]["counts"] == {"settled": 10, "imposed": 6, "dropped": 1}
    later = json.loads(brink("rates", "us-japan-autos-1995", "--known-on", "2011-01-01", "--json").stdout)
    assert later["classes"][0]["counts"] == {"settled": 18, "imposed": 11, "dropped": 2}
    shown = brink("rates", "us-japan-autos-1995")
    assert "as known on 1995-04-13" in shown.stdout
    assert "lists-with-deadline" not in shown.stdout, "that record is not dated"
    with served(tmp_path) as service:
        assert service.ask("GET", "/v1/rates?scenario=us-japan-autos-1995").json() == printed
        nowhere = service.ask("GET", "/v1/rates?scenario=nowhere")
        assert nowhere.status_code == 422
        assert nowhere.json()["errors"][0]["field"] == "scenario"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "reference: is missing: example names no reference class; there are all, specific-weak"),
        ("reference: nonesuch\n", "reference: is not a reference class; there are all, specific-weak"),
    ],
)
def test_a_scenario_without_a_known_class_is_refused(tmp_path, line, says):
    (tmp_path / "own.yaml").write_text(
        "schema: 1\nname: example\n"
        "issues: {dealers: {weight: 1, gap: 0.5, sender_concession: 0.1, target_concession: 0.1}}\n" + line
    )
    found = brink("rates", tmp_path / "own.yaml")
    assert found.returncode == 2
    assert says in found.stderr


@pytest.mark.parametrize("day", ["soon", "1995-13-01"])
def test_a_bad_day_is_refused(day):
    found = brink("rates", "--known-on", day)
    assert found.returncode == 2
    assert "--known-on: must be a date, YYYY-MM-DD" in found.stderr
