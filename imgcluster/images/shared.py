"""Memory that this process shares with the readers it starts; it vanishes with the last of them, whatever ends them."""

from __future__ import annotations

import mmap
import os
import secrets
import sys
import tempfile
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.types import Pixels

__all__ = ["REQUEST_BYTES", "Layout", "SharedMemory", "attach"]

REQUEST_BYTES: Final = 1 << 16
"""Room for the text of one request."""

# The number of the file that a reader reads, and the time when it began.
_STATUS: Final = np.dtype([("start", np.float64), ("file", np.int64)])


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is: a status per reader, then for each block a request and the pixels of its images."""

    readers: int
    blocks: int
    images: int
    height: int
    width: int
    channels: int

    @property
    def block_bytes(self) -> int:
        return REQUEST_BYTES + self.images * self.height * self.width * self.channels

    @property
    def bytes(self) -> int:
        return self.readers * _STATUS.itemsize + self.blocks * self.block_bytes

    @property
    def spec_shape(self) -> tuple[int, int, int, int]:
        return self.images, self.height, self.width, self.channels


class SharedMemory:
    """Shared memory with a layout; `key` is what a reader needs to attach to it.

    It is not Python's `multiprocessing.shared_memory`, whose segments outlive a killed process, or need a further
    process that removes them.
    """

    def __init__(self, memory: mmap.mmap, layout: Layout, key: int | str) -> None:
        self.key = key
        self._memory = memory
        self._layout = layout
        self.status = np.frombuffer(memory, _STATUS, layout.readers)

    @classmethod
    def create(cls, layout: Layout) -> SharedMemory:
        """Make shared memory.

        Raises:
            OSError: There is no room for it.
        """
        if sys.platform == "win32":
            name = f"imgcluster-{os.getpid()}-{secrets.token_hex(8)}"
            return cls(mmap.mmap(-1, layout.bytes, tagname=name), layout, name)
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("imgcluster")
        else:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, layout.bytes)
        return cls(mmap.mmap(descriptor, layout.bytes), layout, descriptor)

    def pixels(self, block: int) -> Pixels:
        """Return the pixels of a block, ``uint8 (images, height, width, channels)``."""
        shape = self._layout.spec_shape
        start = self._start(block) + REQUEST_BYTES
        return np.frombuffer(self._memory, np.uint8, int(np.prod(shape)), start).reshape(shape)

    def request(self, block: int) -> npt.NDArray[np.uint8]:
        """Return the bytes of the request of a block."""
        return np.frombuffer(self._memory, np.uint8, REQUEST_BYTES, self._start(block))

    def close(self) -> None:
        """Give up this process's hold on it."""
        if isinstance(self.key, int):
            os.close(self.key)

    def _start(self, block: int) -> int:
        return self._layout.readers * _STATUS.itemsize + block * self._layout.block_bytes


def attach(key: int | str, layout: Layout) -> SharedMemory:
    """Return the shared memory that another process made."""
    if sys.platform == "win32":
        return SharedMemory(mmap.mmap(-1, layout.bytes, tagname=str(key)), layout, key)
    return SharedMemory(mmap.mmap(int(key), layout.bytes), layout, key)
