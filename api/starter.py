"""A first scenario of one's own: a dozen questions in plain words, and the commented file made of the answers."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import isfinite
from typing import Any

import yaml

from api.starting_ranges import StartingRanges, shipped_starting_ranges
from sim.faults import Fault, InvalidInput
from sim.model.incidence import incidence
from sim.scenario import validation
from sim.scenario.sessions import MAX_HORIZON_WEEKS
from sim.scenario.validation import Report
from sim.scenario.yaml_lines import is_date

REFERENCE, NEUTRAL = "reference", "neutral"
NO_THREAT, POSSIBLE, ANNOUNCED, LIKELY, UNKNOWN = "none", "possible", "announced", "likely", "unknown"
ALL_THREATS = "all"
MOST_NUMBER = 1e6
_LAST_APPELLATE_BODY = "2019-12-11"
"""From this day on the WTO's Appellate Body has had too few members to decide an appeal."""
_OWN = "Your answer to brink new; say here where it comes from."
_RULE = "The rule of the shipped scenarios of past disputes; replace it by what is known of this dispute."
_FITTED = "Fitted to how past threats of the class {} ended; {}."
_STAKE = (
    "Judgement: of the size of what the sanctions cost in a year, so that their size alone decides nothing; nobody has "
    "measured it. Replace it by what granting everything would cost."
)
_GAPS = {"near": [0.1, 0.3, 0.6], "middle": [0.3, 0.5, 0.8], "far": [0.5, 0.8, 1]}
_TALKS = {
    "weekly": ["technical", "mid", "technical", "senior"],
    "fortnightly": ["none", "mid", "none", "senior"],
    "monthly": ["none", "none", "none", "mid"],
}
_AUTHORITY = {"none": 0.0, "technical": 1 / 3, "mid": 1.0, "senior": 2.2}
"""The mean authority of a meeting under the ranges of `_parameters`."""
_WINDOW = 4
"""The weeks before a deadline in which it presses: one round of meetings, however often officials meet."""
_FITTED_TALKS, _FITTED_DEADLINE = "weekly", 6
"""The meetings and the deadline with which the ranges were fitted."""


@dataclass(frozen=True)
class Question:
    """A question, the option that answers it, and how an answer is read.

    `choices` are the answers that there are; else `read` makes the value of a text, or raises `ValueError` with what is
    allowed. `needs_threat` marks what matters only where sanctions may be threatened. `explanation` says what follows
    from an answer.
    """

    name: str
    text: str
    default: str
    read: Callable[[str], Any]
    choices: tuple[str, ...] = ()
    needs_threat: bool = False
    explanation: str = ""

    def value(self, answer: str) -> Any:
        """The value of an answer. Raises `InvalidInput` with the question's name as field."""
        try:
            return self.read(answer.strip())
        except ValueError as error:
            raise InvalidInput((Fault(self.name, answer, str(error)),)) from None


@dataclass(frozen=True)
class Demand:
    """An issue: its name in the file, what is demanded, and how much of the whole it is."""

    name: str
    title: str
    weight: float


def _number(least: float, unit: str) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            point = re.fullmatch(r"[-+]?\d+,\d+", text)
            raise ValueError(
                f"must have a point for the decimals: {text.replace(',', '.')}"
                if point
                else f"must be a number of {unit}"
            ) from None
        if not isfinite(number) or not least <= number <= MOST_NUMBER:
            raise ValueError(f"must be from {least:g} to {MOST_NUMBER:g} {unit}")
        return number

    return read


def _weeks(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):
            raise ValueError(f"must be a whole number of weeks from 1 to {most}")
        return int(text)

    return read


def _line(text: str) -> str:
    report = Report()
    validation.text(report, (), text, validation.MAX_TITLE)
    if report.faults:
        raise ValueError(report.faults[0].message)
    return text


def _day(text: str) -> str:
    if not is_date(text):
        raise ValueError("must be a date, YYYY-MM-DD")
    return text


