"""Devices: opening a session of ONNX Runtime on a device and checking that it really runs there.

If a library is missing, ONNX Runtime falls back to the CPU and prints an error. A session counts as running on a device
only if it names that device's provider first and has run a batch. What the runtime prints is captured and becomes the
reason why a device is rejected.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from imgcluster.encoders.cuda import has_driver
from imgcluster.encoders.device_names import DEVICES, Device
from imgcluster.errors import DeviceError, EncoderError, ImgclusterError

__all__ = [
    "BATCH_SECONDS",
    "Disagreement",
    "Files",
    "Opened",
    "available_devices",
    "is_out_of_memory",
    "new_run_options",
    "open_session",
    "run_limited",
    "too_slow",
]

_LOG = logging.getLogger(__name__)

# Not TensorRT, which compiles for minutes at the first run, nor OpenVINO, whose gain depends on the model.
AUTO_ORDER: Final = ("cuda", "rocm", "migraphx", "directml", "coreml", "cpu")

BATCH_SECONDS: Final = 600.0
"""The most seconds that one batch may take; the first one on a device can include minutes of compilation."""

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


Files = Callable[[str], Iterable[str | os.PathLike[str]]]
"""The ONNX files to try on a device, the best first; it may download them."""


class Disagreement(Exception):  # noqa: N818 - a result about a file more than an error of the program
    """The vectors of a file differ from the reference on this machine; the next file is tried."""


_OUT_OF_MEMORY: Final = (
    "out of memory",
    "failed to allocate memory",
    "bad allocation",
    "bad_alloc",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "cuda_error_out_of_memory",
    "available memory of",  # "Available memory of 12 is smaller than requested bytes of 34"
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that has run a batch.

    Attributes:
        session: An ``onnxruntime.InferenceSession``.
        device: The device it runs on: a key of `DEVICES`, with the number if one was given.
        rejected_devices: Each better device of ``auto`` with the reason why it does not run.
    """

    session: Any
    device: str
    rejected_devices: tuple[tuple[str, str], ...] = ()


