"""The outside view as beliefs: how often threats of a scenario's reference class ended in each way."""

from dataclasses import dataclass
from datetime import date

from cluster.answers.aggregate import AggregateRequest, aggregate
from cluster.answers.entry import quiet
from cluster.query.trials import StoredRun
from cluster.reference.rates import class_rates, scenario_class, settled_within
from sim.faults import Fault, InvalidInput
from sim.statistics.estimates import Estimate

THREAT = "threat"
SETTLED = "outcome == 'agreement_under_threat'"
ENDED = {
    "settled": f"threat and {SETTLED}",
    "imposed": "threat and sanctions",
    "dropped": f"threat and not sanctions and not ({SETTLED})",
}
"""How a threat ended, as conditions that exclude each other: settled before anything else, imposed, or neither."""
AGREED_WEEKS = (12, 26, 52, 104)
"""Weeks from the announcement of sanctions by which the share of settlements is compared."""
AGREED = "agreed_within_two_years"
FEWEST_THREATS = 1_000
"""The least number of trials with a threat for a comparison."""
FORECAST_WEIGHT = 1.0
"""The scenario's own forecast counts as so many threats beside those of the class."""


@dataclass(frozen=True)
class PastDuration:
    """How soon past threats were settled or agreed, beside the condition of a trial that is compared with it."""

    name: str
    label: str
    condition: str
    share: Estimate
    source: str


def too_few_threats(trials: int) -> str:
    """The message for a strategy that has a threat in only so many trials."""
    return (
        f"has a threat in {trials:,} trials, too few to compare with past threats; at least {FEWEST_THREATS:,} are "
        "needed, and a trial with sanctions from the start has none"
    )


def past_durations(reference: str, day: date | None, horizon: int) -> list[PastDuration]:
    """The durations with which a scenario's threats are compared, as known on a day, within a horizon in weeks.

    How soon is that of the settled lists of goods with a deadline, since a threat of the model has a deadline too;
    agreements within two years are those of the class.
    """
    known = class_rates(reference, day)
    known_on = "" if day is None else f" that had ended before {day.isoformat()}"
    found = [
        PastDuration(
            f"agreed_by_week_{week}",
            f"settled within {week} weeks of the threat",
            f"{SETTLED} and agreement_week - threat_week <= {week}",
            settled_within(week, known["pooled"]["settled"], day),
            f"class {reference}, times how soon lists of goods with a deadline were settled{known_on}",
        )
        for week in AGREED_WEEKS
        if week <= horizon
    ]
    if max(AGREED_WEEKS) <= horizon:
        found.append(
            PastDuration(
                AGREED,
                "agreed within two years, before the sender gave up",
                f"outcome in ('agreement_under_threat', 'agreement_under_sanctions') and "
                f"agreement_week - threat_week <= {max(AGREED_WEEKS)}",
                known[AGREED],
                f"class {reference}{known_on}, pooled; an episode of the data ends when the sender gives up",
            )
        )
    return found


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
