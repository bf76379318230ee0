"""The outside view of a scenario: how past threats and sanctions ended, as shares to compare and as beliefs."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from cluster.answers.aggregate import AggregateRequest, aggregate
from cluster.answers.entry import quiet
from cluster.query.trials import StoredRun
from cluster.reference.rates import (
    LISTS,
    SETTLED_BY_WEEKS,
    class_rates,
    reference_class,
    sanctions_after,
    scenario_class,
    settled_by_week,
    settled_within,
    shipped_rates,
)
from sim.faults import Fault, InvalidInput
from sim.scenario.scenario import Scenario
from sim.statistics.estimates import Estimate, proportion

THREAT = "threat"
SETTLED = "outcome == 'agreement_under_threat'"
ENDED = {
    "settled": f"threat and {SETTLED}",
    "imposed": "threat and sanctions",
    "dropped": f"threat and not sanctions and not ({SETTLED})",
}
"""How a threat ended, as conditions that exclude each other: settled before anything else, imposed, or neither."""
AGREED = "agreed_within_two_years"
ENDED_SOON = "sanctions_ended_within_a_year"
YEAR, TWO_YEARS = 52, 104
"""Weeks after an imposition at which the record says what had become of sanctions."""
SANCTIONS = "sanctions-in-force"
"""The name of the record of sanctions in force, where the name of a class of threats stands otherwise."""
IN_FORCE = "sanctions_week == 0"
AGREED_IN_FORCE = "outcome == 'agreement_under_sanctions'"
ENDED_IN_FORCE = {
    "agreed": AGREED_IN_FORCE,
    "withdrawn": f"not ({AGREED_IN_FORCE}) and outcome != 'sanctions_standing'",
    "still_in_force": "outcome == 'sanctions_standing'",
}
"""What became of sanctions that were in force as a dispute began, as conditions that exclude each other."""
FEWEST_THREATS = 1_000
"""The least number of trials with a threat for a comparison."""
FORECAST_WEIGHT = 1.0
"""The scenario's own forecast counts as so many threats beside those of the class."""


@dataclass(frozen=True)
class PastShare:
    """A share of past cases, beside the condition of a trial that is compared with it.

    The trials' share is that of `condition` among those in which `given` holds.
    """

    name: str
    label: str
    condition: str
    given: str
    share: Estimate
    source: str


@dataclass(frozen=True)
class PastCases:
    """The past cases with which a strategy's trials are compared.

    `reference` is a class of threats, or `SANCTIONS`; `given` says which trials are compared. The shares of `endings`
    sum to 1. `dated` are the class's own shares of settlements by week; `durations` are what a fit can aim at.
    """

    reference: str
    known_on: str | None
    given: str
    endings: list[PastShare]
    dated: list[PastShare]
    durations: list[PastShare]


def past_cases(scenario: Scenario, strategy: str, reference: str | None = None) -> PastCases:
    """The past cases with which a strategy's trials are compared, as known on the scenario's first day.

    Those of the scenario's reference class, or of another one; for a strategy with sanctions in force from the start,
    which has no threat, those of American sanctions unless a class is named. Raises `InvalidInput` for an unknown or
    empty class, a scenario without a class, and a horizon too short for what is known of sanctions.
    """
    day = None if scenario.as_of is None else date.fromisoformat(scenario.as_of)
    if reference is None and sanctions_from_start(scenario, strategy):
        return _past_sanctions(scenario, day)
    name = scenario_class(scenario) if reference is None else reference_class(reference).name
    known = class_rates(name, day)
    if not known["episodes"]:
        raise InvalidInput((Fault("reference", name, f"had no threats that had ended before {scenario.as_of}"),))
    endings = [
        PastShare(
            ending, ending, condition, THREAT, known["pooled"][ending], f"class {name}, {known['episodes']} threats"
        )
        for ending, condition in ENDED.items()
    ]
    horizon = scenario.horizon_weeks
    dated = [_settled_by_week(name, week, day) for week in SETTLED_BY_WEEKS if week <= horizon]
    return PastCases(name, scenario.as_of, THREAT, endings, dated, _threat_durations(name, day, horizon))


