"""A recipe that trains in a moment, and what the tests of training call again and again."""

from __future__ import annotations

import gzip
import struct

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

# For a folder of images.
FOLDER_RECIPE = """
title = "small"
augmentation = [{ type = "flip" }]
corruption = [{ type = "salt-and-pepper", amount = 0.1 }]

[data]
dataset = "folder"
image_size = 16
channels = 3

[model]
latent = 2
code = "gaussian"
encoder = [{ type = "conv", filters = 4, stride = 2, activation = "relu" }]
decoder = [
  { type = "dense-to-map" },
  { type = "conv-transpose", filters = "image", stride = 2, activation = "sigmoid" },
]

[training]
loss = "vae"
batch_size = 8
epochs = 2

[split]
validation = 0.2
test = 0.2
"""


class Interrupted(Exception):  # noqa: N818 - it stands for a signal
    """Raised by `interrupt_at`."""


def interrupt_at(**state):
    """Return an `on_progress` that raises `Interrupted` in the given state: ``interrupt_at(epoch=2, step=1)``."""

    def on_progress(progress):
        if all(getattr(progress, key) == value for key, value in state.items()):
            raise Interrupted

    return on_progress


def on_cpu(**settings):
    """Return run settings for the CPU that save a checkpoint after every batch."""
    import torch

    from imgcluster_training.fit.loop import RunSettings

    return RunSettings(device=torch.device("cpu"), **{"checkpoint_seconds": 0.0, **settings})


def same_weights(first, second):
    """Return whether two models have the same weights, bit for bit."""
    import torch

    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def write_idx(path, array):
    """Write bytes as an IDX file, gzipped if the name says so."""
    head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    pack = gzip.compress if path.suffix == ".gz" else bytes
    path.write_bytes(pack(head + array.tobytes()))
