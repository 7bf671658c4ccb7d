"""What a reader sees of the results: figures, their style, and verdicts on claims."""
