"""The version of what a trial's row is computed by."""

KERNEL_VERSION = 2
"""It grows when the same scenario, seed and trial may give a row of which any bit is another."""
