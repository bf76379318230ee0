"""The dispute model: the nine steps of a week, the outcomes of a trial, and the narrative of one trial."""
