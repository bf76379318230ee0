"""The summary of a run: outcomes, events and measures of each strategy, with their Monte Carlo error."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field

from cluster.answers import shared
from cluster.answers.beliefs import WEIGHTED, StatedBelief, read_beliefs
from cluster.answers.entry import (
    Answer,
    Computed,
    Estimate,
    Evidence,
    GivenRequest,
    OnProgress,
    Result,
    StrategiesRequest,
)
from cluster.answers.outside_view import outside_view
from cluster.answers.summary_by_shards import CountedTrials
from cluster.answers.summary_document import QUANTILES_EXACT, strategy_document, summary_document
from cluster.answers.summary_in_memory import TrialsInMemory
from cluster.answers.summary_of_counts import QUANTILES_COUNTED, CountedValues
from cluster.answers.weighted_summary import weighted_summary
from cluster.query.counted_trials import summed_counts
from cluster.query.shard_map import is_mapped_on_ray
from cluster.query.trials import StoredRun, chosen_strategies, kept_rows_note
from cluster.storage.concurrent import in_order
from sim.faults import Fault, InvalidInput
from sim.scenario.expressions import Expression, parse_condition
from sim.scenario.vocabulary import MEASURES

_AT_ONCE = 2
"""Strategies summarised at a time, if their numbers fit in memory."""


class SummaryRequest(StrategiesRequest, GivenRequest):
    """The strategies, the condition and the beliefs."""

    outside: Annotated[
        bool,
        Field(
            description="Believe also how threats of the scenario's reference class ended, under the first strategy."
        ),
    ] = False


class QuantileInterval(Result):
    """A quantile's 95 % interval; null where it has no bound."""

    low: float | None
    high: float | None


class MeasureSummary(Result):
    """A measure over the trials in which it is known."""

    count: int
    mean: Estimate
    quantiles: dict[str, float | None]
    quantile_intervals: dict[str, QuantileInterval]
    quantiles_exact: bool
    skewed: Annotated[
        bool, Field(description="A few large numbers make up the mean: its interval may be too short.")
    ] = False


class SummaryChange(Result):
    """How far beliefs moved the probabilities and the means of a strategy."""

    outcome: dict[str, Estimate]
    events: dict[str, Estimate]
    measures: dict[str, Estimate]


class OutsideRates(Result):
    """The class of past threats whose rates are believed, and how threats ended in the forecast and with both."""

    reference: str
    known_on: str | None
    episodes: Annotated[int, Field(description="Threats of the class that are known.")]
    prior_weight: Annotated[float, Field(description="The weight of the overall rates among them, in threats.")]
    forecast: dict[str, float]
    rates: Annotated[dict[str, float], Field(description="Pooled: the forecast counts as one threat.")]


class StrategySummary(Result):
    """The results of a strategy's trials."""

    trials: int
    trials_played: int
    outcome: dict[str, Estimate]
    events: dict[str, Estimate]
    measures: dict[str, MeasureSummary]
    evidence: Annotated[Evidence | None, Field(description="What the beliefs did to the trials.")] = None
    change: Annotated[
        SummaryChange | None,
        Field(description="How far the beliefs moved each estimate from that of the trials played."),
    ] = None


class ScenarioWarning(Result):
    """A value of the scenario that is allowed but is probably a mistake."""

    field: str
    message: str


class Summary(Result):
    """The summary of a run, in the form of ``summary.json``."""

    given: str | None = None
    set: Annotated[dict[str, Any], Field(default_factory=dict, description="What was set under every strategy.")]
    scenario: str
    trials: int
    seed: int
    design: str
    complete: bool
    method: str
    strategies: dict[str, StrategySummary]
    outside: OutsideRates | None = None
    warnings: tuple[ScenarioWarning, ...] = ()
    assumptions: Annotated[
        tuple[str, ...], Field(description="What the strategies set that is not the sender's own choice.")
    ] = ()


def summary(run: StoredRun, request: SummaryRequest, on_progress: OnProgress) -> Computed:
    """The summary as `summarize` makes it."""
    found = Summary.model_validate(
        summarize(run, request.given, strategies=request.strategies, believe=request.believe, outside=request.outside)
    )
    used = sum(one.trials for one in found.strategies.values())
    return Computed(found, tuple(found.strategies), used, {"errors": found.method})


