"""The service's jobs: database, leases, keys, runners and their supervisor, retention, settings and metrics."""
