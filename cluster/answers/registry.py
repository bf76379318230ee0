"""The registry of answers, and how one is requested. Routes, commands, client and documentation are made from it."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from threadpoolctl import threadpool_limits

from cluster.answers import (
    aggregate,
    check,
    compare,
    convergence,
    discover,
    drivers,
    indices,
    replay,
    score,
    stress,
    summary,
    timeline,
    typical,
    worth,
)
from cluster.answers.entry import Answer, OnProgress, Request, RunFacts, TrialCounts, quiet
from cluster.answers.shared import condition_of
from cluster.query.shard_map import ray_of
from cluster.query.trials import StoredRun, check_any, kept_rows_note
from sim.faults import Fault, InvalidInput
from sim.scenario.scenario import interventions_document

ANSWERS = (
    summary.ANSWER,
    timeline.ANSWER,
    convergence.ANSWER,
    compare.ANSWER,
    worth.ANSWER,
    drivers.ANSWER,
    indices.ANSWER,
    discover.ANSWER,
    stress.ANSWER,
    score.ANSWER,
    check.ANSWER,
    replay.ANSWER,
    typical.ANSWER,
    aggregate.ANSWER,
)


def find_answer(name: str) -> Answer:
    """The answer of that name. Raises `InvalidInput`."""
    for answer in ANSWERS:
        if answer.name == name:
            return answer
    known = ", ".join(one.name for one in ANSWERS)
    raise InvalidInput((Fault("answer", name, f"is not an answer; there are {known}"),))


def ask(
    run: StoredRun, name: str, request: Mapping[str, object] | Request | None = None, *, on_progress: OnProgress = quiet
) -> dict[str, Any]:
    """Ask a stored run for an answer by its name, and return its document, which JSON can hold.

    `request` has the fields of the answer's request model; none means that all have their defaults. Raises
    `InvalidInput` for a request that cannot be answered, and its subclass `NoTrialsYet` while no trials are committed.
    """
    # The threads of a linear algebra library spin while they wait for each other, which on busy cores takes several
    # times as much CPU time as one thread does, and add up in an order of their own. For the rest of the process:
    # other answers are computed meanwhile.
    threadpool_limits(limits=1, user_api="blas")
    answer = find_answer(name)
    asked = request if isinstance(request, Request) else read_request(answer, request or {})
    check_any(run)
    _check_design(answer, run)
    if asked.believe and answer.cannot_weigh is not None:
        raise InvalidInput((Fault("believe", asked.believe[0], answer.cannot_weigh),))
    condition = condition_of(run, getattr(asked, "given", None))
    with ray_of(run):
        found = answer.compute(run, asked, on_progress)
    if asked.believe and not answer.bare and found.evidence is None:
        raise RuntimeError(f"{name} ignores beliefs: it must weigh the trials, or say why not in `cannot_weigh`")
    if answer.bare:
        return found.result.model_dump(by_alias=True, exclude_unset=True)
    plan = run.plan
    shards = [shard for strategy in found.strategies for shard in run.all_shards(strategy)]
    from_rows = not plan.keeps_all_rows and not found.of_all_trials
    document = answer.document(
        answer=answer.name,
        scenario=plan.scenario.name,
        run=RunFacts(
            trials=plan.trials,
            seed=plan.seed,
            design=plan.design.name,
            complete=len(shards) * len(plan.strategies) == plan.shard_count * len(found.strategies),
        ),
        strategies=list(found.strategies),
        given=None if condition is None else str(condition),
        **({"set": interventions_document(plan.scenario)} if plan.scenario.interventions else {}),
        trials=TrialCounts(played=sum(shard.count for shard in shards), used=found.used),
        **({} if found.evidence is None else {"evidence": dict(found.evidence)}),
        method=dict(found.method) | ({"rows": kept_rows_note(run)} if from_rows else {}),
        result=found.result,
    )
    return document.model_dump(by_alias=True, exclude_unset=True)


def read_request(answer: Answer, request: Mapping[str, object]) -> Request:
    """A request as an answer's model. Raises `InvalidInput` with a fault for each wrong field."""
    try:
        return answer.request.model_validate(dict(request))
    except ValidationError as error:
        faults: dict[tuple[str | int, ...], Fault] = {}
        for found in error.errors():
            place = _place(found["loc"], request)
            value = None if found["type"] == "missing" else found["input"]
            message = _message(answer, found)
            faults.setdefault(place, Fault(_field(place), value, message, path=place))
        raise InvalidInput(tuple(faults.values())) from None


_ALLOWED = {
    "missing": "is missing",
    "string_type": "must be text",
    "string_too_long": "must have at most {max_length} characters",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "list_type": "must be a list",
    "too_long": "must have at most {max_length} parts",
    "dict_type": "must be an object",
    "model_type": "must be an object",
}
"""Messages by Pydantic's type of error."""


def _message(answer: Answer, found: ErrorDetails) -> str:
    if found["type"] == "extra_forbidden" and len(found["loc"]) == 1:
        return f"is not a field of {answer.name}; there are {', '.join(answer.request.model_fields)}"
    if found["type"] in _ALLOWED:
        return _ALLOWED[found["type"]].format(**found.get("ctx", {}))
    return f"{found['msg'][:1].lower()}{found['msg'][1:]}"


def _place(location: Sequence[str | int], request: object) -> tuple[str | int, ...]:
    """The path of a value in a request. Pydantic's location also names types it tried, such as ``dict[str,str]``."""
    place = []
    for k, part in enumerate(location, 1):
        try:
            request = request[part]  # type: ignore[index]
        except (LookupError, TypeError):
            # A missing field is the last part of the location; any other part that the request lacks is the name of a
            # type.
            if k < len(location) or not isinstance(request, Mapping):
                continue
        place.append(part)
    return tuple(place)


def _field(location: Sequence[str | int]) -> str:
    """A path in the request in the form ``by[0].value``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")


def _check_design(answer: Answer, run: StoredRun) -> None:
    if run.plan.design.name not in answer.designs:
        one = len(answer.designs) == 1
        allowed = f"the {answer.designs[0]} design" if one else f"one of the designs {', '.join(answer.designs)}"
        raise InvalidInput((Fault("run", run.plan.design.name, f"must be a run of {allowed} for {answer.name}"),))
