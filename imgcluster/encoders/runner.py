"""Computing batches in lanes, several at the same time, and the number of images of a batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Final

import numpy as np

from imgcluster.encoders.devices import is_out_of_memory
from imgcluster.encoders.lanes import Lane, Run
from imgcluster.errors import EncoderError, one_line
from imgcluster.types import Pixels, Vectors

__all__ = ["DEFAULT_BATCH", "Runner", "batch_size_for"]

_LOG = logging.getLogger(__name__)

DEFAULT_BATCH: Final = 32

# The layers of usual networks take at most so many times the memory of the input as float32 at once: ResNet-50 and
# ViT-L 16, EfficientNet-Lite2 12 by their shapes, and as much again for the workspace of convolutions.
_MEMORY_PER_INPUT: Final = 32
# More does not make a large GPU faster, but batches wait longer.
_MOST_PIXELS: Final = 1 << 24
_MOST_IMAGES: Final = 4096


class Runner:
    """Computes batches in lanes.

    Args:
        name: The name of the encoder, for messages.
        lanes: What computes one batch each, at the same time.
        encode: Computes outputs of the graph for images, by a lane's run.
        images_per_run: How many images a lane gets at once; None for all that are given.
        fixed_batch: The batch size of the graph, if it is fixed.
    """

    def __init__(
        self,
        name: str,
        lanes: Sequence[Lane],
        encode: Callable[[Run, Pixels, list[str]], list[Vectors]],
        *,
        images_per_run: int | None = None,
        fixed_batch: int | None = None,
    ) -> None:
        self._name = name
        self._encode = encode
        self._images_per_run = images_per_run
        self._fixed_batch = fixed_batch
        self._limits: dict[str, int] = {}
        self._free: SimpleQueue[Lane] = SimpleQueue()
        for lane in lanes:
            self._free.put(lane)
        self._threads = ThreadPoolExecutor(len(lanes), "imgcluster-encoder")

    def start(self, images: Pixels, outputs: list[str]) -> list[Future[list[Vectors]]]:
        """Start to compute outputs of images, in parts; each part returns the values of each output."""
        step = self._images_per_run or len(images)
        parts = (images[start : start + step] for start in range(0, len(images), step))
        return [self._threads.submit(self._run, part, outputs) for part in parts]

    def stop(self) -> None:
        """Cancel what has not begun; nothing can be started afterwards."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _run(self, images: Pixels, outputs: list[str]) -> list[Vectors]:
        # There is a thread for each lane, so one is free.
        lane = self._free.get()
        try:
            parts = self._run_batches(lane, images, outputs)
        finally:
            self._free.put(lane)
        return [np.concatenate(values) for values in zip(*parts, strict=True)] if len(parts) > 1 else parts[0]

    def _run_batches(self, lane: Lane, images: Pixels, outputs: list[str]) -> list[list[Vectors]]:
        """Compute outputs in batches that fit into the device's memory: halved until they do, and from then on."""
        parts: list[list[Vectors]] = []
        start = 0
        while start < len(images):
            step = min(self._limits.get(lane.device, len(images)), len(images) - start)
            try:
                parts.append(self._encode(lane.run, images[start : start + step], outputs))
            except Exception as error:
                if not is_out_of_memory(error):
                    raise EncoderError(
                        f"encoder {self._name} failed on {lane.device}: {one_line(error)[:300]}"
                    ) from None
                if step == 1 or self._fixed_batch:
                    raise EncoderError(
                        f"there is no memory on {lane.device} for a batch of {self._fixed_batch or 1}; try --device cpu"
                    ) from None
                # The other lane of the device may have halved it already.
                self._limits[lane.device] = min(self._limits.get(lane.device, step), step // 2)
                _LOG.warning("out of memory on %s: the batch size is now %d", lane.device, self._limits[lane.device])
                continue
            start += step
        return parts


def batch_size_for(width: int, height: int, channels: int, *, memory: int | None, lanes: int) -> int:
    """Return how many images a batch should have on a GPU, of which half the memory is used.

    It depends on the whole memory, not on what is free, so that it is the same in each run; where less is free, the
    batch size is halved in use.

    Args:
        width: The width of an image.
        height: Its height.
        channels: Its channels.
        memory: The bytes of memory of the device; None if that is unknown.
        lanes: How many batches it computes at the same time.
    """
    if memory is None:
        return DEFAULT_BATCH
    fitting = memory // 2 // lanes // (_MEMORY_PER_INPUT * 4 * width * height * channels)
    most = min(_MOST_PIXELS // (width * height), _MOST_IMAGES, fitting)
    return max(1, most - most % 8 if most >= 8 else most)
