"""What was tried to tell photographs apart better, and not taken: how pictures are framed, whitening, other weights
of the eigenvectors.

On CIFAR-10 test images and, if one is given, on the pictures of a folder whose subfolders, two deep, are the kinds:
Debian's package `tuxpaint-stamps-default` has some hundreds of PNG files, cut out of photographs and drawings. Prints
what each gains over the default in accuracy and NMI, with the true number of clusters. What the README reports on is
not looked at.

Of what padding gains on CIFAR-10, much may be that its images, of 32 pixels a side, are enlarged less. So these images
cannot say how photographs are to be framed.

    python -m benchmarks.not_taken [FOLDER]
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.linalg import cholesky, solve_triangular

from benchmarks.cifar import encoded, features, gains, pictures, scored
from benchmarks.common import machine
from imgcluster import Encoder
from imgcluster.features import diffusion, neighbors
from imgcluster.features.normalize import l2_normalize, normalize_features
from imgcluster.images.decode import decode
from imgcluster.images.resize import prepare
from imgcluster.types import RESIZE_RULES

Vectors = npt.NDArray[np.float32]
Labels = npt.NDArray[np.str_]
Part = tuple[Vectors, Labels]
Scores = list[tuple[float, float]]

SETS, SIZE = 10, 900
OBLONG = 5400
SHAPES = ((32, 24), (24, 32), (32, 21), (21, 32))
KINDS = (2, 4, 7, 10)
FOLDER_KINDS = (3, 6, 12, 20)
FOLDER_DRAWS = 30
FEWEST_OF_A_KIND = 7
NEIGHBOURS = 10
SHARE = 6.0


def main() -> None:
    print(machine())
    generator = np.random.default_rng(0)
    print(f"\nframing: {OBLONG // SIZE} sets of {SIZE} oblong pieces of CIFAR-10 images, 4:3 and 3:2 either way up")
    show({rule: scores(split(vectors, labels)) for rule, (vectors, labels) in oblong(generator).items()})
    parts = split(*features(SETS * SIZE))
    for kinds in KINDS:
        print(f"\n{SETS} sets of CIFAR-10 images of {kinds} kinds")
        show(methods([of_kinds(part, kinds, generator) for part in parts]))
    if len(sys.argv) < 2:
        return
    framed, labels = from_folder(Path(sys.argv[1]))
    for kinds in FOLDER_KINDS:
        print(f"\n{FOLDER_DRAWS} draws of four fifths of {kinds} kinds of pictures of {sys.argv[1]}")
        draws = [drawn(labels, kinds, generator) for _ in range(FOLDER_DRAWS)]
        chosen = {rule: [(vectors[draw], labels[draw]) for draw in draws] for rule, vectors in framed.items()}
        show(methods(chosen.pop("crop")) | {rule: scores(group) for rule, group in chosen.items()})


def methods(parts: list[Part]) -> dict[str, Scores]:
    """Return the default's scores, and those of whitened vectors and of eigenvectors weighted less steeply."""
    return {
        "as shipped": scores(parts),
        "whitened": [scored(mapped(whitened(normalize_features(vectors, "cosine"))), told) for vectors, told in parts],
        "exponent 1": [scored(mapped(normalize_features(vectors, "cosine"), 1), told) for vectors, told in parts],
    }


def scores(parts: list[Part]) -> Scores:
    """Return the default's accuracy and NMI on each set."""
    return [scored(mapped(normalize_features(vectors, "cosine")), told) for vectors, told in parts]


def show(results: dict[str, Scores]) -> None:
    """Print what each gains over the first."""
    usual = next(iter(results.values()))
    for name, found in results.items():
        print(f"  {name:18} {gains(found, usual)}", flush=True)


def mapped(vectors: Vectors, exponent: float = diffusion.EXPONENT) -> Vectors:
    """Return the diffusion map with this exponent of its weights."""
    return diffusion.diffusion_map(neighbors.diffusion_graph(vectors), exponent=exponent)


def whitened(vectors: Vectors) -> Vectors:
    """Return vectors in which neighbours differ by nearly as much in every direction.

    Relevant component analysis (Bar-Hillel et al. 2003), of images that are among each other's ten nearest; six times
    the mean of all directions is added to each.
    """
    count, dimensions = vectors.shape
    _, near = neighbors.nearest_neighbors(vectors, NEIGHBOURS)
    first, second = np.repeat(np.arange(count), NEIGHBOURS), near.ravel()
    mutual = np.isin(first * count + second, second * count + first)
    differences = (vectors[first[mutual]] - vectors[second[mutual]]).astype(np.float64)
    spread = differences.T @ differences
    spread[np.diag_indices(dimensions)] += SHARE * np.trace(spread) / dimensions
    solved = solve_triangular(cholesky(spread, lower=True), vectors.T.astype(np.float64), lower=True).T
    return l2_normalize(np.ascontiguousarray(solved, dtype=np.float32))


def oblong(generator: np.random.Generator) -> dict[str, Part]:
    """Return features of pieces of images, framed in each way."""
    encoder = Encoder("photos", device="cpu")
    spec = encoder.info.input_spec
    small = dataclasses.replace(spec, width=32, height=32)
    pixels, labels = pictures(OBLONG, small)
    pieces = []
    for image in pixels:
        width, height = SHAPES[generator.integers(len(SHAPES))]
        left, upper = generator.integers(32 - width + 1), generator.integers(32 - height + 1)
        pieces.append(Image.fromarray(image).crop((left, upper, left + width, upper + height)))
    framed: dict[str, Part] = {}
    for rule in RESIZE_RULES:
        wanted = dataclasses.replace(spec, resize=rule)
        framed[rule] = (encoded(encoder, np.stack([np.asarray(prepare(piece, wanted)) for piece in pieces])), labels)
    return framed


def from_folder(folder: Path) -> tuple[dict[str, Vectors], Labels]:
    """Return features of the pictures in a folder, framed in each way, and their kinds; rare ones are left out."""
    paths = [path for path in sorted(folder.rglob("*.png")) if "cartoon" not in path.parts]
    told = np.array(["/".join(path.relative_to(folder).parts[:2]) for path in paths])
    names, counts = np.unique(told, return_counts=True)
    inside = np.flatnonzero(np.isin(told, names[counts >= FEWEST_OF_A_KIND]))
    encoder = Encoder("photos", device="cpu")
    framed = {}
    for rule in RESIZE_RULES:
        wanted = dataclasses.replace(encoder.info.input_spec, resize=rule)
        pixels = np.stack([decode(paths[index].read_bytes(), wanted).pixels for index in inside])
        framed[rule] = encoded(encoder, pixels)
    return framed, told[inside]


def split(vectors: Vectors, labels: Labels) -> list[Part]:
    return [(vectors[start : start + SIZE], labels[start : start + SIZE]) for start in range(0, len(vectors), SIZE)]


def of_kinds(part: Part, kinds: int, generator: np.random.Generator) -> Part:
    vectors, labels = part
    inside = np.isin(labels, generator.choice(np.unique(labels), kinds, replace=False))
    return vectors[inside], labels[inside]


def drawn(labels: Labels, kinds: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    names = np.unique(labels)
    inside = np.flatnonzero(np.isin(labels, generator.choice(names, min(kinds, len(names)), replace=False)))
    return np.sort(generator.choice(inside, round(0.8 * len(inside)), replace=False))


if __name__ == "__main__":
    main()
