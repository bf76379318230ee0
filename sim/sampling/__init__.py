"""Addressed chance, and the designs that place parameter points."""
