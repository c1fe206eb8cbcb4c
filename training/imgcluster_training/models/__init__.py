"""Autoencoders built from the blocks of a recipe."""
