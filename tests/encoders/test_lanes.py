"""Lanes of devices: bound inputs with ONNX Runtime's own binding, and GPUs that are stood in for by the CPU."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from imgcluster import DeviceError, Encoder, EncoderError, UsageError, embed
from imgcluster.encoders import devices, lanes
from imgcluster.encoders.device_names import DEVICES, Device
from imgcluster.encoders.lanes import BoundRun
from imgcluster.encoders.precision import cosines
from tests import tiny_models
from tests.samples import paint

IMAGES = np.random.default_rng(0).integers(0, 256, (37, 4, 4, 3), dtype=np.uint8)
MEMORY = "CPUExecutionProvider"


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8])
def test_a_bound_run_returns_what_a_plain_one_does(tmp_path: Path, dtype: type[Any]) -> None:

    path = tiny_models.identity(tmp_path / "model.onnx", ["n", 3, 4, 5], dtype=np.dtype(dtype).name)
    session = onnxruntime.InferenceSession(str(path), providers=[MEMORY])
    name, output = session.get_inputs()[0].name, session.get_outputs()[0].name
    run = BoundRun(session, "cpu", 0, onnxruntime.RunOptions())
    batches = [np.random.default_rng(n).integers(0, 99, (n, 3, 4, 5)).astype(dtype) for n in (8, 8, 3, 1, 8)]
    found = [run([output], {name: batch})[0] for batch in batches]
    # All are compared at the end: no run may write into the results of an earlier one.
    for values, batch in zip(found, batches, strict=True):
        np.testing.assert_array_equal(values, session.run([output], {name: batch})[0])


class OnDevice:
    """A session of the CPU that says it runs on another device."""

    def __init__(self, session: Any, device: Device) -> None:
        self.session, self.device = session, device
        self.plain = self.bound = 0
        self.fails = False

    def get_providers(self) -> list[str]:
        return [DEVICES[self.device.name], MEMORY]

    def run(self, *arguments: Any) -> Any:
        self.plain += 1
        return self.session.run(*arguments)

    def run_with_iobinding(self, *arguments: Any) -> None:
        if self.fails:
            raise RuntimeError("CUDA error 719: unspecified launch failure")
        self.bound += 1
        self.session.run_with_iobinding(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)


Machine = Callable[..., dict[str, OnDevice]]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Stand in for a machine with two GPUs, whose memory is that of the CPU."""

    def new(memory: str = "cpu") -> dict[str, OnDevice]:
        opened: dict[str, OnDevice] = {}
        original = devices._new_session

        def new_session(path: Any, device: Device, threads: int) -> Any:
            session = original(path, Device("cpu"), 1)
            if device.name == "cpu":
                return session
            if (device.index or 0) > 1:
                raise RuntimeError("CUDA failure 101: invalid device ordinal")
            opened[str(device)] = OnDevice(session, device)
            return opened[str(device)]

        monkeypatch.setattr(devices, "_new_session", new_session)
        monkeypatch.setattr(devices, "available_devices", lambda: ["cuda", "cpu"])
        monkeypatch.setattr(devices, "has_driver", lambda: True)
        monkeypatch.setattr(devices, "_preload_cuda", lambda: None)
        monkeypatch.setitem(lanes.MEMORY_NAMES, "cuda", memory)
        return opened

    return new


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:1", "cuda:0,1"])
def test_each_device_gives_the_same_vectors(tiny_encoder: Path, machine: Machine, device: str) -> None:
    expected = Encoder(tiny_encoder, device="cpu").encode(IMAGES)
    opened = machine()
    encoder = Encoder(tiny_encoder, device=device)
    assert encoder.device == ("cuda" if device == "auto" else device)
    parts = [encoder.start(IMAGES[start : start + 4]) for start in range(0, len(IMAGES), 4)]
    np.testing.assert_array_equal(np.concatenate([part.result(10)[0] for part in parts]), expected)
    assert len(opened) == (2 if device == "cuda:0,1" else 1)
    assert all(session.bound for session in opened.values())


