"""The faces of Brink: the HTTP service, the command line and the report."""
