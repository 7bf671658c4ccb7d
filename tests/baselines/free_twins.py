"""Networks in which any deployment can be simulated, for tests of the genie."""

from __future__ import annotations

from dtlib import EnvConfig

READINGS = ["receiver", "eq7"]
CROWDED = {
    "interference": {"bandwidth_hz": 1.2e6},
    "one receiver": {"bandwidth_hz": 2e6, "interference": "eq7"},
    "servers": {"cpu_hz": 0.8e9},
}
"""Networks in which not everybody fits, by what is scarce."""


def free(**values) -> EnvConfig:
    """A network whose twins move in every slot, so that any deployment can be simulated.

    Servers divide their CPU among those they serve: only there are shares of it to be found.
    """
    fixed = {"frame_slots": 1, "migration_slots": 0, "deployment_decision": "frame-start"}
    small = {"num_users": 3, "num_bs": 2, "request_prob": 1.0}
    return EnvConfig.named("work-conserving", **fixed | small | values)
