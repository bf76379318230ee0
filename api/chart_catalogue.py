"""The charts of answers: what each is called, which answer it is made from, and what it shows.

They are drawn by `api.charts`, which is imported when one is drawn: Altair takes a second to import.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster.answers.entry import Answer
from cluster.answers.registry import find_answer

if TYPE_CHECKING:
    import altair as alt

_BINS = {"measures": ["export_gain"], "statistics": ["count"], "by": ["strategy", {"value": "export_gain", "bins": 20}]}


@dataclass(frozen=True)
class Chart:
    """A chart of the documents of an answer; `examples` are requests of the answer that have such a chart."""

    name: str
    answer: Answer
    sentence: str
    examples: tuple[Mapping[str, Any], ...]

    def draw(self, document: dict[str, Any]) -> "alt.TopLevelMixin":
        """The chart of a document. Raises `InvalidInput` for a document of another form."""
        from api import charts

        drawn: alt.TopLevelMixin = getattr(charts, f"{self.name}_chart")(document)
        return drawn


def _chart(name: str, answer: str, sentence: str, examples: tuple[Mapping[str, Any], ...] = ({},)) -> Chart:
    return Chart(name, find_answer(answer), sentence, examples)


CHARTS = (
    _chart("outcomes", "summary", "How the trials end under each strategy."),
    _chart("events", "summary", "The probability of each event with its 95 % interval."),
    _chart("timeline", "timeline", "The state of the dispute by week, with bands."),
    _chart("regret", "compare", "How far each strategy is below the best one in the same trial."),
    _chart("leads", "compare", "Which strategy is best on average over each parameter's range."),
    _chart("means", "worth", "Each strategy's mean of the measure with its 95 % interval."),
    _chart("tornado", "drivers", "The mean in each parameter's lowest and highest decile."),
    _chart("convergence", "convergence", "The estimate and its error as trials are added."),
    _chart("distribution", "aggregate", "Histograms of a measure in bins, a panel a strategy.", (_BINS,)),
    _chart("positions", "replay", "What each side asks and offers on each issue, week by week.", ({"trial": 12},)),
)
"""The charts that a job's answers have."""
