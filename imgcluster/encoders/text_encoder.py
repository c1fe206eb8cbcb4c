"""The text part of an encoder: texts in, vectors out that are compared with those of images."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.encoders.device_names import split_devices
from imgcluster.encoders.devices import open_session, run_limited
from imgcluster.encoders.hub_source import TextSource
from imgcluster.encoders.onnx_graph import check_graph
from imgcluster.errors import EncoderError, one_line
from imgcluster.fileio.atomic import atomic_path
from imgcluster.optional import UnavailablePackage, import_optional
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.types import Vectors

__all__ = ["WORD_VECTORS", "TextEncoder"]

_BATCH: Final = 32
_TYPES: Final = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}

WORD_VECTORS: Final = "words-*.npy"
"""The cached vectors of vocabularies in the folder of an encoder."""


class TextEncoder:
    """The text part of an encoder that has run on its device.

    Texts become tokens as in the training of the model: in lower case, cut and padded to a fixed number of tokens.

    Args:
        name: The name of the encoder.
        source: Its files.
        embedding_size: Values per image, which must be those per text.
        device: As that of the encoder; of several, the first one runs.

    Attributes:
        device: The device it runs on.

    Raises:
        EncoderError: A file cannot be read, or the graph is not that of the text part of this encoder.
        DeviceError: The named device does not run here.
    """

    def __init__(self, name: str, source: TextSource, *, embedding_size: int, device: str = "auto") -> None:
        self._name, self._source, self._size = name, source, embedding_size
        self._tokenizer = _read_tokenizer(source)
        # With dynamic quantization, the vector of a text depends on the others in its batch.
        self._batch = 1 if check_graph(source.model).depends_on_batch else _BATCH
        opened = open_session(source.model, split_devices(device)[0], self._inspect)
        self._session = opened.session
        self.device = opened.device

    def encode(self, texts: Sequence[str], on_progress: OnProgress = ignore_progress) -> Vectors:
        """Return the vectors of texts, ``float32 (n, embedding_size)`` of length 1.

        Raises:
            EncoderError: The model fails.
        """
        vectors = np.empty((len(texts), self._size), dtype=np.float32)
        for start in range(0, len(texts), self._batch):
            part = slice(start, start + self._batch)
            try:
                vectors[part] = self._run(self._session, texts[part])
            except Exception as error:
                raise EncoderError(
                    f"the text part of encoder {self._name} failed on {self.device}: {one_line(error)[:300]}"
                ) from None
            on_progress(Progress("texts", min(part.stop, len(texts)), len(texts)))
        if not np.isfinite(vectors).all():
            raise EncoderError(f"the text part of encoder {self._name} returns values that are not finite numbers")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)

    def encode_words(self, words: Sequence[str], on_progress: OnProgress = ignore_progress) -> Vectors:
        """Return the vectors of words, each put into the encoder's prompt; those of a vocabulary are kept.

        Raises:
            EncoderError: The model fails.
        """
        prompts = [self.prompt(word) for word in words]
        digest = hashlib.sha256("\n".join([self._source.digest, *prompts]).encode()).hexdigest()[:16]
        path = self._source.folder / WORD_VECTORS.replace("*", digest)
        cached = _read_vectors(path, (len(words), self._size))
        if cached is not None:
            return cached
        vectors = self.encode(prompts, on_progress)
        # The folder may be one that several users share and only read.
        with contextlib.suppress(OSError), atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, vectors, allow_pickle=False)
        return vectors

    def prompt(self, word: str) -> str:
        """Return the sentence for a word that is compared with images."""
        return self._source.tower.prompt.format(word)

    def _inspect(self, session: Any) -> None:
        """Check the inputs, the output and, with a trial text, the size."""
        output = self._source.tower.output
        inputs = {entry.name: entry.type for entry in session.get_inputs()}
        outputs = [entry.name for entry in session.get_outputs()]
        extra = set(inputs) - {"input_ids", "attention_mask"}
        if "input_ids" not in inputs or extra or not set(inputs.values()) <= set(_TYPES) or output not in outputs:
            listed = ", ".join(f"{name} ({kind})" for name, kind in inputs.items())
            raise EncoderError(
                f"the text part of encoder {self._name} has the input input_ids (int64) and the output {output}; the "
                f"graph {self._source.model} has the inputs {listed} and the outputs {', '.join(outputs)}"
            )
        self._inputs = {name: _TYPES[kind] for name, kind in inputs.items()}
        shape = self._run(session, ["a photo"]).shape
        if shape != (1, self._size):
            raise EncoderError(
                f"the images of encoder {self._name} have {self._size} values, its texts {shape[-1]} "
                f"({self._source.model}): the two do not belong together"
            )

    def _run(self, session: Any, texts: Sequence[str]) -> npt.NDArray[Any]:
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        # Padding is not masked: SigLIP was trained so, and the causal attention of CLIP never sees it.
        values = {name: np.ones(np.shape(tokens), dtype=kind) for name, kind in self._inputs.items()}
        values["input_ids"] = np.array(tokens, dtype=self._inputs["input_ids"])
        (output,) = run_limited(session, [self._source.tower.output], values)
        return np.asarray(output)


def _read_tokenizer(source: TextSource) -> Any:
    """Return the tokenizer, which lowers the case, and cuts and pads to the fixed number of tokens.

    Raises:
        EncoderError: The package tokenizers is missing, the file cannot be read, or lacks the padding token.
    """
    try:
        tokenizers = import_optional("tokenizers")
    except UnavailablePackage as error:
        raise EncoderError(f"text cannot be split into tokens: {error}") from None
    path, tower = source.tokenizer, source.tower
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    # The package raises plain exceptions.
    except Exception as error:
        raise EncoderError(f"{path} is not a readable tokenizer: {one_line(error)[:200]}") from None
    padding = tokenizer.token_to_id(tower.padding)
    if padding is None:
        raise EncoderError(f"{path} has no token {tower.padding}: it is not the tokenizer of this encoder")
    lower = tokenizers.normalizers.Lowercase()
    own = tokenizer.normalizer
    tokenizer.normalizer = tokenizers.normalizers.Sequence([lower, own]) if own else lower
    tokenizer.enable_truncation(tower.length)
    tokenizer.enable_padding(length=tower.length, pad_id=padding, pad_token=tower.padding)
    return tokenizer


def _read_vectors(path: Path, shape: tuple[int, int]) -> Vectors | None:
    """Return cached vectors; None if there are none, or they are damaged."""
    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return vectors if vectors.shape == shape and vectors.dtype == np.float32 and np.isfinite(vectors).all() else None
