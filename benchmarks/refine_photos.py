"""Whether training on a folder, without labels, makes `photos` better on that folder: ways that were tried.

Each way trains on the frozen vectors of eight views of every photograph: the framed image, its mirror image, and six
random crops. What it gives for the framed images is clustered as `imgcluster cluster --k` does, with the number of
kinds given, and compared with `photos`. Last comes what `train-encoder --refine auto` trains from nothing.
`python -m benchmarks.refine_photos [--seeds N] [--skip-scratch] [FOLDER …]`; by default the tuning sets.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from PIL import Image, ImageOps
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from torch import Tensor

from benchmarks.common import data_folder, machine
from benchmarks.scores import reduced, scored
from imgcluster import Encoder
from imgcluster.features.neighbors import nearest_neighbors
from imgcluster.features.normalize import l2_normalize
from imgcluster.features.reduce import reduce
from imgcluster.images.decode import decode
from imgcluster.images.types import InputSpec
from imgcluster.options import TrainingOptions
from imgcluster.types import Metric, Pixels
from imgcluster_training.deep_clustering.neighbors import agreement
from imgcluster_training.train import train_encoder

Floats = npt.NDArray[np.float32]
Way = Callable[[Floats, int], Floats]

CROPS = 6
AREA = 0.5
SHAPES = (3 / 4, 4 / 3)
BATCH = 256
NEIGHBORS = 10
COMPONENTS = 128


@dataclass(frozen=True)
class Case:
    """Photographs: their files, their kinds, and the vectors of their views, ``(n, 8, d)``."""

    name: str
    files: list[Path]
    kinds: npt.NDArray[np.str_]
    views: Floats


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--skip-scratch", action="store_true")
    options = parser.parse_args()
    folders = options.folders or sorted((data_folder() / "photo-sets").iterdir())
    print(f"{machine()}, torch {torch.__version__}; accuracy: mean (range) of {options.seeds} seeds", flush=True)
    started = time.perf_counter()
    cases = [embedded(folder) for folder in folders]
    print(f"views embedded in {time.perf_counter() - started:.0f} s\n")
    print(f"| trained | {' | '.join(case.name for case in cases)} | mean accuracy, NMI | s per seed |")
    print("| --- " * (len(cases) + 3) + "|")
    for title, way in WAYS.items():
        show(title, [[run(case, way, seed) for seed in range(options.seeds)] for case in cases])
    if not options.skip_scratch:
        show("`train-encoder --refine auto`, one run", [[from_nothing(case)] for case in cases])


def show(title: str, results: list[list[tuple[float, float, float]]]) -> None:
    """Print a row: accuracy of each case over the seeds, and means of accuracy, NMI and seconds."""
    values = np.array(results)
    cells = [f"{each.mean():.3f} ({each.min():.3f}–{each.max():.3f})" for each in values[:, :, 0]]
    accuracy, nmi, seconds = values.mean(axis=(0, 1))
    print(f"| {title} | {' | '.join(cells)} | {accuracy:.3f}, {nmi:.3f} | {seconds:.0f} |", flush=True)


def run(case: Case, way: Way, seed: int) -> tuple[float, float, float]:
    """Return accuracy, NMI and the seconds of the training."""
    start = time.perf_counter()
    vectors = way(centered(case.views), seed)
    return *compared(vectors, case.kinds, "cosine", seed), time.perf_counter() - start


def compared(vectors: Floats, kinds: npt.NDArray[np.str_], metric: Metric, seed: int) -> tuple[float, float]:
    found = scored(reduced(vectors, kinds, metric, seed, ""), "kmeans", len(set(kinds.tolist())))
    return found["accuracy"], found["nmi"]


def from_nothing(case: Case) -> tuple[float, float, float]:
    """Return the scores of an encoder that `train-encoder --refine auto` trains on these photographs alone."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        options = TrainingOptions(refine="auto", name="own", output=Path(folder), device="cpu")
        encoder = Encoder(train_encoder(str(case.files[0].parents[1]), options).encoder, device="cpu")
        pixels = np.stack([decode(path.read_bytes(), encoder.info.input_spec).pixels for path in case.files])
        vectors = encoder.encode(pixels)
    return *compared(vectors, case.kinds, encoder.info.metric, 0), time.perf_counter() - start


