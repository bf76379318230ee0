"""Addressed chance, the sampling designs, and the parameter points that a design gives a range of trials."""
