"""Memory of NVIDIA's driver, with a stand-in for the driver."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from imgcluster.encoders import cuda
from imgcluster.encoders.cuda import device_memory, has_driver, pinned_array


class Driver:
    """A driver of one device with 8 GiB, which pins at most `room` bytes."""

    def __init__(self, room: int = 1 << 20) -> None:
        self.room = room
        self.pinned: dict[int, Any] = {}
        self.contexts = 0

    def cuInit(self, flags: int) -> int:  # noqa: N802 - the driver's names
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:  # noqa: N802
        device._obj.value = index
        return 0 if index == 0 else 101

    def cuDeviceTotalMem_v2(self, total: Any, device: Any) -> int:  # noqa: N802
        total._obj.value = 8 << 30
        return 0

    def cuDevicePrimaryCtxRetain(self, context: Any, device: Any) -> int:  # noqa: N802
        context._obj.value = 7
        return 0

    def cuCtxPushCurrent_v2(self, context: Any) -> int:  # noqa: N802
        self.contexts += 1
        return 0

    def cuCtxPopCurrent_v2(self, context: Any) -> int:  # noqa: N802
        self.contexts -= 1
        return 0

    def cuMemHostAlloc(self, address: Any, size: ctypes.c_size_t, flags: int) -> int:  # noqa: N802
        if size.value > self.room:
            return 2
        memory = ctypes.create_string_buffer(size.value)
        address._obj.value = ctypes.addressof(memory)
        self.pinned[address._obj.value] = memory
        return 0

    def cuMemFreeHost(self, address: ctypes.c_void_p) -> int:  # noqa: N802
        del self.pinned[address.value or 0]
        return 0


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    driver = Driver()
    monkeypatch.setattr(cuda, "load_driver", lambda: driver)
    cuda._primary_context.cache_clear()
    yield driver
    cuda._primary_context.cache_clear()


def test_memory_of_a_device(driver: Driver) -> None:
    assert device_memory(0) == 8 << 30
    assert device_memory(1) is None


def test_pinned_memory_lives_as_long_as_its_array(driver: Driver) -> None:
    array = pinned_array((2, 3, 4), np.float32, 0)
    array[:] = 5
    assert (array.shape, array.dtype, float(array.sum())) == ((2, 3, 4), np.float32, 120.0)
    view = array[1:]
    assert len(driver.pinned) == 1
    del array
    gc.collect()
    assert len(driver.pinned) == 1
    assert float(view.sum()) == 60.0
    del view
    gc.collect()
    assert driver.pinned == {}
    assert driver.contexts == 0


@pytest.mark.parametrize(("shape", "index"), [((1 << 21,), 0), ((4,), 1)])
def test_memory_that_cannot_be_pinned_is_ordinary(driver: Driver, shape: tuple[int, ...], index: int) -> None:
    array = pinned_array(shape, np.uint8, index)
    array[:] = 1
    assert array.shape == shape
    assert (driver.pinned, driver.contexts) == ({}, 0)


def test_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "load_driver", lambda: None)
    assert not has_driver()
    assert device_memory(0) is None
    assert pinned_array((3, 0), np.uint8, 0).shape == (3, 0)


@pytest.mark.gpu
def test_memory_of_a_real_device() -> None:
    if not has_driver():
        pytest.skip("no NVIDIA driver here")
    assert (device_memory(0) or 0) > 1 << 28
    array = pinned_array((1000, 1000), np.float32, 0)
    array[:] = 1
    assert float(array.sum()) == 1e6
    # Only the driver's memory is not owned by the array.
    assert array.base is not None
