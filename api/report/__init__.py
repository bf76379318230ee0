"""A run's report: one self-contained page for those who decide, made from the run's answers."""
