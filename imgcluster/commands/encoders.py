"""`encoders list` and `encoders info`: the available encoders and their descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from imgcluster.encoders.encoder import PixelEncoder
from imgcluster.encoders.hub_name import hub_name
from imgcluster.encoders.input_settings import resizing
from imgcluster.encoders.installed import folder_of, installation_lock, installed_encoders, pin, pinned
from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.encoders.named_encoders import NAMED_ENCODERS, NamedEncoder
from imgcluster.encoders.onnx_graph import graph_files
from imgcluster.encoders.precision import cosines, reference_images, write_reference
from imgcluster.encoders.registry import (
    bundled_folder,
    card_of,
    is_file_name,
    is_same_file,
    list_encoders,
    precision_files,
    shadowed_encoders,
)
from imgcluster.errors import EncoderError, ImgclusterError, UsageError
from imgcluster.fileio.path_text import to_text
from imgcluster.options import EncoderOptions

__all__ = ["EncoderEntry", "encoder_info", "encoder_list", "entry_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderEntry:
    """One encoder.

    Attributes:
        name: The name for ``--encoder``.
        file: The ONNX file; empty if it is not installed.
        bundled: Whether it comes with imgcluster.
        info: Its description; None if it cannot be used.
        problem: Why it cannot be used; empty if it can.
        card: Its model card (Markdown); empty if it has none.
        shadowed: Whether another encoder has the same name, so that this one must be given by its path.
        outputs: The outputs of its graph with their shapes, as text.
        installed: Whether it is on this machine; others are downloaded when they are used.
        size: The size of its files in bytes; of one that is not installed, roughly that of its fp32 file.
        precisions: The precisions that are on this machine or, of one that is not installed, in its repository.
        options: How images become the input of its graph, and its output a vector, if the graph does not say so itself;
            None if it does, or if it cannot be used.
        cosines: The least cosine of each precision's vectors with those of the highest, the first; empty if it was not
            requested.
    """

    name: str
    file: str
    bundled: bool
    info: EncoderInfo | None
    problem: str
    card: str
    shadowed: bool = False
    outputs: tuple[str, ...] = ()
    installed: bool = True
    size: int = 0
    precisions: tuple[str, ...] = ()
    options: EncoderOptions | None = None
    cosines: Mapping[str, float] = field(default_factory=dict)


def encoder_list() -> tuple[EncoderEntry, ...]:
    """Return all encoders by name: the bundled ones, the user's, those of the hub, and also those that are shadowed."""
    installed = installed_encoders()
    entries = [_file_entry(path, name, shadowed=False) for name, path in list_encoders().items()]
    entries += [_file_entry(path, name, shadowed=True) for name, path in shadowed_encoders().items()]
    entries += [_hub_entry(name) for name in installed]
    entries += [_row_entry(row) for row in NAMED_ENCODERS.values() if row.name not in installed]
    # By name, and the encoder before the one that it shadows, wherever they lie.
    return tuple(sorted(entries, key=lambda entry: (entry.name, entry.shadowed)))


def encoder_info(name: str, *, check: bool = False) -> EncoderEntry:
    """Return one encoder, by name or file.

    Args:
        name: Its name or file.
        check: Whether to compare its precisions with the highest. The fp32 vectors of an encoder of the hub are kept,
            so that ``--precision auto`` can check int8 with them.

    Raises:
        UsageError: No encoder has this name, the file does not exist, or there are no two precisions to compare.
        EncoderError: It cannot be used, or is not installed.
    """
    requested = hub_name(name)
    if requested is not None and requested.row is not None and pinned(name) is None and not check:
        return _row_entry(requested.row)
    encoder = PixelEncoder(name, device="cpu", compare=False, install=False)
    shadowed = any(is_same_file(encoder.path, path) for path in shadowed_encoders().values())
    entry = entry_of(encoder, name if requested or not is_file_name(name) else encoder.path.stem, shadowed=shadowed)
    return replace(entry, cosines=_cosines(name, encoder)) if check else entry


def entry_of(encoder: PixelEncoder, name: str, *, shadowed: bool = False) -> EncoderEntry:
    """Return the entry of an encoder that was opened."""
    requested = hub_name(name)
    record = pinned(requested.name) if requested else None
    return EncoderEntry(
        name=name,
        file=to_text(encoder.path),
        bundled=encoder.path.parent == bundled_folder(),
        info=encoder.info,
        problem="",
        card="" if record else card_of(encoder.path),
        shadowed=shadowed,
        outputs=encoder.outputs,
        size=record.size if record else _size(encoder.path),
        precisions=encoder.precisions,
        options=None if encoder.describes_itself else encoder.options,
    )


def _file_entry(path: Path, name: str, *, shadowed: bool) -> EncoderEntry:
    files = precision_files(path)
    size = sum(map(_size, files.values()))
    try:
        entry = entry_of(PixelEncoder(path, device="cpu", compare=False), path.stem, shadowed=shadowed)
        return replace(entry, name=name, size=size, precisions=tuple(files))
    except ImgclusterError as error:
        return EncoderEntry(
            name=name,
            file=to_text(path),
            bundled=path.parent == bundled_folder(),
            info=None,
            problem=str(error),
            card=card_of(path),
            shadowed=shadowed,
            size=size,
            precisions=tuple(files),
        )


def _size(path: Path) -> int:
    """Return the bytes of an ONNX file and, if it can be read, of the files that hold its weights."""
    try:
        files = graph_files(path)
    except EncoderError:
        files = (path,)
    return sum(file.stat().st_size for file in files if file.is_file())


def _hub_entry(name: str) -> EncoderEntry:
    try:
        return entry_of(PixelEncoder(name, device="cpu", compare=False, install=False), name)
    except ImgclusterError as error:
        file = to_text(folder_of(name))
        return EncoderEntry(name=name, file=file, bundled=False, info=None, problem=str(error), card="")


def _row_entry(row: NamedEncoder) -> EncoderEntry:
    """Return the entry of an encoder that is not installed."""
    assert row.options.image_size is not None
    width, height = row.options.image_size
    info = EncoderInfo(
        name=row.name,
        version="",
        embedding_size=row.embedding_size,
        metric=row.metric,
        width=width,
        height=height,
        channels=3,
        trained_on=row.trained_on,
        license=row.license,
        source=f"{row.repository} on the Hugging Face hub",
        output=row.options.output or "",
        **resizing(row.options),
    )
    return EncoderEntry(
        name=row.name,
        file="",
        bundled=False,
        info=info,
        problem="",
        card="",
        installed=False,
        size=row.megabytes * 10**6,
        precisions=tuple(row.files),
        options=row.options,
    )


def _cosines(name: str, encoder: PixelEncoder) -> dict[str, float]:
    """Return the least cosine of each precision's vectors with those of the highest, on the CPU of this machine."""
    if len(encoder.precisions) == 1:
        raise UsageError(f"{name} has only {encoder.precisions[0]} on this machine; a check needs another precision")
    info = encoder.info
    images = reference_images(info.width, info.height, info.channels)
    vectors = {
        precision: PixelEncoder(name, device="cpu", precision=precision, compare=False, install=False).encode(images)
        for precision in encoder.precisions
    }
    highest = vectors[encoder.precisions[0]]
    requested = hub_name(name)
    if requested is not None and "fp32" in vectors:
        with installation_lock():
            record = pinned(requested.name)
            assert record is not None
            pin(requested.name, replace(record, reference=write_reference(highest)))
    return {precision: round(float(cosines(embeddings, highest).min()), 6) for precision, embeddings in vectors.items()}
