"""The kernel's speed as a ratio to other implementations' on one core, taken in turns by CPU time."""

import statistics
import time
from collections.abc import Callable

from benchmarks.compiled import compile_world, play_world
from benchmarks.plain import BATCH, play_plain
from sim.model.kernel import simulate, simulate_strategies
from sim.sampling.chance import Chance
from sim.scenario.scenario import Scenario

ROUNDS = 5
KERNEL_TRIALS = 131_072
PLAIN_TRIALS = 2 * BATCH
COMPILED_TRIALS = 65_536


def report(name: str, scenario: Scenario) -> str:
    """A line on one scenario's base: trials a second of kernel and plain loop, and the median ratio of the rounds."""
    strategy = next(iter(scenario.strategies))

    def kernel() -> None:
        simulate(scenario, strategy, Chance(1, 0, KERNEL_TRIALS))

    def plain() -> None:
        play_plain(scenario, strategy, 1, PLAIN_TRIALS)

    return _line(name, kernel, KERNEL_TRIALS, plain, PLAIN_TRIALS)


def report_compiled(name: str, scenario: Scenario) -> str:
    """The same on all strategies and a compiled loop; the kernel shares points and chance between strategies.

    The loop's compilation and its tables are not counted.
    """
    strategies = tuple(scenario.strategies)
    worlds = [compile_world(scenario, strategy) for strategy in strategies]

    def kernel() -> None:
        simulate_strategies(scenario, strategies, Chance(1, 0, KERNEL_TRIALS))

    def compiled() -> None:
        for world in worlds:
            play_world(world, scenario, 1, COMPILED_TRIALS)

    return _line(name, kernel, KERNEL_TRIALS * len(strategies), compiled, COMPILED_TRIALS * len(strategies))


def _line(name: str, ours: Callable[[], None], our_trials: int, theirs: Callable[[], None], their_trials: int) -> str:
    ours()
    theirs()
    rates = [(our_trials / _seconds(ours), their_trials / _seconds(theirs)) for _ in range(ROUNDS)]
    ratios = [our / their for our, their in rates]
    our, their = (statistics.median(rate) for rate in zip(*rates, strict=True))
    shown = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return f"{name:28} {our:>11,.0f} {their:>11,.0f}   {statistics.median(ratios):5.2f}x ({shown})"


def _seconds(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
