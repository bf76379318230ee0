"""The answers about a job's run, a method each. Each sends its request as `_ask` does, with what is not None."""

from collections.abc import Mapping, Sequence
from typing import Any

from brink.answer import Answer
from brink.flows import Flow, Operation


class Answers:
    """The methods of a job that ask about its run."""

    def _ask(self, answer: str, request: Mapping[str, Any]) -> Flow[Answer]:
        """Ask for an answer by its name, with those parts of the request that are not None."""
        raise NotImplementedError

    @Operation
    def compare(
        self, strategies: Sequence[str] = (), measures: Sequence[str] = (), given: str | None = None
    ) -> Flow[Answer]:
        """Strategies compared on the same trials: paired differences, regret, and which is best how often."""
        return (yield from self._ask("compare", {"strategies": strategies, "measures": measures, "given": given}))

    @Operation
    def worth(
        self,
        measure: str | None = None,
        groups: Mapping[str, Sequence[str]] | None = None,
        strategies: Sequence[str] = (),
        given: str | None = None,
    ) -> Flow[Answer]:
        """The value of learning parameters before a strategy is chosen (EVPPI)."""
        request = {"measure": measure, "groups": groups, "strategies": strategies, "given": given}
        return (yield from self._ask("worth", request))

    @Operation
    def stress(self, bound: str, strategy: str | None = None, given: str | None = None) -> Flow[Answer]:
        """What differs in the trials where a bound is broken: ``job.stress("sender_cost > 0.1")``."""
        return (yield from self._ask("stress", {"bound": bound, "strategy": strategy, "given": given}))

    @Operation
    def score(self, strategy: str | None = None, given: str | None = None) -> Flow[Answer]:
        """The run as a forecast, scored against what happened."""
        return (yield from self._ask("score", {"strategy": strategy, "given": given}))

    @Operation
    def drivers(
        self, measure: str | None = None, strategy: str | None = None, given: str | None = None
    ) -> Flow[Answer]:
        """The parameters to which a measure is sensitive."""
        return (yield from self._ask("drivers", {"measure": measure, "strategy": strategy, "given": given}))

    @Operation
    def discover(self, outcome: str, strategy: str | None = None, given: str | None = None) -> Flow[Answer]:
        """The ranges of parameters in which an outcome is likely (scenario discovery)."""
        return (yield from self._ask("discover", {"outcome": outcome, "strategy": strategy, "given": given}))

    @Operation
    def indices(self, measure: str | None = None, strategy: str | None = None) -> Flow[Answer]:
        """First- and total-order Sobol indices of a measure; the service plays trials for them."""
        return (yield from self._ask("indices", {"measure": measure, "strategy": strategy}))

    @Operation
    def replay(self, trial: int, strategy: str | None = None) -> Flow[Answer]:
        """A trial week by week."""
        return (yield from self._ask("replay", {"trial": trial, "strategy": strategy}))

    @Operation
    def typical(
        self, strategy: str | None = None, measure: str | None = None, given: str | None = None
    ) -> Flow[Answer]:
        """Typical and extreme trials, to be replayed."""
        return (yield from self._ask("typical", {"strategy": strategy, "measure": measure, "given": given}))

    @Operation
    def timeline(self, strategies: Sequence[str] = (), given: str | None = None) -> Flow[Answer]:
        """The probability of each state of the dispute in each week."""
        return (yield from self._ask("timeline", {"strategies": strategies, "given": given}))
