"""What writing costs: encodings and compressions of a real shard, and the writer's share of a shard's time."""

import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cluster.results.trial_table import table_columns, table_schema, to_table
from cluster.runs.shard import writer_options
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.scenario import Scenario

TRIALS = 262_144
ROUNDS = 3


def report(scenario: Scenario) -> list[str]:
    """Lines on the writing of some trials of a scenario under each choice of encodings."""
    strategy = next(iter(scenario.strategies))
    started = time.perf_counter()
    arrays = simulate(scenario, strategy, Chance(1, 0, TRIALS))
    playing = time.perf_counter() - started
    schema = table_schema(scenario, {})
    table = to_table(scenario, schema, arrays)
    floats = [column.name for column in table_columns(scenario) if column.kind == "float32"]
    others = [name for name in schema.names if name not in floats]
    choices: dict[str, dict[str, Any]] = {
        "pyarrow's defaults": {},
        "no dictionaries": {"use_dictionary": False},
        "uncompressed": {"compression": "none"},
        "zstd": {"compression": "zstd", "use_dictionary": others},
        "floats split by bytes, zstd": {
            "compression": "zstd",
            "use_dictionary": others,
            "use_byte_stream_split": floats,
        },
        "floats split by bytes, lz4": {
            "compression": "lz4",
            "use_dictionary": others,
            "use_byte_stream_split": floats,
        },
        "Brink's": writer_options(scenario),
    }
    lines = [f"{'':28} {'MB/s':>8} {'bytes a trial':>14} {'of play and write':>18}"]
    for name, options in choices.items():
        seconds, size = min(_write(table, options) for _ in range(ROUNDS))
        share = seconds / (seconds + playing)
        lines.append(f"{name:28} {table.nbytes / seconds / 1e6:8,.0f} {size / TRIALS:14.0f} {100 * share:16.0f} %")
    return lines


def _write(table: pa.Table, options: dict[str, Any]) -> tuple[float, int]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.parquet"
        started = time.perf_counter()
        pq.write_table(table, path, row_group_size=65_536, **options)
        return time.perf_counter() - started, path.stat().st_size
