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

from cluster.results.arrow_arrays import of_numbers, of_texts
from cluster.results.result_folder import TALLIES_KEY, HashedFile
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
        pa.DictionaryArray.from_arrays(of_numbers(place), of_texts(names)),
        *(
            of_numbers(values.astype(field.type.to_pandas_dtype()))
            for values, field in zip(columns, _FIELDS[1:], strict=True)
        ),
    ]
    with HashedFile(path) as file, pq.ParquetWriter(file, schema, **_WRITING) as writer:
        writer.write_table(pa.table(arrays, schema=schema))
        writer.add_key_value_metadata({TALLIES_KEY: tallies})
    return file.bytes, file.sha256