def summarize(
    run: StoredRun,
    given: str | None = None,
    *,
    strategies: Sequence[str] = (),
    believe: Sequence[str] = (),
    outside: bool = False,
) -> dict[str, object]:
    """The summary of a run from the shards committed so far, as ``summary.json`` has it.

    Probabilities and means come from the tallies in the files' footers; quantiles are read from the trials a column at
    a time. With `given`, a condition over the columns, everything is computed over the trials for which it holds; with
    `strategies`, for these strategies only; with beliefs (see `cluster.answers.beliefs`), over weighted trials; with
    `outside`, the rates of the reference class are believed too (see `cluster.answers.outside_view`): the class is one
    of all threats, so that all beliefs are then about all trials, of which the condition leaves some. Raises
    `InvalidInput` for a strategy that was not played, and for a condition or beliefs that cannot be read or leave too
    few trials.
    """
    plan = run.plan
    condition = parse_condition(given, plan.scenario) if given is not None else None
    chosen = chosen_strategies(run, strategies)
    view = None
    if outside:
        view = outside_view(run)
        believe = (*believe, *view.beliefs)
    stated = read_beliefs(run, believe)
    if stated:
        summaries = {strategy: _weighted(run, strategy, stated, condition, view is not None) for strategy in chosen}
        summary = summary_document(plan, summaries, plan.row_trials)
        summary["method"] = f"{summary['method']}; {WEIGHTED}{_of_kept_rows(run)}"
        if view is not None:
            summary["outside"] = {name: value for name, value in asdict(view).items() if name != "beliefs"}
        return summary if condition is None else {"given": str(condition), **summary}
    at_once = _AT_ONCE if condition is None and _fits_in_memory(run) else 1
    found = in_order(lambda strategy: _summarize_strategy(run, strategy, condition, at_once > 1), chosen, at_once)
    summaries = dict(zip(chosen, found, strict=True))
    if condition is None:
        return summary_document(
            plan, summaries, quantiles=QUANTILES_EXACT if plan.keeps_all_rows else QUANTILES_COUNTED
        )
    summary = summary_document(plan, summaries, plan.row_trials, f"{QUANTILES_EXACT}{_of_kept_rows(run)}")
    return {"given": str(condition), **summary}


def _of_kept_rows(run: StoredRun) -> str:
    """What to add to the method of a summary that is made from rows, if not all of them are kept."""
    return "" if run.plan.keeps_all_rows else f"; {kept_rows_note(run)}"


def _weighted(
    run: StoredRun, strategy: str, stated: Sequence[StatedBelief], condition: Expression | None, of_all: bool
) -> dict[str, object]:
    document, found = weighted_summary(run, strategy, stated, condition, believed_of_all=of_all)
    return {**document, "evidence": found.evidence().model_dump()}


def _fits_in_memory(run: StoredRun) -> bool:
    """Whether all numbers of a strategy are in memory at once, and those of another one too."""
    plan = run.plan
    few = plan.row_trials * len(MEASURES) <= shared.EXACT_NUMBERS
    return plan.keeps_all_rows and few and not is_mapped_on_ray(run)


def _summarize_strategy(
    run: StoredRun, strategy: str, condition: Expression | None, beside_others: bool
) -> dict[str, object]:
    if condition is not None:
        return _summarize_given(run, strategy, condition)
    plan = run.plan
    counted = run.tallies(strategy)
    played = sum(tally.trials for tally in counted)
    if not plan.keeps_all_rows:
        values = CountedValues(summed_counts(run, strategy))
        return strategy_document(plan, strategy, counted, played, values, values.bracket)
    if played <= shared.EXACT_NUMBERS and not is_mapped_on_ray(run):
        return strategy_document(plan, strategy, counted, played, TrialsInMemory(run, strategy, beside_others))
    return strategy_document(plan, strategy, counted, played, CountedTrials(run, strategy, None))


def _summarize_given(run: StoredRun, strategy: str, condition: Expression) -> dict[str, object]:
    trials = CountedTrials(run, strategy, condition)
    counted = trials.tallies()
    left, played = sum(tally.trials for tally in counted), sum(shard.count for shard in run.shards(strategy))
    if left < shared.FEWEST_GIVEN:
        message = (
            f"leaves {left} of {played} trials of {strategy}, too few for an answer; at least "
            f"{shared.FEWEST_GIVEN} are needed: play more trials, use a weaker condition, or leave the strategy out"
        )
        raise InvalidInput((Fault("given", str(condition), message),))
    return strategy_document(run.plan, strategy, counted, played, trials)


ANSWER = Answer(
    name="summary",
    sentence="Outcomes, events and measures of each strategy, with their Monte Carlo error.",
    request=SummaryRequest,
    result=Summary,
    compute=summary,
    examples=({"given": "agreement_week > 2"}, {}),
    bare=True,
    fewest_given=shared.FEWEST_GIVEN,
)
