"""``python -m benchmarks.distributed``: answers about a hundred million rows on Ray workers, and by DuckDB on one file.

The rows are played first (some gigabytes and minutes), and written into one Parquet file for DuckDB. Each answer is
computed in a process of its own: in that process, with one and with two Ray workers (without Ray's start), and by an
SQL query for the same counts, means and quantiles with one and two threads. Printed are the seconds, and the peak
memory of the process and of its largest Ray worker. If the counts of all ways are not the same, this ends with an
error.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.scale import PLAY, SCENARIO, STRATEGIES, measured

ROWS = 100_000_000
SHARD_TRIALS = 1_000_000
GIVEN = "agreement_week > 2 or threat_week is not null"
SQL_GIVEN = "(agreement_week > 2 OR threat_week IS NOT NULL)"
REQUESTS: dict[str, dict[str, object]] = {
    "summary": {"given": GIVEN},
    "timeline": {"given": GIVEN},
    "compare": {"given": "agreement_week > 2", "measures": ["export_gain - sender_cost"]},
    "aggregate": {
        "measures": ["export_gain - sender_cost"],
        "statistics": ["count", "mean", "standard_deviation", "median", "q95"],
        "by": ["strategy", "outcome"],
        "given": GIVEN,
    },
    "drivers": {"measure": "export_gain", "given": "threat_week == 20"},
    "worth": {"measure": "export_gain - sender_cost", "given": "agreement_week > 2"},
    "discover": {"outcome": "sanctions", "given": "threat_week > 10"},
    "stress": {"bound": "target_cost > 0.2", "given": GIVEN},
    "convergence": {"measure": "export_gain", "given": GIVEN},
    "score": {"given": GIVEN},
    "check": {"reference": "all", "given": GIVEN},
    "typical": {"measure": "export_gain - sender_cost", "given": GIVEN},
    "summary believed": {
        "strategies": ["threaten"],
        "given": "threat_week > 10",
        "believe": ["sanctions = 0.5 under threaten"],
    },
    "aggregate believed": {
        "measures": ["export_gain - sender_cost"],
        "statistics": ["count", "mean", "standard_deviation", "median", "q95"],
        "by": ["strategy", "outcome"],
        "believe": ["sanctions = 0.1"],
    },
}
"""What is asked, by the name of the answer and what it is asked with."""
_FIRST = "strategy = 'threaten'"
_MEASURES = ("agreement_week", "market_access", "export_gain", "target_cost", "sender_cost")
_NET = "(export_gain::DOUBLE - sender_cost::DOUBLE)"
_LEVELS = "[0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]"
QUERIES = {
    "summary": "SELECT count(*), "
    + ", ".join(
        f"count({name}), avg({name}), stddev_samp({name}), quantile_disc({name}, {_LEVELS})" for name in _MEASURES
    )
    + f" FROM trials WHERE {SQL_GIVEN} GROUP BY strategy ORDER BY strategy",
    "timeline": f"SELECT count(*), agreement_week, threat_week, sanctions_week FROM trials WHERE {SQL_GIVEN} "
    "GROUP BY ALL",
    "compare": f"SELECT count(*), avg(a.x - b.x), stddev_samp(a.x - b.x), count(*) FILTER (a.x > b.x) FROM "
    f"(SELECT trial, {_NET} AS x FROM trials WHERE strategy = 'threaten' AND agreement_week > 2) a JOIN "
    f"(SELECT trial, {_NET} AS x FROM trials WHERE strategy = 'talk' AND agreement_week > 2) b USING (trial)",
    "aggregate": f"SELECT count(*), strategy, outcome, count({_NET}), avg({_NET}), stddev_samp({_NET}), "
    f"quantile_disc({_NET}, [0.5, 0.95]) FROM trials WHERE {SQL_GIVEN} GROUP BY ALL",
    "stress": "SELECT count(*), target_cost > 0.2::FLOAT, count_if(agreement_week IS NOT NULL), "
    "count_if(threat_week IS NOT NULL), count_if(sanctions_week IS NOT NULL), avg(sanctioned_trade), "
    "var_pop(sanctioned_trade) "
    f"FROM trials WHERE {_FIRST} AND {SQL_GIVEN} GROUP BY 2",
    "convergence": "SELECT count(*), strategy, avg(export_gain::DOUBLE), stddev_samp(export_gain::DOUBLE) FROM trials "
    f"WHERE {SQL_GIVEN} GROUP BY ALL",
    "score": f"SELECT count(*), outcome, agreement_week FROM trials WHERE {_FIRST} AND {SQL_GIVEN} GROUP BY ALL",
    "typical": "SELECT count(*), outcome, "
    + ", ".join(f"quantile_disc({name}, 0.5), stddev_pop({name}), min({name}), max({name})" for name in _MEASURES)
    + f" FROM trials WHERE {_FIRST} AND {SQL_GIVEN} GROUP BY outcome",
}
"""Queries that count the same trials. The first column is a number of trials."""
_JOIN = """
import json, sys
from pathlib import Path
import duckdb
files = f"{sys.argv[1]}/trials/*/*.parquet"
duckdb.sql("SET enable_progress_bar = false; SET threads = 2; SET preserve_insertion_order = false")
duckdb.sql(f"COPY (FROM read_parquet('{files}', hive_partitioning = true)) TO '{sys.argv[2]}' (FORMAT parquet)")
"""
_PEAK = """
def peak(pid):
    lines = open(f"/proc/{pid}/status").read().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
