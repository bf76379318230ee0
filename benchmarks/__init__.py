"""Measurements of speed, reported as ratios of times taken in one run of the benchmark."""
