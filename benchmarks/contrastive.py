"""How good neighbors and clusters are among the codes of a contrastive stage, by CIFAR-10's labels.

For each checkpoint of the stage (`stage-1-contrastive.pt`): the share of the ten nearest neighbors with the same label,
and the accuracy of ten clusters of k-means and of the neighbor graph, on the training images. With `--heads N` also N
linear heads that are trained on the codes until neighbors agree (SCAN without changing the encoder): whether the lowest
loss tells the best one. `python -m benchmarks.contrastive CHECKPOINT … [--heads N]`
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.common import data_folder, machine
from imgcluster.evaluation.external import score
from imgcluster.features.normalize import l2_normalize
from imgcluster_training.data.datasets import load_dataset
from imgcluster_training.data.splits import split_images
from imgcluster_training.deep_clustering.initial_clusters import graph_clusters, kmeans, nearest_neighbors
from imgcluster_training.deep_clustering.neighbors import agreement
from imgcluster_training.models.autoencoder import model_for
from imgcluster_training.models.encode import encode
from imgcluster_training.recipe.parser import load_recipe

RECIPE = load_recipe("clusters-colour")
CLUSTERS = 10
EPOCHS, BATCH, RATE, SCALE, ENTROPY = 10, 512, 3e-3, 10.0, 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--heads", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{machine()}, torch {torch.__version__}, 1 thread")
    split = split_images(load_dataset("cifar10", data_dir=data_folder()), RECIPE)
    labels = np.asarray(split.train_labels)
    named = labels.astype(str).tolist()
    model = model_for(RECIPE, split.train.shape, seed=0)
    for path in arguments.checkpoints:
        state = torch.load(path, weights_only=True)
        prefix = "encoder."
        weights = {key.removeprefix(prefix): value for key, value in state["task"].items() if key.startswith(prefix)}
        model.encoder.load_state_dict(weights)
        codes = encode(model, split.train, RECIPE, torch.device("cpu"))
        near = nearest_neighbors(codes, 20)
        purity = (labels[near[:, :10].numpy()] == labels[:, None]).mean()
        directions = l2_normalize(codes.numpy())
        plain = kmeans(directions, CLUSTERS, seed=0)
        graph = graph_clusters(codes, CLUSTERS, RECIPE.metric, seed=0).numpy()
        accuracies = [score(found, named).accuracy for found in (plain, graph)]
        print(
            f"{len(state['history'])} epochs: purity {purity:.3f}, k-means {accuracies[0]:.3f}, "
            f"graph {accuracies[1]:.3f}",
            flush=True,
        )
        values = torch.from_numpy(l2_normalize(directions - directions.mean(axis=0)))
        heads = sorted(_head(values, near, seed) for seed in range(arguments.heads))
        for loss, found in heads:
            print(f"  head: loss {loss:.4f}, accuracy {score(np.array(found), named).accuracy:.3f}", flush=True)


def _head(values: Tensor, near: Tensor, seed: int) -> tuple[float, list[int]]:
    """Train directions of clusters, from those of random images; return the loss over all neighbors, and clusters."""
    torch.manual_seed(seed)
    directions = torch.nn.Parameter(values[torch.randperm(len(values))[:CLUSTERS]].clone())
    optimizer = torch.optim.Adam([directions], lr=RATE)

    def logits(some: Tensor) -> Tensor:
        return SCALE * some @ torch.nn.functional.normalize(directions, dim=1).T

    steps = len(values) // BATCH
    for epoch in range(EPOCHS):
        order = torch.randperm(len(values))[: steps * BATCH].split(BATCH)
        for step, batch in enumerate(order):
            optimizer.param_groups[0]["lr"] = RATE * (1 - (epoch * steps + step) / (EPOCHS * steps))
            drawn = near[batch, torch.randint(near.shape[1], (len(batch),))]
            optimizer.zero_grad()
            agreement(logits(values[batch]), logits(values[drawn]), ENTROPY).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    with torch.no_grad():
        final = logits(values)
        loss = np.mean([agreement(final, final[near[:, rank]], ENTROPY).item() for rank in range(near.shape[1])])
    return float(loss), final.argmax(dim=1).tolist()


if __name__ == "__main__":
    main()
