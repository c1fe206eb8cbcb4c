"""From ``preprocessor_config.json`` of the image processors of transformers to `EncoderOptions`.

The reference is ``transformers/image_processing_backends.py`` and the processor of each model there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from imgcluster.errors import EncoderError, UsageError, one_line
from imgcluster.fileio.regular import read_text
from imgcluster.fileio.schema import parse_json
from imgcluster.options import EncoderOptions

__all__ = ["compare_preprocessing", "read_preprocessing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Processor:
    """The defaults of an image processor.

    Attributes:
        square: Whether a `size` that is one number means both sides; else it means the shorter one.
        crop: The default of `do_center_crop`.
        resample: Pillow's number of the filter.
    """

    square: bool = False
    crop: bool = False
    resample: int = 3


_PROCESSORS: Final = {
    "BeitImageProcessor": _Processor(square=True),
    "BitImageProcessor": _Processor(crop=True),
    "BlipImageProcessor": _Processor(square=True),
    "ChineseCLIPImageProcessor": _Processor(crop=True),
    "CLIPImageProcessor": _Processor(crop=True),
    "ConvNextImageProcessor": _Processor(),
    "DeiTImageProcessor": _Processor(square=True, crop=True),
    "DINOv3ViTImageProcessor": _Processor(square=True, resample=2),
    "SiglipImageProcessor": _Processor(),
    "ViTImageProcessor": _Processor(square=True, resample=2),
}
_FILTERS: Final = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
_UNSUPPORTED_STEPS: Final = ("do_flip_channel_order", "do_pad")
_CONVNEXT_CROP: Final = 224 / 256
_CONVNEXT_STRETCH: Final = 384


def read_preprocessing(path: Path) -> EncoderOptions:
    """Return the preprocessing that the file at `path` states.

    Raises:
        EncoderError: It is not a file of a known image processor, or states what is not supported.
    """
    try:
        config = parse_json(read_text(path), {str: object})
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read: it is not a JSON object ({one_line(error)})") from None
    try:
        return _options(config)
    except _Unsupported as reason:
        raise EncoderError(
            f"{path} is not supported: {reason}; say it yourself with --image-size, --resize, --mean and --std"
        ) from None
    except (KeyError, TypeError, ValueError, OverflowError, UsageError) as error:
        raise EncoderError(
            f"{path} has an unexpected value ({error}); give --image-size, --resize, --mean and --std"
        ) from None


class _Unsupported(Exception):  # noqa: N818 - a result about a file more than an error of the program
    """A step that `EncoderOptions` cannot express."""


def compare_preprocessing(name: str, row: EncoderOptions, repository: EncoderOptions) -> None:
    """Check that a named encoder's preprocessing is that of its repository.

    Raises:
        EncoderError: They differ; it shows both.
    """
    ours, theirs = asdict(row), asdict(repository)
    different = [
        key
        for key, value in ours.items()
        if value is not None and theirs[key] is not None and not _same(value, theirs[key])
    ]
    if different:
        shown = (", ".join(f"{key} {side[key]}" for key in different) for side in (ours, theirs))
        raise EncoderError("encoder {} has {}; preprocessor_config.json of its repository has {}".format(name, *shown))


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, tuple):
        return len(first) == len(second) and all(map(_same, first, second))
    return math.isclose(first, second, rel_tol=1e-6) if isinstance(first, float) else bool(first == second)


def _options(config: Mapping[str, Any]) -> EncoderOptions:
    name = _name_of_processor(config)
    processor = _PROCESSORS[name]
    for step in _UNSUPPORTED_STEPS:
        if config.get(step):
            raise _Unsupported(f"{step} is true")
    scale = float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0
    mean: Any = (0.0,)
    std: Any = (1.0,)
    if config.get("do_normalize", True):
        if "image_mean" not in config or "image_std" not in config:
            raise _Unsupported("it has no image_mean or image_std")
        mean, std = config["image_mean"], config["image_std"]
    resample = config.get("resample", processor.resample)
    if resample not in _FILTERS:
        raise _Unsupported(f"resample is {resample}, known are {', '.join(map(str, _FILTERS))}")
    resizing = _convnext_resizing(config) if name == "ConvNextImageProcessor" else _resizing(config, processor)
    return EncoderOptions(mean=mean, std=std, scale=scale, resample=_FILTERS[resample], **resizing)


def _name_of_processor(config: Mapping[str, Any]) -> str:
    """Return the type of the image processor without the suffixes of its variants."""
    stated = config.get("image_processor_type") or config.get("feature_extractor_type") or ""
    name = str(stated).removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor")
    if name not in _PROCESSORS:
        raise _Unsupported(f"its image processor is {stated or 'not named'}, known are {', '.join(_PROCESSORS)}")
    return name


def _resizing(config: Mapping[str, Any], processor: _Processor) -> dict[str, Any]:
    """Return the options `resize`, `image_size` and `resize_edge`."""
    size = _size(config, square=processor.square)
    crop = config.get("crop_size") if config.get("do_center_crop", processor.crop) else None
    if isinstance(crop, int):
        crop = {"height": crop, "width": crop}
    if "shortest_edge" in size:
        if crop is None:
            raise _Unsupported("images keep their aspect ratio, and no center crop makes them one size")
        return {"resize": "crop", "image_size": (crop["width"], crop["height"]), "resize_edge": size["shortest_edge"]}
    width, height = size["width"], size["height"]
    if crop is None or (crop["width"], crop["height"]) == (width, height):
        return {"resize": "stretch", "image_size": (width, height)}
    if width != height:
        raise _Unsupported(f"size is {size} before a center crop")
    return {"resize": "stretch", "image_size": (crop["width"], crop["height"]), "resize_edge": width}


def _convnext_resizing(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same for ConvNeXT, whose size is that after the crop."""
    edge = _size(config, square=False).get("shortest_edge")
    if edge is None:
        raise _Unsupported("size has no shortest_edge")
    if edge >= _CONVNEXT_STRETCH:
        return {"resize": "stretch", "image_size": (edge, edge)}
    resize_edge = int(edge / (config.get("crop_pct") or _CONVNEXT_CROP))
    return {"resize": "crop", "image_size": (edge, edge), "resize_edge": resize_edge}


def _size(config: Mapping[str, Any], *, square: bool) -> dict[str, int]:
    """Return `size` with either the key `shortest_edge`, or `height` and `width`."""
    if not config.get("do_resize", True):
        raise _Unsupported("do_resize is false, so that images have no common size")
    size = config["size"]
    if isinstance(size, int):
        return {"height": size, "width": size} if square else {"shortest_edge": size}
    if set(size) not in ({"shortest_edge"}, {"height", "width"}):
        raise _Unsupported(f"size is {size}")
    return dict(size)
