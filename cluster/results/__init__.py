"""What a run leaves: its plan, its result folder, its table of trials."""
