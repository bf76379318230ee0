"""The file of a reduced shard: counts of its trials as a Parquet table.

A row says how often a key of something counted occurs in a replicate (`sim.statistics.trial_counts`). The footer has
the tallies, and what they follow from, as that of a file of trials.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cluster.results.plan import Shard
from cluster.results.result_folder import TALLIES_KEY, HashedFile, shard_path
from cluster.storage.base import Folder
from sim.statistics.trial_counts import Counts, counted_names

_FIELDS = (
    pa.field("name", pa.dictionary(pa.int8(), pa.string()), False, {"description": "what is counted"}),
    pa.field("replicate", pa.int16(), False, {"description": "replicate of the design, from 0"}),
    pa.field("key", pa.int32(), False, {"description": "value, bin or span of weeks, see docs/operating.md"}),
    pa.field("count", pa.int64(), False, {"unit": "1", "description": "trials of the replicate with this key"}),
)
_WRITING: dict[str, Any] = {
    "compression": "zstd",
    "use_dictionary": ["name"],
    "column_encoding": dict.fromkeys(("replicate", "key", "count"), "DELTA_BINARY_PACKED"),
    "write_statistics": False,
}


def write_counts(
    path: Path, counts: Mapping[str, Counts], tallies: str, metadata: Mapping[str, str]
) -> tuple[int, str]:
    """Write the file of a reduced shard; `tallies` are as `tally_document` writes them.

    Returns its size in bytes and SHA-256. The same counts give the same bytes.
    """
    names = counted_names()
    lengths = [counts[name].key.size for name in names]
    place = np.repeat(np.arange(len(names), dtype=np.int8), lengths)
    columns = [
        np.concatenate([getattr(counts[name], field) for name in names]) for field in ("replicate", "key", "count")
    ]
    schema = pa.schema(_FIELDS, metadata=dict(metadata))
    arrays = [
        pa.DictionaryArray.from_arrays(place, pa.array(names)),
        *(pa.array(values, field.type) for values, field in zip(columns, _FIELDS[1:], strict=True)),
    ]
    with HashedFile(path) as file, pq.ParquetWriter(file, schema, **_WRITING) as writer:
        writer.write_table(pa.table(arrays, schema=schema))
        writer.add_key_value_metadata({TALLIES_KEY: tallies})
    return file.bytes, file.sha256


def read_counts(folder: Folder, shard: Shard) -> dict[str, Counts]:
    """The counts of a reduced shard. Raises `OSError`, `ValueError` or `pyarrow.ArrowException` for a damaged file."""
    with folder.open(shard_path(shard)) as opened, pq.ParquetFile(opened, pre_buffer=False) as file:
        table = file.read(use_threads=False).combine_chunks()
    named = table["name"].chunk(0) if table.num_rows else pa.DictionaryArray.from_arrays(pa.array([], pa.int8()), [])
    known = {name: k for k, name in enumerate(counted_names())}
    codes = np.array([known[name] for name in named.dictionary.to_pylist()], np.int64)
    place = codes[named.indices.to_numpy()]
    columns = [table[name].to_numpy().astype(np.int64) for name in ("replicate", "key", "count")]
    if np.any(np.diff(place) < 0) or any(np.any(column < 0) for column in columns):
        raise ValueError(f"{shard_path(shard)}: its counts are not in order")
    bounds = np.searchsorted(place, np.arange(len(known) + 1))
    return {name: Counts(*(column[bounds[k] : bounds[k + 1]] for column in columns)) for name, k in known.items()}
