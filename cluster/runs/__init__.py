"""Playing a run: shards, engines, continuation, precision, reuse."""
