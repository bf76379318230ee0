"""Measurements of speed, reported as ratios taken in one run."""
