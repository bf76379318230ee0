"""Scenario files: what is read, and every fault that is found."""

import datetime
import json

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.faults import InvalidInput
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.columns import COMMON_COLUMNS, columns
from sim.scenario.distributions import Fixed, Pert
from sim.scenario.parameters import PARAMETERS, parameter
from sim.scenario.scenario import read_scenario, scenario_document, scenario_from_document, scenario_hash
from sim.scenario.validation import MAX_COMPARED
from sim.scenario.vocabulary import EVENTS, MEASURE_TERMS, MEASURES, OUTCOMES, TERMS
from tests.support.examples import changed, document, every_mechanism, issue
from tests.support.scenario_faults import assert_read_or_refused, faults_of, json_values

TEXT = """\
schema: 1
name: example
as_of: 1995-04-13
sessions:
  first: [mid, senior]
  cycle: [technical, none]
horizon_weeks: 6
issues:
  dealers: {weight: 1, gap: 0.5, sender_concession: 1e-2, target_concession: {pert: [0, 0.1, 0.2]}}
strategies:
  first:
  second: {issues.dealers.gap: 0.25, threat_probability: 0.5}
"""


def test_a_file_is_read_with_its_defaults():
    found = read_scenario(TEXT, "a.yaml")
    assert found.base["issues.dealers.target_concession"] == Pert(0, 0.1, 0.2)
    assert found.base["issues.dealers.sender_concession"] == Fixed(0.01)
    assert found.session_calendar() == ("mid", "senior", "technical", "none", "technical", "none")
    assert found.as_of == "1995-04-13"
    assert found.parameters("second")["issues.dealers.gap"] == Fixed(0.25)
    assert found.uncertain == ("issues.dealers.target_concession",)
    assert all(found.base[known.name] == Fixed(known.default) for known in PARAMETERS)


def test_without_strategies_there_is_the_base():
    assert dict(scenario_from_document(document()).strategies) == {"base": {}}


def test_a_scenario_survives_its_own_document():
    full = scenario_from_document(
        changed(
            every_mechanism(),
            correlations=[{"between": ["credibility", "follow_through"], "spearman": 0.4}],
            strategies={"talk": {"threat_probability": 0}, "short": {"sanctioned_trade": {"uniform": [0, 1]}}},
        )
    )
    again = scenario_from_document(json.loads(json.dumps(scenario_document(full))))
    assert again == full
    assert scenario_hash(again) == scenario_hash(full)


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("weight: 1", "weight: 0", 9, "issues.dealers.weight", "must be > 0"),
        ("schema: 1", "schema: 2", 1, "schema", "must be 1"),
        ("name: example", "name: a b", 2, "name", "letters, digits and '-'"),
        ("1995-04-13", "1995-13-04", 3, "as_of", "date"),
        ("[mid, senior]", "[mid, major]", 5, "sessions.first[1]", "none, technical, mid, senior"),
        ("horizon_weeks: 6", "horizon_weeks: 521", 7, "horizon_weeks", "1 to 520"),
        ("gap: 0.5", "gap: 0", 9, "issues.dealers.gap", "(0, 1]"),
        ("gap: 0.5", "gap: .nan", 9, "issues.dealers.gap", "finite"),
        ("gap: 0.5", "gap: true", 9, "issues.dealers.gap", "number"),
        ("gap: 0.5", "gap: {normal: {mean: 0.5, sd: 0.1}}", 9, "issues.dealers.gap", "truncate"),
        ("gap: 0.5", "gap: {uniform: [0.5, 1.5]}", 9, "issues.dealers.gap", "from 0.5 to 1.5"),
        ("gap: 0.5, ", "", 9, "issues.dealers.gap", "required"),
        ("[0, 0.1, 0.2]", "[0, 0.3, 0.2]", 9, "issues.dealers.target_concession.pert", "low <= mode <= high"),
        ("pert: [", "perrt: [", 9, "issues.dealers.target_concession.perrt", "did you mean pert"),
        ("horizon_weeks", "horizon_week", 7, "horizon_week", "did you mean horizon_weeks"),
        ("issues.dealers.gap", "issues.dealer.gap", 12, "strategies.second.issues.dealer.gap", "did you mean"),
        ("threat_probability: 0.5", "threat_probability: 1.5", 12, "strategies.second.threat_probability", "[0, 1]"),
        ("  second:", "  first:", 12, "strategies.first", "more than once"),
        ("0.1, 0.2]}}", "0.1, 0.2]", 9, "", "the { opened here is never closed"),
        ("gap: 0.5", "gap: &a 0.5, x: *a", 9, "", "aliases"),
        ("gap: 0.5", "gap: !!python/name:os.system 1", 9, "issues.dealers.gap", "tag"),
    ],
)
def test_a_fault_is_found_with_its_line_and_field(old, new, line, field, says):
    place = f"a.yaml:{line}:{field}" if field else f"a.yaml:{line}"
    assert any(shown.startswith(f"{place}:") and says in shown for shown in faults_of(TEXT.replace(old, new, 1)))


