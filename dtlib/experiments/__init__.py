"""Experiments and their runs: how they are made, kept and laid out in tables."""