def test_without_memory_of_the_device_the_plain_run_is_used(tiny_encoder: Path, machine: Machine) -> None:
    expected = Encoder(tiny_encoder, device="cpu").encode(IMAGES)
    # This build of ONNX Runtime cannot allocate it.
    opened = machine(memory="cann")
    np.testing.assert_array_equal(Encoder(tiny_encoder, device="cuda").encode(IMAGES), expected)
    assert opened["cuda"].bound == 0


def test_a_device_that_is_not_there_is_named(tiny_encoder: Path, machine: Machine) -> None:
    machine()
    with pytest.raises(DeviceError, match="device cuda:2 does not run here: .*invalid device ordinal") as caught:
        Encoder(tiny_encoder, device="cuda:0,2")
    assert caught.value.exit_code == 5


def test_a_device_that_computes_something_else_is_refused(
    tiny_encoder: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine()
    original = OnDevice.run

    def run(self: OnDevice, *arguments: Any) -> Any:
        results = original(self, *arguments)
        return [values + 50 for values in results] if self.device.index == 1 else results

    monkeypatch.setattr(OnDevice, "run", run)
    with pytest.raises(DeviceError, match="cuda:1 differ from those of cuda:0"):
        Encoder(tiny_encoder, device="cuda:0,1")


def test_a_device_that_fails_in_use_is_named(tiny_encoder: Path, machine: Machine) -> None:
    opened = machine()
    encoder = Encoder(tiny_encoder, device="cuda:0,1")
    opened["cuda:1"].fails = True
    with pytest.raises(EncoderError, match="failed on cuda:1: CUDA error 719"):
        [encoder.encode(IMAGES) for _ in range(8)]


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "'gpu' is unknown"),
        ("cpu:0", "only cuda, .* have numbers"),
        ("cuda:", "give numbers"),
        ("cuda:x", "give numbers"),
        ("cuda:-1", "give numbers"),
        ("cuda:0,,1", "give numbers"),
        ("cuda:1,1", "twice"),
        ("auto:1", "'auto:1' is unknown"),
    ],
)
def test_devices_that_do_not_exist(tiny_encoder: Path, device: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Encoder(tiny_encoder, device=device)


def test_embed_on_two_devices_stores_what_one_stores(tiny_encoder: Path, machine: Machine, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    paint(folder, per_folder=30)
    outputs = {}
    for device in ("cpu", "cuda", "cuda:0,1"):
        machine()
        summary = embed(folder, workspace=tmp_path / device, encoder=tiny_encoder, device=device, batch_size=4)
        assert summary.device == device
        outputs[device] = [path.read_bytes() for path in sorted((tmp_path / device / "embeddings").glob("*.parquet"))]
    assert outputs["cuda"] == outputs["cpu"]
    assert outputs["cuda:0,1"] == outputs["cpu"]
    assert threading.active_count() < 50


@pytest.mark.gpu
def test_a_real_device_computes_bound_inputs_in_two_lanes() -> None:
    if not devices.has_driver():
        pytest.skip("no NVIDIA driver here")
    images = np.random.default_rng(0).integers(0, 256, (64, 260, 260, 3), dtype=np.uint8)
    encoder = Encoder("photos", device="cuda")
    session = onnxruntime.InferenceSession(str(encoder.path), providers=[DEVICES["cuda"]])
    run = BoundRun(session, "cuda", 0, onnxruntime.RunOptions())
    name, output = session.get_inputs()[0].name, encoder.info.output or session.get_outputs()[0].name
    bound, plain = run([output], {name: images})[0], session.run([output], {name: images})[0]
    assert cosines(bound, plain).min() > 0.999
    parts = [encoder.start(images[start : start + 16]) for start in range(0, 64, 16)]
    vectors = np.concatenate([part.result(60)[0] for part in parts])
    expected = Encoder("photos", device="cpu", precision=encoder.info.precision, compare=False).encode(images)
    assert cosines(vectors, expected).min() > 0.99
