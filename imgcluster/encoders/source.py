"""Where an encoder comes from: its files, and what is known of it besides its graph."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from imgcluster.encoders.named_encoders import NamedEncoder
from imgcluster.encoders.precision import split_precision
from imgcluster.encoders.registry import find_encoder, is_file_name, precision_files
from imgcluster.options import EncoderOptions
from imgcluster.types import Precision

__all__ = ["EncoderSource", "filled_in", "local_source", "with_defaults"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSource:
    """An encoder's files, and what is known of it besides its graph.

    Attributes:
        name: The name that ``--encoder`` finds it by, or the stem of its file.
        precisions: The precisions that it has files of, the highest first; at least one.
        file_of: Returns the file of a precision, after downloading it if that is needed.
        reference: The full-precision vectors of `precision.reference_images`, as text; empty if they are not known.
        checked: Whether int8 can be checked with reference vectors; without them ``auto`` does not choose it.
        defaults: What replaces options that are not given.
        facts: Fields of `metadata.EncoderInfo` for files without imgcluster's metadata.
        row: The row of `NAMED_ENCODERS` that the graph must fit to, if it is one of them.
        from_hub: Whether its outputs have the names of transformers.
    """

    name: str
    precisions: tuple[Precision, ...]
    file_of: Callable[[Precision], Path]
    reference: str = ""
    checked: bool = True
    defaults: EncoderOptions = field(default_factory=EncoderOptions)
    facts: Mapping[str, Any] = field(default_factory=dict)
    row: NamedEncoder | None = None
    from_hub: bool = False


def local_source(encoder: str | os.PathLike[str]) -> EncoderSource:
    """Return the source of a bundled encoder or one of the user, given by name or file.

    Raises:
        UsageError: No encoder has this name, or the file does not exist.
    """
    path = find_encoder(encoder)
    if is_file_name(os.fspath(encoder)):
        precision = split_precision(path.stem)[1]
        return EncoderSource(name=path.stem, precisions=(precision,), file_of=lambda _: path)
    files = precision_files(path)
    return EncoderSource(name=os.fspath(encoder), precisions=tuple(files), file_of=files.__getitem__)


def with_defaults(options: EncoderOptions, defaults: EncoderOptions) -> EncoderOptions:
    """Return the options with those that are not given replaced by `defaults`.

    The size of the first of two resizing steps belongs to the rule and the input size: it is kept only with these.
    """
    filled = filled_in(options, defaults)
    if options.resize_edge is None and (options.resize is not None or options.image_size is not None):
        return replace(filled, resize_edge=None)
    return filled


def filled_in(options: EncoderOptions, defaults: EncoderOptions) -> EncoderOptions:
    """Return the options with every one that is not given replaced by that of `defaults`."""
    missing = [entry.name for entry in fields(options) if getattr(options, entry.name) is None]
    return replace(options, **{name: getattr(defaults, name) for name in missing})