def test_all_faults_are_reported_at_once():
    text = TEXT.replace("weight: 1", "weight: -2").replace("gap: 0.5", "gap: -1").replace("cycle", "cicle")
    assert {"sessions.cicle", "issues.dealers.weight", "issues.dealers.gap"} <= {
        shown.split(":")[2] for shown in faults_of(text)
    }


def test_faults_of_the_file_and_of_what_it_says_are_reported_together():
    text = TEXT.replace("horizon_weeks: 6", "horizon_weeks: 0\nhorizon_weeks: 900\n1.5: x\ntitle: !!binary aGVsbG8=")
    text = text.replace("dealers: {weight: 1", "the dealers: {weight: -3").replace(
        "  first:\n  s", "  a/b: {tarif: 1}\n  s"
    )
    places = [tuple(shown.split(":")[1:3]) for shown in faults_of(text)]
    assert {
        ("8", "horizon_weeks"),
        ("9", "1.5"),
        ("10", "title"),
        ("12", "issues.the dealers"),
        ("12", "issues.the dealers.weight"),
        ("14", "strategies.a/b"),
        ("14", "strategies.a/b.tarif"),
    } <= set(places)
    assert [line for line, _ in places] == sorted((line for line, _ in places), key=int)


def test_names_of_issues_may_be_digits_alone_and_those_of_strategies_not():
    assert read_scenario(TEXT.replace("dealers", "1995"), "a.yaml").issues[0].name == "1995"
    with pytest.raises(InvalidInput, match="begin with a letter, such as s-301"):
        read_scenario(TEXT.replace("  second", "  301"), "a.yaml")


@pytest.mark.parametrize("field", ["parameters", "strategies", "correlations", "sources", "sessions"])
@pytest.mark.parametrize("value", [0, False, ""])
def test_a_part_of_the_wrong_kind_is_refused_though_it_is_empty(field, value):
    assert [shown.split(":")[0] for shown in faults_of(document() | {field: value})] == [field]


@pytest.mark.parametrize("where", ["strategies", "issues", "parameters", "sources"])
def test_a_message_stays_short_whatever_the_name(where):
    given = document()
    given[where] = dict(given.get(where, {})) | {"k" * 400_000: {}}
    assert all(len(shown) < 500 for shown in faults_of(given))


def test_texts_hold_no_control_characters():
    for character in ("\x00", "\x1b", "\x7f", "\x9b"):
        assert "title: must not hold control characters" in faults_of(document() | {"title": f"a{character}b"})[0]


@pytest.mark.parametrize(
    "text", ["", "\t", "- 1", "x", "a: [" * 50, "{" * 5000, "a: " + "b" * 2_000_000, "\x00", "a: \ud800", "? [1]: 2"]
)
def test_a_document_that_is_not_a_scenario_is_refused(text):
    faults_of(text)


