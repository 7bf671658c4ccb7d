"""From settings to a trained run, and what it is worth."""
