"""Faults injected into a running service, at random moments from a fixed seed, and what they cost: ``make chaos``."""
