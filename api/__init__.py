"""The faces of Brink: command line and HTTP service."""
