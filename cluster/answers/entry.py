"""What an answer is: an entry with its request, its result and its function. And the envelope of all documents."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, create_model

from cluster.query.trials import StoredRun
from sim.sampling.designs import DESIGNS
from sim.scenario.scenario import Scenario

LONGEST_TEXT = 2000
LONGEST_NAME = 64
MOST_STRATEGIES = 100
MOST_BELIEFS = 8
"""Conditions that may be believed at once: trials are counted by which of them hold."""
NET_GAIN = "export_gain - sender_cost"
"""The sender's gain less its cost: the measure of choice of a scenario that states none."""

Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
StrategyName = Annotated[str, Field(max_length=LONGEST_NAME)]
Measure = Annotated[
    Text, Field(description="A number or a condition over the columns.", examples=["export_gain - sender_cost"])
]

MeasureOfChoice = Annotated[
    Measure | None,
    Field(description=f"A number or a condition over the columns; the scenario's `choice`, or {NET_GAIN}, if none."),
]

OnProgress = Callable[[int, int], None]
"""Called with the number of steps done, and of how many."""


def quiet(done: int, total: int) -> None:
    """Ignore the progress."""


def measure_of_choice(measure: str | None, scenario: Scenario) -> str:
    """The measure of a request; if it has none, the scenario's measure of choice, or the sender's net gain."""
    return measure or scenario.choice or NET_GAIN


class Request(BaseModel):
    """The fields of a request; an unknown field is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    believe: Annotated[
        tuple[Text, ...],
        Field(
            max_length=MOST_BELIEFS,
            description="Conditions with the probabilities that they are believed to have, such as `sanctions = 0.3` "
            "or `agreement = 0.2..0.4 under talk`: the trials are weighted so that they hold.",
            examples=[["sanctions = 0.3"]],
        ),
    ] = ()


class GivenRequest(Request):
    """A request that can be restricted by a condition."""

    given: Annotated[Text | None, Field(description="Only the trials for which this condition holds.")] = None


class SampleRequest(Request):
    """A request whose answer can be made from fewer trials."""

    trials: Annotated[
        int | None,
        Field(
            ge=1000,
            description="At most this many trials of a strategy are read, the first ones: an answer that comes sooner, "
            "with wider intervals. The document says how many were read.",
        ),
    ] = None


class StrategyRequest(Request):
    """A request about one strategy."""

    strategy: Annotated[StrategyName | None, Field(description="The strategy; the run's first if none is named.")] = (
        None
    )


class StrategiesRequest(Request):
    """A request about several strategies."""

    strategies: Annotated[
        tuple[StrategyName, ...], Field(max_length=MOST_STRATEGIES, description="The strategies; all if none is named.")
    ] = ()


class Result(BaseModel):
    """A part of a result: a field that it does not declare, and a number that is not finite, are programming errors.

    A field with a default is left out of the document where it does not apply.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Estimate(Result):
    """An estimate, its standard error and its 95 % interval; null for what is not known."""

    estimate: float | None
    standard_error: float | None
    low: float | None
    high: float | None


class QuantileEstimate(Result):
    """A quantile and its 95 % interval; null where it has no bound."""

    estimate: float | None
    low: float | None
    high: float | None


class BelievedCondition(Result):
    """A condition that is believed to have another probability than in the trials as they were played."""

    condition: str
    strategy: Annotated[str, Field(description="The strategy in whose run the condition is meant.")]
    low: float
    high: float
    strength: Annotated[float | None, Field(description="Observations it counts as; null for a belief that holds.")]
    played: Annotated[float, Field(description="Its probability in the trials as they were played.")]
    weighted: Annotated[float, Field(description="Its probability in the weighted trials.")]


class Evidence(Result):
    """What beliefs did to the trials: their weights, whose mean is 1."""

    beliefs: list[BelievedCondition]
    rule: str
    effective_trials: Annotated[float, Field(description="(Sum of weights)^2 / sum of squared weights.")]
    greatest_weight: float


class RunFacts(Result):
    """The run from which the answer was computed."""

    trials: Annotated[int, Field(description="Trials of each strategy in the run's plan.")]
    seed: int
    design: str
    complete: Annotated[bool, Field(description="Whether all trials of the strategies are committed.")]


class TrialCounts(Result):
    """How many trials there are; a trial counts once for each strategy."""

    played: Annotated[int, Field(description="Committed trials of the strategies.")]
    used: Annotated[int, Field(description="Trials from which the result was computed.")]


R = TypeVar("R", bound=Result)


class Document(Result, Generic[R]):
    """An answer's document: the run, the strategies and the condition it is about, and its result."""

    answer: str
    scenario: str
    run: RunFacts
    strategies: list[str]
    given: Annotated[str | None, Field(description="The condition in its normalised form.")]
    set: Annotated[dict[str, Any], Field(default_factory=dict, description="What was set under every strategy.")]
    trials: TrialCounts
    evidence: Annotated[
        dict[str, Evidence] | None, Field(description="By strategy what the beliefs did to its trials.")
    ] = None
    method: Annotated[dict[str, str], Field(description="Notes on how the result was computed.")]
    result: R


@dataclass(frozen=True)
class Computed:
    """What an answer's function returns: the result, and the notes on how it was computed.

    `used` counts the trials from which it was computed, once for each strategy. `evidence` says by strategy what
    beliefs did to the trials. `of_all_trials` says that it is not limited to the trials whose rows the
    run keeps.
    """

    result: Result
    strategies: tuple[str, ...]
    used: int
    method: Mapping[str, str]
    evidence: Mapping[str, Evidence] | None = None
    of_all_trials: bool = False


@dataclass(frozen=True)
class Answer:
    """An answer: everything that a route, a command, the client and the documentation need to know about it.

    `compute` takes a run, a `request` and a function that is called with progress. `examples` are requests that work
    for a run of one of the `designs`. `bare` marks the summary, whose document has no envelope since
    ``summary.json``'s form is fixed. `table` makes an Arrow table of a document, for answers that can be fetched as
    CSV, Arrow or Parquet too. `steps` is what its progress counts, such as parameters; None for an answer without.
    `cannot_weigh` says why it takes no beliefs; None for one that does. `fewest_trials` are the trials of each strategy
    that it needs, `fewest_given` those that must be left under a condition; both are necessary and may not suffice.
    `fewest_cases` are the trials that it needs both with the outcome that it is about and without; None without one.
    """

    name: str
    sentence: str
    request: type[Request]
    result: type[Result]
    compute: Callable[[StoredRun, Any, OnProgress], Computed]
    examples: tuple[Mapping[str, object], ...]
    designs: tuple[str, ...] = tuple(DESIGNS)
    bare: bool = False
    table: Callable[[dict[str, Any]], pa.Table] | None = None
    steps: str | None = None
    cannot_weigh: str | None = None
    fewest_trials: int = 1
    fewest_given: int = 1
    fewest_cases: int | None = None

    @cached_property
    def document(self) -> type[Document[Any]]:
        """The model of its documents: ``ComparisonDocument`` for a result `Comparison`."""
        base = Document[self.result]  # type: ignore[name-defined]
        return create_model(f"{self.result.__name__}Document", __base__=base, __doc__=self.result.__doc__)
