"""How a run is cut into shards, computed by an engine, committed to storage and answered from it.

`storage` keeps bytes under names, `results` is what a run leaves there, `query` reads it, `answers` and `reference`
compute from it, `runs` plays runs, and `service` works the jobs of the HTTP service.
"""
