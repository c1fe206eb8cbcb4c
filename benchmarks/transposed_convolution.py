"""How long a transposed convolution takes that adds its bias itself, and one whose bias is added afterwards.

Forward and backward, channels last, in turns; processor time in milliseconds, medians.
`python -m benchmarks.transposed_convolution [--rounds N]`
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name

from benchmarks.common import machine, times_in_turns

# Channels, filters, kernel, stride, side and batch size of layers in the recipes' decoders.
LAYERS = (
    (64, 64, 3, 1, 7, 32),
    (64, 64, 3, 2, 7, 32),
    (64, 64, 3, 2, 14, 32),
    (32, 16, 4, 2, 14, 128),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print(f"{machine()}, torch {torch.__version__}, 1 thread, medians of {rounds} rounds")
    for precision in (torch.float32, torch.bfloat16):
        for layer in LAYERS:
            itself, afterwards = times(*layer, precision=precision, rounds=rounds)
            channels, filters, kernel, stride, side, _ = layer
            shape = f"{channels} to {filters} channels of {side}×{side}, kernel {kernel}, stride {stride}"
            ratio = afterwards / itself
            print(f"{precision}  {shape}: {itself:.2f} ms, afterwards {afterwards:.2f} ms ({ratio:.2f})")


def times(
    channels: int, filters: int, kernel: int, stride: int, side: int, batch: int, *, precision: torch.dtype, rounds: int
) -> tuple[float, float]:
    """Return the milliseconds of an update with the bias in the convolution, and after it."""
    weight = torch.randn(channels, filters, kernel, kernel, requires_grad=True)
    bias = torch.zeros(filters, requires_grad=True)
    images = torch.randn(batch, channels, side, side).contiguous(memory_format=torch.channels_last).requires_grad_()
    padding = (kernel - stride) // 2

    def update(inside: bool) -> None:
        with torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
            made = F.conv_transpose2d(images, weight, bias if inside else None, stride=stride, padding=padding)
            if not inside:
                made = made + bias.to(made.dtype)[:, None, None]
        made.float().sum().backward()  # type: ignore[no-untyped-call]

    return times_in_turns(partial(update, True), partial(update, False), rounds)


if __name__ == "__main__":
    main()