@pytest.mark.parametrize(
    "given_distribution",
    [
        {"uniform": [1, 0]},
        {"uniform": [0, 0]},
        {"uniform": [0]},
        {"uniform": {"low": 0}},
        {"loguniform": [0, 1]},
        {"normal": {"mean": 0.5, "sd": 0, "low": 0, "high": 1}},
        {"normal": {"mean": 0.5, "p05": 0.1, "low": 0, "high": 1}},
        {"normal": {"mean": -90, "sd": 1, "low": 0, "high": 1}},
        {"lognormal": {"median": -1, "sigma": 1, "high": 1}},
        {"beta": {"alpha": 0, "beta": 1}},
        {"discrete": {"values": [0, 1], "weights": [0, 0]}},
        {"discrete": {"values": [0, 1], "weights": [1e300, 1e300]}},
        {"mixture": {"of": [0.1, 0.2], "weights": [0, 0]}},
        {"discrete": {"values": [0, 1], "weights": [1.5, -0.5]}},
        {"discrete": {"values": [], "weights": []}},
        {"quantiles": {0: 0, 0.5: 0.6, 0.9: 1}},
        {"quantiles": {0: 0, 0.5: 0.6, 1: 0.5}},
        {"mixture": {"of": [{"mixture": {"of": [0.5], "weights": [1]}}], "weights": [1]}},
        {"mixture": {"of": [0.1, 0.2], "weights": [1]}},
        {"uniform": [0, 1], "beta": {"alpha": 1, "beta": 1}},
        "0.5",
        None,
        [0.5],
        float("inf"),
        10**400,
    ],
)
def test_a_value_that_is_not_a_distribution_is_refused(given_distribution):
    assert all(
        shown.startswith("parameters.target_win") or "required" in shown
        for shown in faults_of(document(parameters={"target_win": given_distribution}))
    )


@pytest.mark.parametrize(
    ("correlations", "says"),
    [
        ([{"between": ["gap", "target_win"], "spearman": 0.1}], "not known"),
        ([{"between": ["target_win", "target_win"], "spearman": 0.1}], "different"),
        ([{"between": ["target_win", "credibility"], "spearman": 1.1}], "[-1, 1]"),
        ([{"between": ["target_win", "tariff_rate"], "spearman": 0.1}], "fixed"),
        ([{"between": ["target_win", "credibility"], "spearman": 0.1}] * 2, "more than once"),
        (
            [
                {"between": ["target_win", "credibility"], "spearman": 0.9},
                {"between": ["credibility", "follow_through"], "spearman": 0.9},
                {"between": ["target_win", "follow_through"], "spearman": -0.9},
            ],
            "no correlation matrix",
        ),
    ],
)
def test_impossible_correlations_are_refused(correlations, says):
    uncertain = {name: {"uniform": [0, 1]} for name in ("target_win", "credibility", "follow_through")}
    shown = faults_of(document(parameters=uncertain, correlations=correlations))
    assert any(says in line for line in shown)


@pytest.mark.parametrize("known", PARAMETERS, ids=lambda p: p.name)
def test_each_domain_is_enforced(known):
    for value in (known.domain.low - 0.5, known.domain.high + 0.5 if known.domain.high < 1e9 else None):
        if value is not None:
            assert any(known.name in shown for shown in faults_of(document(parameters={known.name: value})))
    assert parameter(known.name) is known


def test_a_window_is_a_whole_number_of_weeks():
    faults_of(document(parameters={"deadline_window": 1.5}))
    faults_of(document(parameters={"deadline_window": {"uniform": [1, 3]}}))
    scenario_from_document(
        document(parameters={"deadline_window": {"discrete": {"values": [1, 2], "weights": [1, 0]}}})
    )


@given(
    field=st.sampled_from([*sorted(document()), "correlations", "strategies", "sources", "sessions"]), value=json_values
)
@settings(max_examples=300)
def test_no_value_of_any_field_breaks_the_reader(field, value):
    assert_read_or_refused(document() | {field: value})


