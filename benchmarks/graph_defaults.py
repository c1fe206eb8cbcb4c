"""The choice of the graph's defaults, and of the rule that estimates the number of clusters.

On `photos` features of CIFAR-10 test images in sets of 60 to 9,000, and on scikit-learn's own digits (8×8 pixels,
not MNIST). Prints accuracy and NMI of k-means with the true number for each setting, then the numbers found, also
where only some of the classes are there. What the README reports on is not looked at.
"""

from __future__ import annotations

import dataclasses
import tempfile
import warnings
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import imgcluster
from benchmarks.cifar import STARTS, features, scored
from benchmarks.common import data_folder, machine
from imgcluster.clustering import num_clusters
from imgcluster.clustering.kmeans import fit_kmeans
from imgcluster.evaluation.external import score
from imgcluster.features import diffusion, neighbors
from imgcluster.features.normalize import l2_normalize, normalize_features
from imgcluster.features.reduce import reduce

Set = tuple[str, npt.NDArray[np.float32], npt.NDArray[np.str_]]


def main() -> None:
    warnings.simplefilter("ignore")
    print(machine())
    vectors, labels = features(3000)
    print("\nnormalization of the features")
    for name, change in (
        ("length 1", l2_normalize),
        ("roots, length 1", lambda values: l2_normalize(roots(values))),
        ("length 1, centered, length 1", lambda values: normalize_features(values, "cosine")),
        ("roots, centered, length 1", lambda values: l2_normalize(roots(values) - roots(values).mean(axis=0))),
    ):
        show(name, [(title, change(part), kinds) for title, part, kinds in subsets(vectors, labels)])
    sets = [(title, normalize_features(part, "cosine"), kinds) for title, part, kinds in subsets(vectors, labels)]
    sets.append(digits())
    print("\nneighbors in the graph of the diffusion map, in sets of each size")
    for name, group in by_size(*features(9000)).items():
        for size in (5, 10, 15, 20, 30, 60, None):
            if size is None or size < len(group[0][1]) // 3:
                mapped = [(title, mapped_by(part, size), kinds) for title, part, kinds in group]
                show(f"{name}: {size or 'root / 2, 5 to 30'}", mapped, reduced=True)
    print("\ndiffusion map: components and exponent of the weights, also on sets of photographs")
    photographed = [*sets, *photo_sets()]
    for components in (20, 30, 40, 50):
        for exponent in (0.5, 1.0, 1.5, 2.0, 3.0):
            mapped = [
                (title, diffusion.diffusion_map(neighbors.diffusion_graph(part), components, exponent=exponent), kinds)
                for title, part, kinds in photographed
            ]
            show(f"{components}, {exponent}", mapped, reduced=True)
    print("\nprincipal components before the neighbor search")
    for dimensions in (20, 50, 100, 200):
        show(str(dimensions), [(*sets[0][:1], PCA(dimensions, random_state=0).fit_transform(sets[0][1]), sets[0][2])])
    counted = [*sets, *some_classes(vectors, labels)]
    print("\nneighbors in the cluster-count graph: mean NMI with the estimated numbers")
    for name, part_of_root, most in (("root / 2, 5 to 15", 2, 15), ("root, 5 to 20", 1, 20), ("root, 5 to 30", 1, 30)):
        nmi = [score(counted_on(part, part_of_root, most), kinds.tolist()).nmi for _, part, kinds in counted]
        print(f"  {name:20} {np.mean(nmi):.3f}", flush=True)
    print("\ndivisions into cells: sets where three seeds estimate different numbers of clusters")
    usual = num_clusters._DIVISIONS
    for divisions in (5, 10, 20):
        num_clusters._DIVISIONS = divisions
        unsure = [title for title, part, _ in counted if len({each.k for each in count(part)}) > 1]
        print(f"  {divisions:2}: {len(unsure)} of {len(counted)}: {', '.join(unsure) or 'none'}")
    num_clusters._DIVISIONS = usual
    print("\nestimated numbers of clusters (three seeds), and the persistence of the three clearest")
    for title, part, kinds in counted:
        found = count(part)
        factors = found[0].factors
        clearest = sorted(factors, key=lambda k: -factors[k])[:3]
        lasting = ", ".join(f"{k}: {factors[k]:.2f}" for k in clearest)
        print(f"  {title:20} {len(set(kinds.tolist())):2} classes, found {[each.k for each in found]}; {lasting}")


def count(vectors: npt.NDArray[np.float32]) -> list[num_clusters.ClusterCount]:
    """Return the numbers of clusters that three seeds estimate."""
    space = reduce(vectors, "graph", seed=0)
    return [num_clusters.estimate_num_clusters(space, (2, 30), seed=seed) for seed in range(3)]