class _Unavailable(Exception):  # noqa: N818 - a result about a device more than an error of the program
    """A device that does not run here; the message is the reason."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.remedy = remedy


def available_devices() -> list[str]:
    """Return the devices that this build of ONNX Runtime has a provider for, in the order of `DEVICES`."""
    providers = _runtime().get_available_providers()
    return [name for name, provider in DEVICES.items() if provider in providers]


def new_run_options() -> Any:
    """Return options of ``session.run``; setting their `terminate` ends all runs that were given them."""
    return _runtime().RunOptions()


def run_limited(
    session: Any, outputs: list[str] | None, inputs: dict[str, Any], options: Any = None, seconds: float = BATCH_SECONDS
) -> list[Any]:
    """Return what ``session.run`` returns; starting the clock takes about as long as running a tiny model.

    Raises:
        EncoderError: It takes longer than `seconds`; `options` cannot be used any more then.
    """
    options = new_run_options() if options is None else options
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        options.terminate = True

    clock = threading.Timer(seconds, end)
    clock.daemon = True
    clock.start()
    try:
        results: list[Any] = session.run(outputs, inputs, options)
    except Exception:
        if is_over.is_set():
            raise too_slow(seconds) from None
        raise
    finally:
        clock.cancel()
    return results


def too_slow(seconds: float) -> EncoderError:
    """Return the error for a batch that takes longer than `seconds`."""
    return EncoderError(f"the model was ended: one batch took longer than {seconds:g} s; use another model")


def open_session(
    path: str | os.PathLike[str] | Files, device: str, run: Callable[[Any], None], *, cpu_threads: int = 0
) -> Opened:
    """Open an ONNX file on `device` and check the device by running a batch.

    Args:
        path: An ONNX file, or a function that returns those to try on a device.
        device: A key of `DEVICES`, with a number as in ``cuda:1``, or ``auto`` for the first of `AUTO_ORDER` that runs.
        run: Runs one batch through the session. If it raises `Disagreement`, the next file is tried; if it raises
            anything else but an `ImgclusterError`, the device is rejected.
        cpu_threads: How many threads share one batch on the CPU; 0 for one per core.

    Raises:
        UsageError: The device is unknown.
        DeviceError: The named device does not run here.
        EncoderError: The file cannot be read, or does not even run on the CPU.
    """
    candidates = [Device(name) for name in AUTO_ORDER] if device == "auto" else [Device.parse(device)]
    files: Files = path if callable(path) else lambda _: (path,)
    rejected: list[tuple[str, str]] = []
    present = available_devices()
    for candidate in candidates:
        if device == "auto" and candidate.name not in present:
            continue
        try:
            return Opened(_open(files, candidate, present, run, cpu_threads), str(candidate), tuple(rejected))
        except _Unavailable as reason:
            if device != "auto":
                raise DeviceError(f"device {candidate} does not run here: {reason}; {reason.remedy}") from None
            _LOG.debug("device %s rejected: %s", candidate, reason)
            rejected.append((str(candidate), str(reason)))
    raise DeviceError(
        "ONNX Runtime has no provider that runs here, not even that of the CPU; install onnxruntime again"
    )


def _open(files: Files, device: Device, present: list[str], run: Callable[[Any], None], cpu_threads: int) -> Any:
    name = device.name
    if name not in present:
        reason = f"this build of ONNX Runtime has only {', '.join(present)}"
        raise _Unavailable(reason, _OTHER_BUILDS.get(name, _OTHER_REMEDY))
    if name in ("cuda", "tensorrt") and not has_driver():
        raise _Unavailable("no NVIDIA driver (libcuda) was found", "install the driver of the graphics card")
    disagreement = ""
    for path in files(name):
        try:
            return _open_file(path, device, run, cpu_threads)
        except Disagreement as reason:
            _LOG.debug("%s", reason)
            disagreement = str(reason)
    raise EncoderError(disagreement)


def _open_file(path: str | os.PathLike[str], device: Device, run: Callable[[Any], None], cpu_threads: int) -> Any:
    name = device.name
    remedy = _REMEDIES.get(name, _OTHER_REMEDY)
    with _captured_output() as output:
        if name in ("cuda", "tensorrt"):
            _preload_cuda()
        try:
            session = _new_session(path, device, cpu_threads)
            fell_back = session.get_providers()[0] != DEVICES[name]
            if not fell_back:
                run(session)
        except (ImgclusterError, Disagreement):
            raise
        except Exception as error:
            if name == "cpu":
                raise EncoderError(f"{os.fspath(path)} does not run: {_one_line(str(error))}") from None
            raise _Unavailable(_reason(f"{error}\n{output()}"), remedy) from None
        if fell_back:
            raise _Unavailable(_reason(output()), remedy)
    return session


def _new_session(path: str | os.PathLike[str], device: Device, cpu_threads: int) -> Any:
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    # Spinning idle threads would occupy the cores that decode the next batch.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if device.name == "cpu":
        options.intra_op_num_threads = cpu_threads
    providers = [(DEVICES[device.name], _provider_options(device))]
    if device.name != "cpu":
        providers.append((DEVICES["cpu"], {}))
    try:
        return runtime.InferenceSession(os.fspath(path), options, providers=providers)
    except Exception as error:
        text = str(error)
        if any(word in text for word in ("INVALID_PROTOBUF", "INVALID_GRAPH", "NO_SUCHFILE", "NO_MODEL")):
            raise EncoderError(f"{os.fspath(path)} is not a readable ONNX model: {_one_line(text)}") from None
        raise


def _provider_options(device: Device) -> dict[str, str]:
    options = {} if device.index is None else {"device_id": str(device.index)}
    if device.name == "cuda":
        # Timing all algorithms of each convolution takes seconds per batch size, and can end differently in each run.
        options["cudnn_conv_algo_search"] = "HEURISTIC"
    return options


def _runtime() -> Any:
    with _captured_output():
        import onnxruntime
    return onnxruntime


def _preload_cuda() -> None:
    """Load the CUDA libraries of pip's ``nvidia-…`` packages, if ONNX Runtime supports that (since 1.21)."""
    preload = getattr(_runtime(), "preload_dlls", None)
    if preload is not None:
        with contextlib.suppress(OSError):
            preload()


def _reason(text: str) -> str:
    """Return the cause behind the runtime's messages."""
    for pattern in (_MISSING_LIBRARY, _FAILED_LOAD):
        names = [name for name in pattern.findall(text) if "onnxruntime" not in name]
        if names:
            return f"the library {names[0]} is missing"
    return _one_line(text) or "ONNX Runtime fell back to the CPU without a message"


def _one_line(text: str, limit: int = 300) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    line = " ".join(plain.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


@contextlib.contextmanager
def _captured_output() -> Iterator[Callable[[], str]]:
    """Capture what C++ writes to descriptor 2 and Python to its streams; yield a function that returns it."""
    printed = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(contextlib.redirect_stderr(printed))
        file = stack.enter_context(tempfile.TemporaryFile())
        try:
            saved = os.dup(2)
        except OSError:  # no standard error, as under pythonw
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


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether ONNX Runtime failed because the device has too little memory."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(phrase in text for phrase in _OUT_OF_MEMORY)
