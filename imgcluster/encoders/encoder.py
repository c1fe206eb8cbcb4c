"""Running an encoder: uint8 images in, float32 vectors out, whatever the ONNX file underneath looks like."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from imgcluster.encoders.devices import open_session
from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.encoders.onnx_io import InputSignature, choose_output, pool, read_input
from imgcluster.encoders.registry import find_encoder
from imgcluster.errors import EncoderError, UsageError, one_line
from imgcluster.options import EncoderOptions
from imgcluster.types import Pixels, Pooling, ResizeRule

__all__ = ["Encoder", "describe"]

_LOG = logging.getLogger(__name__)

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

_DEFAULT_SCALE: Final = 1.0 / 255.0


class Encoder:
    """An encoder that has run a batch on its device, or an exception.

    Args:
        encoder: The name of an encoder, or an ``.onnx`` file.
        device: ``auto`` or a key of `devices.DEVICES`.
        options: What the file cannot say about itself.

    Attributes:
        info: What it says about itself.
        identity: Changes with the weights and with every option that changes the vectors.
        device: The device it runs on.
        passed_over: Each better device of ``auto`` with the reason why it does not run.

    Raises:
        UsageError: An unknown name, device, or option that does not fit this encoder.
        EncoderError: The file cannot be read or takes or gives what is not understood.
        DeviceError: The device asked for by name does not run here.
    """

    def __init__(
        self,
        encoder: str | os.PathLike[str],
        *,
        device: str = "auto",
        options: EncoderOptions | None = None,
    ) -> None:
        options = options or EncoderOptions()
        path = find_encoder(encoder)
        # What the trial batch below finds out while `open_session` proves the device.
        self._pool = cast("Pooling | None", options.pool)
        self._limit: int | None = None
        opened = open_session(path, device, lambda session: self._settle(session, path, options))
        self._session = opened.session
        self.device = opened.device
        self.passed_over = opened.passed_over
        self.path = path
        self.identity = _identity(path, options)

    def encode(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return the vectors ``float32 (n, embedding_size)`` of ``uint8 (n, height, width, channels)`` images.

        A batch that the device has no memory for is halved until it fits; the smaller size is kept from then on.

        Raises:
            EncoderError: The encoder fails, even on a single image where memory is short.
        """
        if len(images) == 0:
            return np.empty((0, self.info.embedding_size), dtype=np.float32)
        done: list[npt.NDArray[np.float32]] = []
        start = 0
        while start < len(images):
            step = min(self._limit or len(images), len(images) - start)
            try:
                done.append(self._run(self._session, images[start : start + step]))
            except Exception as error:
                if not _is_out_of_memory(error):
                    raise EncoderError(
                        f"encoder {self.info.name} failed on {self.device}: {one_line(error)[:300]}"
                    ) from None
                if step == 1 or self._signature.batch:
                    raise EncoderError(
                        f"there is no memory on {self.device} for a batch of {self._signature.batch or 1}; "
                        "try --device cpu"
                    ) from None
                self._limit = step // 2
                _LOG.warning("out of memory on %s: going on with batches of %d", self.device, self._limit)
                continue
            start += step
        return np.concatenate(done) if len(done) > 1 else done[0]

    def _settle(self, session: Any, path: Path, options: EncoderOptions) -> None:
        """Read the graph, run a trial batch, and keep what they tell."""
        told = EncoderInfo.from_metadata(session.get_modelmeta().custom_metadata_map)
        # Encoders of ours are always NHWC; a tiny picture's shape alone would not tell.
        signature = read_input(session.get_inputs(), layout="NHWC" if told else None)
        self._signature = signature
        self._output = choose_output(session.get_outputs(), self._pool)
        self._scale, self._mean, self._std = _normalisation(signature, options)
        width, height = _size(signature, told, options)
        trial = np.zeros((2, height, width, signature.channels), dtype=np.uint8)
        vectors = self._run(session, trial)
        if told is None:
            self.info = EncoderInfo(
                name=path.stem,
                version="",
                embedding_size=vectors.shape[1],
                metric="cosine",
                width=width,
                height=height,
                channels=signature.channels,
                resize=cast(ResizeRule, options.resize or "crop"),
            )
            return
        expected = (told.width, told.height, told.channels, told.embedding_size)
        if (width, height, signature.channels, vectors.shape[1]) != expected:
            raise EncoderError(
                f"{path} says of itself width, height, channels, embedding size {expected}, but its graph has "
                f"{(width, height, signature.channels, vectors.shape[1])}; export it again"
            )
        values = asdict(told)
        if options.resize:
            values.update(resize=options.resize, crop_fraction=1.0)
        self.info = EncoderInfo(**values)

    def _run(self, session: Any, images: Pixels) -> npt.NDArray[np.float32]:
        vectors = [self._run_once(session, part) for part in _parts(images, self._signature.batch)]
        return np.concatenate(vectors)[: len(images)]

    def _run_once(self, session: Any, images: Pixels) -> npt.NDArray[np.float32]:
        batch = self._signature.arrange(images, scale=self._scale, mean=self._mean, std=self._std)
        (output,) = session.run([self._output], {self._signature.name: batch})
        vectors = pool(output, self._signature.layout, self._pool)
        if len(vectors) != len(images):
            raise EncoderError(f"the model gives {len(vectors)} vectors for {len(images)} images; needed is one each")
        return vectors


