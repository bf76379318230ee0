"""The table of a run by four readers."""

from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds


def read_by_every_reader(trials: Path) -> dict[str, pd.DataFrame]:
    """The run's table by pandas, Polars, Arrow and DuckDB, as a user reads it."""
    with duckdb.connect() as database:
        return {
            "pandas": pd.read_parquet(trials),
            "polars": pl.read_parquet(trials, hive_partitioning=True).to_pandas(),
            "arrow": ds.dataset(trials, partitioning="hive").to_table().to_pandas(),
            "duckdb": database.read_parquet(f"{trials}/*/*.parquet", hive_partitioning=True).df(),
        }
