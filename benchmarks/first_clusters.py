"""Accuracy of the first clusters of DEC: those of the neighbor graph of codes, on MNIST's 60,000 training images."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.common import data_folder, machine
from imgcluster.encoders.encoder import PixelEncoder
from imgcluster.encoders.registry import find_encoder
from imgcluster.evaluation.external import score
from imgcluster_training.data.datasets import load_dataset
from imgcluster_training.deep_clustering.initial_clusters import graph_clusters

ENCODERS = ("a-mnist", "mnist-16")
BATCH = 500


def main() -> None:
    print(machine())
    digits = load_dataset("mnist", data_dir=data_folder())
    images = digits.train.take(np.arange(len(digits.train)))
    for name in ENCODERS:
        encoder = PixelEncoder(find_encoder(name), device="cpu")
        starts = range(0, len(images), BATCH)
        codes = np.concatenate([encoder.encode(images[start : start + BATCH]) for start in starts])
        labels = graph_clusters(torch.from_numpy(codes), 10, encoder.info.metric, seed=0).numpy()
        print(f"{name:10} {score(labels, digits.train_labels.astype(str).tolist()).accuracy:.3f}")


if __name__ == "__main__":
    main()
