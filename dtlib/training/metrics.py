"""An episode's results as numbers."""

from dtlib.model.simulator import Outcome
from dtlib.settings.env import EnvConfig


def outcome_metrics(outcome: Outcome, env: EnvConfig) -> dict[str, float]:
    """Return an episode's results as numbers, means over replicas and users.

    ``reward_global`` is minus the drift-plus-penalty objective (19). Where no request is served,
    ``energy_per_served_request_j`` is the energy of all, as if it had served one.
    """
    served = outcome.request & ~outcome.failure
    slot_ratio = outcome.failure_ratio_slots
    found = {
        "reward_global": outcome.reward_global.mean(),
        "reward_centre": outcome.reward_centre.mean(),
        "energy_per_user_slot_j": outcome.energy_per_slot_j.mean(),
        "energy_per_served_request_j": outcome.energy_j.double().sum() / served.sum().clamp_min(1),
        "failure_ratio_slots": slot_ratio.mean(),
        "failure_ratio_slots_worst_user": slot_ratio.max(-1).values.mean(),
        "failure_ratio_requests": outcome.failure.sum() / outcome.request.sum().clamp_min(1),
        "migrations_per_frame": outcome.migrations.mean() / max(env.frames - 1, 1),
        "queue_rate": outcome.queue[:, -1].mean() / env.slots,
    }
    return {name: number.item() for name, number in found.items()}