@given(field=st.sampled_from(sorted(issue())), value=json_values)
@settings(max_examples=200)
def test_no_value_of_an_issues_field_breaks_the_reader(field, value):
    assert_read_or_refused(document(issues={"access": issue() | {field: value}}))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("tariff_rate", 1e300, "at most 1e+12"),
        ("full_access", {"lognormal": {"median": 1, "sigma": 30}}, "at most 1e+12"),
        ("target_stake", 1e-300, "at least 1e-12"),
        ("supply_elasticity", {"loguniform": [1e-30, 1]}, "at least 1e-12"),
    ],
)
def test_a_number_that_is_too_large_is_refused(name, value, says):
    assert says in faults_of(document() | {"parameters": {name: value}})[0]


def test_the_greatest_and_the_least_numbers_play_to_finite_columns():
    given = document()
    given["issues"][next(iter(given["issues"]))]["gap"] = {"uniform": [1e-300, 1]}
    extremes = dict.fromkeys(
        ("tariff_rate", "sanctioned_trade", "full_access", "target_pressure", "sender_pressure", "retaliation_tariff"),
        1e12,
    )
    extremes |= dict.fromkeys(("target_stake", "sender_stake", "import_elasticity"), 1e-12)
    extremes |= {"supply_elasticity": 1e12, "retaliation_import_elasticity": {"loguniform": [1e-12, 1e12]}}
    extremes |= {"threat_probability": 0.5, "follow_through": 0.5, "deadline_weeks": 1, "retaliation_share": 1}
    extremes |= {"unilateral_retaliation": 0.5, "panel_weeks": 1e12, "file_on_sanctions": 0.5}
    extremes |= {"consultation_weeks": {"loguniform": [1, 1e12]}, "deadline_window": 1e12}
    played = simulate(scenario_from_document(given | {"parameters": extremes}), "base", Chance(1, 0, 2000))
    assert (played["sanctions_weeks"] > 0).any()
    for name in ("sender_cost", "target_cost", "export_gain", "balance_change"):
        assert np.isfinite(played[name]).all(), name


def test_weights_are_relative():
    """Weights in the same ratios make the same scenario; those that sum to 1 are kept to the last bit."""
    for weights in ([1, 3], [0.25, 0.75], [1e-9, 3e-9]):
        odds = {"discrete": {"values": [0, 1], "weights": weights}}
        pool = {"mixture": {"of": [{"uniform": [0, 1]}, 0.5], "weights": weights}}
        issues = {"a": issue(weight=weights[0]), "b": issue(weight=weights[1])}
        found = scenario_from_document(document(issues, {"target_win": odds, "credibility": pool}))
        shares = (found.base["target_win"].weights, found.base["credibility"].weights)
        assert [*shares, tuple(one.weight for one in found.issues)] == [pytest.approx((0.25, 0.75))] * 3
        noted = [warning for warning in found.warnings if "weights sum to" in warning.message]
        assert [warning.field for warning in noted] == ([] if sum(weights) == 1.0 else ["issues"])
    thirds = [1 / 3, 1 / 3, 0.333333]
    kept = scenario_from_document(document({name: issue(weight=w) for name, w in zip("abc", thirds, strict=True)}))
    assert [one.weight for one in kept.issues] == thirds
    assert "less than 1e-12" in "".join(faults_of(document({"a": issue(weight=1e-3), "b": issue(weight=1e12)})))


@pytest.mark.parametrize(("one", "other"), [("Parts", "parts"), ("A-1", "a-1")])
def test_names_that_differ_in_capital_letters_only_are_refused(one, other):
    issues = {one: issue(weight=0.5), other: issue(weight=0.5)}
    assert f"issues.{other}: has the name of another issue, {one}" in faults_of(document(issues))[0]
    strategies = {one: {}, other: {}}
    assert f"strategies.{other}: has the name of another strategy" in faults_of(document(strategies=strategies))[0]


