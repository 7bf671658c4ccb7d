"""Sentences of Section V: what decides on each, the verdict, and why one does not hold."""
