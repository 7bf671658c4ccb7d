"""What a learner learns from."""

from dataclasses import dataclass

from dtlib.agents.policies import Decision
from dtlib.model.simulator import Outcome


@dataclass(frozen=True)
class Episode:
    """What one run's policies saw, did and caused, in W worlds side by side."""

    decision: Decision
    outcome: Outcome
