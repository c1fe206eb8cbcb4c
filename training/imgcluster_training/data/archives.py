"""Readers of the files in which MNIST, Fashion-MNIST and CIFAR-10 are published.

The files are not trusted: a wrong magic number or length is an error that names the file, and Python pickles are read
by an unpickler that can create arrays and texts only.
"""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.images.decode import UnreadableImage, decode, quiet_decoders
from imgcluster.images.types import InputSpec
from imgcluster.types import Pixels
from imgcluster_training.errors import DatasetError

__all__ = ["Labels", "read_cifar_binary", "read_cifar_python", "read_idx", "read_image_zip"]

Labels = npt.NDArray[np.int64]

_IDX_UINT8: Final = 0x08
_CIFAR_SIDE: Final = 32
_CIFAR_RECORD: Final = 1 + 3 * _CIFAR_SIDE**2


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Return the ``uint8`` array in an IDX file, plain or gzipped, in the shape that the file gives.

    Raises:
        DatasetError: The file is damaged, or is not an IDX file of bytes.
    """
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read: {error}; download it again") from None
    if len(data) < 4 or data[:3] != bytes((0, 0, _IDX_UINT8)):
        raise DatasetError(f"{path} is not an IDX file of bytes (it starts with {data[:4]!r}); download it again")
    dimensions = data[3]
    start = 4 + 4 * dimensions
    if len(data) < start:
        raise DatasetError(f"{path} ends within its header; download it again")
    shape = struct.unpack(f">{dimensions}I", data[4:start])
    expected = int(np.prod(shape, dtype=np.uint64))
    if len(data) - start != expected:
        raise DatasetError(
            f"{path} contains {len(data) - start} values, but its header says {expected}; download it again"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)


def read_cifar_binary(archive: Path | list[Path]) -> dict[str, tuple[Pixels, Labels]]:
    """Return CIFAR-10's ``train`` and ``test`` images, ``uint8 (n, 32, 32, 3)``, and labels, from its binary version.

    `archive` is ``cifar-10-binary.tar.gz``, or the ``.bin`` files from it.

    Raises:
        DatasetError: A batch is missing or damaged.
    """
    batches = _members(archive, ".bin")
    parts: dict[str, list[tuple[Pixels, Labels]]] = {"train": [], "test": []}
    for name, data in sorted(batches.items()):
        if len(data) == 0 or len(data) % _CIFAR_RECORD:
            raise DatasetError(f"{name} is not a CIFAR-10 batch: its size is not a multiple of {_CIFAR_RECORD} bytes")
        records = np.frombuffer(data, dtype=np.uint8).reshape(-1, _CIFAR_RECORD)
        pixels = _planes_to_images(records[:, 1:])
        parts["test" if "test" in name else "train"].append((pixels, records[:, 0].astype(np.int64)))
    return _joined(parts, "data_batch_1.bin … data_batch_5.bin and test_batch.bin")


def read_cifar_python(archive: Path | list[Path]) -> dict[str, tuple[Pixels, Labels]]:
    """Return what `read_cifar_binary` does, from ``cifar-10-python.tar.gz`` or the ``…_batch`` files in it.

    Raises:
        DatasetError: A batch is missing or damaged, or its pickle contains more than arrays and texts.
    """
    batches = {name: data for name, data in _members(archive, "").items() if "_batch" in name}
    parts: dict[str, list[tuple[Pixels, Labels]]] = {"train": [], "test": []}
    for name, data in sorted(batches.items()):
        content = _unpickle(data, name)
        try:
            planes = np.asarray(content[b"data"], dtype=np.uint8).reshape(-1, _CIFAR_RECORD - 1)
            labels = np.asarray(content[b"labels"], dtype=np.int64).reshape(len(planes))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise DatasetError(
                f"{name} is not a CIFAR-10 batch: it lacks images, or a label for each; download it again"
            ) from None
        parts["test" if "test" in name else "train"].append((_planes_to_images(planes), labels))
    return _joined(parts, "data_batch_1 … data_batch_5 and test_batch")


def read_image_zip(path: Path, spec: InputSpec) -> dict[str, tuple[Pixels, Labels, tuple[str, ...]]]:
    """Return images, labels and class names by part of a zip of ``PART/CLASS/NAME`` image files.

    Files are read in sorted order; a class's label is its index among the sorted class names.

    Raises:
        DatasetError: The zip or an image in it is damaged, or its names have another form.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in sorted(archive.namelist()) if not name.endswith("/")}
    # zipfile raises RuntimeError for what is encrypted, or compressed in a way that it does not know.
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read: {error}; download it again") from None
    paths = [PurePosixPath(name) for name in files]
    if not paths or any(len(item.parts) != 3 for item in paths):
        raise DatasetError(f"{path} must contain image files named PART/CLASS/NAME, such as train/cat/0001.jpg")

    def pixels(item: tuple[str, bytes]) -> Pixels:
        try:
            return decode(item[1], spec).pixels
        except UnreadableImage as error:
            raise DatasetError(f"{item[0]} in {path}: {error}; download it again") from None

    with quiet_decoders(), ThreadPoolExecutor() as pool:
        images = np.stack(list(pool.map(pixels, files.items(), chunksize=256)))
    result = {}
    for part in sorted({item.parts[0] for item in paths}):
        chosen = [number for number, item in enumerate(paths) if item.parts[0] == part]
        classes = tuple(sorted({paths[number].parts[1] for number in chosen}))
        labels = np.array([classes.index(paths[number].parts[1]) for number in chosen], dtype=np.int64)
        result[part] = (images[chosen], labels, classes)
    return result


