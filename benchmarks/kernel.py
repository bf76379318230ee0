"""The kernel's speed as a ratio to the plain implementation's, both on one core and taken in turns."""

import statistics
import time
from collections.abc import Callable

from benchmarks.plain import BATCH, play_plain
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.scenario import Scenario

ROUNDS = 5
KERNEL_TRIALS = 131_072
PLAIN_TRIALS = 2 * BATCH


def report(name: str, scenario: Scenario) -> str:
    """A line on one scenario's base: trials a second of both, and the median ratio of the rounds."""
    strategy = next(iter(scenario.strategies))

    def kernel() -> None:
        simulate(scenario, strategy, Chance(1, 0, KERNEL_TRIALS))

    def plain() -> None:
        play_plain(scenario, strategy, 1, PLAIN_TRIALS)

    kernel()
    rates = [(KERNEL_TRIALS / _seconds(kernel), PLAIN_TRIALS / _seconds(plain)) for _ in range(ROUNDS)]
    ratios = [ours / theirs for ours, theirs in rates]
    ours, theirs = (statistics.median(rate) for rate in zip(*rates, strict=True))
    return (
        f"{name:28} {ours:>11,.0f} {theirs:>11,.0f}   {statistics.median(ratios):5.1f}x "
        f"({min(ratios):.1f} to {max(ratios):.1f})"
    )


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
