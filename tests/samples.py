"""Folders of little pictures whose clusters are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (30, 40, 210)}


def paint(folder: Path, *, per_folder: int, seed: int = 0) -> None:
    """Write ``folder/COLOUR/NN.png``: noisy pictures around three colours."""
    generator = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_folder):
            pixels = np.clip(np.array(colour) + generator.normal(0, 12, (12, 10, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:02d}.png")
