"""The request of `embed`: what it is to embed, with which encoder, into which workspace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from imgcluster.encoders import PixelEncoder
from imgcluster.fileio.path_text import to_text
from imgcluster.images.find import Finder
from imgcluster.options import EmbedOptions
from imgcluster.workspace.folder import Workspace

__all__ = ["EmbedRequest", "encoder_record"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedRequest:
    """What `embed` is to do.

    Attributes:
        workspace: The workspace.
        finder: The search for files.
        model: The encoder.
        options: The options.
        paths: The requested paths, as absolute texts.
        listed: The number of further files.
        files_digest: The digest of their list; "" for an empty list.
        workers: The number of images that are read at the same time.
    """

    workspace: Workspace
    finder: Finder
    model: PixelEncoder
    options: EmbedOptions
    paths: list[str]
    listed: int
    files_digest: str
    workers: int

    def with_moved(self, locations: Iterable[str]) -> EmbedRequest:
        """Return the request with the absolute paths of the files that ``--place move`` moved."""
        return replace(self, finder=replace(self.finder, moved=frozenset(locations)))

    @property
    def batch_size(self) -> int:
        """The number of images that are encoded at once."""
        return self.model.batch_size if self.options.batch_size is None else self.options.batch_size

    @property
    def record(self) -> dict[str, Any]:
        """What the manifest records of the options."""
        options = self.options
        encoder_options = asdict(options.encoder_options)
        return {
            "paths": self.paths,
            "device_asked": options.device,
            "precision_asked": options.precision,
            "batch_size": self.batch_size,
            "workers": self.workers,
            "exclude": list(options.exclude),
            "recursive": options.recursive,
            "listed": self.listed,
            "options": {key: value for key, value in encoder_options.items() if value is not None},
        }

    @property
    def encoder_record(self) -> dict[str, Any]:
        """What the manifest records of the encoder."""
        return encoder_record(self.model)


def encoder_record(model: PixelEncoder) -> dict[str, Any]:
    """Return what the manifest records of an encoder."""
    return {"identity": model.identity, "file": to_text(model.path), **model.info.by_stored_name()}
