"""What a person edits: the shipped scenarios and cluster settings."""
