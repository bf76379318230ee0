"""What differs between two jobs, and between two scenarios."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.difference import Difference, difference
from api.formats import JSON
from api.http.answer_cache import compute_once
from api.http.audit import note
from api.http.authentication import Reader
from api.http.problems import RESPONSES, Problem, invalid
from api.http.routes.common import CachedAnswers, Database, KnownRun, SettingsOf, find_job, job_folder, named_scenario
from cluster.answers.compare import MOST_MEASURES
from cluster.answers.diff import InputDifference, input_differences
from cluster.answers.entry import MOST_STRATEGIES, StrategyName, Text
from cluster.query.trials import StoredRun, check_any
from cluster.reference.rates import class_names
from sim.faults import Fault, InvalidInput
from sim.scenario.scenario import Scenario, scenario_from_document

router = APIRouter(responses=RESPONSES)


@router.get(
    "/jobs/{job_id}/diff",
    tags=["answers"],
    summary="Compare two jobs",
    response_class=Response,
    responses={200: {"model": Difference, "description": Difference.__doc__}},
)
def diff_jobs(
    request: Request,
    run: KnownRun,
    reader: Reader,
    engine: Database,
    settings: SettingsOf,
    cache: CachedAnswers,
    other: Annotated[str, Query(alias="with", max_length=64, description="The other job's id.")],
    strategy: Annotated[
        list[StrategyName] | None,
        Query(max_length=MOST_STRATEGIES, description="May be repeated; all that both have if none is named."),
    ] = None,
    measure: Annotated[
        list[Text] | None,
        Query(
            max_length=MOST_MEASURES,
            description="May be repeated; those of the summary and the measure of choice if none is named.",
        ),
    ] = None,
    given: Annotated[Text | None, Query(description="Over the trials for which this condition holds.")] = None,
) -> Response:
    """The inputs that differ, and the answers: the other job's less this job's.

    Jobs of the same seed and design are compared trial by trial. While a job runs, from what is committed so far.
    """
    try:
        job = find_job(other, reader, engine)
    except Problem as problem:
        raise Problem(422, "the other job is not known", [Fault("with", other, str(problem.detail))]) from None
    note(request, detail=f"diff with {job.id}")
    second = StoredRun(job.plan, job_folder(job, settings))
    for one in (run, second):
        check_any(one)
    fields: dict[str, Any] = {"strategies": strategy or [], "measures": measure or [], "given": given}
    text = compute_once(cache, (run, second), "diff", fields, lambda: difference(run, second, **fields))
    return Response(text, media_type=JSON)


class ScenariosToCompare(BaseModel):
    """Two scenarios, each in full or by the name of a shipped one or of one of the caller's own."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"first": "us-japan-autos-1995", "second": "us-eu-2025"}]}
    )

    first: dict[str, Any] | Annotated[str, Field(max_length=64)]
    second: dict[str, Any] | Annotated[str, Field(max_length=64)]


class ScenarioDifferences(BaseModel):
    """The fields of two scenarios, defaults filled in, that differ."""

    inputs: list[InputDifference]


@router.post("/scenarios/diff", tags=["scenarios"], summary="Compare two scenarios")
def diff_scenarios(asked: ScenariosToCompare, reader: Reader, engine: Database) -> ScenarioDifferences:
    """The fields that differ, in the order of a scenario's document; null stands for a field that one lacks."""
    found = []
    for field, given in (("first", asked.first), ("second", asked.second)):
        try:
            found.append(_scenario(given, reader.owner, engine))
        except InvalidInput as error:
            raise invalid(error, field) from None
    return ScenarioDifferences(inputs=input_differences(*found))


def _scenario(given: dict[str, Any] | str, owner: str, engine: Any) -> Scenario:
    if isinstance(given, dict):
        return scenario_from_document(given, classes=class_names())
    return named_scenario(engine, owner, given)
