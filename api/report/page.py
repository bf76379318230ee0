"""A report as one HTML page that loads nothing."""

import json
from importlib import resources
from typing import Any

import altair as alt
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from api import charts
from api.chart_files import svg_of
from api.figures import amount, rounded_up, share
from api.report import sentences
from api.report.contents import Answers
from api.sentences import (
    belief_sentences,
    better_by,
    dependence_sentence,
    describe,
    evidence_sentences,
    learning_sentence,
    name_of,
    range_words,
    unit_of,
    worth_learning,
)
from cluster.query.trials import kept_rows_note
from sim.model.narrative import week_name
from sim.scenario.distributions import Fixed
from sim.scenario.parameters import parameter
from sim.scenario.scenario import interventions_document
from sim.scenario.vocabulary import EVENT_TERMS, OUTCOME_TERMS

LEARNING = 5
"""The number of parameters listed by value of information."""


def report_page(answers: Answers, font: str | None = None) -> str:
    """The report as HTML. All text of the scenario is escaped; charts are inline SVG. Texts are in a font if named."""
    text = (resources.files("api.report") / "page.html.jinja").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(text).render(_values(answers, font))


def _values(answers: Answers, font: str | None) -> dict[str, Any]:
    scenario = answers.run.plan.scenario
    several = answers.worth is not None
    return {
        "scenario": scenario,
        "recorded": answers.recorded,
        "strategies": list(answers.summary["strategies"]),
        "several": several,
        "best": answers.best,
        "given": answers.given,
        "evidence": evidence_sentences(answers.evidence) if answers.evidence else [],
        "measure_name": name_of(answers.measure),
        "question": sentences.question(answers),
        "findings": sentences.findings(answers),
        "driver": sentences.driver(answers),
        "dependence": dependence_sentence(answers.compare["result"]) if answers.compare else "",
        "beliefs": belief_sentences(answers.compare["result"]) if answers.compare else [],
        "learning_first": learning_sentence(answers.worth["result"]) if answers.worth else "",
        "font": font,
        "charts": _charts(answers),
        "outcomes": _outcomes(answers),
        "choice_rows": _choice_rows(answers) if several else [],
        "learning": _learning(answers) if several else [],
        "stories": [_story(answers, one["result"]) for one in answers.stories],
        "ranges": _ranges(answers),
        "method": answers.timeline["method"]["errors"].rstrip("."),
        "kept_rows": "" if answers.run.plan.keeps_all_rows else kept_rows_note(answers.run),
        "reproducibility": _reproducibility(answers),
    }


def _charts(answers: Answers) -> dict[str, Markup]:
    drawn: dict[str, alt.TopLevelMixin] = {
        "outcomes": charts.outcomes_chart(answers.summary),
        "timeline": charts.timeline_chart(answers.timeline),
        "tornado": charts.tornado_chart(answers.drivers),
    }
    if answers.worth is not None:
        drawn["means"] = charts.means_chart(answers.worth)
    # The SVG is made by vl-convert, which escapes the texts in it.
    return {name: Markup(svg_of(chart)) for name, chart in drawn.items()}


def _outcomes(answers: Answers) -> dict[str, Any]:
    """The table of outcomes and events: its rows, what no trial had, and how likely that may be all the same."""
    strategies = answers.summary["strategies"].values()
    rows, never, most_missed = [], [], 0.0
    for kind, terms in (("outcome", OUTCOME_TERMS), ("events", EVENT_TERMS)):
        for term in terms:
            shares = [one[kind][term.name] for one in strategies]
            most_missed = max([most_missed, *(one["high"] for one in shares if one["estimate"] == 0.0)])
            if any(one["estimate"] for one in shares):
                cells = [share(one) if one["estimate"] else "0" for one in shares]
                rows.append({"label": term.label, "cells": cells})
            else:
                never.append(term.label)
    return {"rows": rows, "never": "; ".join(never), "missed": rounded_up(100.0 * most_missed)}


def _choice_rows(answers: Answers) -> list[dict[str, str]]:
    assert answers.worth is not None
    assert answers.compare is not None
    means = answers.worth["result"]["now"]["means"]
    compared = answers.compare["result"]
    regret = compared["choices"][0]["regret"]
    rows = []
    for name in sorted(regret, key=lambda name: regret[name]["mean"]["estimate"]):
        row = {"name": name, "mean": amount(means[name], unit_of(answers.measure)), "short_by": "", "better_in": ""}
        if name != answers.best:
            short_by, _, better = better_by(compared["pairs"], answers.best, name, answers.measure)
            row |= {"short_by": amount(short_by), "better_in": share(better)}
        rows.append(row | {"regret": amount(regret[name]["mean"])})
    return rows


def _learning(answers: Answers) -> list[dict[str, str]]:
    assert answers.worth is not None
    seen = worth_learning(answers.worth["result"])[:LEARNING]
    unit = unit_of(answers.measure)
    return [{"name": describe(one["name"]), "value": amount(one["value"], unit)} for one in seen]


def _story(answers: Answers, story: dict[str, Any]) -> dict[str, Any]:
    scenario = answers.run.plan.scenario
    outcome = {term.name: term.label for term in OUTCOME_TERMS}[story["end"]["outcome"]]
    return {
        "heading": outcome,
        "trial": f"{story['trial']:,}",
        "strategy": story["strategy"],
        "passages": [
            {"when": week_name(scenario, one["first_week"]), "text": " ".join(one["sentences"])}
            for one in story["story"]
            if one["events"]
        ],
        "ending": f"The end: {story['strategies'][story['strategy']]['ending']}.",
        "check": _row_check(story["check"]),
    }


def _row_check(check: dict[str, Any]) -> str:
    """A warning if a story is not that of the stored trial, or if the run keeps no row of it; empty otherwise."""
    if check["equal"] is None:
        return "The run keeps no row of this trial with which the story could be compared."
    if check["equal"]:
        return ""
    made = ", ".join(f"{name} {one['run']} then, {one['here']} now" for name, one in check["other_versions"].items())
    why = f"the run was made with other versions ({made})" if made else "a file of the run was altered"
    return f"This story is not that of the stored trial: {why}."


def _ranges(answers: Answers) -> list[dict[str, str]]:
    scenario = answers.run.plan.scenario
    rows = []
    for name, base in scenario.base.items():
        distribution = scenario.interventions.get(name, base)
        varied = name in scenario.interventions or name in scenario.uncertain or name in scenario.sources
        if varied or (isinstance(distribution, Fixed) and distribution.value != parameter(name).default):
            rows.append(
                {
                    "name": name,
                    "range": range_words(distribution.document()),
                    "unit": parameter(name).unit,
                    "source": "set under every strategy"
                    if name in scenario.interventions
                    else scenario.sources.get(name, "no source is given"),
                }
            )
    return rows


def _reproducibility(answers: Answers) -> list[tuple[str, str]]:
    plan = answers.run.plan
    versions = answers.recorded.get("versions", {})
    command = f"brink run {plan.scenario.name} --trials {plan.trials} --seed {plan.seed} --design {plan.design.name}"
    if plan.keep != "all":
        command += f" --keep {plan.keep}"
    for name, value in interventions_document(plan.scenario).items():
        command += f" --set '{name}={json.dumps(value)}'"
    return [
        ("command", command),
        ("seed", str(plan.seed)),
        ("design", plan.design.name),
        ("scenario (SHA-256)", answers.scenario_sha256),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]
