"""What there is to work with: shipped scenarios and the model's parameters."""

import json
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from api.catalogue import parameter_entries, scenario_entries
from api.formats import JSON
from api.http.authentication import reader
from api.http.bodies import YAML, is_yaml
from api.http.problems import MAX_FAULTS, RESPONSES, FieldError, Problem, field_errors
from api.shipped_scenarios import shipped_scenario
from cluster.reference.rates import rates_document, scenario_rates
from sim.faults import Fault, InvalidInput
from sim.scenario.scenario import Scenario, read_scenario, scenario_document, scenario_from_document
from sim.scenario.vocabulary import EVENT_TERMS, MEASURE_TERMS, OUTCOME_TERMS, Term

router = APIRouter(tags=["catalogue"], responses=RESPONSES, dependencies=[Depends(reader)])
_EXAMPLE = {
    "schema": 1,
    "name": "example",
    "title": "An example",
    "issues": {"dealers": {"weight": 1.0, "gap": 0.6, "sender_concession": 0.1, "target_concession": 0.08}},
    "parameters": {"threat_probability": {"uniform": [0.1, 0.4]}, "follow_through": 0.5, "sanctioned_trade": 5.9},
}


class ScenarioEntry(BaseModel):
    """A shipped scenario in a line."""

    name: str
    title: str
    as_of: str | None
    strategies: list[str]


class Validation(BaseModel):
    """Whether a scenario is valid, its faults if it is not, and what is probably a mistake if it is."""

    valid: bool
    errors: list[FieldError] = Field(description=f"At most {MAX_FAULTS} of them.")
    warnings: list[FieldError] = Field([], description="Values that are allowed but are probably mistakes.")
    scenario: dict[str, Any] | None = Field(None, description="The scenario in full, defaults filled in, if valid.")


@dataclass(frozen=True)
class _Sent:
    """A scenario as it was sent."""

    body: bytes
    media_type: str


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


@router.get("/scenarios", summary="List the shipped scenarios")
def scenarios() -> list[ScenarioEntry]:
    """The shipped scenarios; a job may name one instead of giving a scenario."""
    return [ScenarioEntry(**entry) for entry in scenario_entries()]


@router.get("/scenarios/{name}", summary="Read a shipped scenario")
def scenario(name: str) -> dict[str, Any]:
    """A shipped scenario in full, defaults filled in."""
    try:
        return scenario_document(shipped_scenario(name))
    except InvalidInput as error:
        raise Problem(404, str(error)) from None


async def _document(request: Request) -> _Sent:
    """The body as it was sent, and whether it is JSON or YAML; `BodyCheck` has refused what is neither."""
    body = await request.body()
    if not body:
        raise Problem(422, "the body is empty, and must be a scenario", (Fault("", None, "must be given"),))
    return _Sent(body, YAML if is_yaml(request.headers.get("content-type")) else JSON)


@router.post(
    "/scenarios/validate",
    summary="Validate a scenario",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"type": "object", "additionalProperties": True, "examples": [_EXAMPLE]}},
                YAML: {"schema": {"type": "string"}},
            },
        }
    },
)
def validate(sent: Annotated[_Sent, Depends(_document)]) -> Validation:
    """The faults of a scenario, each with its field, and the line for YAML. The status is 200 in both cases."""
    try:
        scenario = _scenario(sent)
    except InvalidInput as error:
        return Validation(valid=False, errors=field_errors(error.faults))
    return Validation(
        valid=True,
        errors=[],
        warnings=field_errors(scenario.warnings),
        scenario=scenario_document(scenario),
    )


def _scenario(sent: _Sent) -> Scenario:
    if sent.media_type == YAML:
        try:
            return read_scenario(sent.body.decode(), "")
        except UnicodeDecodeError:
            raise Problem(400, "the body is not UTF-8 text") from None
    document = json.loads(sent.body)
    if not isinstance(document, dict):
        raise Problem(422, "the request does not have the form it should", (Fault("", None, "must be an object"),))
    return scenario_from_document(document)


@router.get("/parameters", summary="List the model's parameters")
def parameters() -> list[ParameterEntry]:
    """Every parameter with its unit, domain and neutral default; a null default must be given."""
    return [ParameterEntry(**entry) for entry in parameter_entries()]


@router.get("/rates", summary="Read the base rates of past threats")
def rates(
    scenario: Annotated[
        str | None,
        Query(description="A shipped scenario: only its reference class, as known on its as_of if no day is given."),
    ] = None,
    known_on: Annotated[
        date | None, Query(description="Only threats that had ended in the years before this day.")
    ] = None,
) -> dict[str, Any]:
    """How comparable threats of the past ended, by class, with their intervals and sources."""
    return rates_document(known_on) if scenario is None else scenario_rates(shipped_scenario(scenario), known_on)