def _one_of(*choices: str) -> dict[str, Any]:
    def read(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text.lower()

    return {"read": read, "choices": choices}


QUESTIONS = (
    Question("title", "What is the dispute about, in one line?", "", _line, explanation="The title of the scenario."),
    Question("sender", "Who makes the demands?", "Sender", _line, explanation="The side that may threaten sanctions."),
    Question("target", "Of whom?", "Target", _line, explanation="The side that is asked for concessions."),
    Question(
        "as_of",
        "On which day does it begin (YYYY-MM-DD)?",
        "",
        _day,
        explanation="Week 1 begins on that day. Use what was known then, and nothing later.",
    ),
    Question(
        "weeks",
        "For how many weeks is it followed?",
        "104",
        _weeks(MAX_HORIZON_WEEKS),
        explanation="A dispute without an end by then counts as unresolved.",
    ),
    Question(
        "distance",
        "How far apart are the sides?",
        "far",
        **_one_of(*_GAPS),
        explanation="Of what is demanded, so much is still open: near about a third, middle half, far four fifths.",
    ),
    Question(
        "talks",
        "How often do officials meet?",
        "weekly",
        **_one_of(*_TALKS),
        explanation="A side can concede only in a week with a meeting.",
    ),
    Question(
        "gain",
        "Extra exports if all is granted, bn USD a year?",
        "1",
        _number(0.0, "bn USD a year"),
        explanation="The middle of a wide range, from two fifths of it to two and a half times as much.",
    ),
    Question(
        "threat",
        "Are sanctions threatened?",
        POSSIBLE,
        **_one_of(NO_THREAT, POSSIBLE, ANNOUNCED),
        explanation="Announced: in the first week. Possible: in any week, with a small probability.",
    ),
    Question(
        "demand",
        "Is it specific what would satisfy the demand?",
        UNKNOWN,
        needs_threat=True,
        **_one_of("specific", "unspecific", UNKNOWN),
        explanation="With the next answer: the class of past threats from whose record the forecast starts.",
    ),
    Question(
        "commitment",
        "How strongly is the sender committed to the sanctions?",
        UNKNOWN,
        needs_threat=True,
        **_one_of("weak", "medium", "strong", UNKNOWN),
        explanation="Strong: the goods and a date are published, say. Weak: sanctions are hinted at.",
    ),
    Question(
        "deadline",
        "Weeks from the announcement to the deadline?",
        "6",
        _weeks(520),
        needs_threat=True,
        explanation="At the deadline sanctions are imposed, put off or dropped.",
    ),
    Question(
        "trade",
        "Imports that sanctions would hit, bn USD a year?",
        "1",
        _number(0.0, "bn USD a year"),
        needs_threat=True,
        explanation="The trade before the sanctions; the range goes from half of it to one and a half times as much.",
    ),
    Question(
        "tariff",
        "Extra tariff of the sanctions, per cent?",
        "100",
        _number(0.0, "per cent"),
        needs_threat=True,
        explanation="100 per cent doubles the price at the border.",
    ),
    Question(
        "retaliation",
        "Would the target retaliate at once?",
        POSSIBLE,
        needs_threat=True,
        **_one_of(NO_THREAT, POSSIBLE, LIKELY),
        explanation="Without waiting for a ruling.",
    ),
    Question(
        "complaint",
        "Would the target complain to the WTO?",
        POSSIBLE,
        needs_threat=True,
        **_one_of(NO_THREAT, POSSIBLE, LIKELY),
        explanation="At the announcement, or later when sanctions are imposed.",
    ),
)
"""In the order in which they are asked; what is demanded is asked before the distance, see `read_demands`."""


def default_of(question: Question, name: str) -> str:
    """What an unanswered question has: the scenario's name as title, today as the first day."""
    return {"title": name, "as_of": date.today().isoformat()}.get(question.name, question.default)


def read_answers(
    name: str, given: Mapping[str, str | None], ask: Callable[[Question], str] | None = None
) -> dict[str, Any]:
    """The value of every question that matters, by its name: as given, else as `ask` gives it, else its default.

    Raises `InvalidInput` for an answer that cannot be read, and for one about sanctions where none are threatened.
    """
    answers: dict[str, Any] = {}
    for question in QUESTIONS:
        text = given.get(question.name)
        if question.needs_threat and answers["threat"] == NO_THREAT:
            if text is not None:
                raise InvalidInput((Fault(question.name, text, "is about sanctions, and none are threatened"),))
            continue
        if text is None:
            text = default_of(question, name) if ask is None else ask(question)
        answers[question.name] = question.value(text)
    return answers


def read_demands(texts: Sequence[str]) -> list[Demand]:
    """Demands as a user gave them: what is demanded, and with ``=`` its weight if they are not all equal.

    Raises `InvalidInput`.
    """
    found: list[Demand] = []
    for text in texts or ["The demand"]:
        title, sign, tail = text.rpartition("=")
        weight = 1.0
        try:
            weight = float(tail) if sign else 1.0
        except ValueError:
            if re.fullmatch(r"\s*[-+]?\d+,\d+\s*", tail):
                point = f"must have a point for the decimals of its weight: {tail.strip().replace(',', '.')}"
                raise InvalidInput((Fault("issue", text, point),)) from None
            title = text
        if not sign:
            title = text
        if not isfinite(weight) or not 0.0 < weight <= MOST_NUMBER:
            raise InvalidInput((Fault("issue", text, "must have a weight above 0, such as 'Access to dealers=0.6'"),))
        try:
            _line(title.strip())
        except ValueError as error:
            raise InvalidInput((Fault("issue", text, str(error)),)) from None
        found.append(Demand(_issue_name(title, {one.name for one in found}), title.strip(), weight))
    total = sum(one.weight for one in found)
    weights = [float(f"{one.weight / total:.4g}") for one in found]
    # What rounding leaves goes to the largest, so that they sum to 1.
    largest = max(range(len(found)), key=weights.__getitem__)
    weights[largest] = round(weights[largest] + 1.0 - sum(weights), 6)
    return [Demand(one.name, one.title, weight) for one, weight in zip(found, weights, strict=True)]


def _issue_name(title: str, taken: set[str]) -> str:
    """A name of ASCII letters, digits and '-' for an issue."""
    words = re.findall(r"[a-z0-9]+", title.lower())
    name = ""
    for word in words:
        if len(name) + len(word) > 30:
            break
        name = f"{name}-{word}".strip("-")
    name = name if name and not name.isdigit() else "issue"
    number, chosen = 2, name
    while chosen in taken:
        chosen, number = f"{name}-{number}", number + 1
    return chosen


def reference_class_of(answers: Mapping[str, Any]) -> str:
    """The class of past threats that is like the one of the answers; all threats where they do not say."""
    known = [answers[name] for name in ("demand", "commitment") if answers.get(name, UNKNOWN) != UNKNOWN]
    return "-".join(known) or ALL_THREATS


def scenario_text(
    name: str,
    demands: Sequence[Demand],
    answers: Mapping[str, Any],
    ranges: str = REFERENCE,
    fitted: StartingRanges | None = None,
) -> str:
    """The commented YAML file of a scenario; `answers` has the value of every question that was asked.

    With reference ranges the parameters that nobody was asked about have those of past disputes, fitted to how threats
    of the answers' class ended; with neutral ones these stand as comments, and the model's neutral defaults hold.
    `fitted` are the fitted ranges, those shipped for the class if none are given.
    """
    threat = answers["threat"] != NO_THREAT
    source, shipped = shipped_starting_ranges() if fitted is None else ("", {})
    begin = fitted or shipped[reference_class_of(answers)]
    own, rule, sources = _parameters(answers, len(demands), begin, source)
    gap, concession = _flow({"pert": _GAPS[answers["distance"]]}), _flow({"pert": [0.01, 0.03, 0.08]})
    lines = [
        "# Made by brink new. Every range is a first guess: change it to what is known of this dispute, say under",
        "# sources where it comes from, and see what follows with `brink run`. A value is a number or a distribution,",
        "# such as {pert: [low, most likely, high]} or {uniform: [low, high]}; `brink parameters` lists all of them.",
        "schema: 1",
        f"name: {_text(name)}",
        f"title: {_text(answers['title'])}",
        "# The day on which week 1 begins: use what was known then, and nothing later.",
        f"as_of: {answers['as_of']}",
        f"sender: {_text(answers['sender'])}",
        f"target: {_text(answers['target'])}",
        f"horizon_weeks: {answers['weeks']}",
        "discount_rate: 0.05",
        "# The kind of meeting in each week, again and again: technical, mid, senior or none.",
        "sessions:",
        f"  cycle: [{', '.join(_cycle(answers))}]",
        "",
        "# What is demanded. The weights say how much of the whole each issue is; gap is the distance between the",
        "# sides at the start; concessions are the probabilities that a side moves in a week with a mid-level meeting.",
        "issues:",
    ]
    for demand in demands:
        lines += [
            f"  {_text(demand.name)}:",
            f"    title: {_text(demand.title)}",
            f"    weight: {demand.weight!r}",
            "    # true where a number is demanded, such as a market share",
            "    numerical: false",
            f"    gap: {gap}",
            f"    sender_concession: {concession}",
            f"    target_concession: {concession}",
        ]
    lines += ["", "parameters:", "  # What you were asked"]
    lines += [f"  {key}: {_flow(value)}" for key, value in own.items()]
    if ranges == REFERENCE:
        lines += [
            "  # What you were not asked. Those which `sources` calls fitted are such that threats end about as",
            f"  # often in each way as past ones of the class {begin.reference} did. Fit again with `brink fit` when",
            "  # you have changed what matters, such as issues or stakes.",
        ]
        lines += [f"  {key}: {_flow(value)}" for key, value in rule.items()]
    else:
        lines.append("  # Neutral unless you remove the #: ranges fitted to how past threats ended")
        lines += [f"  # {key}: {_flow(value)}" for key, value in rule.items()]
    lines += ["", "# What the sender may choose between; a strategy lists what it has otherwise.", "strategies:"]
    lines += ["  threaten: {}", "  talk: {threat_probability: 0}"] if threat else ["  talk: {}"]
    lines += [
        "",
        "# The measure by which strategies are compared, more being better.",
        "choice: export_gain - sender_cost",
        "# The class of past threats with which `brink check` compares the forecast; `brink rates` lists them.",
        f"{'' if threat else '# '}reference: {begin.reference}",
        "",
        "sources:",
        f"  issues: {_text(_OWN)}",
        *(f"  {key}: {_text(_OWN)}" for key in own),
        *(f"  {key}: {_text(sources.get(key, _RULE))}" for key in rule if ranges == REFERENCE),
        *([f"  reference: {_text(_OWN)}"] if threat else []),
    ]
    return "\n".join(lines) + "\n"


def _cycle(answers: Mapping[str, Any]) -> list[str]:
    """The kinds of meeting, again and again; where the deadline is known, its week is the last of a round."""
    cycle = _TALKS[answers["talks"]]
    late = answers["deadline"] + 1 if answers["threat"] == ANNOUNCED else 0
    return [cycle[(week - late) % len(cycle)] for week in range(len(cycle))]


def _opportunity(talks: str, deadline: int, multiplier: float) -> float:
    """How much chance the meetings up to a deadline give to concessions: authority, times the deadline's effect."""
    authority = [_AUTHORITY[kind] for kind in _TALKS[talks]]
    last = sum(authority[-(deadline + 1) :])
    return multiplier * last + sum(authority) / len(authority) * max(deadline + 1 - _WINDOW, 0)


def _readiness(answers: Mapping[str, Any], issues: int, costs: bool, begin: StartingRanges) -> float:
    """The readiness of both sides with which as many threats are settled as of the class.

    That of the fitted ranges, in proportion to how much less chance the meetings give to concessions than those of the
    fit, and times the factor of the meetings.
    """
    multiplier = begin.ranges["deadline_multiplier"]["pert"][1]
    deadline = answers.get("deadline", _FITTED_DEADLINE)
    fitted = _opportunity(_FITTED_TALKS, _FITTED_DEADLINE, multiplier)
    chance = _opportunity(answers["talks"], deadline, multiplier)
    return _short(begin.readiness_of(issues, costs) * begin.meetings[answers["talks"]] * fitted / chance)


def _parameters(
    answers: Mapping[str, Any], issues: int, begin: StartingRanges, source: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """The parameters that follow from the answers, those of the rule for the rest, and the sources of some of these."""
    gain = answers["gain"]
    threat = answers["threat"] != NO_THREAT
    cost = _yearly_cost(answers) if threat else 0.0
    own: dict[str, Any] = {}
    readiness = _readiness(answers, issues, cost > 0.0 or not threat, begin)
    rule: dict[str, Any] = {
        "sender_readiness": readiness,
        "target_readiness": readiness,
        "sender_step": 0.5,
        "target_step": 0.5,
        "senior_authority": {"pert": [1.2, 2, 4]},
        "technical_authority": {"pert": [0.1, 0.3, 0.7]},
    }
    fitted = _FITTED.format(begin.reference, source)
    sources = {"sender_readiness": fitted, "target_readiness": fitted}
    own["full_access"] = {"lognormal": {"p05": _short(gain / 2.5), "p95": _short(gain * 2.5)}} if gain else 0
    if not threat:
        return own, rule, sources
    trade, tariff = answers["trade"], answers["tariff"]
    own["threat_probability"] = 1 if answers["threat"] == ANNOUNCED else {"pert": [0.05, 0.2, 0.5]}
    own["deadline_weeks"] = answers["deadline"]
    own["sanctioned_trade"] = {"pert": [_short(trade / 2), _short(trade), _short(trade * 1.5)]} if trade else 0
    own["tariff_rate"] = _short(tariff / 100)
    rule |= {
        "deadline_window": _WINDOW,
        "deadline_multiplier": begin.ranges["deadline_multiplier"],
        "credibility": {"pert": [0.4, 0.7, 1]},
        "follow_through": begin.ranges["follow_through"],
        "extension_probability": begin.ranges["extension_probability"],
        "extension_weeks": {"pert": [1, 4, 26]},
        "credibility_decay": {"uniform": [0.5, 1]},
        "defiance_probability": {"pert": [0.1, 0.3, 0.6]},
        "defiance_multiplier": {"pert": [0.2, 0.5, 0.9]},
        "import_elasticity": {"pert": [1, 2, 4]},
        "supply_elasticity": {"loguniform": [1, 8]},
        "sanction_fatigue": begin.ranges["sanction_fatigue"],
    }
    sources |= dict.fromkeys(begin.ranges, fitted)
    if cost:
        stake = {"pert": [_short(cost * share) for share in (0.6, 1.5, 3.0)]}
        rule |= {
            "target_pressure": begin.ranges["target_pressure"],
            "sender_pressure": begin.ranges["sender_pressure"],
            "target_stake": stake,
            "sender_stake": stake,
        }
        sources |= {"target_stake": _STAKE, "sender_stake": _STAKE}
    if answers["retaliation"] != NO_THREAT:
        often = answers["retaliation"] == LIKELY
        own["unilateral_retaliation"] = {"pert": [0.7, 0.95, 1] if often else [0.05, 0.2, 0.5]}
    # A ruling for the target allows retaliation too.
    if {answers["retaliation"], answers["complaint"]} != {NO_THREAT}:
        rule |= {
            "retaliation_share": {"pert": [0.1, 0.5, 1]},
            "retaliation_tariff": {"uniform": [0.2, 1]},
            "retaliation_import_elasticity": {"pert": [1, 2, 4]},
            "retaliation_supply_elasticity": {"loguniform": [1, 8]},
        }
    if answers["complaint"] != NO_THREAT:
        often = answers["complaint"] == LIKELY
        own["file_on_threat"] = {"pert": [0.5, 0.9, 1] if often else [0.1, 0.4, 0.8]}
        own["file_on_sanctions"] = {"pert": [0.6, 0.9, 1] if often else [0.4, 0.8, 0.98]}
        rule |= {
            "consultation_weeks": {"pert": [9, 12, 30]},
            "panel_weeks": {"pert": [52, 70, 130]},
            "appeal_weeks": {"pert": [13, 26, 60]},
            "compliance_weeks": {"pert": [26, 45, 65]},
            "target_win": {"pert": [0.6, 0.85, 0.97]},
            "appeal_probability": {"pert": [0.5, 0.75, 0.95]},
            "reversal_probability": {"pert": [0.02, 0.1, 0.25]},
            "compliance_probability": {"pert": [0.1, 0.4, 0.8]},
            "litigation_relief": {"uniform": [0, 0.2]},
        }
        if answers["as_of"] >= _LAST_APPELLATE_BODY:
            rule["void_probability"] = {"pert": [0.9, 0.98, 1]}
    return own, rule, sources


def _yearly_cost(answers: Mapping[str, Any]) -> float:
    """What the sanctions of the answers cost the target in a year, bn USD, at elasticities of 2 and 3."""
    return _short(float(incidence(answers["trade"], answers["tariff"] / 100, 2.0, 3.0).exporter_loss))


def _short(number: float) -> float:
    """A number with three digits, whole where it is."""
    short = float(f"{number:.3g}")
    return int(short) if short == int(short) else short


def _flow(value: object) -> str:
    """A number or a distribution in one line of YAML."""
    return (
        yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False)
        .removesuffix("\n")
        .removesuffix("\n...")
    )


def _text(text: str) -> str:
    """A text in one line of YAML: as it is where YAML reads it back, else in quotes."""
    if re.fullmatch(r"[A-Za-z][\w ,.;()'/-]*", text) and not text.endswith(" ") and yaml.safe_load(text) == text:
        return text
    return json.dumps(text, ensure_ascii=False)