"""
_ASK = (
    """
import json, os, sys, time
import psutil
from cluster.answers.registry import ask
from cluster.query import shard_map
from cluster.query.trials import open_run
"""
    + _PEAK
    + """
folder, name, request, workers = sys.argv[1], sys.argv[2].split()[0], json.loads(sys.argv[3]), int(sys.argv[4])
if workers:
    import ray
    ray.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False, configure_logging=False)
    shard_map.LARGE = 0
    # A worker that has imported what a task needs.
    ask(open_run(folder, "auto"), "timeline", {"given": "trial < 1000"})
started = time.perf_counter()
document = ask(open_run(folder, "auto" if workers else None), name, request)
seconds = time.perf_counter() - started
ray_workers = [one.pid for one in psutil.Process().children(recursive=True) if one.name().startswith("ray::")]
most = max([peak(pid) for pid in ray_workers] or [0.0])
if name == "summary":
    used = sum(one["trials"] for one in document["strategies"].values())
elif name == "compare":
    used = document["result"]["trials"]["compared"]
else:
    used = document["trials"]["used"]
print(json.dumps([seconds, peak(os.getpid()), most, used]))
"""
)
_QUERY = (
    """
import json, os, sys, time
import duckdb
"""
    + _PEAK
    + """
duckdb.sql(f"SET enable_progress_bar = false; SET threads = {int(sys.argv[3])}")
started = time.perf_counter()
duckdb.sql(f"CREATE VIEW trials AS FROM '{sys.argv[1]}'")
rows = duckdb.sql(sys.argv[2]).fetchall()
print(json.dumps([time.perf_counter() - started, peak(os.getpid()), 0.0, sum(row[0] for row in rows)]))
"""
)


def main() -> None:
    """Play the rows, compute every answer in every way, and print what it took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distributed", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--shard-trials", type=int, default=SHARD_TRIALS)
    parser.add_argument("--only", nargs="*", help="answers to measure; all if none is named")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="brink-distributed-") as scratch:
        folder, file = str(Path(scratch) / "run"), str(Path(scratch) / "trials.parquet")
        play = PLAY.replace("shard_trials=1_000_000", f"shard_trials={chosen.shard_trials}")
        measured(play, folder, json.dumps(SCENARIO), str(chosen.rows // len(STRATEGIES)))
        measured(_JOIN, folder, file)
        print(f"{chosen.rows:,} rows; seconds, MB of the process, and MB of its largest worker", flush=True)
        ways = ("here", "1 worker", "2 workers", "DuckDB, 1", "DuckDB, 2")
        print(f"{'answer':19}" + "".join(f"{way:>22}" for way in ways), flush=True)
        for name, request in REQUESTS.items():
            if chosen.only and name.split()[0] not in chosen.only:
                continue
            found = [_figures(_ASK, folder, name, json.dumps(request), str(workers)) for workers in (0, 1, 2)]
            if name in QUERIES:
                found += [_figures(_QUERY, file, QUERIES[name], str(threads)) for threads in (1, 2)]
            shown = "".join(f"{seconds:8.1f} {own:6.0f} {worker:6.0f}" for seconds, own, worker, _ in found)
            print(f"{name:19}{shown}", flush=True)
            if len({used for *_, used in found}) > 1:
                raise SystemExit(f"{name}: the ways counted {[used for *_, used in found]} trials")


def _figures(code: str, *arguments: str) -> list[float]:
    """What a process with some code prints: seconds, its peak memory, that of its largest worker, trials counted."""
    done = subprocess.run([sys.executable, "-P", "-c", code, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