@settings(max_examples=50)
@given(st.lists(st.from_regex(r"[A-Za-z0-9-]{1,8}", fullmatch=True), min_size=1, max_size=6, unique=True))
def test_columns_of_an_accepted_scenario_differ_in_more_than_capital_letters(names):
    issues = {name: issue({"uniform": [0.2, 0.8]}, weight=1, numerical=True) for name in names}
    try:
        found = [column.name for column in columns(scenario_from_document(document(issues)))]
    except InvalidInput:
        found = []
    assert len({name.casefold() for name in found}) == len(found)
    assert bool(found) <= (len({name.casefold() for name in names}) == len(names))


class Odd:
    def __repr__(self) -> str:
        return "<odd>"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (datetime.date(1995, 4, 13), "write '1995-04-13'"),
        (datetime.datetime(1995, 4, 13, 9), "write '1995-04-13'"),
        (np.int64(3), "not an int64"),
        (np.array([1, 2]), "not a ndarray"),
        ({1, 2}, "not a set"),
        (Odd(), "not an Odd"),
        (b"x", "not a bytes"),
    ],
)
@pytest.mark.parametrize("field", ["as_of", "horizon_weeks", "schema", "parameters", "issues", "history", "sessions"])
def test_values_that_are_not_plain_json_are_refused_with_their_field(field, value, says):
    for inner, place in ((value, field), ({"deep": [value]}, f"{field}.deep[0]")):
        found = faults_of(document() | {field: inner})
        assert [shown.split(":")[0] for shown in found] == [place]
        assert says in found[0]


def test_keys_that_are_not_texts_and_documents_that_contain_themselves_are_refused():
    assert "texts as keys, not a tuple" in faults_of(document(sources={(1, 2): "x"}))[0]
    endless: list = []
    endless.append(endless)
    assert "levels deep" in faults_of(document(sources=endless))[0]


def test_a_json_file_is_json_and_its_yaml_twin_reads_the_same():
    full = scenario_from_document(every_mechanism() | {"title": "\U0001f600 \u00e9"})
    text = json.dumps(scenario_document(full))
    assert "\\ud83d\\ude00" in text
    assert read_scenario(text, "a.json") == full
    assert read_scenario(yaml.safe_dump(scenario_document(full), allow_unicode=True, sort_keys=False), "a.yaml") == full
    with pytest.raises(InvalidInput, match=r"a.json:1: is not valid JSON"):
        read_scenario(TEXT, "a.json")


def test_measures_have_the_units_of_their_columns_and_every_term_its_own_name():
    for term in MEASURE_TERMS:
        assert COMMON_COLUMNS[term.expression].unit == term.unit
    assert len(TERMS) == len({term.label for term in TERMS.values()})
    assert not set(OUTCOMES) & {*EVENTS, *MEASURES}


def test_the_nearest_known_name_is_looked_for_for_the_first_unknown_ones_alone():
    """Else 20,000 misspelt parameters in a megabyte would take half a minute."""
    wrong = {f"tarif_rate{k}": 1 for k in range(4 * MAX_COMPARED)} | {"x" * 10_000: 1}
    with pytest.raises(InvalidInput) as raised:
        scenario_from_document(document(parameters=wrong))
    messages = [fault.message for fault in raised.value.faults]
    assert len(messages) == len(wrong)
    assert sum("did you mean tariff_rate" in message for message in messages) == MAX_COMPARED


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (90, r"but this reaches 90; 90 % is 0\.9 \("),
        ({"triangular": [50, 70, 90]}, r"from 50 to 90; 90 % is 0\.9 \("),
        (900, r"but this reaches 900 \("),
        ({"discrete": {"values": [0.5] * 1001, "weights": [1] * 1001}}, "has 1001 entries; at most 1000"),
    ],
)
def test_a_share_in_percent_is_refused_with_the_share(value, says):
    with pytest.raises(InvalidInput, match=says) as refused:
        scenario_from_document(document(parameters={"follow_through": value}))
    assert "not empty" not in str(refused.value)
