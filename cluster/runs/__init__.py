"""Playing a run: shards, engines, how a run continues, stops at a precision, or reuses trials of another."""
