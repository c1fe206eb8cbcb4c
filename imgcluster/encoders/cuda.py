"""Memory of NVIDIA's driver: how much a device has, and pinned memory, from which a device reads without a copy.

The driver is called directly, so that no package is needed; without it there are no devices, and memory is ordinary.
Neither was tested on a device; ``pytest -m gpu`` does that.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import math
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["device_memory", "has_driver", "load_driver", "pinned_array"]

_LOG = logging.getLogger(__name__)

_PORTABLE: Final = 1  # CU_MEMHOSTALLOC_PORTABLE: pinned for all devices


class _DriverError(Exception):
    """A call of the driver failed."""


@functools.cache
def load_driver() -> Any:
    """Return the driver's library; None if there is none."""
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None


def has_driver() -> bool:
    """Return whether NVIDIA's driver is installed."""
    return load_driver() is not None


def device_memory(index: int) -> int | None:
    """Return the bytes of memory of a device; None if the driver does not say."""
    total = ctypes.c_size_t()
    try:
        driver, device = _device(index)
        _check(driver.cuDeviceTotalMem_v2(ctypes.byref(total), device))
    except _DriverError as error:
        _LOG.debug("memory of cuda:%d is unknown: %s", index, error)
        return None
    return total.value


def pinned_array(shape: tuple[int, ...], dtype: npt.DTypeLike, index: int) -> npt.NDArray[Any]:
    """Return an array in pinned memory, or in ordinary memory if the driver has none."""
    size = max(1, math.prod(shape) * np.dtype(dtype).itemsize)
    address = ctypes.c_void_p()
    try:
        with _context(index) as driver:
            _check(driver.cuMemHostAlloc(ctypes.byref(address), ctypes.c_size_t(size), _PORTABLE))
    except _DriverError as error:
        _LOG.debug("no pinned memory: %s", error)
        return np.empty(shape, dtype)
    memory = (ctypes.c_ubyte * size).from_address(address.value or 0)
    # At the end of the process the driver may be gone, and frees everything itself.
    weakref.finalize(memory, _free, address, index).atexit = False
    array: npt.NDArray[Any] = np.ndarray(shape, dtype, buffer=memory)  # type: ignore[arg-type]
    return array


def _free(address: ctypes.c_void_p, index: int) -> None:
    try:
        with _context(index) as driver:
            _check(driver.cuMemFreeHost(address))
    except _DriverError as error:
        _LOG.debug("pinned memory was not freed: %s", error)


def _device(index: int) -> tuple[Any, ctypes.c_int]:
    driver = load_driver()
    if driver is None:
        raise _DriverError("there is no driver")
    device = ctypes.c_int()
    _check(driver.cuInit(0))
    _check(driver.cuDeviceGet(ctypes.byref(device), index))
    return driver, device


@functools.cache
def _primary_context(index: int) -> ctypes.c_void_p:
    """Return the context that ONNX Runtime uses as well; it stays until the process ends."""
    driver, device = _device(index)
    context = ctypes.c_void_p()
    _check(driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
    return context


@contextmanager
def _context(index: int) -> Iterator[Any]:
    """Make the context of a device that of this thread, for a while; yield the driver."""
    context = _primary_context(index)
    driver = load_driver()
    _check(driver.cuCtxPushCurrent_v2(context))
    try:
        yield driver
    finally:
        driver.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))


def _check(code: int) -> None:
    if code != 0:
        raise _DriverError(f"CUDA error {code}")
