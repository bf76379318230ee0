"""Pictures and sentences made from a job's answers: what the pages show, for any client."""

import json
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from api.chart_catalogue import CHARTS, Chart
from api.formats import JSON, negotiate
from api.http.answer_cache import AnswerCache, ask_once
from api.http.authentication import reader
from api.http.problems import RESPONSES, Problem
from api.http.routes.answers import Fields
from api.http.routes.common import BeliefsInQuery, CachedAnswers, KnownRun, StrategiesInQuery
from api.http.routes.scenarios import SCENARIO_BODY, SentScenario, read_sent, sent_scenario
from api.ranges import ranges_document
from api.run_workbook import FIRST_TRIALS, write_run
from api.sentences import (
    alone_sentences,
    belief_sentences,
    best_of,
    choice_sentences,
    dependence_sentence,
    ending_sentence,
)
from api.workbook import XLSX
from cluster.answers.compare import Sampled
from cluster.answers.entry import (
    Evidence,
    GivenRequest,
    Measure,
    StrategiesRequest,
    Text,
    measure_of_choice,
)
from cluster.answers.shared import TooFewPaired
from cluster.query.trials import StoredRun, chosen_strategies

if TYPE_CHECKING:
    import altair as alt

router = APIRouter(tags=["answers"], responses=RESPONSES, dependencies=[Depends(reader)])
VEGA_LITE = "application/vnd.vegalite.v6+json"
SVG, PNG = "image/svg+xml", "image/png"
HTML, PDF = "text/html", "application/pdf"
MOST_EXPORTED = 10_000
"""Trials of each strategy in a workbook; a row of a sheet takes as long as thousands of rows of a query."""
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"
"""A report has its styles within itself, and runs nothing."""
OFFERED = (JSON, VEGA_LITE, SVG, PNG)
PICTURES: dict[str, Any] = {SVG: {"schema": {"type": "string"}}, PNG: {"schema": {"type": "string"}}}
Accept = Annotated[str | None, Header(max_length=1000, description=f"One of {', '.join(OFFERED)}.")]


class Specification(BaseModel):
    """A specification of Vega-Lite 6 with its data: drawing it loads nothing."""

    model_config = ConfigDict(extra="allow")


def _endpoint(chart: Chart) -> Callable[..., Response]:
    def draw(fields: Fields, run: KnownRun, cache: CachedAnswers, accept: Accept = None) -> Response:
        return pictured(accept, lambda: chart.draw(_ask(cache, run, chart.answer.name, fields)))

    return draw


def pictured(accept: str | None, draw: "Callable[[], alt.TopLevelMixin]") -> Response:
    """A chart in the form that a client prefers. Raises `Problem` before it is drawn if there is none."""
    from api.chart_files import png_of, svg_of
    from api.charts import specification

    media_type = negotiate(accept, OFFERED)
    if media_type is None:
        raise Problem(406, f"the media types offered are {', '.join(OFFERED)}")
    drawn = draw()
    if media_type == PNG:
        content: str | bytes = png_of(drawn)
    else:
        content = svg_of(drawn) if media_type == SVG else json.dumps(specification(drawn), allow_nan=False)
    return Response(content, media_type=media_type, headers={"Vary": "Accept"})


def _ask(cache: AnswerCache, run: StoredRun, name: str, fields: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask_once(cache, run, name, fields))
    return found


def _add_route(chart: Chart) -> None:
    schema = chart.answer.request.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    body = {"schema": {**schema, "examples": list(chart.examples)}}
    required = any(field.is_required() for field in chart.answer.request.model_fields.values())
    router.add_api_route(
        f"/jobs/{{job_id}}/charts/{chart.name}",
        _endpoint(chart),
        methods=["POST"],
        name=f"chart_{chart.name}",
        summary=f"Draw: {chart.sentence}",
        description=f"{chart.sentence} The request is that of the answer {chart.answer.name}.",
        response_class=Response,
        responses={
            200: {
                "model": Specification,
                "description": "The chart",
                "content": PICTURES,
            }
        },
        openapi_extra={"requestBody": {"required": required, "content": {JSON: body}}},
    )


for _chart in CHARTS:
    _add_route(_chart)


@router.get(
    "/jobs/{job_id}/report",
    summary="A report to hand on",
    response_class=Response,
    responses={200: {"description": "One page, or a PDF, that loads nothing", "content": {HTML: {}, PDF: {}}}},
)
def report(
    run: KnownRun,
    given: Annotated[Text | None, Query(description="Over the trials for which this condition holds.")] = None,
    measure: Annotated[Text | None, Query(description="The scenario's measure of choice if none is named.")] = None,
    believe: BeliefsInQuery = None,
    strategy: StrategiesInQuery = None,
    accept: Annotated[str | None, Header(max_length=1000, description=f"{HTML} or {PDF}.")] = None,
) -> Response:
    """The run as one page for those who decide: the answer, its charts, what it depends on, sources and method."""
    from api.report.contents import gather
    from api.report.page import report_page
    from api.report.pdf import NoPango, check_pdf, report_pdf

    media_type = negotiate(accept, (HTML, PDF))
    if media_type is None:
        raise Problem(406, f"the media types offered are {HTML} and {PDF}")
    if media_type == PDF:
        try:
            check_pdf()
        except NoPango as error:
            raise Problem(406, str(error)) from None
    answers = gather(
        run,
        measure=measure,
        given=given,
        believe=believe or (),
        strategies=strategy or (),
        on_step=lambda *_: None,
    )
    content = report_pdf(answers) if media_type == PDF else report_page(answers)
    # Browsers show no PDF in a sandbox, so that one is saved.
    saved = {"Content-Disposition": f'attachment; filename="{run.plan.scenario.name}.pdf"'}
    headers = saved if media_type == PDF else {"Content-Security-Policy": REPORT_POLICY}
    return Response(content, media_type=media_type, headers={**headers, "Vary": "Accept"})


