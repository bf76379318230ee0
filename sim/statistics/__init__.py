"""Estimates with their Monte Carlo errors, and the statistical methods of the answers, one module a method."""
