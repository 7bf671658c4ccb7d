"""What learners and reference policies are called."""

NAMES = {
    "beta-happo": "Beta-HAPPO",
    "gaussian-happo": "Gaussian-HAPPO",
    "beta-mappo": "Beta-MAPPO",
    "maddpg": "MADDPG",
    "genie": "genie bound",
    "channel-inversion": "channel inversion",
    "power-on-demand": "power on demand",
    "demand-or-silence": "demand or silence",
    "equal-power": "equal power",
}


def label(algorithm: str) -> str:
    """Return an algorithm's name as a reader knows it; as it is if it has no other."""
    return NAMES.get(algorithm, algorithm)