def describe(path: Path) -> EncoderInfo:
    """Return what an encoder file says about itself; of a foreign model, what its graph shows.

    Raises:
        EncoderError: The file cannot be read or is no encoder of images.
    """
    return Encoder(path, device="cpu").info


def _normalisation(
    signature: InputSignature, options: EncoderOptions
) -> tuple[float, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    if signature.takes_bytes and any(value is not None for value in (options.mean, options.std, options.scale)):
        raise UsageError("this encoder takes bytes and normalises them itself; leave out --mean, --std and --scale")
    for name, values in (("--mean", options.mean), ("--std", options.std)):
        if values is not None and len(values) not in (1, signature.channels):
            raise UsageError(
                f"{name} has {len(values)} values; this encoder needs 1 or {signature.channels} (one per channel)"
            )
    return (
        _DEFAULT_SCALE if options.scale is None else options.scale,
        np.asarray(options.mean or (0.0,), dtype=np.float32),
        np.asarray(options.std or (1.0,), dtype=np.float32),
    )


def _size(signature: InputSignature, told: EncoderInfo | None, options: EncoderOptions) -> tuple[int, int]:
    """Return the input's width and height: from the graph, else the metadata, else the options."""
    asked = options.image_size or ((told.width, told.height) if told else (None, None))
    for name, fixed, wanted in (("width", signature.width, asked[0]), ("height", signature.height, asked[1])):
        if fixed is None and wanted is None:
            raise EncoderError(
                f"the model's input {signature.name!r} leaves its {name} open; say the size it was trained at, "
                "for example --image-size 224"
            )
        if fixed is not None and options.image_size and fixed != wanted:
            raise UsageError(f"--image-size asks for a {name} of {wanted}, but the model's input is fixed to {fixed}")
    width, height = signature.width or asked[0], signature.height or asked[1]
    assert width is not None
    assert height is not None
    return width, height


def _parts(images: Pixels, batch: int | None) -> Iterator[Pixels]:
    """Cut images into batches of a fixed size, the last one filled up with black; one batch where it is open."""
    if batch is None:
        yield images
        return
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        if len(part) < batch:
            filler = np.zeros((batch - len(part), *part.shape[1:]), dtype=np.uint8)
            part = np.concatenate([part, filler])
        yield part


def _identity(path: Path, options: EncoderOptions) -> str:
    digest = hashlib.sha256()
    # Large models keep their weights in a second file beside the graph.
    for file in (path, path.with_name(path.name + "_data"), path.with_name(path.name + ".data")):
        if file.is_file():
            with file.open("rb") as stream:
                for block in iter(lambda: stream.read(1 << 20), b""):
                    digest.update(block)
    told: dict[str, Any] = {key: value for key, value in asdict(options).items() if value is not None}
    if told:
        digest.update(json.dumps(told, sort_keys=True).encode())
    return digest.hexdigest()


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(phrase in text for phrase in _OUT_OF_MEMORY)
