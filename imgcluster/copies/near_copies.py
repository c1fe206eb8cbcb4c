"""Whether one image is a near-copy of another: the same picture in another size, quality, format, crop or color.

The images are aligned, and compared block by block. In a near-copy nearly all blocks have the same structure. In
another photograph of the same scene many do not, because near and far parts move differently, and its frame shows
something that the first does not. The thresholds were chosen on photographs (benchmarks/near_duplicates.py); they do
not depend on an encoder.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.copies.alignment import Alignment, find_alignment, refine, resample, turn
from imgcluster.copies.signatures import Signatures, pooled

__all__ = ["NEAR_COPY", "structural_agreement"]

NEAR_COPY: Final = 0.85
"""Images whose `structural_agreement` is at least this are near-copies."""

_Floats = npt.NDArray[np.float32]
_Pairs = npt.NDArray[np.int64]

_PAIRS_AT_ONCE: Final = 512
_THREADS: Final = 2
_COARSE_SIDE: Final = 32
_COARSE_STEPS: Final = 8
_FINE_STEPS: Final = 5
# Correlations that near-copies exceed after the search and after its refinement.
_LEAST_FOUND: Final = 0.45
_LEAST_REFINED: Final = 0.65

# One frame lies in the other, up to this share of a side. A frame that moved aside is that of another photograph.
_COARSE_TOLERANCE: Final = 0.05
_TOLERANCE: Final = 0.015
_LEAST_AREA: Final = 0.6
_LARGEST_STRETCH: Final = 1.25

_BLOCKS: Final = 16
# A block agrees fully from the one correlation on, and not at all below the other.
_AGREES: Final = 0.95
_DISAGREES: Final = 0.5
# Standard deviations of gray values in [0, 1]: that of noise, and that of a block whose structure counts fully.
_NOISE: Final = 2 / 255
_STRUCTURE: Final = 8 / 255
# Fewer structured blocks, as in a picture of one color, are not enough to tell.
_LEAST_STRUCTURE: Final = 0.03

# The least colorfulness that has a hue, the cosine of hues that count as the same, and the share that may differ.
_LEAST_COLOR: Final = 0.06
_SAME_HUE: Final = 0.5
_ANOTHER_HUE: Final = 0.1


def structural_agreement(
    signatures: Signatures, pairs: _Pairs, *, step: Callable[[int], None] = lambda done: None
) -> _Floats:
    """Return how much of the structure of two images agrees.

    Args:
        signatures: Those of n images.
        pairs: Indices of two images each, ``int64 (p, 2)``.
        step: Called with the number of pairs done.

    Returns:
        ``float32 (p,)`` in [0, 1]; 0 also if the frames do not fit or the colors are different.
    """
    scores = np.zeros(len(pairs), np.float32)
    # Pairs of the same first image together, because each chunk prepares its own images.
    order = np.argsort(pairs[:, 0], kind="stable")
    chunks = [order[start : start + _PAIRS_AT_ONCE] for start in range(0, len(pairs), _PAIRS_AT_ONCE)]
    done = 0
    with ThreadPoolExecutor(_THREADS) as pool:
        for chunk, chunk_scores in zip(
            chunks, pool.map(lambda chunk: _agreement(signatures, pairs[chunk]), chunks), strict=True
        ):
            scores[chunk] = chunk_scores
            done += len(chunk)
            step(done)
    return scores


def _agreement(signatures: Signatures, pairs: _Pairs) -> _Floats:
    scores = np.zeros(len(pairs), np.float32)
    images, positions = np.unique(pairs, return_inverse=True)
    coarse = pooled(signatures.gray[images], _COARSE_SIDE)
    alignment = find_alignment(coarse, positions.reshape(pairs.shape))
    rows = np.flatnonzero(alignment.correlations >= _LEAST_FOUND)
    if not rows.size:
        return scores
    first, second = positions.reshape(pairs.shape)[rows].T
    alignment = _taken(alignment, rows)
    frames, correlations = refine(
        coarse[first], _turned(coarse[second], alignment.orientations), alignment.frames, steps=_COARSE_STEPS
    )
    likely = (correlations >= _LEAST_REFINED) & _frames_fit(frames, _COARSE_TOLERANCE)
    rows, alignment, frames = rows[likely], _taken(alignment, likely), frames[likely]
    if not rows.size:
        return scores
    one = _smoothed(signatures.gray[pairs[rows, 0]])
    other = _turned(_smoothed(signatures.gray[pairs[rows, 1]]), alignment.orientations)
    # Compared where the smaller part is seen in the larger, so that the edges of a frame or a cut do not count.
    swap = frames[:, 0] * frames[:, 2] < 1
    one[swap], other[swap] = other[swap], one[swap]
    frames, _ = refine(one, other, _swapped(frames, swap), steps=_FINE_STEPS)
    fits, share = _frames_fit(frames, _TOLERANCE), _structure(one, other, frames)
    frames = _swapped(frames, swap)
    fits &= _sides_fit(frames, alignment.orientations, signatures.sizes, pairs[rows])
    fits &= _colors_fit(signatures.color, pairs[rows], alignment.orientations, frames)
    scores[rows] = np.where(fits, share, 0)
    return scores


def _taken(alignment: Alignment, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Alignment:
    return Alignment(alignment.orientations[rows], alignment.frames[rows], alignment.correlations[rows])


def _swapped(frames: npt.NDArray[np.float64], rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return frames of the first images in the second ones for some rows, and the others as they are."""
    scales, offsets = frames[:, ::2], frames[:, 1::2]
    inverse = np.stack([1 / scales, -offsets / scales], axis=2).reshape(-1, 4)
    return np.where(rows[:, None], inverse, frames)


