"""The service behind the HTTP interface: jobs, leases, keys, runners, retention."""
