"""Scenarios: the shipped ones, those that users keep, and the validation of one that is sent."""

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field

from api.catalogue import scenario_entries
from api.formats import JSON
from api.http.authentication import Reader, Submitter, reader
from api.http.bodies import YAML, is_yaml
from api.http.problems import MAX_FAULTS, RESPONSES, FieldError, Problem, field_errors
from api.http.routes.common import Database, named_scenario
from api.negotiation import names_tag
from api.ranges import ranges_document, settings_document
from api.shipped_scenarios import shipped_names
from cluster.reference.rates import class_names
from cluster.service import scenarios as kept
from sim.faults import Fault, InvalidInput
from sim.scenario.scenario import Scenario, read_scenario, scenario_document, scenario_from_document

router = APIRouter(tags=["scenarios"], responses=RESPONSES, dependencies=[Depends(reader)])
_EXAMPLE = {
    "schema": 1,
    "name": "example",
    "title": "An example",
    "issues": {"dealers": {"weight": 1.0, "gap": 0.6, "sender_concession": 0.1, "target_concession": 0.08}},
    "parameters": {"threat_probability": {"uniform": [0.1, 0.4]}, "follow_through": 0.5, "sanctioned_trade": 5.9},
}
SCENARIO_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"type": "object", "additionalProperties": True, "examples": [_EXAMPLE]}},
            YAML: {"schema": {"type": "string"}},
        },
    }
}


class ScenarioEntry(BaseModel):
    """An entry of the list of scenarios."""

    name: str
    title: str
    as_of: str | None
    strategies: list[str]
    strategy_used: str | None = Field(None, description="The strategy that was really used, of a dispute that is over.")
    own: bool = Field(False, description="Whether the caller keeps it; the others are shipped.")


class Validation(BaseModel):
    """Whether a scenario is valid, its faults if it is not, and what is probably a mistake if it is."""

    valid: bool
    errors: list[FieldError] = Field(description=f"At most {MAX_FAULTS} of them.")
    warnings: list[FieldError] = Field([], description="Values that are allowed but are probably mistakes.")
    scenario: dict[str, Any] | None = Field(None, description="The scenario in full, defaults filled in, if valid.")


@dataclass(frozen=True)
class SentScenario:
    """A scenario as it was sent."""

    body: bytes
    media_type: str


async def sent_scenario(request: Request) -> SentScenario:
    """The body as it was sent, and whether it is JSON or YAML; `BodyCheck` has refused what is neither."""
    body = await request.body()
    if not body:
        raise Problem(422, "the body is empty, and must be a scenario", (Fault("", None, "must be given"),))
    return SentScenario(body, YAML if is_yaml(request.headers.get("content-type")) else JSON)


Name = Annotated[str, PathParameter(description="The scenario's name.", max_length=64)]


@router.get("/scenarios", summary="List the scenarios")
def scenarios(reading: Reader, engine: Database) -> list[ScenarioEntry]:
    """The shipped scenarios and the caller's own: a job may name any of them instead of giving a scenario."""
    shipped = [ScenarioEntry(**entry) for entry in scenario_entries()]
    own = [
        ScenarioEntry(
            name=one.name,
            title=one.document["title"],
            as_of=one.document.get("as_of"),
            strategies=list(one.document["strategies"]),
            own=True,
        )
        for one in kept.listed(engine, reading.owner)
    ]
    return shipped + own


@router.get("/scenarios/{name}", summary="Read a scenario")
def scenario(name: Name, reading: Reader, engine: Database, response: Response) -> dict[str, Any]:
    """A shipped scenario or one of the caller's own in full, defaults filled in. `ETag` names this version of it."""
    own = kept.find(engine, reading.owner, name)
    try:
        document = own.document if own is not None else scenario_document(named_scenario(engine, reading.owner, name))
    except InvalidInput as error:
        raise Problem(404, str(error)) from None
    response.headers["ETag"] = _tag(document)
    return document


def _tag(document: dict[str, Any]) -> str:
    return f'"{hashlib.sha256(json.dumps(document).encode()).hexdigest()[:32]}"'


