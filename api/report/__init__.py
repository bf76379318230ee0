"""A run's report: one self-contained page for somebody who has to decide, made from the run's answers."""
