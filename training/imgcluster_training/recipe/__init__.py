"""Recipes: what a training makes, as TOML files. No torch here; the other packages carry a recipe out."""
