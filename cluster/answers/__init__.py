"""Answers read from the trials of a stored run, each a function from the run to a JSON document."""
