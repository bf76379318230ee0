"""The version of the model by which trials are computed."""

KERNEL_VERSION = 2
"""It increases whenever the same scenario, seed and trial may give a row with any different bit."""
