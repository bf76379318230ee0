"""Scenario discovery: the boxes of parameters in which a chosen outcome is likely, from a stored run's trials."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from cluster.answers.beliefs import code_of, read_beliefs, weigh_sample
from cluster.answers.entry import (
    Answer,
    Computed,
    GivenRequest,
    OnProgress,
    Result,
    SampleRequest,
    StrategyRequest,
    Text,
)
from cluster.answers.entry import Estimate as EstimateResult
from cluster.answers.shared import condition_of, uncertain_parameters
from cluster.query.ranked_columns import ranked_parameters
from cluster.query.samples import sample
from cluster.query.trials import CODE, StoredRun, chosen_strategy
from sim.faults import Fault, InvalidInput
from sim.sampling.designs import SAMPLES
from sim.scenario.expressions import parse_condition
from sim.scenario.parameters import parameter
from sim.statistics.estimates import Estimate, proportion, proportion_of_replicates
from sim.statistics.ranked import Ranked
from sim.statistics.scenario_discovery import PEEL, Box, find_boxes
from sim.statistics.sensitivity import difference
from sim.statistics.weighted_sample import WeightedSample

MOST_READ = 100_000
"""At most this many trials are read: one half to find the boxes, the other half to measure them."""
FEWEST_CASES = 200
"""Trials with the outcome, and trials without it, that are needed."""


_WEIGHTS = (
    "trials are weighted so that the beliefs hold (see evidence): boxes are found with sums of weights in the place of "
    "counts, scaled to the effective number of trials, by which tests and the least sizes of boxes go; on the trials "
    "held out the beliefs hold by themselves, and the intervals contain the error of the weights"
)


class DiscoverRequest(StrategyRequest, GivenRequest, SampleRequest):
    """Which outcome to look for, under which strategy and condition."""

    outcome: Annotated[Text, Field(description="A condition over the columns.", examples=["sanctions"])]


class BoxMeasures(Result):
    """How good a box, or several together, are on the trials held out."""

    trials: int
    mass: Annotated[EstimateResult, Field(description="The share of all trials in it.")]
    density: Annotated[EstimateResult, Field(description="The outcome's probability in it.")]
    coverage: Annotated[EstimateResult, Field(description="The share of the outcome's cases in it.")]
    lift: Annotated[float | None, Field(description="Density divided by the outcome's overall probability.")]


class Restriction(Result):
    """A parameter's range in a box."""

    name: str
    unit: str
    above: float | None
    up_to: float | None
    share: Annotated[float, Field(description="The share of trials in the range.")]
    density_without: Annotated[float | None, Field(description="The box's density without this restriction.")]


class MeasuredBox(BoxMeasures):
    """A box of parameters, and how good it is."""

    restrictions: list[Restriction]


class DiscoveredBox(MeasuredBox):
    """A box of parameters in which the outcome is likely."""

    with_those_before: BoxMeasures


class DiscoveryTrials(Result):
    """The trials that were read, from the first to the last."""

    read: int
    first: int
    last: int
    finding: Annotated[int, Field(description="Trials on which the boxes were found.")]
    measuring: Annotated[int, Field(description="Trials on which they were measured.")]


class Discovery(Result):
    """Where an outcome is likely."""

    outcome: str
    trials: DiscoveryTrials
    probability: EstimateResult
    reason: Annotated[str | None, Field(description="Why there are no boxes, if there are none.")]
    boxes: list[DiscoveredBox]
    trade_off: Annotated[list[MeasuredBox], Field(description="Nested boxes, from the greatest coverage to the least.")]


