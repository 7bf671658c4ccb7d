"""What is measured against what: ``python -m benchmarks.episode``."""
