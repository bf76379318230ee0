"""Saltelli's design for Sobol indices, addressed by trial: points are repeated with one input exchanged.

Two independent samples A and B of the inputs are played, and for every input A with that input's values from B
(Saltelli et al. 2010, "Variance based sensitivity analysis of model output"). An input is an uncertain parameter, or
all those that the scenario's correlations link: the method needs inputs that are independent of each other. Every point
is played `PLAYS` times with other chance, so that chance can be separated from the effect of the parameters.

Trial *i* belongs to replicate i mod 16, a scrambled Sobol sequence of its own. In a replicate trials go by base point,
then by matrix (A, A with the first input from B, ..., B: the order of SALib's rows), then by play. So the number, the
seed and the scenario determine a trial's point, and the trials up to the end of any base point are a design.
"""

from dataclasses import dataclass

import numpy as np

from sim.faults import Fault, InvalidInput
from sim.sampling.base import Design, Uniforms
from sim.sampling.chance import Chance
from sim.sampling.sobol_points import REPLICATES, shuffled, sobol_uniform
from sim.scenario.scenario import Scenario

PLAYS = 8
FEWEST_BASE_SAMPLES = 4 * REPLICATES


@dataclass(frozen=True)
class Saltelli(Design):
    """Pairs of scrambled Sobol points, with one input exchanged at a time."""

    name = "saltelli"
    grows = False
    is_sample = False

    def check(self, scenario: Scenario, trials: int) -> None:
        """See `Design.check`."""
        check_trials(scenario, trials)

    def replicates(self, scenario: Scenario) -> int:
        """See `Design.replicates`."""
        return REPLICATES if scenario.uncertain else 1

    def trials_per_point(self, scenario: Scenario) -> int:
        """See `Design.trials_per_point`."""
        return trials_per_point(scenario)

    def uniforms(self, scenario: Scenario, chance: Chance) -> Uniforms:
        """See `Design.uniforms`: from A, or from B where the parameter is exchanged."""
        replicate, point, matrix = places(scenario, chance.first, chance.count)
        least, most = int(point[0]), int(point[-1])
        # Many trials share a base point: each point is scrambled once.
        every_replicate, every_point = np.tile(np.arange(REPLICATES), most - least + 1), np.arange(least, most + 1)
        order = shuffled(chance.seed, every_replicate, np.repeat(every_point, REPLICATES))
        row = (point - least) * REPLICATES + replicate
        exchanged = from_b(scenario, matrix)

        def uniforms(parameter: str) -> np.ndarray:
            dimension, purpose = scenario.uncertain.index(parameter), f"parameter/{parameter}"
            of_b = len(scenario.uncertain) + dimension
            a = sobol_uniform(chance.seed, purpose, dimension, every_replicate, order)
            b = sobol_uniform(chance.seed, f"{purpose}/b", of_b, every_replicate, order)
            return np.where(exchanged[parameter], b[row], a[row])

        return uniforms


def inputs(scenario: Scenario) -> tuple[tuple[str, ...], ...]:
    """The uncertain parameters in independent groups: correlated parameters are in the same group."""
    group = {name: {name} for name in scenario.uncertain}
    for one in scenario.correlations:
        if one.spearman:
            joined = group[one.between[0]] | group[one.between[1]]
            group |= dict.fromkeys(joined, joined)
    return tuple(
        dict.fromkeys(tuple(name for name in scenario.uncertain if name in group[each]) for each in scenario.uncertain)
    )


def trials_per_point(scenario: Scenario) -> int:
    """The number of trials of one base point: all matrices times all plays. They are not independent of each other."""
    return (len(inputs(scenario)) + 2) * PLAYS


def trials_needed(scenario: Scenario, base_samples: int) -> int:
    """The number of trials of a design with this number of base samples. Raises `InvalidInput`."""
    if base_samples < FEWEST_BASE_SAMPLES or base_samples % REPLICATES:
        message = f"must be a multiple of {REPLICATES}, from {FEWEST_BASE_SAMPLES} on"
        raise InvalidInput((Fault("base_samples", base_samples, message),))
    return base_samples * trials_per_point(scenario)


def check_trials(scenario: Scenario, trials: int) -> None:
    """Raise `InvalidInput` unless the scenario's design can have this number of trials."""
    if not scenario.uncertain:
        fault = Fault("design", Saltelli.name, f"needs uncertain parameters; {scenario.name} has none")
        raise InvalidInput((fault,))
    each = trials_per_point(scenario)
    step, least = REPLICATES * each, FEWEST_BASE_SAMPLES * each
    if trials < least or trials % step:
        near = max(least, trials // step * step)
        message = (
            f"must be {each} times the base samples in a saltelli design of {scenario.name}, and these a multiple "
            f"of {REPLICATES} from {FEWEST_BASE_SAMPLES} on: such as {near} or {near + step}"
        )
        raise InvalidInput((Fault("trials", trials, message),))


def places(scenario: Scenario, first: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Replicate, base point in it and matrix of the trials `first` to `first + count`: int64, shape (count,)."""
    trial = np.arange(first, first + count)
    point, matrix = np.divmod(trial // (REPLICATES * PLAYS), len(inputs(scenario)) + 2)
    return trial % REPLICATES, point, matrix


def from_b(scenario: Scenario, matrix: np.ndarray) -> dict[str, np.ndarray]:
    """For each uncertain parameter, which trials of the given matrices have its value from B: bool."""
    groups = inputs(scenario)
    whole = matrix == len(groups) + 1
    return {name: whole | (matrix == k + 1) for k, group in enumerate(groups) for name in group}