@router.get(
    "/jobs/{job_id}/export",
    summary="The tables of a job's run as a workbook for Excel",
    response_class=Response,
    responses={200: {"description": "The workbook", "content": {XLSX: {}}}},
)
def export(
    run: KnownRun,
    given: Annotated[Text | None, Query(description="Over the trials for which this condition holds.")] = None,
    believe: BeliefsInQuery = None,
    strategy: StrategiesInQuery = None,
    trials: Annotated[
        int, Query(ge=0, le=MOST_EXPORTED, description="The first trials of each strategy, in a sheet of their own.")
    ] = FIRST_TRIALS,
) -> Response:
    """Sheets of probabilities, measures, the course over time, the ranges with their sources, and the first trials."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "run.xlsx")
        write_run(run, file, given=given, believe=believe or (), strategies=strategy or (), trials=trials)
        content = file.read_bytes()
    named = {"Content-Disposition": f'attachment; filename="{run.plan.scenario.name}.xlsx"'}
    return Response(content, media_type=XLSX, headers=named)


@router.post(
    "/scenarios/densities",
    tags=["scenarios"],
    summary="Draw: The densities of a scenario's uncertain parameters.",
    response_class=Response,
    responses={200: {"model": Specification, "description": "The chart", "content": PICTURES}},
    openapi_extra=SCENARIO_BODY,
)
def densities(sent: Annotated[SentScenario, Depends(sent_scenario)], accept: Accept = None) -> Response:
    """What is believed of each uncertain parameter of a scenario that is sent: the density over its range."""
    from api.charts import densities_chart

    return pictured(accept, lambda: densities_chart(ranges_document(read_sent(sent))))


class FindingsRequest(StrategiesRequest, GivenRequest):
    """Which strategies are compared, by which measure, and under which condition."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"measure": "export_gain", "given": "agreement"}]})

    measure: Annotated[Measure | None, Field(description="The scenario's measure of choice if none is named.")] = None
    sampled: Sampled = None


_USUAL = FindingsRequest()
TOO_EARLY = "The strategies cannot be compared yet: too few of the same trials have been played under all of them."


class Findings(BaseModel):
    """The answer in sentences made from the numbers."""

    measure: str = Field(description="The measure by which strategies are compared.")
    best: str | None = Field(description="The strategy with the highest mean of the measure, of several.")
    trials: int = Field(description="Trials of each strategy from which the sentences are made.")
    sampled: int | None = Field(
        None, description="Trials from which the beliefs are found, where strategies are compared."
    )
    sentences: list[str]
    beliefs: list[str] = Field(description="Parameters over whose range another strategy becomes the best.")
    evidence: dict[str, Evidence] | None = Field(None, description="What beliefs did to each strategy's trials.")


@router.post("/jobs/{job_id}/findings", summary="The answer in sentences")
def findings(run: KnownRun, cache: CachedAnswers, asked: FindingsRequest = _USUAL) -> Findings:
    """Which strategy is best, by how much, how sure that is, how it ends, and which belief would change that."""
    shared = asked.model_dump(mode="json", exclude={"measure", "sampled"}, exclude_defaults=True)
    weeks = run.plan.scenario.horizon_weeks
    measure = measure_of_choice(asked.measure, run.plan.scenario)
    alone = len(chosen_strategies(run, asked.strategies)) == 1
    with ThreadPoolExecutor(1) as pool:
        # Both at once; the thread has the limit of time of this one.
        summarized = pool.submit(copy_context().run, _ask, cache, run, "summary", shared)
        try:
            request = {**shared, "measures": [measure], **({"sampled": asked.sampled} if asked.sampled else {})}
            document = {} if alone else _ask(cache, run, "compare", request)
        except TooFewPaired:
            summary = summarized.result()
            if summary["complete"] or asked.given is not None:
                raise
            # The first shards are those of some strategies; the others are still being played.
            played = min(one["trials"] for one in summary["strategies"].values())
            return Findings(measure=measure, best=None, trials=played, sentences=[TOO_EARLY], beliefs=[])
        summary = summarized.result()
    if alone:
        ((name, one),) = summary["strategies"].items()
        said = alone_sentences(name if len(run.plan.strategies) > 1 else None, one, weeks)
        return Findings(measure=measure, best=None, trials=one["trials"], sentences=said, beliefs=[])
    compared = document["result"]
    said = choice_sentences(compared)
    best = best_of(compared) if said else next(iter(summary["strategies"]))
    said.append(ending_sentence(best, summary["strategies"][best]["events"], weeks))
    if dependence := dependence_sentence(compared):
        said.append(dependence)
    return Findings(
        measure=compared["choices"][0]["measure"],
        best=best,
        trials=compared["trials"]["compared"],
        sampled=compared["trials"]["sampled"],
        sentences=said,
        beliefs=belief_sentences(compared),
        evidence=document.get("evidence"),
    )
