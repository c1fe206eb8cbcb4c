"""How long a convolution to a small map takes to train in bfloat16 on a CPU, in torch and as in `models.small_maps`.

Forward and backward, channels last, in turns; processor time in milliseconds, medians.
`python -m benchmarks.small_maps [--rounds N]`
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name

from benchmarks.common import machine, times_in_turns
from imgcluster_training.models.small_maps import conv_to_small_map

# Channels, filters, stride, side and batch size; the kernel has 3×3 pixels. The first two are of `clusters-colour`.
LAYERS = (
    (128, 256, 2, 6, 512),
    (256, 256, 1, 3, 512),
    (64, 128, 2, 8, 256),
    (128, 128, 1, 4, 256),
    (256, 256, 1, 4, 256),
    (64, 64, 1, 7, 256),
    (128, 128, 1, 8, 256),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print(f"{machine()}, torch {torch.__version__}, 1 thread, bfloat16, medians of {rounds} rounds")
    for layer in LAYERS:
        plain, ours = times(*layer, rounds=rounds)
        channels, filters, stride, side, _ = layer
        shape = f"{channels} to {filters} channels of {side}×{side}, stride {stride}"
        print(f"{shape}: torch {plain:.2f} ms, as a matrix product {ours:.2f} ms ({ours / plain:.2f})")


def times(channels: int, filters: int, stride: int, side: int, batch: int, *, rounds: int) -> tuple[float, float]:
    """Return the milliseconds of an update by torch's convolution, and by `conv_to_small_map`."""
    weight = torch.randn(filters, channels, 3, 3).contiguous(memory_format=torch.channels_last).requires_grad_()
    images = torch.randn(batch, channels, side, side).contiguous(memory_format=torch.channels_last).requires_grad_()

    def update(plain: bool) -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            maps = F.conv2d(images, weight, None, stride, 1) if plain else conv_to_small_map(images, weight, stride, 1)
        maps.float().sum().backward()  # type: ignore[no-untyped-call]

    return times_in_turns(partial(update, True), partial(update, False), rounds)


if __name__ == "__main__":
    main()
