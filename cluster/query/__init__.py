"""Reading stored trials: Parquet files, DuckDB sessions, and samples of a run's trials as arrays."""