def sanctions_from_start(scenario: Scenario, strategy: str) -> bool:
    """Whether sanctions are in force from the start in every trial of a strategy."""
    return scenario.parameters(strategy)["sanctions_at_start"].document() == 1


def _settled_by_week(reference: str, week: int, day: date | None) -> PastShare:
    count, of = reference_class(reference).settled_before(week, day)
    return PastShare(
        f"agreed_by_week_{week}",
        f"settled within {week} weeks of the threat",
        _settled_within(week),
        THREAT,
        settled_by_week(reference, week, day),
        f"class {reference}{_before(day)}: dated threats as {of:.0f}, {count:.1f} of them settled by then, pooled with "
        "all; other endings compete (Aalen and Johansen); weeks from the first threat, often months before a list",
    )


def _settled_within(week: int) -> str:
    return f"{SETTLED} and agreement_week - threat_week <= {week}"


def _threat_durations(reference: str, day: date | None, horizon: int) -> list[PastShare]:
    """How soon past threats were settled and sanctions ended, within a horizon in weeks.

    How soon threats are settled is that of the settled lists of goods with a deadline, since a threat of the model has
    a deadline too; agreements within two years are those of the class.
    """
    known = class_rates(reference, day)
    known_on = _before(day)
    found = [_list_settled_by_week(week, known, day) for week in SETTLED_BY_WEEKS if week <= horizon]
    if max(SETTLED_BY_WEEKS) <= horizon:
        found.append(
            PastShare(
                AGREED,
                "agreed within two years, before the sender gave up",
                f"outcome in ('agreement_under_threat', 'agreement_under_sanctions') and "
                f"agreement_week - threat_week <= {max(SETTLED_BY_WEEKS)}",
                THREAT,
                known[AGREED],
                f"class {reference}{known_on}, pooled; an episode of the data ends when the sender gives up",
            )
        )
    if horizon > YEAR:
        given = f"threat and sanctions and sanctions_week <= {horizon - YEAR}"
        found.append(_sanctions_ended(given, day))
    return found


def _list_settled_by_week(week: int, known: dict[str, Any], day: date | None) -> PastShare:
    soon, settled = shipped_rates().records[LISTS].settled_within(week, day)
    return PastShare(
        f"list_settled_by_week_{week}",
        f"the same, {week} weeks, beside lists with a deadline",
        _settled_within(week),
        THREAT,
        settled_within(week, known["pooled"]["settled"], day),
        f"the share of class {known['class']}, times how soon lists of goods with a deadline were settled"
        f"{_before(day)}: {soon} of {settled} within {week} weeks of the list",
    )


def _past_sanctions(scenario: Scenario, day: date | None) -> PastCases:
    if scenario.horizon_weeks < TWO_YEARS:
        message = f"must be at least {TWO_YEARS}, since past sanctions in force are known after two years"
        raise InvalidInput((Fault("horizon_weeks", scenario.horizon_weeks, message),))
    counts = sanctions_after(TWO_YEARS, day)
    if not sum(counts):
        message = "is a day on which it was not known of any past sanctions what had become of them after two years"
        raise InvalidInput((Fault("as_of", scenario.as_of, message),))
    source = f"{shipped_rates().sanctions.title}, two years after their imposition{_before(day)}: {{}} of {sum(counts)}"
    endings = [
        PastShare(
            name,
            f"{name.replace('_', ' ')} after two years",
            _within_two_years(name),
            IN_FORCE,
            proportion(count, sum(counts)),
            source.format(count),
        )
        for name, count in zip(ENDED_IN_FORCE, counts, strict=True)
    ]
    return PastCases(SANCTIONS, scenario.as_of, IN_FORCE, endings, [], [_sanctions_ended(IN_FORCE, day)])


