"""The outside view as beliefs: how often threats of a scenario's reference class ended in each way."""

from dataclasses import dataclass
from datetime import date

from cluster.answers.aggregate import AggregateRequest, aggregate
from cluster.answers.entry import quiet
from cluster.query.trials import StoredRun
from cluster.reference.rates import class_rates, scenario_class
from sim.faults import Fault, InvalidInput

THREAT = "threat"
SETTLED = "outcome == 'agreement_under_threat'"
ENDED = {
    "settled": f"threat and {SETTLED}",
    "imposed": "threat and sanctions",
    "dropped": f"threat and not sanctions and not ({SETTLED})",
}
"""How a threat ended, as conditions that exclude each other: settled before anything else, imposed, or neither."""
FEWEST_THREATS = 1_000
"""The least number of trials with a threat for a comparison."""
FORECAST_WEIGHT = 1.0
"""The scenario's own forecast counts as so many threats beside those of the class."""


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
        message = f"has a threat in {trials:,} trials, too few to compare; at least {FEWEST_THREATS:,} are needed"
        raise InvalidInput((Fault("outside", strategy, message),))
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
