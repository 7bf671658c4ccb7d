"""Multi-agent PPO (Yu et al. 2022): every agent improves by itself, all at the same time."""

from __future__ import annotations

from collections.abc import Sequence

from dtlib.algorithms.happo import ActorUpdate, UpdateStats


def update_together(updates: Sequence[ActorUpdate], slots: int, stats: UpdateStats) -> None:
    """Update all agents once; none takes account of what the others have just changed (M = 1).

    Everything else is as in :func:`~dtlib.algorithms.happo.update_actors`.

    Args:
        updates: one per agent; one none of whose actions had an effect is passed over.
        slots: N.
        stats: diagnostics are appended.
    """
    runs = updates[0].batch.rows.shape[0]
    for update in updates:
        if any(update.batch.counts):
            update.step(update.slope.new_zeros(runs, slots), stats)
