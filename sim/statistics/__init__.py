"""Estimates and their errors, and the methods behind the answers."""
