"""Fast arithmetic that knows no twins: networks, distributions, batches, optimiser."""