def embedded(folder: Path) -> Case:
    """Return the photographs of a folder, whose subfolders are their kinds."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    encoder = Encoder("photos", device="cpu")
    with ThreadPoolExecutor(2) as pool:
        pixels = pool.map(partial(views_of, encoder.info.input_spec), files, range(len(files)))
        views = [encoder.encode(each) for each in pixels]
    return Case(folder.name, files, np.array([path.parent.name for path in files]), np.stack(views))


def centered(views: Floats) -> Floats:
    """Return vectors of views as `cluster` normalizes them: of length 1, centered, of length 1 again."""
    result = views / np.linalg.norm(views, axis=2, keepdims=True)
    result -= result[:, 0].mean(axis=0)
    return np.asarray(result / np.linalg.norm(result, axis=2, keepdims=True), dtype=np.float32)


def views_of(spec: InputSpec, path: Path, seed: int) -> Pixels:
    """Return the framed image, its mirror image, and random crops that may be mirrored."""
    generator = np.random.default_rng(seed)
    content = path.read_bytes()
    framed = decode(content, spec).pixels
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    views = [framed, framed[:, ::-1]]
    for _ in range(CROPS):
        # Of a random shape, as far as the image has room for it.
        share, shape = generator.uniform(AREA, 1), np.exp(generator.uniform(*np.log(SHAPES)))
        width = min(np.sqrt(image.width * image.height * share * shape), image.width)
        height = min(np.sqrt(image.width * image.height * share / shape), image.height)
        left, upper = generator.uniform(0, image.width - width), generator.uniform(0, image.height - height)
        box = (left, upper, left + width, upper + height)
        crop = np.asarray(image.resize((spec.width, spec.height), Image.Resampling.BICUBIC, box=box))
        views.append(crop[:, ::-1] if generator.random() < 0.5 else crop)
    return np.ascontiguousarray(np.stack(views))


def ridge(inputs: Floats, targets: Floats, strength: float) -> Callable[[Floats], Floats]:
    """Return the linear map from ``(n, v, d)`` views to one target each, ``(n, k)``, by ridge regression."""
    rows = inputs.reshape(-1, inputs.shape[2]).astype(np.float64)
    means, offsets = rows.mean(axis=0), targets.mean(axis=0)
    rows -= means
    squares = rows.T @ rows
    squares[np.diag_indices(len(squares))] += strength * np.trace(squares) / len(rows)
    sums = (rows.reshape(*inputs.shape[:2], -1).sum(axis=1)).T @ (targets - offsets)
    weights = cho_solve(cho_factor(squares), sums)
    return lambda vectors: np.asarray((vectors - means) @ weights + offsets, dtype=np.float32)


def to_mean_of_views(views: Floats, seed: int) -> Floats:
    return ridge(views, views.mean(axis=1), 0.1)(views[:, 0])


def to_diffusion_map(views: Floats, seed: int) -> Floats:
    mapped = reduce(l2_normalize(views.mean(axis=1)), "graph", seed=seed).vectors
    return ridge(views, mapped, 1)(views[:, 0])


def whitened(views: Floats, seed: int) -> Floats:
    """Return vectors in which the views of an image differ by nearly as much in every direction."""
    differences = (views - views.mean(axis=1, keepdims=True)).reshape(-1, views.shape[2]).astype(np.float64)
    spread = differences.T @ differences
    spread[np.diag_indices(len(spread))] += 3 * np.trace(spread) / len(spread)
    return np.asarray(solve_triangular(cholesky(spread, lower=True), views[:, 0].T, lower=True).T, dtype=np.float32)


def principal(views: Floats, seed: int) -> Floats:
    return np.asarray(views[:, 0] @ axes(views, COMPONENTS).T, dtype=np.float32)


def axes(views: Floats, count: int) -> Floats:
    framed = views[:, 0] - views[:, 0].mean(axis=0)
    return np.linalg.svd(framed, full_matrices=False)[2][: min(count, len(framed) - 1)]


def batches(count: int, epochs: int, size: int = BATCH) -> Iterator[Tensor]:
    """Yield random rows; a last batch of a few rows has too few negatives and clusters."""
    for _ in range(epochs):
        order = torch.randperm(count)
        parts = (order[start : start + size] for start in range(0, count, size))
        yield from (rows for rows in parts if len(rows) >= min(count, size // 4))


def drawn(views: Tensor, rows: Tensor) -> Tensor:
    """Return a random view of each of these images."""
    return views[rows, torch.randint(views.shape[1], (len(rows),))]


def nearest(views: Floats, count: int = NEIGHBORS) -> Tensor:
    return torch.from_numpy(nearest_neighbors(np.ascontiguousarray(views[:, 0]), count)[1])


def one_of(near: Tensor, rows: Tensor) -> Tensor:
    """Return a random neighbor of each of these images."""
    return near[rows, torch.randint(near.shape[1], (len(rows),))]


def contrastive(views: Floats, seed: int, *, neighbors: bool = False) -> Floats:
    """Return a linear projection in which two views of an image, or of neighbors, are told from all other images."""
    torch.manual_seed(seed)
    data, near = torch.from_numpy(views), nearest(views, 5)
    weights = torch.from_numpy(axes(views, COMPONENTS)).clone().requires_grad_()
    start = weights.detach().clone()
    optimizer = torch.optim.Adam([weights], lr=1e-3)
    for rows in batches(len(data), 60):
        others = torch.where(torch.rand(len(rows)) < 0.5, one_of(near, rows), rows) if neighbors else rows
        first, second = (F.normalize(drawn(data, each) @ weights.T, dim=1) for each in (rows, others))
        loss = contrast(first, second, near[rows][:, :, None] == others)
        update(optimizer, loss + 0.01 * (weights - start).square().sum())
    return (data[:, 0] @ weights.detach().T).numpy()


def contrast(first: Tensor, second: Tensor, related: Tensor) -> Tensor:
    """Return the loss by which row i of `second` is told from its other rows for row i of `first`, and vice versa.

    Args:
        first: Vectors of length 1, ``(n, d)``.
        second: The same.
        related: Whether each of k neighbors of image i is image j, ``(n, k, n)``: a neighbor is no negative.
    """
    apart = ~related.any(dim=1) | torch.eye(len(first), dtype=torch.bool)
    logits = (first @ second.T / 0.1).masked_fill(~apart, -1e9)
    target = torch.arange(len(first))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def consistent(views: Floats, seed: int, *, heads: int = 16, clusters: int = 10) -> Floats:
    """Return the clusters of several linear heads, by which an image and its neighbors agree (SCAN)."""
    torch.manual_seed(seed)
    data, near = torch.from_numpy(views), nearest(views)
    weights = first_directions(data, heads * clusters)
    optimizer = torch.optim.AdamW([weights], lr=3e-3)
    for rows in batches(len(data), 60):
        first, second = (logits(drawn(data, each), weights, heads) for each in (rows, one_of(near, rows)))
        update(optimizer, torch.stack([agreement(*pair, 2.0) for pair in zip(first, second, strict=True)]).mean())
    return probabilities(data, weights, heads)


def temi(views: Floats, seed: int, *, heads: int = 8, clusters: int = 50) -> Floats:
    """Return the clusters of several linear heads, trained for pointwise mutual information of neighbors.

    Teacher-weighted (Adaloglou et al. 2023, https://arxiv.org/abs/2303.17896): the teacher is a moving average.
    """
    torch.manual_seed(seed)
    data, near = torch.from_numpy(views), nearest(views)
    weights = first_directions(data, heads * clusters)
    teacher, sizes = weights.detach().clone(), torch.full((heads, 1, clusters), 1 / clusters)
    optimizer = torch.optim.AdamW([weights], lr=1e-3, weight_decay=1e-4)
    for rows in batches(len(data), 60):
        pair = drawn(data, rows), drawn(data, one_of(near, rows))
        ours = [logits(each, weights, heads).softmax(dim=2) for each in pair]
        with torch.no_grad():
            theirs = [logits(each, teacher, heads).softmax(dim=2) for each in pair]
            sizes = 0.9 * sizes + 0.05 * (theirs[0] + theirs[1]).mean(dim=1, keepdim=True)
            weight = (theirs[0] * theirs[1]).sum(dim=2).mean(dim=0)
        both = ((theirs[0], ours[1]), (theirs[1], ours[0]))
        information = [(((first * second) ** 0.6 / sizes).sum(dim=2) + 1e-9).log() for first, second in both]
        update(optimizer, -(weight * (information[0] + information[1])).mean() / 2)
        teacher.lerp_(weights.detach(), 0.01)
    return probabilities(data, teacher, heads)


def first_directions(data: Tensor, count: int) -> Tensor:
    """Return the vectors of random images."""
    return data[torch.randint(len(data), (count,)), 0].clone().requires_grad_()


def logits(vectors: Tensor, weights: Tensor, heads: int) -> Tensor:
    """Return the logits of each head, ``(heads, n, clusters)``."""
    scaled: Tensor = vectors @ F.normalize(weights, dim=1).T / 0.1
    return scaled.view(len(vectors), heads, -1).transpose(0, 1)


def probabilities(data: Tensor, weights: Tensor, heads: int) -> Floats:
    """Return the square roots of the probabilities of all heads, whose cosine is that of Bhattacharyya."""
    found = logits(data[:, 0], weights.detach(), heads).softmax(dim=2).sqrt()
    return np.ascontiguousarray(found.transpose(0, 1).flatten(1).numpy())


def update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


WAYS: dict[str, Way] = {
    "`photos` as it is": lambda views, _: views[:, 0],
    "nothing; the mean of the 8 views": lambda views, _: views.mean(axis=1),
    "a linear map to the mean of the views": to_mean_of_views,
    "a linear map to the diffusion map": to_diffusion_map,
    "directions in which views differ, weakened": whitened,
    "128 principal components": principal,
    "a projection, contrastive": contrastive,
    "a projection, contrastive with neighbors": partial(contrastive, neighbors=True),
    "16 heads of 10 clusters (SCAN)": consistent,
    "8 heads of 50 clusters (TEMI)": temi,
}

if __name__ == "__main__":
    main()
