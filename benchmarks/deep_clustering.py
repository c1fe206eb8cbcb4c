"""Whether other settings of the stages of `clusters-grey` give better clusters, by MNIST's labels.

The autoencoder is trained once; each variant continues from it. Accuracy on all 70,000 images with 10 clusters: of
k-means on the codes, and as `imgcluster cluster --k 10` finds them.
`python -m benchmarks.deep_clustering [VARIANT …] [--seed N]`
"""

from __future__ import annotations

import argparse
import copy
import time
from typing import Any

import numpy as np
import torch

from benchmarks.common import data_folder, machine
from imgcluster.evaluation.external import score
from imgcluster.features.normalize import l2_normalize
from imgcluster_training.data.datasets import load_dataset
from imgcluster_training.data.splits import split_images
from imgcluster_training.deep_clustering.initial_clusters import graph_clusters, kmeans
from imgcluster_training.deep_clustering.refine import refine
from imgcluster_training.fit.autoencoder import fit
from imgcluster_training.fit.loop import RunSettings
from imgcluster_training.models.autoencoder import model_for
from imgcluster_training.models.encode import encode
from imgcluster_training.recipe.parser import load_recipe, with_changes

RECIPE = load_recipe("clusters-grey")
NEIGHBORS = dict(RECIPE.cluster.stages[0])
LARGER = [{"type": "affine", "degrees": 20, "translate": 0.15, "scale": 0.2, "shear": 16}]

VARIANTS: dict[str, list[dict[str, Any]]] = {
    "as it is: 1 epoch of warm-up, 3 of agreement, 1 of self-labels": [NEIGHBORS],
    "2, 8 and 6 epochs": [{**NEIGHBORS, "warm_up": 2, "epochs": 8, "self_label": 6}],
    "1, 3 and 6 epochs": [{**NEIGHBORS, "self_label": 6}],
    "4, 1 and 8 epochs": [{**NEIGHBORS, "warm_up": 4, "epochs": 1, "self_label": 8}],
    "2, 4 and 6 epochs, entropy 1": [{**NEIGHBORS, "warm_up": 2, "epochs": 4, "self_label": 6, "entropy": 1.0}],
    "12 contrastive epochs before": [{"type": "contrastive", "epochs": 12, "augmentation": LARGER}, NEIGHBORS],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variants", nargs="*", default=VARIANTS)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{machine()}, torch {torch.__version__}, 1 thread, seed {arguments.seed}")
    split = split_images(load_dataset("mnist", data_dir=data_folder()), RECIPE)
    assert split.train_labels is not None
    assert split.test_labels is not None
    labels = np.concatenate([split.train_labels, split.test_labels]).astype(str).tolist()
    run = RunSettings(device=torch.device("cpu"))
    autoencoder = model_for(RECIPE, split.train.shape, seed=arguments.seed)
    fit(autoencoder, split, RECIPE, run, seed=arguments.seed)
    for variant in arguments.variants:
        changed = with_changes(RECIPE, cluster={"stages": VARIANTS[variant]})
        model, start = copy.deepcopy(autoencoder), time.process_time()
        refine(model, split.train, changed, run, seed=arguments.seed)
        seconds = time.process_time() - start
        codes = torch.cat([encode(model, images, RECIPE, run.device) for images in (split.train, split.test)])
        plain = kmeans(l2_normalize(codes.numpy()), 10, seed=arguments.seed)
        graph = graph_clusters(codes, 10, RECIPE.metric, seed=arguments.seed).numpy()
        scores = ", ".join(f"{score(found, labels).accuracy:.4f}" for found in (plain, graph))
        print(f"{variant}: {scores}, {seconds:.0f} s of processor time", flush=True)


if __name__ == "__main__":
    main()
