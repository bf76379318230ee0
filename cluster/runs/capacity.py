"""Cores for a run on a Ray cluster that grows: how many are asked of its autoscaler, are there, and were lost."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil

WORTH_SECONDS = 30.0
"""A core is asked for where there is this much work for it; a node that starts later would come too late."""
RENEW_SECONDS = 10.0
"""The request is repeated after this, since that of another run on the same cluster replaces it."""
LOOK_SECONDS = 1.0
"""The time between two looks at the nodes."""


@dataclass(frozen=True)
class Capacity:
    """Cores of a Ray cluster: those that a run asks for, those that are there, and those that left during the run."""

    asked: int
    there: int
    lost: int


def cores_worth(tasks_left: int, seconds_left: float | None, most: int | None) -> int:
    """The cores to ask for: one for each task that is left, for `WORTH_SECONDS` of work at least, and `most` at most.

    `seconds_left` is the work left in core-seconds; None before anything was measured: then `most`, or one core
    without such a limit.
    """
    worth = (most or 1) if seconds_left is None else max(1, ceil(seconds_left / WORTH_SECONDS))
    return min(worth, tasks_left, most or worth)


@dataclass
class CapacityRequest:
    """The request of one run to the autoscaler of the Ray that this process has joined.

    `most` is the largest number of cores to ask for. `on_change` is called with each change of the capacity.
    """

    most: int | None
    on_change: Callable[[Capacity], object]
    _seen: dict[str, int] = field(default_factory=dict)
    _lost: int = 0
    _asked_at: float = 0.0
    _looked_at: float = 0.0
    _now: Capacity = Capacity(0, 0, 0)

    def ask(self, tasks_left: int, seconds_left: float | None) -> None:
        """Ask for the cores that so much work is worth, and look which are there, if it is time to."""
        now = time.monotonic()
        wanted = cores_worth(tasks_left, seconds_left, self.most)
        if wanted != self._now.asked or now - self._asked_at > RENEW_SECONDS:
            _request_cores(wanted)
            self._asked_at = now
        there = self._now.there
        if now - self._looked_at > LOOK_SECONDS:
            there, self._looked_at = self._look(), now
        found = Capacity(wanted, there, self._lost)
        if found != self._now:
            self._now = found
            self.on_change(found)

    def give_back(self) -> None:
        """Ask for nothing any more. A Ray that is lost has nothing to give back."""
        with suppress(Exception):
            _request_cores(0)

    def _look(self) -> int:
        """The cores that are there; those of nodes that were there before and have left are counted as lost."""
        import ray

        alive = {node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]}
        self._lost += sum(cores for node, cores in self._seen.items() if node not in alive)
        self._seen = alive
        return sum(alive.values())


def _request_cores(count: int) -> None:
    from ray.autoscaler.sdk import request_resources

    request_resources(num_cpus=count)