def _members(archive: Path | list[Path], suffix: str) -> dict[str, bytes]:
    try:
        if isinstance(archive, list):
            return {path.name: path.read_bytes() for path in archive}
        with tarfile.open(archive) as tar:
            # Nothing is unpacked, so that names in the archive cannot write outside of it.
            return {
                PurePosixPath(item.name).name: opened.read()
                for item in tar
                if item.isfile() and item.name.endswith(suffix) and (opened := tar.extractfile(item)) is not None
            }
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        name = archive[0].parent if isinstance(archive, list) else archive
        raise DatasetError(f"{name} cannot be read: {error}; download it again") from None


def _planes_to_images(planes: npt.NDArray[np.uint8]) -> Pixels:
    images = planes.reshape(-1, 3, _CIFAR_SIDE, _CIFAR_SIDE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images)


def _joined(parts: dict[str, list[tuple[Pixels, Labels]]], required: str) -> dict[str, tuple[Pixels, Labels]]:
    if not parts["train"] or not parts["test"]:
        raise DatasetError(f"CIFAR-10 is incomplete: {required} are required")
    return {
        name: (
            np.concatenate([pixels for pixels, _ in batches]),
            np.concatenate([labels for _, labels in batches]),
        )
        for name, batches in parts.items()
    }


class _ArraysOnly(pickle.Unpickler):
    """An unpickler for NumPy arrays; any other name is refused."""

    def find_class(self, module: str, name: str) -> Any:
        # NumPy 2 moved `core` to `_core`.
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _reconstruct
        if module == "numpy" and name == "ndarray":
            return np.ndarray
        if module == "numpy" and name == "dtype":
            return np.dtype
        # For byte strings from Python 2; no other attribute of `_codecs` is accessible.
        if module == "_codecs" and name == "encode":
            return _latin1
        raise DatasetError(f"the pickle contains {module}.{name}, which no data set needs; do not trust this file")


def _reconstruct(subtype: Any, shape: Any, code: Any) -> npt.NDArray[Any]:
    if subtype is not np.ndarray:
        raise DatasetError(f"the pickle creates a {subtype!r} instead of an array; do not trust this file")
    # A placeholder: the array's state, which follows, sets shape and type.
    return np.empty(shape, dtype=np.uint8)


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise DatasetError(f"the pickle uses the encoding {encoding!r}, which no data set needs")
    return text.encode("latin1")


def _unpickle(data: bytes, name: str) -> dict[bytes, Any]:
    try:
        content = _ArraysOnly(io.BytesIO(data), encoding="bytes").load()
    except DatasetError as error:
        raise DatasetError(f"{name}: {error}") from None
    # Damaged pickles raise any kind of exception.
    except Exception as error:
        raise DatasetError(f"{name} is damaged: {error}; download it again") from None
    if not isinstance(content, dict):
        raise DatasetError(f"{name} is not a CIFAR-10 batch: it contains a {type(content).__name__}; download it again")
    return content
