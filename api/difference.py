"""Two runs compared, with sentences made from the numbers."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from api.sentences import difference_sentences
from cluster.answers.diff import RunDifference, diff
from cluster.answers.entry import OnProgress, measure_of_choice, quiet
from cluster.query.trials import StoredRun


class Difference(RunDifference):
    """Two runs compared: the first is A in the sentences, the second B."""

    sentences: Annotated[list[str], Field(description="What differs most, in words; empty if no answer differs.")]


def difference(
    first: StoredRun,
    second: StoredRun,
    *,
    strategies: Sequence[str] = (),
    measures: Sequence[str] = (),
    given: str | None = None,
    on_progress: OnProgress = quiet,
) -> dict[str, Any]:
    """The document of two runs compared by `cluster.answers.diff`, whose arguments these are. Raises `InvalidInput`."""
    found = diff(first, second, strategies=strategies, measures=measures, given=given, on_progress=on_progress)
    document = found.model_dump()
    choices = {measure_of_choice(None, run.plan.scenario) for run in (first, second)}
    said = difference_sentences(document, choices.pop() if len(choices) == 1 else None)
    return Difference(**document, sentences=said).model_dump()