def _turned(images: _Floats, orientations: npt.NDArray[np.int64]) -> _Floats:
    result = np.empty_like(images)
    for orientation in np.unique(orientations):
        chosen = orientations == orientation
        result[chosen] = turn(images[chosen], int(orientation))
    return result


def _smoothed(gray: npt.NDArray[np.uint8]) -> _Floats:
    """Return gray values in [0, 1] without the finest detail, which resampling changes."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(gray.astype(np.float32) / 255, (0, 0.8, 0.8)), np.float32)


def _frames_fit(frames: npt.NDArray[np.float64], tolerance: float) -> npt.NDArray[np.bool_]:
    """Return where, along each axis, one frame lies inside the other, and they share enough area."""
    fits = np.ones(len(frames), bool)
    area = np.ones(len(frames))
    for scale, offset in (frames[:, :2].T, frames[:, 2:].T):
        end = offset + scale
        inside = (offset > -tolerance) & (end < 1 + tolerance)
        around = (offset < tolerance) & (end > 1 - tolerance)
        fits &= inside | around
        area *= (np.minimum(end, 1) - np.maximum(offset, 0)) / np.maximum(scale, 1)
    return fits & (area >= _LEAST_AREA)


def _sides_fit(
    frames: npt.NDArray[np.float64],
    orientations: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int32],
    pairs: _Pairs,
) -> npt.NDArray[np.bool_]:
    """Return where a pixel of the one image is nearly a square of pixels of the other."""
    one, other = (np.maximum(sizes[pairs[:, column]], 1) for column in (0, 1))
    other = np.where((orientations & 4 > 0)[:, None], other[:, ::-1], other)
    scales = frames[:, ::2] * one / other
    stretch = scales[:, 0] / scales[:, 1]
    return (stretch <= _LARGEST_STRETCH) & (stretch >= 1 / _LARGEST_STRETCH)


def _structure(one: _Floats, other: _Floats, frames: npt.NDArray[np.float64]) -> _Floats:
    """Return the share of structure that agrees, ``float32 (p,)``; 0 where there is too little of it."""
    moved, mask = resample(one, frames)
    inside = _blocks(mask).mean(axis=2) > 0.9
    first, second = _blocks(moved), _blocks(other)
    first = first - first.mean(axis=2, keepdims=True)
    second = second - second.mean(axis=2, keepdims=True)
    variances = (first**2).mean(axis=2), (second**2).mean(axis=2)
    noise = _NOISE**2
    correlation = ((first * second).mean(axis=2) + noise) / (np.sqrt(variances[0] * variances[1]) + noise)
    agrees = ((correlation - _DISAGREES) / (_AGREES - _DISAGREES)).clip(0, 1)
    weights = inside * (np.maximum(*variances) / _STRUCTURE**2).clip(0, 1)
    total = weights.sum(axis=1)
    share = (weights * agrees).sum(axis=1) / np.maximum(total, 1e-6)
    return np.where(total >= _LEAST_STRUCTURE * _BLOCKS**2, share, 0).astype(np.float32)


def _blocks(images: _Floats) -> _Floats:
    """Return images as ``(p, _BLOCKS², pixels)``."""
    count, side = images.shape[:2]
    block = side // _BLOCKS
    parts = images.reshape(count, _BLOCKS, block, _BLOCKS, block).transpose(0, 1, 3, 2, 4)
    return np.asarray(parts.reshape(count, _BLOCKS**2, block**2), np.float32)


def _colors_fit(
    colors: npt.NDArray[np.uint8],
    pairs: _Pairs,
    orientations: npt.NDArray[np.int64],
    frames: npt.NDArray[np.float64],
) -> npt.NDArray[np.bool_]:
    """Return where hardly any part of the one image has another hue than in the other; gray has no hue."""
    first, second = ((colors[pairs[:, column]].astype(np.float32) - 128) / np.float32(127) for column in (0, 1))
    parts = [resample(np.ascontiguousarray(first[..., channel]), frames) for channel in (0, 1)]
    mask = parts[0][1]
    one, other = np.stack([part for part, _ in parts], axis=3), _turned(second, orientations)
    strengths = np.linalg.norm(one, axis=3), np.linalg.norm(other, axis=3)
    cosine = (one * other).sum(axis=3) / np.maximum(strengths[0] * strengths[1], 1e-6)
    both = np.minimum(*strengths)
    another = mask * both * (both > _LEAST_COLOR) * (cosine < _SAME_HUE)
    colorful = mask * np.maximum(*strengths)
    share = another.sum(axis=(1, 2)) / np.maximum(colorful.sum(axis=(1, 2)), 1e-6)
    return np.asarray(share <= _ANOTHER_HUE, np.bool_)
