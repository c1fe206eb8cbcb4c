"""K-means on the pixels of MNIST's test images: the figure that reference A compares its codes with."""

from __future__ import annotations

import numpy as np

from benchmarks.common import data_folder, machine
from imgcluster_training.data.datasets import load_dataset
from imgcluster_training.reporting.scores import cluster_scores

SEEDS = range(5)


def main() -> None:
    print(machine())
    digits = load_dataset("mnist", data_dir=data_folder())
    images = digits.test.take(np.arange(len(digits.test)))
    pixels = images.reshape(len(images), -1).astype(np.float32) / 255
    found = [cluster_scores(pixels, digits.test_labels, seed=seed).majority_accuracy for seed in SEEDS]
    mean, deviation = np.mean(found), np.std(found)
    print(f"k-means on pixels, majority class: {mean:.4f} ± {deviation:.4f} over {len(found)} seeds")


if __name__ == "__main__":
    main()
