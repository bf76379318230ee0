"""Pages about the model, and what makes the generated ones."""
