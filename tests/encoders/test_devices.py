"""Choosing a device, with stand-ins for the runtime of machines that have other ones."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from imgcluster import DeviceError, Encoder, EncoderError, UsageError, doctor
from imgcluster.encoders import devices
from imgcluster.encoders.cuda import has_driver
from imgcluster.encoders.device_names import DEVICES, Device
from imgcluster.encoders.devices import available_devices, open_session

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class Session:
    """A session that says it runs on `providers`."""

    def __init__(self, providers: list[str]) -> None:
        self.providers = providers

    def get_providers(self) -> list[str]:
        return self.providers


def machine(
    monkeypatch: pytest.MonkeyPatch,
    *,
    present: list[str],
    driver: bool = True,
    new_session: Any = None,
) -> None:
    """Stand in for a machine: the providers of its runtime, its driver, and what making a session does."""

    def default(path: object, device: Device, threads: int) -> Session:
        return Session([DEVICES[device.name], CPU])

    monkeypatch.setattr(devices, "available_devices", lambda: present)
    monkeypatch.setattr(devices, "has_driver", lambda: driver)
    monkeypatch.setattr(devices, "_preload_cuda", lambda: None)
    monkeypatch.setattr(devices, "_new_session", new_session or default)


def fine(session: object) -> None:
    """A batch that runs."""


def test_auto_takes_the_best_device_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, present=["cuda", "cpu"])
    assert open_session("model.onnx", "auto", fine).device == "cuda"


def test_auto_falls_back_with_the_missing_library_as_reason(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def falls_back(path: object, device: Device, threads: int) -> Session:
        if device.name == "cuda":
            # As the runtime's C++ does, past Python's sys.stderr.
            os.write(
                2, b"\x1b[1;31m[E:onnxruntime] Failed to load library /x/libonnxruntime_providers_cuda.so with error: "
            )
            os.write(2, b"libcublasLt.so.13: cannot open shared object file: No such file or directory\x1b[m\n")
            print("EP Error: falling back")
        return Session([CPU])

    machine(monkeypatch, present=["cuda", "cpu"], new_session=falls_back)
    opened = open_session("model.onnx", "auto", fine)
    assert opened.device == "cpu"
    assert opened.rejected_devices == (("cuda", "the library libcublasLt.so.13 is missing"),)
    assert capfd.readouterr() == ("", "")


def test_cuda_by_name_without_its_library_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def falls_back(path: object, device: Device, threads: int) -> Session:
        os.write(2, b"libcudnn.so.9: cannot open shared object file")
        return Session([CPU])

    machine(monkeypatch, present=["cuda", "cpu"], new_session=falls_back)
    with pytest.raises(DeviceError, match=r"libcudnn\.so\.9 is missing; pip install 'imgcluster\[cuda\]'") as caught:
        open_session("model.onnx", "cuda", fine)
    assert caught.value.exit_code == 5


def test_cuda_by_name_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, present=["cuda", "cpu"], driver=False)
    with pytest.raises(DeviceError, match="no NVIDIA driver.*install the driver"):
        open_session("model.onnx", "cuda", fine)


def test_cuda_by_name_in_a_build_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, present=["cpu"])
    with pytest.raises(DeviceError, match="this build of ONNX Runtime has only cpu; pip install onnxruntime-gpu"):
        open_session("model.onnx", "cuda", fine)


def test_a_device_whose_first_batch_fails_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails_on_cuda(session: Session) -> None:
        if session.providers[0] == CUDA:
            raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")

    machine(monkeypatch, present=["cuda", "cpu"])
    opened = open_session("model.onnx", "auto", fails_on_cuda)
    assert opened.device == "cpu"
    assert "no CUDA-capable device is detected" in opened.rejected_devices[0][1]
    with pytest.raises(DeviceError, match="no CUDA-capable device"):
        open_session("model.onnx", "cuda", fails_on_cuda)


def test_a_model_that_fails_on_the_cpu_is_the_models_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(session: Session) -> None:
        raise RuntimeError("Got invalid dimensions for input")

    machine(monkeypatch, present=["cpu"])
    with pytest.raises(EncoderError, match=r"model\.onnx does not run: Got invalid dimensions"):
        open_session("model.onnx", "auto", fails)


def test_unknown_device_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'gpu' is unknown; choose one of auto, cuda, .*cpu"):
        open_session("model.onnx", "gpu", fine)


def test_auto_is_silent_on_this_machine(tiny_encoder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Encoder(tiny_encoder, device="auto")
    assert capfd.readouterr() == ("", "")


def test_output_is_not_lost_after_a_session_was_made(tiny_encoder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Encoder(tiny_encoder, device="cpu")
    os.write(2, b"still here")
    sys.stdout.write("and here")
    sys.stdout.flush()
    assert capfd.readouterr() == ("and here", "still here")


def test_doctor_runs_every_device_and_compares(tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_CPU_COUNT", "3")
    summary = doctor(encoder=tiny_encoder)
    assert summary.processors == 3
    checks = {check.device: check for check in summary.devices}
    assert set(checks) == set(available_devices())
    assert checks["cpu"].runs
    assert checks["cpu"].difference == 0
    assert (checks["cpu"].images_per_second or 0) > 0
    assert summary.best in checks
    for check in checks.values():
        assert check.runs or check.problem


def test_doctor_names_the_device_of_auto_also_when_it_checks_another(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(path: Path, *, device: str, **options: Any) -> Encoder:
        model = Encoder(path, device="cpu", **options)
        model.device = "cuda" if device == "auto" else device
        return model

    monkeypatch.setattr("imgcluster.commands.doctor.PixelEncoder", opened)
    summary = doctor(encoder=tiny_encoder, device="cpu")
    assert [check.device for check in summary.devices] == ["cpu"]
    assert summary.best == "cuda"


@pytest.mark.gpu
def test_photos_on_cuda_agrees_with_the_cpu() -> None:
    if "cuda" not in available_devices() or not has_driver():
        pytest.skip("no CUDA device here")
    check = {check.device: check for check in doctor(device="cuda").devices}["cuda"]
    assert check.runs
    assert check.difference is not None
    assert check.difference < 1e-2
