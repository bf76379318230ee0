"""The answers about a job's run, a method each. `make reference` makes it from the service's answers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from brink.answer import Answer
from brink.flows import Flow, Operation


class Answers(ABC):
    """The methods of a job that ask about its run.

    What is None is left to the service's default.
    """

    @abstractmethod
    def _ask(self, answer: str, request: Mapping[str, Any]) -> Flow[Answer]:
        """Ask for an answer by its name, with those parts of the request that are not None."""

    @Operation
    def timeline(
        self,
        *,
        states: Sequence[str] | None = None,
        strategies: Sequence[str] | None = None,
        given: str | None = None,
        believe: Sequence[str] | None = None,
    ) -> Flow[Answer]:
        """The probability of each state of the dispute in each week.

        `states`: The states; all if none is named.
        `strategies`: The strategies; all if none is named.
        `given`: Only the trials for which this condition holds.
        `believe`: Conditions with the probabilities that they are believed to have, such as `sanctions = 0.3` or
            `agreement = 0.2..0.4 under talk`: the trials are weighted so that they hold.
        """
        request = {
            "states": states,
            "strategies": strategies,
            "given": given,
            "believe": believe,
        }
        return (yield from self._ask("timeline", request))

    @Operation
    def convergence(
        self,
        *,
        measure: str | None = None,
        strategies: Sequence[str] | None = None,
        given: str | None = None,
        believe: Sequence[str] | None = None,
    ) -> Flow[Answer]:
        """How the estimate of a measure and its error settle as trials are added.

        `measure`: A number or a condition over the columns; the scenario's `choice`, or export_gain - sender_cost, if
            none.
        `strategies`: The strategies; all if none is named.
        `given`: Only the trials for which this condition holds.
        `believe`: Conditions with the probabilities that they are believed to have, such as `sanctions = 0.3` or
            `agreement = 0.2..0.4 under talk`: the trials are weighted so that they hold.
        """
        request = {
            "measure": measure,
            "strategies": strategies,
            "given": given,
            "believe": believe,
        }
        return (yield from self._ask("convergence", request))

    @Operation
    def compare(
        self,
        *,
        measures: Sequence[str] | None = None,
        sampled: int | None = None,
        strategies: Sequence[str] | None = None,
        given: str | None = None,
        believe: Sequence[str] | None = None,
    ) -> Flow[Answer]:
        """Strategies on the same trials: differences, regret, and which strategy leads as a function of each parameter.

        `measures`: Measures of choice, of which more is better; if none is named, the scenario's `choice`, or
            export_gain - sender_cost.
        `sampled`: Which strategy leads by parameter, and quantiles of regret, are from at most this many of the first
            trials: they come sooner, with wider intervals. All else is from all trials.
        `strategies`: The strategies; all if none is named.
        `given`: Only the trials for which this condition holds.
        `believe`: Conditions with the probabilities that they are believed to have, such as `sanctions = 0.3` or
            `agreement = 0.2..0.4 under talk`: the trials are weighted so that they hold.
        """
        request = {
            "measures": measures,
            "sampled": sampled,
            "strategies": strategies,
            "given": given,
            "believe": believe,
        }
        return (yield from self._ask("compare", request))

    @Operation
    def worth(
        self,
        *,
        trials: int | None = None,
        measure: str | None = None,
        groups: Mapping[str, Sequence[str]] | None = None,
        all_together: bool | None = None,
        strategies: Sequence[str] | None = None,
        given: str | None = None,
        believe: Sequence[str] | None = None,
    ) -> Flow[Answer]:
        """The value of learning parameters before a strategy is chosen.

        `trials`: At most this many trials of a strategy are read, the first ones: an answer that comes sooner, with
            wider intervals. The document says how many were read.
        `measure`: A number or a condition over the columns; the scenario's `choice`, or export_gain - sender_cost, if
            none.
        `groups`: Parameters learned together.
        `all_together`: Whether to value learning all parameters together, which takes longer than all the rest.
        `strategies`: The strategies; all if none is named.
        `given`: Only the trials for which this condition holds.
        `believe`: Conditions with the probabilities that they are believed to have, such as `sanctions = 0.3` or
            `agreement = 0.2..0.4 under talk`: the trials are weighted so that they hold.
        """
        request = {
            "trials": trials,
            "measure": measure,
            "groups": groups,
            "all_together": all_together,
            "strategies": strategies,
            "given": given,
            "believe": believe,
        }
        return (yield from self._ask("worth", request))

    @Operation
    def drivers(
        self,
        *,
        trials: int | None = None,
        measure: str | None = None,
        pawn: bool | None = None,
        strategy: str | None = None,
        given: str | None = None,
        believe: Sequence[str] | None = None,
    ) -> Flow[Answer]:
        """Which parameters drive a measure, how strongly, and how much of it is chance.

        `trials`: At most this many trials of a strategy are read, the first ones: an answer that comes sooner, with
            wider intervals. The document says how many were read.
        `measure`: A number or a condition over the columns; the scenario's `choice`, or export_gain - sender_cost, if
            none.
        `pawn`: Whether PAWN is computed too, which takes longer than all the rest.
        `strategy`: The strategy; the run's first if none is named.
        `given`: Only the trials for which this condition holds.
        `believe`: Conditions with the probabilities that they are believed to have, such as `sanctions = 0.3` or
            `agreement = 0.2..0.4 under talk`: the trials are weighted so that they hold.
        """
        request = {
            "trials": trials,
            "measure": measure,
            "pawn": pawn,
            "strategy": strategy,
            "given": given,
            "believe": believe,
        }
        return (yield from self._ask("drivers", request))

    @Operation
    def indices(
        self,
        *,
        measure: str | None = None,
        strategy: str | None = None,
    ) -> Flow[Answer]:
        """First- and total-order Sobol indices of a measure, from a run of the saltelli design.

        `measure`: A number or a condition over the columns; the scenario's `choice`, or export_gain - sender_cost, if
            none.
        `strategy`: The strategy; the run's first if none is named.
        """
        request = {
            "measure": measure,
            "strategy": strategy,
        }
        return (yield from self._ask("indices", request))

    @Operation
    def discover(
        self,
        outcome: str,
        *,
        trials: int | None = None,
        strategy: str | None = None,
        given: str | None = None,
        believe: Sequence[str] | None = None,
    ) -> Flow[Answer]:
        """The boxes of parameters in which an outcome is likely, measured on other trials.

        `outcome`: A condition over the columns.
        `trials`: At most this many trials of a strategy are read, the first ones: an answer that comes sooner, with
            wider intervals. The document says how many were read.
        `strategy`: The strategy; the run's first if none is named.
        `given`: Only the trials for which this condition holds.
        `believe`: Conditions with the probabilities that they are believed to have, such as `sanctions = 0.3` or
            `agreement = 0.2..0.4 under talk`: the trials are weighted so that they hold.
        """
        request = {
            "outcome": outcome,
            "trials": trials,
            "strategy": strategy,
            "given": given,
            "believe": believe,
        }
        return (yield from self._ask("discover", request))

    @Operation
    def stress(
        self,
        bound: str,
        *,
        strategy: str | None = None,
        given: str | None = None,
        believe: Sequence[str] | None = None,
    ) -> Flow[Answer]:
        """How the trials in which a bound is broken differ from the others, and which of them to replay.

        `bound`: The condition that holds where the bound is broken.
        `strategy`: The strategy; the run's first if none is named.
        `given`: Only the trials for which this condition holds.
        `believe`: Conditions with the probabilities that they are believed to have, such as `sanctions = 0.3` or
            `agreement = 0.2..0.4 under talk`: the trials are weighted so that they hold.
        """
        request = {
            "bound": bound,
            "strategy": strategy,
            "given": given,
            "believe": believe,
        }
        return (yield from self._ask("stress", request))

    @Operation
    def score(
        self,
        *,
        strategy: str | None = None,
        given: str | None = None,
        believe: Sequence[str] | None = None,
    ) -> Flow[Answer]:
        """The forecast scored against what really happened.

        `strategy`: The strategy; the one in the history if none is named.
        `given`: Only the trials for which this condition holds.
        `believe`: Conditions with the probabilities that they are believed to have, such as `sanctions = 0.3` or
            `agreement = 0.2..0.4 under talk`: the trials are weighted so that they hold.
        """
        request = {
            "strategy": strategy,
            "given": given,
            "believe": believe,
        }
        return (yield from self._ask("score", request))

    @Operation
    def check(
        self,
        *,
        reference: str | None = None,
        strategy: str | None = None,
        given: str | None = None,
        believe: Sequence[str] | None = None,
    ) -> Flow[Answer]:
        """The forecast compared with how comparable threats of the past ended, and what would move it.

        `reference`: The class of past threats; the scenario's own if none is named.
        `strategy`: The strategy; the run's first if none is named.
        `given`: Only the trials for which this condition holds.
        `believe`: Conditions with the probabilities that they are believed to have, such as `sanctions = 0.3` or
            `agreement = 0.2..0.4 under talk`: the trials are weighted so that they hold.
        """
        request = {
            "reference": reference,
            "strategy": strategy,
            "given": given,
            "believe": believe,
        }
        return (yield from self._ask("check", request))

    @Operation
    def replay(
        self,
        trial: int,
        *,
        strategy: str | None = None,
    ) -> Flow[Answer]:
        """One trial, played again and narrated week by week.

        `trial`: The trial's number, from 0.
        `strategy`: The strategy; the run's first if none is named.
        """
        request = {
            "trial": trial,
            "strategy": strategy,
        }
        return (yield from self._ask("replay", request))

    @Operation
    def typical(
        self,
        *,
        measure: str | None = None,
        strategy: str | None = None,
        given: str | None = None,
        believe: Sequence[str] | None = None,
    ) -> Flow[Answer]:
        """A typical trial of each outcome and the extreme ones, to be replayed.

        `measure`: A further measure to choose by.
        `strategy`: The strategy; the run's first if none is named.
        `given`: Only the trials for which this condition holds.
        `believe`: Conditions with the probabilities that they are believed to have, such as `sanctions = 0.3` or
            `agreement = 0.2..0.4 under talk`: the trials are weighted so that they hold.
        """
        request = {
            "measure": measure,
            "strategy": strategy,
            "given": given,
            "believe": believe,
        }
        return (yield from self._ask("typical", request))
