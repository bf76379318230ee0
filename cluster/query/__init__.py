"""Questions to stored trials, in DuckDB."""
