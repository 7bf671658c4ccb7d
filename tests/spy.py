"""Calls that are noted and made."""

from functools import wraps


def spy(monkeypatch, module, name, note):
    """Have ``note`` called before each call of a module's function, with the same values."""
    real = getattr(module, name)

    @wraps(real)
    def noted(*values, **named):
        note(*values, **named)
        return real(*values, **named)

    monkeypatch.setattr(module, name, noted)
