"""The dispute model: the nine steps of a week, outcomes and the narrative of a trial."""
