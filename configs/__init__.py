"""What a person edits: the shipped scenarios, the table of base rates, and settings of clusters."""
