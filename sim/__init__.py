"""The dispute model: parameters in, trials out. Arrays and pure functions; no files, clocks or networks."""
