"""How a run is cut into shards, computed by an engine, committed to a store and answered from it."""