def discover(run: StoredRun, request: DiscoverRequest, on_progress: OnProgress) -> Computed:
    """The boxes of uncertain parameters in which an outcome, any condition over the columns, is likely.

    They are found on one half of the trials read and measured on the other, so that the figures are not biased upwards:
    density (the outcome's probability in the box), coverage (the share of its cases that lie in the box), mass (the
    share of all trials in the box) and lift (density divided by the outcome's overall probability). The trade-off lists
    boxes with falling coverage and rising density. Raises `InvalidInput`.
    """
    plan, scenario = run.plan, run.plan.scenario
    wanted = parse_condition(request.outcome, scenario, "outcome")
    condition = condition_of(run, request.given)
    chosen = chosen_strategy(run, request.strategy)
    names = uncertain_parameters(scenario, chosen)
    stated = read_beliefs(run, request.believe)
    most = min(MOST_READ, request.trials or MOST_READ)
    drawn = sample(run, chosen, {"outcome": wanted}, given=condition, code=code_of(stated), most=most)
    trial, happened, code = drawn["trial"], drawn["outcome"] > 0.0, drawn.get(CODE)
    cases = int(happened.sum())
    if min(cases, happened.size - cases) < FEWEST_CASES:
        message = (
            f"holds in {cases} of the {happened.size} trials of {chosen} read; at least {FEWEST_CASES} with it and "
            f"{FEWEST_CASES} without are needed: play more trials, or choose a less extreme outcome"
        )
        raise InvalidInput((Fault("outcome", request.outcome, message),))

    replicates = plan.design.replicates(scenario)
    finding = trial % 2 == 0
    weighted = None if code is None else weigh_sample(stated, code, condition)
    discovered = find_boxes(
        ranked_parameters(run, chosen, names, trial[finding]),
        happened[finding],
        trial[finding] % 4 == 0,
        None if weighted is None or code is None else weighted.weight(code[finding]),
    )
    restricted = {name for box in (*discovered.boxes, *discovered.trade_off) for name in box.ranges}
    measured = ranked_parameters(run, chosen, sorted(restricted), trial[~finding])
    # Trials with odd numbers are in the odd replicates.
    halved = trial[~finding] // 2
    replicate, half = halved % max(1, replicates // 2), max(1, replicates // 2)
    held_out = _Held(happened[~finding], replicate, half)
    if code is not None:
        # The beliefs hold in the trials held out by themselves, so that the error of the weights is theirs.
        of_held = weigh_sample(stated, code[~finding], condition)
        held_out = replace(held_out, weighted=of_held.sample(code[~finding], halved, half))
    everywhere = np.ones(held_out.happened.size, bool)
    base = held_out.share(everywhere)
    together = ~everywhere
    found = []
    for box in discovered.boxes:
        inside = box.holds(measured)
        if held_out.is_likelier(inside & ~together, base):
            together = together | inside
            found.append({**_measured(box, measured, held_out), "with_those_before": held_out.worth(together)})
    trade_off = []
    around = everywhere
    for box in discovered.trade_off:
        inside = box.holds(measured)
        if held_out.is_denser(inside, around & ~inside):
            around = inside
            trade_off.append(_measured(box, measured, held_out))
    result = {
        "outcome": request.outcome,
        "trials": {
            "read": trial.size,
            "first": int(trial[0]),
            "last": int(trial[-1]),
            "finding": int(finding.sum()),
            "measuring": int((~finding).sum()),
        },
        "probability": base,
        "reason": None if found else "no range of any parameter makes the outcome likelier than it is overall",
        "boxes": found,
        "trade_off": trade_off,
    }
    method = {
        "boxes": (
            f"patient rule induction (PRIM; Friedman & Fisher 1999): each step removes at most {PEEL:.0%} of the "
            "remaining trials, at one end of one parameter, using the trials whose numbers are divisible by four; "
            "restrictions that do not significantly raise the density on the other even-numbered trials are "
            "removed, and the step with the most cases above those expected from the overall probability becomes a "
            "box; the next box is found in the trials outside it. Density, coverage, mass and lift are measured on "
            "the odd-numbered trials, and a box is left out if its density there, outside the boxes before it, is "
            "not above the overall probability"
        ),
        "trade_off": (
            "steps of the first box's peeling, each with a density on the odd-numbered trials that is significantly "
            "above that of the trials removed since the step before"
        ),
        "errors": "95 % intervals: "
        + ("Wilson" if replicates == 1 else "Student's t over the design's replicates, Wilson for rare events"),
    }
    evidence = None
    if weighted is not None:
        method["weights"], evidence = _WEIGHTS, {chosen: weighted.evidence()}
    return Computed(Discovery.model_validate(result), (chosen,), trial.size, method, evidence)


@dataclass(frozen=True)
class _Held:
    """The trials held out to measure boxes: whether the outcome happened in each, the replicate of each, and their
    number.
    """

    happened: np.ndarray
    replicate: np.ndarray
    replicates: int
    weighted: WeightedSample | None = None

    def probability(self, hits: np.ndarray) -> float:
        """The share of all trials that are hits."""
        return float(np.average(hits, weights=None if self.weighted is None else self.weighted.weight))

    def share(self, of: np.ndarray, hits: np.ndarray | None = None) -> Estimate:
        """The share of some trials that are hits (in which the outcome happened, unless given)."""
        hits = of & (self.happened if hits is None else hits)
        if self.weighted is not None:
            return self.weighted.share(hits, of)
        counted = [np.bincount(self.replicate[which], minlength=self.replicates).tolist() for which in (hits, of)]
        return proportion(counted[0][0], counted[1][0]) if self.replicates == 1 else proportion_of_replicates(*counted)

    def is_likelier(self, inside: np.ndarray, base: Estimate) -> bool:
        """Whether the outcome is significantly likelier in a box than overall."""
        return bool((self.share(inside)["low"] or 0.0) > (base["estimate"] or 0.0))

    def is_denser(self, inside: np.ndarray, removed: np.ndarray) -> bool:
        """Whether the outcome is significantly likelier in a box than in the trials around it."""
        return (difference(self.share(inside), self.share(removed))["low"] or 0.0) > 0.0

    def worth(self, inside: np.ndarray) -> dict[str, object]:
        """Mass, density, coverage and lift of a box."""
        everywhere = np.ones(inside.size, bool)
        density, base = self.share(inside), self.probability(self.happened)
        return {
            "trials": int(inside.sum()),
            "mass": self.share(everywhere, inside),
            "density": density,
            "coverage": self.share(self.happened, inside),
            "lift": density["estimate"] / base if density["estimate"] is not None and base > 0.0 else None,
        }


def _measured(box: Box, measured: Mapping[str, Ranked], held_out: _Held) -> dict[str, object]:
    return {"restrictions": _restrictions(box, measured, held_out), **held_out.worth(box.holds(measured))}


def _restrictions(box: Box, measured: Mapping[str, Ranked], held_out: _Held) -> list[dict[str, object]]:
    """The box's ranges in the parameters' units, each with the share of trials in it and the density without it."""
    return [
        {
            "name": name,
            "unit": parameter(name).unit,
            "above": low if np.isfinite(low) else None,
            "up_to": high if np.isfinite(high) else None,
            "share": held_out.probability(Box({name: (low, high)}).holds(measured)),
            "density_without": held_out.share(box.holds(measured, without=name))["estimate"],
        }
        for name, (low, high) in box.ranges.items()
    ]


ANSWER = Answer(
    name="discover",
    sentence="The boxes of parameters in which an outcome is likely, measured on other trials.",
    request=DiscoverRequest,
    result=Discovery,
    compute=discover,
    examples=({"outcome": "sanctions"},),
    designs=SAMPLES,
    fewest_trials=2 * FEWEST_CASES,
    fewest_given=2 * FEWEST_CASES,
    fewest_cases=FEWEST_CASES,
)
