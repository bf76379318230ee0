"""A map over the shards of a run, and a merge of what it finds: in threads of this process, or as Ray tasks.

A function computes something that can be merged (counts, sums, moments, some rows) from shards of the same trials. It
is the same function in both cases, and its results are merged in the same order and groups, so that the numbers agree
to the last bit. On Ray the tasks read the files on the nodes where they run, and only what the function returns is
sent.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import reduce
from importlib.metadata import version
from typing import Any, TypeVar

from cluster.query.ray_connection import joined
from cluster.query.session import check_time, seconds_left, time_limit
from cluster.query.trials import SameTrials, StoredRun
from cluster.storage.concurrent import in_order
from cluster.storage.local import LocalFolder
from sim.faults import first_line

TASK_TRIALS = 100_000
"""A task has shards with at least this many trials, over all strategies, unless they are the last ones."""
LARGE = 10_000_000
"""A run with the rows of this many trials over all strategies, as planned, is large enough for Ray."""
LARGE_AFAR = 1_000_000
"""The same for a run whose files are not on a disk of this machine."""
_THREADS = 2
_ONE_THREAD_ROWS = 2_000_000
"""Up to so many rows of a run on this machine's disk are counted in one thread where a process keeps their columns:
threads would wait for the interpreter's lock for longer than they work, and take it from other requests."""
_IN_FLIGHT = 4
"""Tasks in flight for each core of a Ray: they end in another order than that in which they are merged."""
_RETRIES = 5
"""How often Ray repeats a task whose worker is lost."""

T = TypeVar("T")
W = TypeVar("W")


class RayLost(RuntimeError):
    """The Ray that computes an answer was lost, or runs another Brink."""


def is_mapped_on_ray(run: StoredRun) -> bool:
    """Whether maps over a run's shards are computed on Ray: if it has an address of one, and is large enough."""
    trials = run.plan.row_trials * len(run.plan.strategies)
    return run.ray_address is not None and trials >= (LARGE if isinstance(run.folder, LocalFolder) else LARGE_AFAR)


def ray_of(run: StoredRun) -> AbstractContextManager[None]:
    """Stay joined to the run's Ray within the block, if maps over its shards are computed there."""
    return joined(run.ray_address) if run.ray_address is not None and is_mapped_on_ray(run) else nullcontext()


def map_shards(
    run: StoredRun,
    shards: Iterable[SameTrials],
    function: Callable[[StoredRun, SameTrials], T],
    merge: Callable[[T, T], T],
) -> Generator[tuple[SameTrials, T], None, None]:
    """What a function finds in shards, merged for each few successive ones, with the last of these, in order.

    Function and merge must be known by a module, or be a `functools.partial` of such, so that they can be sent.
    Raises what the function raises, `QueryLimit`, and `RayLost`.
    """
    yield from map_tasks(run, _tasks(shards), function, merge)


def map_tasks(
    run: StoredRun,
    tasks: Iterable[Sequence[W]],
    function: Callable[[StoredRun, W], T],
    merge: Callable[[T, T], T],
) -> Generator[tuple[W, T], None, None]:
    """As `map_shards`, of parts of a run other than shards of the same trials: each task has some of these."""
    if is_mapped_on_ray(run):
        yield from _map_on_ray(run, iter(tasks), function, merge)
        return

    rows = run.plan.row_trials * len(run.plan.strategies)
    alone = run.cache is not None and rows <= _ONE_THREAD_ROWS and isinstance(run.folder, LocalFolder)
    yield from in_order(lambda task: (task[-1], _merged(run, task, function, merge)), tasks, 1 if alone else _THREADS)


def reduce_shards(
    run: StoredRun,
    shards: Iterable[SameTrials],
    function: Callable[[StoredRun, SameTrials], T],
    merge: Callable[[T, T], T],
    nothing: T,
) -> T:
    """What a function finds in all shards together; `nothing` if there are none. As `map_shards`."""
    return reduce(merge, (found for _, found in map_shards(run, shards, function, merge)), nothing)


def _tasks(shards: Iterable[SameTrials]) -> Iterator[list[SameTrials]]:
    task: list[SameTrials] = []
    trials = 0
    for one in shards:
        task.append(one)
        trials += sum(shard.count for shard in one.values())
        if trials >= TASK_TRIALS:
            yield task
            task, trials = [], 0
    if task:
        yield task


def _merged(run: StoredRun, task: Sequence[W], function: Callable[[StoredRun, W], T], merge: Callable[[T, T], T]) -> T:
    return reduce(merge, (function(run, part) for part in task))


def _run_task(
    shared: tuple[str, StoredRun, Callable[[StoredRun, W], T], Callable[[T, T], T]],
    task: Sequence[W],
    seconds: float | None,
) -> T:
    """A task on a node. Raises `RayLost` where another Brink is installed than the driver's."""
    drivers, run, function, merge = shared
    if drivers != version("brink"):
        message = f"this node has Brink {version('brink')}, and the driver has {drivers}"
        raise RayLost(f"{message}: install the same Brink on driver and nodes")
    with nullcontext() if seconds is None else time_limit(seconds):
        return _merged(run, task, function, merge)


def _map_on_ray(
    run: StoredRun,
    tasks: Iterator[Sequence[W]],
    function: Callable[[StoredRun, W], T],
    merge: Callable[[T, T], T],
) -> Generator[tuple[W, T], None, None]:
    """As `map_tasks`, as Ray tasks. Those in flight at an early end are played to theirs, or to the connection's."""
    assert run.ray_address is not None
    with joined(run.ray_address):
        import ray

        remote: Any = ray.remote(_run_task).options(num_cpus=1, max_retries=_RETRIES, retry_exceptions=[OSError])
        running: deque[tuple[Any, W]] = deque()
        try:
            # What is kept in this process is not sent.
            shared = ray.put((version("brink"), StoredRun(run.plan, run.folder), function, merge))
            while True:
                room = _IN_FLIGHT * max(1, int(ray.cluster_resources().get("CPU", 1)))
                while len(running) < room and (task := next(tasks, None)) is not None:
                    running.append((remote.remote(shared, task, seconds_left()), task[-1]))
                if not running:
                    return
                reference, last = running[0]
                while not ray.wait([reference], timeout=0.5)[0]:
                    check_time()
                running.popleft()
                yield last, ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except (ray.exceptions.RayError, ConnectionError) as error:
            raise RayLost(f"Ray at {run.ray_address} was lost: {first_line(error)}") from error