def _within_two_years(name: str) -> str:
    ended = f"sanctions_weeks <= {TWO_YEARS}"
    if name == "still_in_force":
        return f"{ENDED_IN_FORCE[name]} or not ({ended})"
    return f"({ENDED_IN_FORCE[name]}) and {ended}"


def _sanctions_ended(given: str, day: date | None) -> PastShare:
    agreed, withdrawn, in_force = sanctions_after(YEAR, day)
    ended, known = agreed + withdrawn, agreed + withdrawn + in_force
    return PastShare(
        ENDED_SOON,
        "sanctions ended within a year of their imposition",
        f"sanctions_weeks <= {YEAR} and outcome != 'sanctions_standing'",
        given,
        proportion(ended, known),
        f"{shipped_rates().sanctions.title}{_before(day)}: {ended} of {known}",
    )


def _before(day: date | None) -> str:
    return "" if day is None else f", as known on {day.isoformat()}"


def too_few_threats(trials: int) -> str:
    """The message for a strategy that has a threat in only so many trials."""
    return (
        f"has a threat in {trials:,} trials, too few to compare with past threats; at least {FEWEST_THREATS:,} are "
        "needed, and a trial with sanctions from the start has none"
    )


@dataclass(frozen=True)
class OutsideView:
    """A class's rates as beliefs about a run's first strategy.

    `rates` are the forecast's and the class's shares of threats that ended in each way, pooled; `episodes` is how many
    threats of the class are known, and `prior_weight` the weight, in threats, of the overall rates among them.
    """

    reference: str
    known_on: str | None
    episodes: int
    prior_weight: float
    forecast: dict[str, float]
    rates: dict[str, float]
    beliefs: tuple[str, ...]


def outside_view(run: StoredRun) -> OutsideView:
    """The rates of the run's reference class, as known on the scenario's first day, as beliefs.

    A threat's ending has a Dirichlet distribution: a weight of `FORECAST_WEIGHT` at the forecast's shares, the class's
    counts, and the overall rates with their weight; its mean is what is believed. The probability of a threat stays
    as it was played. Raises `InvalidInput` for a scenario without a class, and where too few trials have a threat.
    """
    scenario = run.plan.scenario
    reference = scenario_class(scenario)
    found = class_rates(reference, None if scenario.as_of is None else date.fromisoformat(scenario.as_of))
    if not found["episodes"]:
        fault = Fault("reference", reference, f"had no threats that had ended before {scenario.as_of}")
        raise InvalidInput((fault,))
    strategy = run.plan.strategies[0]
    request = AggregateRequest(
        measures={THREAT: THREAT, **ENDED}, statistics=("count", "mean"), by=(), strategies=(strategy,)
    )
    (played,) = aggregate(run, request, quiet).result.model_dump()["rows"]
    threatened = played[f"{THREAT}.mean"]
    trials = round(threatened * played[f"{THREAT}.count"])
    if trials < FEWEST_THREATS:
        raise InvalidInput((Fault("outside", strategy, too_few_threats(trials)),))
    weight = found["episodes"] + found["prior_weight"]
    forecast = {name: played[f"{name}.mean"] / threatened for name in ENDED}
    rates = {
        name: (FORECAST_WEIGHT * share + weight * found["pooled"][name]["estimate"]) / (FORECAST_WEIGHT + weight)
        for name, share in forecast.items()
    }
    # Where every trial has a threat the last share follows from the others.
    stated = list(ENDED) if trials < played[f"{THREAT}.count"] else list(ENDED)[:-1]
    return OutsideView(
        reference=reference,
        known_on=scenario.as_of,
        episodes=found["episodes"],
        prior_weight=found["prior_weight"],
        forecast=forecast,
        rates=rates,
        beliefs=tuple(f"{ENDED[name]} = {rates[name] * threatened:.12g} under {strategy}" for name in stated),
    )
