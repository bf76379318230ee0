"""Verification of ``summary.json`` by an independent count of the trials."""

import json
import math
from collections.abc import Iterator
from itertools import groupby

import pyarrow as pa

from cluster.answers.summary import summarize
from cluster.answers.summary_document import strategy_document, summary_document
from cluster.answers.summary_recount import RecountedTrials
from cluster.query.committed import Tallies
from cluster.query.counted_trials import block_counts, count_rows, read_counts
from cluster.query.trials import StoredRun
from cluster.results.plan import Shard
from cluster.results.result_folder import SUMMARY, TRIALS_FOLDER, committed_tallies, read_json, shard_path
from cluster.results.shard_blocks import block_path, has_blocks, place_of
from sim.statistics.tallies import NO_TRIALS, merge_replicates
from sim.statistics.trial_counts import Counts, disagreement, equal_counts, merge_counts

_MERGED_AT_ONCE = 8
"""Shards whose counts are merged at a time."""


def recount(run: StoredRun) -> dict[str, object]:
    """The summary of a run, counted from the rows of its files: neither their footers nor DuckDB are used.

    Raises `ValueError` if a file's trials are not those that it should hold.
    """
    summaries = {}
    for strategy in run.plan.strategies:
        trials = RecountedTrials(run, strategy)
        counted = trials.tallies()
        played = sum(tally.trials for tally in counted)
        summaries[strategy] = strategy_document(run.plan, strategy, counted, played, trials)
    return summary_document(run.plan, summaries)


_OF_THE_SCENARIO = ("warnings", "assumptions")
"""Parts of a summary that follow from the scenario alone."""


def verify_summary(run: StoredRun) -> list[str]:
    """The places at which ``summary.json`` differs from the stored trials, one line each; none if there is no summary.

    The numbers are counted again from the files by `recount`, which shares no code for reading with `summarize`. Of a
    run that keeps counts they are computed again from these, and each shard's counts, or those of its rows, are
    compared with its tallies. What a stored block says is compared with its shards. A relative difference of up to 1e-9
    is allowed, because other versions of the libraries may round the last bits differently. What the summary says about
    the scenario, and how it words its method, is not compared: other versions say it differently.
    """
    try:
        stored = read_json(run.folder, SUMMARY)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        return [f"{SUMMARY}: cannot be read: {error}"]
    try:
        if found := _disagreeing(run):
            return found
        recounted = json.loads(json.dumps(recount(run) if run.plan.keeps_all_rows else summarize(run)))
    except (OSError, ValueError, pa.ArrowException) as error:
        return [f"{TRIALS_FOLDER}: cannot be counted: {error}"]
    if isinstance(stored, dict):
        stored, recounted = (
            {name: part for name, part in one.items() if name not in _OF_THE_SCENARIO} for one in (stored, recounted)
        )
        if isinstance(stored.get("method"), str):
            recounted["method"] = stored["method"]
    return [f"{SUMMARY}: {place} differs from the trials" for place in _differing(stored, recounted, ())]


def _disagreeing(run: StoredRun) -> list[str]:
    """The shards whose counts, those of a file or of its rows, do not agree with their tallies, if the run keeps
    counts; and the stored blocks that are not what their shards have together.
    """
    if run.plan.keeps_all_rows and not has_blocks(run.plan):
        return []
    return [
        finding
        for strategy in run.plan.strategies
        for _, shards in groupby(run.all_shards(strategy), key=place_of)
        for finding in _disagreeing_block(run, list(shards))
    ]


def _disagreeing_block(run: StoredRun, shards: list[Shard]) -> Iterator[str]:
    plan = run.plan
    tallies: Tallies = (NO_TRIALS,) * plan.design.replicates(plan.scenario)
    counts: list[dict[str, Counts]] = []
    for shard in shards:
        own = committed_tallies(run.folder, plan, shard)
        if own is None:
            continue
        tallies = merge_replicates(tallies, own)
        if plan.keeps_all_rows:
            continue
        counts.append(read_counts(run.folder, shard) if shard.reduced else count_rows(run, shard.strategy, shard))
        name = disagreement(own, counts[-1])
        if name is not None:
            yield f"{shard_path(shard)}: its counts of {name} do not agree with its tallies"
        if len(counts) == _MERGED_AT_ONCE:
            counts[:] = [merge_counts(counts)]
    block = run.block(shards)
    if block is None:
        return
    same = block.tallies == tallies
    if same and counts:
        stored, counted = block_counts(run, place_of(shards[0])), merge_counts(counts)
        same = all(equal_counts(stored[name], found) for name, found in counted.items())
    if not same:
        yield f"{block_path(place_of(shards[0]))}: is not what its files have together; remove it"


def _differing(stored: object, recounted: object, path: tuple[str, ...]) -> Iterator[str]:
    """The places at which two JSON documents differ."""
    if isinstance(stored, dict) and isinstance(recounted, dict):
        for name in {**recounted, **stored}:
            yield from _differing(stored.get(name), recounted.get(name), (*path, name))
    elif isinstance(stored, float) and isinstance(recounted, float):
        if not math.isclose(stored, recounted, rel_tol=1e-9, abs_tol=1e-12):
            yield ".".join(path)
    elif stored != recounted:
        yield ".".join(path) or "as a whole, it"
