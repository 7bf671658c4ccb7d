"""What is measured against what: ``python -m benchmarks.episode``."""

import dtlib  # noqa: F401  settles the arithmetic before a benchmark loads NumPy
