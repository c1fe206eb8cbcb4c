"""Where an encoder runs: from the word after ``--device`` to a session that has really run there.

ONNX Runtime falls back to the CPU with red text on the screen when a library is missing. Here a session counts as
running on a device only after it was made, names that device's provider first and has run a batch; what the
runtime prints on the way is caught and becomes the reason.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from imgcluster.errors import DeviceError, EncoderError, ImgclusterError, UsageError

__all__ = ["AUTO_ORDER", "DEVICES", "Opened", "available_devices", "open_session"]

_LOG = logging.getLogger(__name__)

DEVICES: Final = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""The words for ``--device`` and ONNX Runtime's provider for each."""

# TensorRT compiles for minutes at the first run and OpenVINO's gain depends on the model: on request only.
AUTO_ORDER: Final = ("cuda", "rocm", "migraphx", "directml", "coreml", "cpu")

_MISSING_LIBRARY: Final = re.compile(
    r"([\w.+-]+\.(?:so(?:\.\d+)*|dylib|dll))(?=: cannot open|.{0,40} (?:is missing|not found))"
)
_FAILED_LOAD: Final = re.compile(r"Failed to load (?:library )?([\w.+-]+\.(?:so(?:\.\d+)*|dylib|dll))\b")

_REMEDIES: Final = {
    "cuda": "pip install 'imgcluster[cuda]'",
    "tensorrt": "install TensorRT and put its libraries on the library path",
}
_OTHER_REMEDY: Final = "the documentation of ONNX Runtime says what its provider needs"
_OTHER_BUILDS: Final = {
    "cuda": "pip install onnxruntime-gpu (Linux on x86-64, Windows)",
    "tensorrt": "pip install onnxruntime-gpu (Linux on x86-64, Windows)",
    "directml": "pip install onnxruntime-directml (Windows)",
    "openvino": "pip install onnxruntime-openvino",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that has run, the device it runs on, and why each better device does not."""

    session: Any
    device: str
    passed_over: tuple[tuple[str, str], ...] = ()


class _Unavailable(Exception):  # noqa: N818 - an answer about a device more than an error of the program
    """A device that does not run here: why, and what to do about it."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.remedy = remedy


def available_devices() -> list[str]:
    """Return the devices that this build of ONNX Runtime has a provider for, best first."""
    providers = _runtime().get_available_providers()
    return [name for name, provider in DEVICES.items() if provider in providers]


def open_session(path: str | os.PathLike[str], device: str, run: Callable[[Any], None]) -> Opened:
    """Open the ONNX file at `path` on `device` and prove it with a batch.

    Args:
        path: An ONNX file.
        device: A key of `DEVICES`, or ``auto`` for the first of `AUTO_ORDER` that really runs.
        run: Runs one batch through the session; what it raises counts against the device.

    Raises:
        UsageError: No such device is known.
        DeviceError: The device was asked for by name and does not run here.
        EncoderError: The file cannot be read, or does not even run on the CPU.
    """
    if device != "auto" and device not in DEVICES:
        raise UsageError(f"device {device!r} is unknown; choose one of auto, {', '.join(DEVICES)}")
    passed_over: list[tuple[str, str]] = []
    present = available_devices()
    for name in AUTO_ORDER if device == "auto" else (device,):
        if device == "auto" and name not in present:
            continue
        try:
            return Opened(_open(path, name, present, run), name, tuple(passed_over))
        except _Unavailable as reason:
            if device != "auto":
                raise DeviceError(f"device {name} does not run here: {reason}; {reason.remedy}") from None
            _LOG.debug("device %s passed over: %s", name, reason)
            passed_over.append((name, str(reason)))
    raise DeviceError("ONNX Runtime has no provider that runs here, not even the CPU's; install onnxruntime again")


def _open(path: str | os.PathLike[str], name: str, present: list[str], run: Callable[[Any], None]) -> Any:
    if name not in present:
        built_in = f"this build of ONNX Runtime has only {', '.join(present)}"
        raise _Unavailable(built_in, _OTHER_BUILDS.get(name, _OTHER_REMEDY))
    if name in ("cuda", "tensorrt") and not _has_nvidia_driver():
        raise _Unavailable("no NVIDIA driver (libcuda) was found", "install the driver of your graphics card")
    remedy = _REMEDIES.get(name, _OTHER_REMEDY)
    with _captured_output() as output:
        if name in ("cuda", "tensorrt"):
            _preload_cuda()
        try:
            session = _new_session(path, DEVICES[name])
            fell_back = session.get_providers()[0] != DEVICES[name]
            if not fell_back:
                run(session)
        except ImgclusterError:
            raise
        except Exception as error:
            if name == "cpu":
                raise EncoderError(f"{os.fspath(path)} does not run: {_one_line(str(error))}") from None
            raise _Unavailable(_reason(f"{error}\n{output()}"), remedy) from None
        if fell_back:
            raise _Unavailable(_reason(output()), remedy)
    return session


def _new_session(path: str | os.PathLike[str], provider: str) -> Any:
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    # Idle compute threads that spin would take the cores that decode the next batch.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = [provider] if provider == DEVICES["cpu"] else [provider, DEVICES["cpu"]]
    try:
        return runtime.InferenceSession(os.fspath(path), options, providers=providers)
    except Exception as error:
        text = str(error)
        if any(word in text for word in ("INVALID_PROTOBUF", "INVALID_GRAPH", "NO_SUCHFILE", "NO_MODEL")):
            raise EncoderError(f"{os.fspath(path)} is no ONNX model that can be read: {_one_line(text)}") from None
        raise


def _runtime() -> Any:
    with _captured_output():
        import onnxruntime
    return onnxruntime


def _preload_cuda() -> None:
    """Make the CUDA libraries of pip's ``nvidia-…`` packages known, where ONNX Runtime can do that (1.21 on)."""
    preload = getattr(_runtime(), "preload_dlls", None)
    if preload is not None:
        with contextlib.suppress(OSError):
            preload()


def _has_nvidia_driver() -> bool:
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _reason(text: str) -> str:
    """Say in a few words what the runtime's complaints come down to."""
    for pattern in (_MISSING_LIBRARY, _FAILED_LOAD):
        names = [name for name in pattern.findall(text) if "onnxruntime" not in name]
        if names:
            return f"the library {names[0]} is missing"
    return _one_line(text) or "ONNX Runtime fell back to the CPU without a word"


def _one_line(text: str, limit: int = 300) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    line = " ".join(plain.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


@contextlib.contextmanager
def _captured_output() -> Iterator[Callable[[], str]]:
    """Catch what C++ writes to descriptor 2 and Python to standard output; yields a function that returns it."""
    printed = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(contextlib.redirect_stderr(printed))
        file = stack.enter_context(tempfile.TemporaryFile())
        try:
            saved = os.dup(2)
        except OSError:  # no standard error at all, as under pythonw
            saved = None
        if saved is not None:
            os.dup2(file.fileno(), 2)

        def text() -> str:
            file.seek(0)
            return printed.getvalue() + file.read().decode(errors="replace")

        try:
            yield text
        finally:
            if saved is not None:
                os.dup2(saved, 2)
                os.close(saved)
