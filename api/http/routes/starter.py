"""A first scenario of one's own, made of the answers to a dozen questions."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, create_model

from api.http.authentication import reader
from api.http.problems import RESPONSES
from api.starter import QUESTIONS, Question, default_of, read_answers, read_demands, scenario_text
from sim.faults import Fault, InvalidInput
from sim.scenario.issues import MAX_ISSUES
from sim.scenario.scenario import read_scenario, scenario_document
from sim.scenario.validation import Report
from sim.scenario.validation import name as check_name

router = APIRouter(tags=["scenarios"], responses=RESPONSES, dependencies=[Depends(reader)])
LONGEST_ANSWER = 300
_EXAMPLE: dict[str, Any] = {
    "name": "my-dispute",
    "issues": ["Access to dealers=0.6", "Purchases=0.4"],
    "threat": "announced",
}
Answer = Annotated[str, Field(max_length=LONGEST_ANSWER)]


def _field(question: Question) -> Any:
    choices = f" One of {', '.join(question.choices)}." if question.choices else ""
    return (Answer | None, Field(None, description=f"{question.text}{choices}"))


class _Start(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    name: Annotated[str, Field(max_length=64, description="Letters, digits and '-'.")]
    issues: list[Answer] = Field(
        [], max_length=MAX_ISSUES, description="What is demanded, each with `=` and its weight if they are not equal."
    )
    ranges: Literal["reference", "neutral"] = Field(
        "reference", description="What nobody was asked: ranges fitted to how past threats ended, or neutral defaults."
    )


NewScenario = create_model(
    "NewScenario",
    __base__=_Start,
    __doc__="The answers to the questions from which a scenario is made; those not given have their defaults.",
    **{question.name: _field(question) for question in QUESTIONS},
)


class QuestionEntry(BaseModel):
    """A question, what follows from its answer, and the answer that an unanswered one has."""

    name: str = Field(description="The field of the answer.")
    text: str
    explanation: str
    default: str = Field(description="Empty for the title, which is then the scenario's name.")
    choices: list[str] = Field(description="The answers that there are; none where it is a text or a number.")
    needs_threat: bool = Field(description="Asked only where sanctions may be threatened.")


class StartedScenario(BaseModel):
    """A scenario as the text of a commented file, and its document."""

    yaml: str
    scenario: dict[str, Any]


@router.get("/questions", summary="The dozen questions from which a scenario is made")
def questions() -> list[QuestionEntry]:
    """In the order in which they are asked; what is demanded comes before the distance between the sides."""
    return [
        QuestionEntry(
            name=one.name,
            text=one.text,
            explanation=one.explanation,
            default=default_of(one, ""),
            choices=list(one.choices),
            needs_threat=one.needs_threat,
        )
        for one in QUESTIONS
    ]


@router.post("/scenarios/new", summary="Make a scenario from a dozen answers")
def new(asked: NewScenario) -> StartedScenario:
    """A commented scenario to start from. Nothing is kept: `PUT /v1/scenarios/NAME` keeps it."""
    given = asked.model_dump()
    name, issues, ranges = given.pop("name"), given.pop("issues"), given.pop("ranges")
    report = Report()
    check_name(report, ("name",), name)
    report.raise_faults()
    try:
        demands = read_demands(issues)
    except InvalidInput as error:
        raise InvalidInput(tuple(Fault("issues", one.value, one.message) for one in error.faults)) from None
    text = scenario_text(name, demands, read_answers(name, given), ranges)
    return StartedScenario(yaml=text, scenario=scenario_document(read_scenario(text, f"{name}.yaml")))
