"""Scores, tables, pictures and model cards of a trained encoder."""
