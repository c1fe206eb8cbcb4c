"""Paths as text, atomic writes and CSV tables."""
