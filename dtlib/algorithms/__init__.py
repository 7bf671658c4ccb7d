"""Learning: advantages, batches, critics and the update of Beta-HAPPO."""
