"""Running an encoder: uint8 images in, float32 embeddings out, for any ONNX image model."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from imgcluster.encoders.classes import IMAGENET_CLASSES
from imgcluster.encoders.cuda import device_memory
from imgcluster.encoders.device_names import Device, split_devices
from imgcluster.encoders.devices import BATCH_SECONDS, Disagreement, new_run_options, open_session, run_limited
from imgcluster.encoders.hub_name import hub_name
from imgcluster.encoders.hub_source import hub_source
from imgcluster.encoders.image_model import read_model
from imgcluster.encoders.lanes import LANES_PER_DEVICE, MEMORY_NAMES, Run, open_lanes
from imgcluster.encoders.onnx_graph import check_graph, graph_files
from imgcluster.encoders.precision import AGREEMENT, SAME_RESULT, cosines, order_of, read_reference
from imgcluster.encoders.registry import bundled_encoders, shadowed_encoders
from imgcluster.encoders.runner import Runner, batch_size_for
from imgcluster.encoders.source import EncoderSource, local_source, with_defaults
from imgcluster.encoders.started import Started
from imgcluster.errors import EncoderError, UsageError
from imgcluster.fileio.digests import update_from_file
from imgcluster.options import EncoderOptions, check_precision
from imgcluster.progress import OnProgress, ignore_progress
from imgcluster.types import Pixels, Precision, Vectors

__all__ = ["CLASS_SCORES", "PixelEncoder"]

CLASS_SCORES: Final = "class_scores"
"""The output of the graph with the scores of the classes that an encoder was trained on."""

_WITH_CLASSES: Final = ("photos", "photos-fast")

# On the CPU each thread runs so many pixels at a time: one photograph, or enough tiny images that a call pays off. One
# image on one core needs a third less processor time than a batch of 32 on all cores, because what a layer writes
# stays in the core's cache and no thread waits for another (benchmarks/performance.py).
_PIXELS_PER_RUN: Final = 1 << 16


class PixelEncoder:
    """An encoder of pixels at its input size, which has run a batch on its device.

    Args:
        encoder: The name of an encoder, or an ``.onnx`` file.
        device: ``auto`` or a key of `device_names.DEVICES`, with numbers as in ``cuda:1`` or ``cuda:0,1``.
        options: What the file does not say about itself.
        compare: Whether a lower precision that deviates from the reference vectors is refused.
        install: Whether an encoder of the hub may be downloaded.
        on_progress: Called during downloads.
        precision: ``fp32``, ``fp16``, ``int8``, or ``auto`` for the fastest on the device that agrees with the
            reference vectors.
        batch_seconds: The most seconds that one batch may take.

    Attributes:
        info: Its description.
        identity: Digest of the weights and of every option that changes the vectors.
        device: The device it runs on, or several.
        rejected_devices: Each better device of ``auto`` with the reason why it does not run.
        path: Its ONNX file.
        options: The options with the defaults of this encoder.
        outputs: The outputs of its graph with their shapes, as text.
        describes_itself: Whether its file has imgcluster's metadata, so that it needs no options.
        precisions: The precisions that it has files of.
        notes: What the user should know of choices made by default, in sentences.

    Raises:
        UsageError: The name or device is unknown, or an option does not fit this encoder, or it has no file of the
            precision.
        EncoderError: The file cannot be read, or its inputs or outputs are not supported.
        DeviceError: The named device does not run here.
    """

    def __init__(
        self,
        encoder: str | os.PathLike[str],
        *,
        device: str = "auto",
        options: EncoderOptions | None = None,
        precision: str = "auto",
        compare: bool = True,
        install: bool = True,
        on_progress: OnProgress = ignore_progress,
        batch_seconds: float = BATCH_SECONDS,
    ) -> None:
        check_precision(precision)
        self._source = find_source(encoder, options or EncoderOptions(), install=install, on_progress=on_progress)
        self.precisions = self._source.precisions
        self._compares = compare
        self._given = with_defaults(options or EncoderOptions(), self._source.defaults)
        self._batch_seconds = batch_seconds
        # `_files` sets the path and precision that are tried, and `_inspect` the model and its description.
        self._run_options = new_run_options()
        first, *others = split_devices(device)
        opened = open_session(lambda name: self._files(name, precision), first, self._inspect, cpu_threads=1)
        self._session = opened.session
        self.options, self.outputs, self.notes = self._model.options, self._model.outputs, self._model.notes
        self.describes_itself = self._model.metadata is not None
        self.device = device if others else opened.device
        self._runner = self._open_runner([opened.device, *others])
        self.rejected_devices = opened.rejected_devices
        self.identity = _identity(self.path, self.options, self.info.output)
        shadowed = shadowed_encoders().get(os.fspath(encoder))
        if shadowed:
            kind = "a named" if self._source.row else "the bundled"
            self.notes += (f"{encoder} is {kind} encoder; to use your own of that name, give its path: {shadowed}",)

    def encode(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return the embeddings ``float32 (n, embedding_size)`` of images in the encoder's input size.

        If the device has too little memory for a batch, the batch size is halved until it fits, and stays so.

        Args:
            images: ``uint8 (n, height, width, channels)``, with the height, width and channels of `info`.

        Raises:
            UsageError: `images` has another shape or type.
            EncoderError: The encoder fails, or there is no memory even for one image.
        """
        return self.start(images).result_or_cancel()[0]

    def start(self, images: Pixels, *, classes: bool = False) -> Started:
        """Start to embed images, as `encode` does, which waits for the result.

        With `classes` the scores of ImageNet's classes are a second result, if the encoder has them.
        """
        outputs = {self._model.output: self.info.embedding_size}
        count = self._count_classes() if classes and self.info.name in _WITH_CLASSES else None
        if count == IMAGENET_CLASSES:
            outputs[CLASS_SCORES] = count
        # With --output, the scores can be the embedding.
        return self._start(images, outputs)

    def stop(self) -> None:
        """End what was started, without its result; the encoder cannot be used afterwards."""
        self._run_options.terminate = True
        self._runner.stop()

    def class_scores(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return the scores of the encoder's classes, ``float32 (n, classes)``, of images in the encoder's input size.

        Raises:
            UsageError: The encoder has no class scores, or `images` has another shape or type.
            EncoderError: The encoder fails, or there is no memory even for one image.
        """
        count = self._count_classes()
        if count is None:
            raise UsageError(f"encoder {self.info.name} has no class scores; {', '.join(_WITH_CLASSES)} have")
        return self._start(images, {CLASS_SCORES: count}).result_or_cancel()[0]

    def _count_classes(self) -> int | None:
        return next((entry.shape[1] for entry in self._session.get_outputs() if entry.name == CLASS_SCORES), None)

    @property
    def batch_size(self) -> int:
        """The number of images of a batch that suits the device."""
        first = Device.parse(split_devices(self.device)[0])
        memory = device_memory(first.index or 0) if first.name in MEMORY_NAMES else None
        info = self.info
        return batch_size_for(info.width, info.height, info.channels, memory=memory, lanes=LANES_PER_DEVICE)

    def images_ahead(self, batch_size: int) -> int:
        """Return the number of started images that keeps this encoder busy while others are prepared."""
        if self.device == "cpu":
            return max(2 * self._lanes * self._images_per_run, batch_size)
        # A batch in each lane, and one that waits.
        return (self._lanes + 1) * batch_size

    @property
    def _images_per_run(self) -> int:
        return self._model.signature.batch or max(1, _PIXELS_PER_RUN // (self.info.width * self.info.height))

    def _open_runner(self, devices: list[str]) -> Runner:
        """Open the graph on further devices, and return what runs it on all."""

        def trial(run: Run) -> Vectors:
            return self._model.run(run, self._model.trial, [self._model.output])[0]

        def check(session: Any) -> None:
            trial(partial(run_limited, session, options=self._run_options, seconds=self._batch_seconds))

        sessions = {devices[0]: self._session}
        sessions |= {name: open_session(self.path, name, check).session for name in devices[1:]}
        lanes = open_lanes(sessions, self._run_options, trial)
        self._lanes = len(lanes)
        return Runner(
            self.info.name,
            lanes,
            self._encode,
            images_per_run=self._images_per_run if self.device == "cpu" else None,
            fixed_batch=self._model.signature.batch,
        )

    def _encode(self, run: Run, images: Pixels, outputs: list[str]) -> list[Vectors]:
        """Run the graph, and check that each result has the expected number of values, which can depend on images."""
        results = self._model.run(run, images, outputs)
        for name, values in zip(outputs, results, strict=True):
            expected = self.info.embedding_size if name == self._model.output else self._count_classes()
            if isinstance(expected, int) and values.shape[1] != expected:
                raise EncoderError(
                    f"the output {name} has {expected} values for some images, {values.shape[1]} for others"
                )
        return results

    def _start(self, images: Pixels, outputs: Mapping[str, int]) -> Started:
        """Start to compute outputs, which are given with their numbers of values per image."""
        if len(images) == 0:
            return Started([], [np.empty((0, values), dtype=np.float32) for values in outputs.values()])
        expected = (self.info.height, self.info.width, self.info.channels)
        if images.ndim != 4 or images.shape[1:] != expected or images.dtype != np.uint8:
            raise UsageError(
                f"images have shape {images.shape} and type {images.dtype}; encoder {self.info.name} takes uint8 of "
                f"shape (n, {', '.join(map(str, expected))}); imgcluster.Encoder resizes other images"
            )
        futures = self._runner.start(images, list(outputs))
        return Started(futures, limit=self._batch_seconds, stop=self.stop)

    def _files(self, device: str, precision: str) -> Iterator[Path]:
        """Yield the files to try on a device, and set `path` to each."""
        source = self._source
        order = (
            order_of(device, source.precisions, checked=source.checked)
            if precision == "auto"
            else [cast(Precision, precision)]
        )
        if order[0] not in source.precisions:
            raise UsageError(
                f"encoder {source.name} has no file of --precision {precision}; it has {', '.join(source.precisions)}"
            )
        for self._precision in order:
            self._is_last = self._precision == order[-1]
            self.path = source.file_of(self._precision)
            self._depends_on_batch = check_graph(self.path).depends_on_batch
            yield self.path

    def _inspect(self, session: Any) -> None:
        """Read the graph and run a trial batch, and set what is known of the encoder then."""
        model = self._model = read_model(session, self._source, self._given, one_by_one=self._depends_on_batch)
        run = partial(run_limited, session, options=self._run_options, seconds=self._batch_seconds)
        (vectors,) = model.run(run, model.trial, [model.output])
        self._compare(vectors, model.reference)
        info = model.describe(self._source, self.path, vectors.shape[1])
        several = len(self._source.precisions) > 1 or self._precision != "fp32"
        self.info = replace(info, precision=self._precision if several else "")

    def _compare(self, vectors: Vectors, own: str) -> None:
        """Compare the vectors of the trial batch with the reference vectors, if there are any.

        Args:
            vectors: The vectors on this machine.
            own: Those of the same file on the machine that exported it, as text.

        Raises:
            Disagreement: They differ, and there is another precision to try.
            EncoderError: They differ, and there is none.
        """
        if self._precision == "fp32" or not self._compares:
            return
        name, reference = self._source.name, own or self._source.reference
        if not reference:
            if self._precision == "int8" and not self._is_last:
                raise Disagreement(f"encoder {name} has no reference vectors to check int8 with")
            return
        expected = read_reference(reference)
        values = cosines(vectors, expected) if vectors.shape == expected.shape else np.zeros(1)
        cosine, needed = (float(values.min()), SAME_RESULT) if own else (float(values.mean()), AGREEMENT)
        if cosine < needed:
            message = (
                f"the {self._precision} vectors of encoder {name} differ from the reference on this machine (cosine "
                f"{cosine:.3f}, needed is {needed}); choose another --precision, or another encoder"
            )
            raise EncoderError(message) if self._is_last else Disagreement(message)


def find_source(
    encoder: str | os.PathLike[str], options: EncoderOptions, *, install: bool, on_progress: OnProgress
) -> EncoderSource:
    """Return the source of any encoder; those of the hub are downloaded if that is allowed.

    Raises:
        UsageError: No encoder has this name, or the file does not exist.
        EncoderError: An encoder of the hub cannot be used.
    """
    name = None if os.fspath(encoder) in bundled_encoders() else hub_name(os.fspath(encoder))
    if name is None:
        return local_source(encoder)
    return hub_source(name, options, install=install, on_progress=on_progress)


def _identity(path: Path, options: EncoderOptions, output: str) -> str:
    """Return a digest of the weights, the options, and the output if the graph has several."""
    digest = hashlib.sha256()
    for file in graph_files(path):
        update_from_file(digest.update, file)
    given: dict[str, Any] = {key: value for key, value in asdict(options).items() if value is not None}
    # The output that is used, whether it was requested or chosen by default.
    given.pop("output", None)
    if output:
        given["output"] = output
    if given:
        digest.update(json.dumps(given, sort_keys=True).encode())
    return digest.hexdigest()
