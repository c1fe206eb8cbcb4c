"""Batches in lanes: order, devices, memory and failures, with stand-ins for the devices."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcluster import EncoderError
from imgcluster.encoders.lanes import Lane, Run
from imgcluster.encoders.runner import DEFAULT_BATCH, Runner, batch_size_for
from imgcluster.types import Pixels, Vectors

IMAGES = np.arange(23 * 4, dtype=np.uint8).reshape(23, 2, 2, 1)
GIB = 1 << 30


def encode(run: Run, images: Pixels, outputs: list[str]) -> list[Vectors]:
    return list(run(outputs, {"images": images}))


def sums(outputs: list[str], inputs: dict[str, np.ndarray]) -> list[Any]:
    """A model: the sum of each image."""
    return [inputs["images"].sum(axis=(1, 2, 3), dtype=np.float32)[:, None] for _ in outputs]


def lane(device: str, *, seconds: float = 0.0, room: int | None = None) -> tuple[Lane, list[int]]:
    """A device that takes some seconds for a batch and has memory for `room` images; and the batches it was given."""
    batches: list[int] = []

    def run(outputs: list[str], inputs: dict[str, np.ndarray]) -> list[Any]:
        batches.append(len(inputs["images"]))
        time.sleep(seconds)
        if room is not None and batches[-1] > room:
            raise RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested")
        return sums(outputs, inputs)

    return Lane(device, run), batches


def results(runner: Runner, images: Pixels = IMAGES, size: int = 4) -> Vectors:
    futures = [future for start in range(0, len(images), size) for future in runner.start(images[start:][:size], ["x"])]
    return np.concatenate([future.result(10)[0] for future in futures])


def expected() -> Vectors:
    return np.asarray(sums(["x"], {"images": IMAGES})[0])


def runner_of(lanes: Sequence[Lane], **options: Any) -> Runner:
    return Runner("tiny", lanes, encode, **options)


@pytest.mark.parametrize("seconds", [(0.0,), (0.02, 0.0), (0.0, 0.02, 0.001)])
def test_results_have_the_order_of_the_images_whichever_device_is_slow(seconds: tuple[float, ...]) -> None:
    lanes = [lane(f"cuda:{number}", seconds=delay) for number, delay in enumerate(seconds)]
    np.testing.assert_array_equal(results(runner_of([entry for entry, _ in lanes])), expected())
    assert sum(sum(batches) for _, batches in lanes) == len(IMAGES)


def test_devices_work_at_the_same_time() -> None:
    # Neither run ends before the other one has begun.
    both = threading.Barrier(2)

    def run(outputs: list[str], inputs: dict[str, np.ndarray]) -> list[Any]:
        both.wait(10)
        return sums(outputs, inputs)

    np.testing.assert_array_equal(
        results(runner_of([Lane("cuda:0", run), Lane("cuda:1", run)]), IMAGES[:8]), expected()[:8]
    )


def test_a_slow_device_is_given_fewer_batches() -> None:
    (slow, few), (fast, many) = lane("cuda:0", seconds=0.2), lane("cuda:1")
    results(runner_of([slow, fast]))
    assert len(few) < len(many)


def test_a_device_that_fails_is_named() -> None:
    def fails(outputs: list[str], inputs: dict[str, np.ndarray]) -> list[Any]:
        raise RuntimeError("CUDA error 719: unspecified launch failure")

    with pytest.raises(EncoderError, match="encoder tiny failed on cuda:1: CUDA error 719"):
        results(runner_of([lane("cuda:0", seconds=0.01)[0], Lane("cuda:1", fails)]))


def test_out_of_memory_halves_the_batch_and_stays_there() -> None:
    entry, batches = lane("cuda", room=2)
    runner = runner_of([entry])
    np.testing.assert_array_equal(results(runner, IMAGES[:5], 5), expected()[:5])
    assert batches == [5, 2, 2, 1]
    np.testing.assert_array_equal(results(runner, IMAGES[:5], 5), expected()[:5])
    assert batches[4:] == [2, 2, 1]


def test_two_lanes_that_run_out_of_memory_at_once_halve_the_batch_once() -> None:
    both = threading.Barrier(2)
    waits = [True, True]
    batches: list[int] = []

    def new_lane(number: int) -> Callable[[list[str], dict[str, np.ndarray]], list[Any]]:
        def run(outputs: list[str], inputs: dict[str, np.ndarray]) -> list[Any]:
            batches.append(len(inputs["images"]))
            if waits[number]:
                waits[number] = False
                both.wait(10)
                raise RuntimeError("CUDA out of memory")
            return sums(outputs, inputs)

        return run

    runner = runner_of([Lane("cuda", new_lane(0)), Lane("cuda", new_lane(1))])
    np.testing.assert_array_equal(results(runner, IMAGES[:16], 8), expected()[:16])
    assert sorted(batches, reverse=True) == [8, 8, 4, 4, 4, 4]


def test_each_device_has_its_own_memory() -> None:
    (small, halved), (large, whole) = lane("cuda:0", room=2, seconds=0.01), lane("cuda:1", seconds=0.01)
    np.testing.assert_array_equal(results(runner_of([small, large])), expected())
    assert set(halved[1:]) <= {1, 2}
    assert set(whole) <= {4, 3}


@pytest.mark.parametrize("options", [{}, {"fixed_batch": 8}])
def test_no_memory_for_the_smallest_batch_is_an_error_with_the_device(options: dict[str, int]) -> None:
    smallest = options.get("fixed_batch", 1)
    with pytest.raises(EncoderError, match=f"no memory on cuda:3 for a batch of {smallest}; try --device cpu"):
        results(runner_of([lane("cuda:3", room=0)[0]], **options))


def test_small_parts_are_computed_at_the_same_time_and_joined() -> None:
    entry, batches = lane("cpu")
    np.testing.assert_array_equal(results(runner_of([entry] * 3, images_per_run=2), IMAGES, 23), expected())
    assert sorted(batches) == [1] + [2] * 11


def test_nothing_begins_after_stop() -> None:
    entry, batches = lane("cuda", seconds=0.2)
    runner = runner_of([entry])
    futures = [future for _ in range(5) for future in runner.start(IMAGES[:2], ["x"])]
    runner.stop()
    assert len(batches) <= 1
    assert all(future.cancelled() for future in futures[1:])


@given(
    size=st.tuples(st.integers(1, 2000), st.integers(1, 2000), st.sampled_from([1, 3])),
    gib=st.integers(1, 200),
    lanes=st.integers(1, 2),
)
def test_the_batch_size_is_positive_and_grows_with_the_memory(size: tuple[int, int, int], gib: int, lanes: int) -> None:
    small, large = (batch_size_for(*size, memory=n * GIB, lanes=lanes) for n in (gib, 2 * gib))
    assert 1 <= small <= large <= 4096


def test_the_batch_size_suits_the_device() -> None:
    photos = {gib: batch_size_for(260, 260, 3, memory=gib * GIB, lanes=2) for gib in (4, 8, 24, 80, 141)}
    assert photos == {4: 40, 8: 80, 24: 248, 80: 248, 141: 248}
    assert batch_size_for(28, 28, 1, memory=8 * GIB, lanes=2) == 4096
    assert batch_size_for(260, 260, 3, memory=None, lanes=2) == DEFAULT_BATCH
