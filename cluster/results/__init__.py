"""What a run leaves: its plan, its result folder, and the table of trials in a file."""
