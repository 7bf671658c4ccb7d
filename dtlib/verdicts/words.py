"""Numbers in a sentence: digits that count, a proper minus, units of what is swept."""

import re
from collections.abc import Iterable, Sequence

GAP = "\N{NO-BREAK SPACE}"
AXES = {
    "num_users": ("K", 1, ""),
    "num_bs": ("M", 1, ""),
    "request_prob": ("λ", 1, ""),
    "control_factor": ("η", 1, ""),
    "data_bits_max": ("$D_{max}$", 1e-3, f"{GAP}Kb"),
    "bandwidth_hz": ("B", 1e-6, f"{GAP}MHz"),
}
"""Of swept settings: the symbol, the factor to the unit that it is told in, and the unit."""


def steps(values: Iterable[float]) -> str:
    """Return numbers from step to step."""
    return " → ".join(map(number, values))


def listed(parts: Sequence[str]) -> str:
    """Return parts as a list in a sentence."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def number(value: float) -> str:
    """Return a number with three digits that count and a proper minus; below 1e-4 an exponent, too.

    What is not quite 100, as a share in %, has a digit more.

    >>> number(99.97), number(999.7), number(1234.5)
    ('99.97', '1000', '1234')
    """
    plain = f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"
    return minus(f"{value:.4g}" if plain == "100" else plain)


def minus(text: str) -> str:
    """Return a text whose negative numbers have a proper minus."""
    return re.sub(r"(?<![\w-])-(?=\d)", "−", text)


def amount(name: str, value: float) -> str:
    """Return a value of a swept setting with its unit, such as ``20 Kb``; as it is if unknown."""
    _, factor, unit = AXES.get(name, ("", 1, ""))
    return f"{number(factor * value)}{unit}"


def told(name: str, values: Iterable[float]) -> str:
    """Return values of a swept setting, such as ``K = 10, 25``."""
    symbol, factor, unit = AXES.get(name, (name, 1, ""))
    return f"{symbol}{GAP}={GAP}{', '.join(number(factor * value) for value in values)}{unit}"
