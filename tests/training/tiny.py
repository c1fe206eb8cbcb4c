"""The text of a recipe that trains in a moment."""

from __future__ import annotations

TINY = """
title = "tiny"

[data]
dataset = "mnist"

[model]
latent = 3
encoder = [{ type = "conv", filters = 4, stride = 2, activation = "relu", norm = "after-activation" }]
decoder = [
  { type = "dense-to-map" },
  { type = "conv-transpose", filters = "image", stride = 2, activation = "sigmoid" },
]

[training]
loss = "mse"
learning_rate = 1e-2
batch_size = 8
epochs = 3

[split]
validation = 0.2
"""
