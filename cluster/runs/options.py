"""How a run is played: what the caller chooses besides the plan. No option changes the content of a run's files."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cluster.results.result_folder import ShardResult
from cluster.runs.capacity import Capacity
from cluster.runs.local_workers import LocalWorker
from cluster.storage.base import Folder

Stop = Callable[[], bool]


@dataclass(frozen=True)
class Progress:
    """The progress of a run; `latest` is the shard that was just committed, None before the first."""

    trials_done: int
    trials_total: int
    shards_done: int
    shards_total: int
    bytes_stored: int
    latest: ShardResult | None = None

    def after(self, result: ShardResult) -> "Progress":
        """The progress once one more shard is committed."""
        return replace(
            self,
            trials_done=self.trials_done + result.shard.count,
            shards_done=self.shards_done + 1,
            bytes_stored=self.bytes_stored + result.file.bytes,
            latest=result,
        )


def _ignore(_: object) -> None:
    pass


def never() -> bool:
    """Never stop."""
    return False


def _always() -> bool:
    return True


@dataclass(frozen=True)
class RunOptions:
    """Where a run is played, who is informed of progress, and when it stops.

    `engine` is one of `cluster.runs.engines.ENGINES`; `ray_address` joins a running Ray; `workers` is the largest
    number of cores to use, None for all. `on_progress` is called at the start and after each committed shard;
    `on_capacity` with each change of the cores of a Ray cluster that was joined.
    `should_stop` is asked before each shard. `donors` are folders of earlier runs whose files may be reused.
    `owns_folder` is asked before the manifest is written: a runner that has lost the lease of its job must not write
    it. `local_workers` are processes on which the engine ``auto`` plays; without any, it begins in this process.
    """

    engine: str = "auto"
    ray_address: str | None = None
    workers: int | None = None
    on_progress: Callable[[Progress], object] = _ignore
    on_capacity: Callable[[Capacity], object] = _ignore
    should_stop: Stop = never
    donors: tuple[Folder, ...] = ()
    owns_folder: Callable[[], bool] = _always
    local_workers: list[LocalWorker] = field(default_factory=list)
