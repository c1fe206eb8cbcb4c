"""The coverage of the intervals of `evaluate`: how often they contain the mean score of samples of the same size.

From each table of probabilities of labels and clusters 4,000 samples are drawn for the mean scores, then 400 for the
intervals. Prints the mean scores, the coverage (95 % is nominal) and how often an interval excludes its own score.
`python -m benchmarks.interval_coverage [SAMPLES]`
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from imgcluster.evaluation.external import Scores, intervals, score

__all__ = ["coverage", "tables"]

Table = npt.NDArray[np.float64]
MEASURES = ("accuracy", "nmi", "ari")
SAMPLES = 400
FOR_MEANS = 4000


def tables() -> Iterator[tuple[str, Table, int]]:
    """Yield a name, probabilities ``float64 (labels, clusters)`` that sum to 1, and a number of images."""
    for accuracy in (0.99, 0.9, 0.6):
        for images in (60, 900, 10_000):
            yield f"10 labels, 10 clusters, accuracy {accuracy}", confused(10, accuracy), images
    yield "2 labels of 9:1, accuracy 0.95", np.array([[0.87, 0.03], [0.02, 0.08]]), 100
    yield "9 labels, 3 clusters", np.repeat(np.eye(3), 3, axis=0) / 10 + 0.1 / 27, 500
    for images in (60, 900, 10_000):
        yield "10 labels, 10 clusters, by chance", np.full((10, 10), 0.01), images
    yield "100 labels, 60 clusters, by chance", np.full((100, 60), 1 / 6000), 900
    yield "100 labels, 60 clusters, accuracy 0.3", 0.3 * np.eye(100, 60) / 60 + 0.7 / 6000, 900


def confused(count: int, accuracy: float) -> Table:
    """Return a table of as many labels and clusters in which errors are equally likely."""
    table = np.full((count, count), (1 - accuracy) / (count - 1))
    np.fill_diagonal(table, accuracy)
    return table / count


def drawn(table: Table, images: int, generator: np.random.Generator) -> Scores:
    """Return the scores of a sample."""
    counts = generator.multinomial(images, (table / table.sum()).ravel()).reshape(table.shape)
    labels, clusters = (np.repeat(number.ravel(), counts.ravel()) for number in np.indices(counts.shape))
    return score(clusters, labels.astype(str).tolist())


def coverage(
    table: Table, images: int, *, samples: int, for_means: int = FOR_MEANS, seed: int = 0
) -> tuple[list[float], list[float], list[float]]:
    """Return for accuracy, NMI and ARI: the mean score, the coverage, and the share of intervals without the score."""
    generator = np.random.default_rng(seed)
    many = [drawn(table, images, generator) for _ in range(for_means)]
    means = [float(np.mean([getattr(each, name) for each in many])) for name in MEASURES]
    covered, excluded = np.zeros(3), np.zeros(3)
    for number in range(samples):
        scores = drawn(table, images, generator)
        found = intervals(scores, seed=number)
        for place, name in enumerate(MEASURES):
            low, high = getattr(found, name)
            covered[place] += low <= means[place] <= high
            excluded[place] += not low <= getattr(scores, name) <= high
    return means, (covered / samples).tolist(), (excluded / samples).tolist()


def main() -> None:
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    print(f"{samples} samples; accuracy / NMI / ARI")
    for name, table, images in tables():
        means, covered, excluded = coverage(table, images, samples=samples, for_means=min(FOR_MEANS, 10 * samples))
        shown = ["  ".join(f"{value:.{digits}f}" for value in row) for row, digits in ((means, 3), (covered, 3))]
        print(f"{name:42} {images:6}  mean {shown[0]}   coverage {shown[1]}   excluded {max(excluded):.3f}", flush=True)


if __name__ == "__main__":
    main()
