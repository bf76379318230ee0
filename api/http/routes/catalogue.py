"""What there is to work with: the model's parameters, the terms of results, and the base rates of past threats."""

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from api.catalogue import parameter_entries
from api.http.authentication import Reader, reader
from api.http.problems import RESPONSES
from api.http.routes.common import Database, named_scenario
from cluster.answers.entry import LONGEST_NAME, Estimate
from cluster.answers.registry import ANSWERS
from cluster.reference.rates import rates_document, scenario_rates
from sim.faults import Fault, InvalidInput
from sim.scenario.vocabulary import EVENT_TERMS, MEASURE_TERMS, OUTCOME_TERMS, Term

router = APIRouter(tags=["catalogue"], responses=RESPONSES, dependencies=[Depends(reader)])


class ParameterEntry(BaseModel):
    """A parameter of the model."""

    name: str
    group: str
    decided_by: str = Field(description="Whose the value is: sender, target, both sides, court or nature.")
    unit: str
    domain: str
    default: float | None
    meaning: str


class TermEntry(BaseModel):
    """An outcome, an event or a measure."""

    name: str
    kind: Literal["outcome", "event", "measure"]
    expression: str
    label: str
    unit: str


class AnswerEntry(BaseModel):
    """An answer about a run, and how many trials it needs. So many are necessary, and may not suffice."""

    name: str
    sentence: str
    designs: list[str] = Field(description="Designs of the runs that it can be about.")
    fewest_trials: int = Field(description="Trials of each strategy that it is about.")
    fewest_given: int = Field(description="Trials of each strategy that a condition must leave.")
    fewest_cases: int | None = Field(
        description="Trials with the outcome that it is about, and as many without; null for an answer without one."
    )


class EndingCounts(BaseModel):
    """How many threats ended in each way."""

    settled: int
    imposed: int
    dropped: int


class EndingRates(BaseModel):
    """The share of threats that ended in each way, with 95 % intervals; null where there are none."""

    settled: Estimate
    imposed: Estimate
    dropped: Estimate


class ClassRates(BaseModel):
    """A class of past threats."""

    model_config = ConfigDict(populate_by_name=True)

    class_: str = Field(alias="class")
    title: str
    partition: str | None = Field(description="The property by which the class divides the threats; null for all.")
    known_on: str | None
    counts: EndingCounts
    episodes: int = Field(description="The threats that had ended.")
    open: int = Field(description="Threats without an end in the record.")
    rates: EndingRates = Field(description="The class's own shares, with Wilson's intervals.")
    pooled: EndingRates = Field(description="Shares shrunk towards those of all threats, with posterior intervals.")
    prior_weight: float = Field(description="The weight of all threats in the pooled shares, in threats.")
    agreed_within_two_years: Estimate = Field(
        description="Pooled; an agreement within 104 weeks, whatever came between."
    )
    agreed_by_week: dict[str, Estimate] = Field(
        description="The share settled by a week from the first threat, other endings competing with it; pooled."
    )


class RecordRates(BaseModel):
    """A group of past threats that is no class."""

    record: str
    title: str
    counts: EndingCounts
    rates: EndingRates
    source: str


class FateCounts(BaseModel):
    """What had become of sanctions: how many."""

    agreed: int
    withdrawn: int
    in_force: int


class FateRates(BaseModel):
    """What had become of sanctions: the shares, with Wilson's intervals; null where none is known."""

    agreed: Estimate
    withdrawn: Estimate
    in_force: Estimate


class SanctionsAfter(BaseModel):
    """What had become of sanctions some weeks after their imposition."""

    weeks: int
    known: int = Field(description="Of how many sanctions that was known.")
    counts: FateCounts
    rates: FateRates


class SanctionDays(BaseModel):
    """How long sanctions lasted, in days."""

    sanctions: int
    ended: int = Field(description="How many had ended; the others are censored.")
    observed_median: float | None = Field(description="The median of those that had ended alone.")
    quartiles: dict[str, Estimate] = Field(description="By Kaplan and Meier; null where a quartile was not reached.")


class SanctionsRecord(BaseModel):
    """What became of past sanctions, and how long they lasted."""

    title: str
    source: str
    after_weeks: list[SanctionsAfter]
    days: SanctionDays | None = Field(description="Null where no sanctions had been imposed yet.")


class DisputeShare(BaseModel):
    """A share of disputes before the WTO."""

    share: str
    title: str
    counted_on: date = Field(description="The day on which the disputes stood so.")
    count: int
    of: int
    estimate: Estimate
    source: str


class Rates(BaseModel):
    """The base rates of past threats."""

    source: str
    scenario: str = Field(default="", description="The scenario asked for; left out without one.")
    known_on: str | None
    classes: list[ClassRates]
    records: list[RecordRates]
    sanctions: SanctionsRecord
    wto: list[DisputeShare]


@router.get("/terms", summary="List the outcomes, events and measures")
def terms() -> list[TermEntry]:
    """Every outcome, event and measure: its name, the expression that it stands for, its label and unit."""
    kinds: tuple[tuple[Literal["outcome", "event", "measure"], tuple[Term, ...]], ...] = (
        ("outcome", OUTCOME_TERMS),
        ("event", EVENT_TERMS),
        ("measure", MEASURE_TERMS),
    )
    return [
        TermEntry(name=term.name, kind=kind, expression=term.expression, label=term.label, unit=term.unit)
        for kind, found in kinds
        for term in found
    ]


@router.get("/answers", summary="List the answers about a run")
def answers() -> list[AnswerEntry]:
    """Every answer about a run: its name, what it says, and how many trials it needs."""
    return [
        AnswerEntry(
            name=one.name,
            sentence=one.sentence,
            designs=list(one.designs),
            fewest_trials=one.fewest_trials,
            fewest_given=one.fewest_given,
            fewest_cases=one.fewest_cases,
        )
        for one in ANSWERS
    ]


@router.get("/parameters", summary="List the model's parameters")
def parameters() -> list[ParameterEntry]:
    """Every parameter with its unit, domain and neutral default; a null default must be given."""
    return [ParameterEntry(**entry) for entry in parameter_entries()]


@router.get("/rates", summary="Read the base rates of past threats", response_model_exclude_unset=True)
def rates(
    reading: Reader,
    engine: Database,
    scenario: Annotated[
        str | None,
        Query(
            description="A shipped or own scenario: only its reference class, as known on its as_of if no day is given."
        ),
    ] = None,
    reference: Annotated[str | None, Query(max_length=LONGEST_NAME, description="Only this reference class.")] = None,
    known_on: Annotated[
        date | None, Query(description="Only threats that had ended in the years before this day.")
    ] = None,
) -> Rates:
    """How comparable threats of the past ended, by class, with their intervals and sources."""
    if scenario is None:
        return Rates.model_validate(rates_document(known_on, reference))
    if reference is not None:
        raise InvalidInput((Fault("reference", reference, "goes without a scenario, which names its own class"),))
    return Rates.model_validate(scenario_rates(named_scenario(engine, reading.owner, scenario), known_on))