@router.put(
    "/scenarios/{name}",
    summary="Keep a scenario",
    openapi_extra=SCENARIO_BODY,
    responses={412: {**RESPONSES[409], "description": "Another scenario is kept under the name than is expected"}},
)
def keep(
    name: Name,
    sent: Annotated[SentScenario, Depends(sent_scenario)],
    submitting: Submitter,
    engine: Database,
    response: Response,
    if_match: Annotated[
        str | None, Header(max_length=1000, description="Replace only the version that it names.")
    ] = None,
    if_none_match: Annotated[str | None, Header(max_length=1000, description="`*`: replace none of that name.")] = None,
) -> dict[str, Any]:
    """Keep a valid scenario under a name, in place of an older one of that name. Returns it in full.

    With `If-None-Match: *` an older one stays, and with `If-Match` one of another `ETag`: the status is then 412.
    """
    if name in shipped_names():
        message = "is the name of a shipped scenario; choose another"
        raise InvalidInput((Fault("name", name, message),))
    scenario = read_sent(sent)
    if scenario.name != name:
        raise InvalidInput((Fault("name", scenario.name, f"must be {name}, as in the address"),))
    document = scenario_document(scenario)

    def expected(older: dict[str, Any] | None) -> bool:
        tag = None if older is None else _tag(older)
        matches = if_match is None or (tag is not None and names_tag(if_match, tag))
        return matches and (if_none_match is None or tag is None or not names_tag(if_none_match, tag))

    conditional = if_match is not None or if_none_match is not None
    try:
        kept.keep(engine, submitting.owner, name, document, expected if conditional else None)
    except kept.Changed:
        raise Problem(412, f"another scenario is kept as {name} than this request expects") from None
    response.headers["ETag"] = _tag(document)
    return document


@router.delete("/scenarios/{name}", status_code=204, summary="Delete a kept scenario")
def delete(name: Name, submitting: Submitter, engine: Database) -> None:
    """Delete one of the caller's own scenarios. Runs of it stay."""
    if not kept.delete(engine, submitting.owner, name):
        raise Problem(404, f"you keep no scenario {name}")


class Density(BaseModel):
    """A distribution in cells of equal width from `low` to `high`, its 0.1 % and 99.9 % quantiles."""

    low: float
    high: float
    shares: list[float] = Field(description="The probability of each cell.")
    quantiles: dict[str, float]


class ParameterRange(BaseModel):
    """A parameter in a scenario: its distribution with its density, source and default."""

    name: str
    group: str
    decided_by: str
    meaning: str
    unit: str
    domain: str
    default: float | None
    is_default: bool
    distribution: Any = Field(description="As a scenario's document gives it.")
    source: str | None
    density: Density | None = Field(description="None if the parameter is fixed.")
    set_by: list[str] = Field(description="Strategies that set it.")


class SetRange(BaseModel):
    """What a parameter is set to: a distribution with its density."""

    distribution: Any = Field(description="As a scenario's document gives it.")
    density: Density | None = Field(description="None if the parameter is fixed.")


class ParameterRanges(BaseModel):
    """The parameters of a scenario, in the model's order, and what is set instead."""

    parameters: list[ParameterRange]
    strategies: dict[str, dict[str, SetRange]] = Field(description="What each strategy sets, by parameter.")
    set: dict[str, SetRange] = Field(description="What is set under every strategy, by parameter.")


@router.post("/scenarios/ranges", summary="A scenario's parameters with their densities", openapi_extra=SCENARIO_BODY)
def ranges(sent: Annotated[SentScenario, Depends(sent_scenario)]) -> ParameterRanges:
    """Every parameter of a scenario: its distribution, the density over its range, its source and its default."""
    scenario = read_sent(sent)
    return ParameterRanges.model_validate(
        {
            "parameters": ranges_document(scenario),
            "strategies": {name: settings_document(sets) for name, sets in scenario.strategies.items()},
            "set": settings_document(scenario.interventions),
        }
    )


class ScenarioText(BaseModel):
    """A scenario as the text of a file."""

    yaml: str


@router.post("/scenarios/yaml", summary="A scenario as YAML", openapi_extra=SCENARIO_BODY)
def as_yaml(sent: Annotated[SentScenario, Depends(sent_scenario)]) -> ScenarioText:
    """A scenario in full as YAML, as in a scenario file."""
    document = scenario_document(read_sent(sent))
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)
    return ScenarioText(yaml=text)


@router.post(
    "/scenarios/validate",
    summary="Validate a scenario",
    openapi_extra=SCENARIO_BODY,
)
def validate(sent: Annotated[SentScenario, Depends(sent_scenario)]) -> Validation:
    """The faults of a scenario, each with its field, and the line for YAML. The status is 200 in both cases."""
    try:
        scenario = read_sent(sent)
    except InvalidInput as error:
        return Validation(valid=False, errors=field_errors(error.faults))
    return Validation(
        valid=True,
        errors=[],
        warnings=field_errors(scenario.warnings),
        scenario=scenario_document(scenario),
    )


def read_sent(sent: SentScenario) -> Scenario:
    """The scenario that was sent. Raises `InvalidInput` and `Problem`."""
    if sent.media_type == YAML:
        try:
            return read_scenario(sent.body.decode(), "", class_names())
        except UnicodeDecodeError:
            raise Problem(400, "the body is not UTF-8 text") from None
    document = json.loads(sent.body)
    if not isinstance(document, dict):
        raise Problem(422, "the request does not have the required form", (Fault("", None, "must be an object"),))
    return scenario_from_document(document, classes=class_names())
