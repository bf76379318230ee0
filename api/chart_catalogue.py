"""The charts of answers: what each is called, which answer it is made from, and what it shows.

A chart's module is imported when it is drawn: Altair takes a second to import.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cluster.answers.entry import Answer
from cluster.answers.registry import find_answer

if TYPE_CHECKING:
    import altair as alt

_COUNTS = {"measures": ["export_gain"], "statistics": ["count"]}
_BINS = {"value": "export_gain", "bins": 20}
_BINNED = ({**_COUNTS, "by": ["strategy", _BINS]}, {**_COUNTS, "by": ["strategy", "outcome", _BINS]})


@dataclass(frozen=True)
class Chart:
    """A chart of the documents of an answer; `examples` are requests of the answer that have such a chart.

    It is drawn by the function ``NAME_chart`` of `module`.
    """

    name: str
    answer: Answer
    sentence: str
    examples: tuple[Mapping[str, Any], ...]
    module: str

    def draw(self, document: dict[str, Any]) -> "alt.TopLevelMixin":
        """The chart of a document. Raises `InvalidInput` for a document of another form."""
        drawn: alt.TopLevelMixin = getattr(import_module(self.module), f"{self.name}_chart")(document)
        return drawn


def _chart(
    name: str,
    answer: str,
    sentence: str,
    examples: tuple[Mapping[str, Any], ...] = ({},),
    module: str = "api.charts",
) -> Chart:
    return Chart(name, find_answer(answer), sentence, examples, module)


CHARTS = (
    _chart("outcomes", "summary", "How the trials end under each strategy."),
    _chart("events", "summary", "The probability of each event with its 95 % interval."),
    _chart("timeline", "timeline", "The state of the dispute by week, with bands."),
    _chart("regret", "compare", "How far each strategy is below the best one in the same trial."),
    _chart("leads", "compare", "Which strategy is best on average over each parameter's range."),
    _chart("values", "worth", "What learning each parameter before the choice would be worth, with its 95 % interval."),
    _chart("means", "worth", "Each strategy's mean of the measure with its 95 % interval."),
    _chart("tornado", "drivers", "The mean in each parameter's lowest and highest decile."),
    _chart(
        "distribution",
        "aggregate",
        "Histograms of a measure in bins, a panel a strategy, by outcome if grouped by it too.",
        _BINNED,
        "api.distribution_charts",
    ),
    _chart(
        "cumulative",
        "aggregate",
        "The share of trials with at most each value of a measure, from counts in bins.",
        _BINNED,
        "api.distribution_charts",
    ),
    _chart(
        "shifts",
        "stress",
        "How far each parameter is shifted where a bound is broken.",
        ({"bound": "sanctions"},),
        "api.evidence_charts",
    ),
    _chart(
        "boxes",
        "discover",
        "The ranges of parameters within which an outcome is frequent.",
        ({"outcome": "sanctions"},),
        "api.evidence_charts",
    ),
    _chart(
        "past",
        "check",
        "The forecast beside how past threats of its class ended.",
        module="api.evidence_charts",
    ),
    _chart("convergence", "convergence", "The estimate and its error as trials are added."),
    _chart("positions", "replay", "What each side asks and offers on each issue, week by week.", ({"trial": 12},)),
)
"""The charts that a job's answers have."""
