"""The forms of the answers, as the OpenAPI document shows them: what each always has. `docs/answers.md` says more.

Answers are not made from these models; `tests/test_openapi.py` holds what is answered against them.
"""

from typing import Any

from pydantic import BaseModel, Field


class Estimate(BaseModel):
    """An estimate, its standard error and its 95 % interval; null where there is none."""

    estimate: float | None
    standard_error: float | None
    low: float | None
    high: float | None


class Answer(BaseModel):
    """What every answer says of the run that it is about."""

    scenario: str


class Planned(Answer):
    """The same, with how the run's trials are addressed."""

    seed: int
    design: str


class StrategySummary(BaseModel):
    """What became of a strategy's trials."""

    trials: int
    trials_played: int
    outcome: dict[str, Estimate] = Field(description="By outcome; they exclude each other.")
    events: dict[str, Estimate]
    measures: dict[str, Any] = Field(description="By measure: its mean, spread and quantiles.")


class Summary(Planned):
    """The summary of a run."""

    trials: int
    complete: bool = Field(description="Whether all trials are committed.")
    method: str | dict[str, str]
    strategies: dict[str, StrategySummary]


class Comparison(Planned):
    """Strategies compared on the same trials."""

    strategies: list[str]
    given: str | None
    trials: dict[str, int]
    method: dict[str, str]
    pairs: list[dict[str, Any]]
    choices: list[dict[str, Any]]
    set_by_strategies: dict[str, list[str]]


class Worth(Planned):
    """What it is worth to learn before choosing."""

    strategies: list[str]
    measure: str
    given: str | None
    trials: dict[str, int]
    method: dict[str, str]
    now: dict[str, Any]
    everything: Estimate
    parameters: list[dict[str, Any]]
    groups: list[dict[str, Any]]
    set_by_strategies: dict[str, list[str]]


class Stress(Planned):
    """What differs where a bound is broken."""

    strategy: str
    bound: str
    given: str | None
    trials: dict[str, int]
    sampled: dict[str, int]
    method: dict[str, str]
    probability: Estimate
    parameters: list[dict[str, Any]]
    events: list[dict[str, Any]]
    outcome: list[dict[str, Any]]
    worlds: dict[str, list[dict[str, Any]]]


class Score(Answer):
    """A forecast held against what happened."""

    title: str
    as_of: str | None
    strategy: str
    trials: int
    given: str | None = None
    method: str
    outcome: dict[str, Any]
    class_: dict[str, Any] = Field(alias="class")
    events: dict[str, dict[str, Any]]
    agreement_week: dict[str, Any]


class Drivers(Planned):
    """What drives a measure."""

    strategy: str
    measure: str
    given: str | None
    trials: dict[str, int]
    method: dict[str, str]
    mean: Estimate
    standard_deviation: float
    reason: str | None = Field(description="Why nothing can be said of what drives it, if so.")
    variance: dict[str, Any]
    pawn_noise: dict[str, Any]
    groups: list[dict[str, Any]]
    parameters: list[dict[str, Any]]


class Discovery(Planned):
    """Where an outcome is likely."""

    strategy: str
    outcome: str
    given: str | None
    trials: dict[str, int]
    method: str
    probability: Estimate
    reason: str | None = Field(description="Why there are no boxes, if there are none.")
    boxes: list[dict[str, Any]]


class SobolIndices(Planned):
    """First- and total-order indices of a measure."""

    strategy: str
    measure: str
    base_samples: int
    plays: int
    trials: dict[str, int]
    method: dict[str, str]
    reason: str | None = Field(description="Why there are no indices, if so.")
    variance: dict[str, Any]
    inputs: list[dict[str, Any]]
    fixed: list[list[str]]


class Replay(Planned):
    """A trial told week by week."""

    title: str
    sender: str
    target: str
    as_of: str | None
    horizon_weeks: int
    strategy: str
    trial: int
    draws: list[dict[str, Any]]
    method: str
    story: list[dict[str, Any]]
    positions: dict[str, dict[str, Any]] = Field(description="By issue, week by week.")
    end: dict[str, Any] = Field(description="The trial's row.")
    strategies: dict[str, dict[str, Any]] = Field(description="The same world under each strategy.")
    check: dict[str, Any] = Field(description="Whether the rows are those that the run stored.")


class TypicalTrials(Answer):
    """Trials worth reading."""

    strategy: str
    given: str | None
    measure: str | None
    trials: int
    method: str
    typical: list[dict[str, Any]]
    extreme: list[dict[str, Any]]


class WeekState(BaseModel):
    """A state that a dispute may be in, and when it is."""

    when: str
    meaning: str


class Timeline(Answer):
    """The probability of each state in each week."""

    as_of: str | None
    design: str
    given: str | None
    weeks: list[int]
    states: dict[str, WeekState]
    strategies: dict[str, dict[str, Any]]
    method: str


def answered_by(form: type[Answer]) -> dict[int | str, dict[str, Any]]:
    """What a route says of its answer of that form."""
    return {200: {"model": form, "description": (form.__doc__ or "").rstrip(".")}}