def counted_on(vectors: npt.NDArray[np.float32], part_of_root: int, most: int) -> npt.NDArray[np.int64]:
    """Return clusters, their number estimated from a graph of √n / `part_of_root` neighbors, from 5 to `most`."""
    space = reduce(vectors, "graph", seed=0)
    if space.graph is not None:
        rows = space.graph.rows
        count = int(np.clip(round(np.sqrt(len(rows)) / part_of_root), 5, most))
        weights = neighbors.neighbor_graph(vectors[rows], count)
        space = dataclasses.replace(space, graph=dataclasses.replace(space.graph, weights=weights))
    number = num_clusters.estimate_num_clusters(space, (2, 30), seed=0).k
    return fit_kmeans(space.vectors, number, seed=0, starts=STARTS)[0]


def subsets(vectors: npt.NDArray[np.float32], labels: npt.NDArray[np.str_]) -> Iterator[Set]:
    """Yield parts of the CIFAR-10 features."""
    yield "3000", vectors, labels
    for size, parts in ((900, 3), (300, 3), (60, 3)):
        for part in range(parts):
            inside = slice(part * size, (part + 1) * size)
            yield f"{size} no. {part + 1}", vectors[inside], labels[inside]


def by_size(vectors: npt.NDArray[np.float32], labels: npt.NDArray[np.str_]) -> dict[str, list[Set]]:
    """Return parts of the CIFAR-10 features and of the digits, by how large they are."""
    groups: dict[str, list[Set]] = {}
    for size, parts in ((60, 30), (150, 20), (300, 15), (900, 10), (1800, 5), (3000, 3), (9000, 1)):
        insides = [slice(part * size, (part + 1) * size) for part in range(parts)]
        groups[f"CIFAR-10, {size}"] = [
            ("", normalize_features(vectors[each], "cosine"), labels[each]) for each in insides
        ]
    _, images, numbers = digits()
    order = np.random.default_rng(0).permutation(len(images))
    groups["digits, 300"] = [("", images[part], numbers[part]) for part in np.split(order[:1500], 5)]
    groups["digits, all"] = [("", images, numbers)]
    return groups


def some_classes(vectors: npt.NDArray[np.float32], labels: npt.NDArray[np.str_]) -> Iterator[Set]:
    """Yield images of 3, 5 and 7 of the classes."""
    generator = np.random.default_rng(0)
    _, images, numbers = digits()
    for count in (3, 5, 7):
        chosen = generator.permutation(10)[:count]
        inside = np.isin(labels, np.unique(labels)[chosen])
        yield f"CIFAR-10, {count}", normalize_features(vectors[inside], "cosine"), labels[inside]
        inside = np.isin(numbers, [str(number) for number in chosen])
        yield f"digits, {count}", images[inside], numbers[inside]


def photo_sets() -> Iterator[Set]:
    """Yield the sets of photographs to tune on, where the test data have them."""
    for folder in sorted((data_folder() / "photo-sets").glob("*")):
        with tempfile.TemporaryDirectory() as workspace:
            imgcluster.embed([folder], workspace=workspace)
            found = imgcluster.load(workspace)
        labels = np.array([file.split("/")[-2] for file in found.files])
        yield folder.name, normalize_features(found.vectors, "cosine"), labels


def digits() -> Set:
    """Return scikit-learn's digits."""
    found = load_digits()
    return "digits", l2_normalize(found.data.astype(np.float32)), found.target.astype(np.str_)


def roots(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return square roots that keep their sign."""
    return np.sign(vectors) * np.sqrt(np.abs(vectors))


def mapped_by(vectors: npt.NDArray[np.float32], count: int | None) -> npt.NDArray[np.float32]:
    """Return the diffusion map of the graph with `count` neighbors, by default those of `diffusion_graph`."""
    graph = neighbors.diffusion_graph(vectors) if count is None else neighbors.neighbor_graph(vectors, count)
    return diffusion.diffusion_map(graph)


def show(name: str, sets: list[Set], *, reduced: bool = False) -> None:
    """Print the mean scores of k-means with the true number of clusters, and some of the single NMIs."""
    rows = []
    for _, vectors, labels in sets:
        space = vectors if reduced else reduce(vectors, "graph", seed=0).vectors
        rows.append(scored(space, labels))
    accuracy, nmi = np.mean(rows, axis=0)
    single = " ".join(f"{row[1]:.2f}" for row in rows[:12])
    print(f"  {name:34} accuracy {accuracy:.3f}  NMI {nmi:.3f}   {single}", flush=True)


if __name__ == "__main__":
    main()
