"""Aligning two thumbnails that may show the same picture: one may be turned, mirrored, cropped, framed or retouched.

The frame of one image lies in that of the other as ``scale * position + offset`` along each axis, where positions run
from 0 to 1. It is searched for coarsely, then refined by Gauss-Newton steps on the difference of the pixels, as in
Lucas and Kanade 1981, together with gain and bias of the gray values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["ORIENTATIONS", "Alignment", "find_alignment", "refine", "resample", "turn"]

_Floats = npt.NDArray[np.float32]
_Pairs = npt.NDArray[np.int64]

ORIENTATIONS: Final = 8
"""Upright, mirrored and turned, as `turn` numbers them."""

# Parts of a frame, for each axis the same, that the search tries; Gauss-Newton steps find those in between.
_CROPS: Final = (0.9, 0.8)
_LARGEST_STEP: Final = 0.1
_SCALES: Final = (0.5, 2.0)
_GAINS: Final = (0.2, 5.0)
# Differences of more than about this many standard deviations, such as those at a watermark, hardly count.
_OUTLIER: Final = 2.5
_LEAST_DEVIATION: Final = 0.01


@dataclass(frozen=True, slots=True)
class Alignment:
    """How the second images of p pairs lie in the first ones.

    Attributes:
        orientations: How the second image is turned first, ``int64 (p,)``, see `turn`.
        frames: Scale and offset across, scale and offset down, ``float64 (p, 4)``.
        correlations: Of the gray values where the frames overlap, ``float32 (p,)`` in [−1, 1].
    """

    orientations: npt.NDArray[np.int64]
    frames: npt.NDArray[np.float64]
    correlations: _Floats


def turn(images: _Floats, orientation: int) -> _Floats:
    """Return square images ``(n, side, side, …)`` mirrored and turned; 0 leaves them as they are."""
    if orientation & 4:
        images = images.swapaxes(1, 2)
    if orientation & 2:
        images = images[:, ::-1]
    return images[:, :, ::-1] if orientation & 1 else images


def find_alignment(gray: _Floats, pairs: _Pairs) -> Alignment:
    """Return the best of about forty alignments for each pair.

    Args:
        gray: Small thumbnails, ``float32 (n, side, side)``.
        pairs: Indices of the first and second images, ``int64 (p, 2)``.
    """
    count = len(pairs)
    best = np.full(count, -1, np.float32)
    orientations = np.zeros(count, np.int64)
    frames = np.tile([1.0, 0.0, 1.0, 0.0], (count, 1))
    for frame in _hypotheses():
        resampled, mask = resample(gray, np.array([frame]))
        first = _normalized(resampled, mask[0])
        # Turned copies are rarely cropped as well; a small crop is found all the same.
        for orientation in range(ORIENTATIONS if frame == (1, 0, 1, 0) else 1):
            second = _normalized(turn(gray, orientation), mask[0])
            agreement = np.einsum("pd,pd->p", first[pairs[:, 0]], second[pairs[:, 1]])
            better = agreement > best
            best[better] = agreement[better]
            orientations[better] = orientation
            frames[better] = frame
    return Alignment(orientations, frames, best)


def refine(
    first: _Floats, second: _Floats, frames: npt.NDArray[np.float64], *, steps: int
) -> tuple[npt.NDArray[np.float64], _Floats]:
    """Return better frames and the correlations there.

    Args:
        first: ``float32 (p, side, side)``.
        second: The turned second images, ``float32 (p, side, side)``.
        frames: ``float64 (p, 4)``, see `Alignment`.
        steps: The number of Gauss-Newton steps.
    """
    count = len(first)
    frames = frames.copy()
    weights = np.ones((1, 1, 1), np.float32)
    for step in range(steps + 1):
        moved, mask = resample(first, frames)
        weights = mask * weights
        gain, bias, correlations = _fit_gray_values(moved, second, weights)
        if step == steps:
            break
        residual = second - gain * moved - bias
        deviation = np.sqrt(_mean(residual**2, weights)) + _LEAST_DEVIATION
        weights = np.asarray(mask / (1 + (residual / (_OUTLIER * deviation)) ** 2), np.float32)
        jacobian = _jacobian(moved, gain, frames)
        weighted = jacobian * weights.reshape(count, 1, -1)
        normal = (weighted @ jacobian.transpose(0, 2, 1)).astype(np.float64)
        # Where a direction has no structure, the frame stays.
        ridge = 1e-4 * np.trace(normal[:, :4, :4], axis1=1, axis2=2)[:, None, None] / 4 + 1e-6
        normal += np.eye(6) * ridge * np.array([1, 1, 1, 1, 0.01, 0.01])
        gradient = (weighted @ residual.reshape(count, -1, 1)).astype(np.float64)
        frames += np.linalg.solve(normal, gradient)[:, :4, 0].clip(-_LARGEST_STEP, _LARGEST_STEP)
        frames[:, ::2] = frames[:, ::2].clip(*_SCALES)
    return frames, correlations


def _jacobian(moved: _Floats, gain: _Floats, frames: npt.NDArray[np.float64]) -> _Floats:
    """Return the slopes of the gray values in the four numbers of a frame, gain and bias: ``(p, 6, pixels)``."""
    count, side, _ = moved.shape
    positions = ((np.arange(side) + 0.5) / side).astype(np.float32)
    slopes = np.empty((count, 6, side, side), np.float32)
    per_pixel = gain * np.float32(side)
    slopes[:, 1] = np.gradient(moved, axis=2) * (per_pixel / frames[:, 0, None, None].astype(np.float32))
    slopes[:, 3] = np.gradient(moved, axis=1) * (per_pixel / frames[:, 2, None, None].astype(np.float32))
    slopes[:, 0] = slopes[:, 1] * positions
    slopes[:, 2] = slopes[:, 3] * positions[:, None]
    slopes[:, 4], slopes[:, 5] = moved, 1
    return slopes.reshape(count, 6, -1)


def resample(images: _Floats, frames: npt.NDArray[np.float64]) -> tuple[_Floats, _Floats]:
    """Return the parts of images that are in `frames`, and a mask of what is inside of them.

    Args:
        images: ``float32 (p, side, side)``.
        frames: ``float64 (p, 4)``, or ``(1, 4)`` for all images the same.

    Returns:
        Both ``float32 (p, side, side)``; the mask is 1 inside, else 0.
    """
    side = images.shape[1]
    across, inside_across = _interpolation(frames[:, 0], frames[:, 1], side)
    down, inside_down = _interpolation(frames[:, 2], frames[:, 3], side)
    mask = inside_down[:, :, None] * inside_across[:, None, :]
    return down @ images @ across.transpose(0, 2, 1), mask


def _interpolation(
    scale: npt.NDArray[np.float64], offset: npt.NDArray[np.float64], side: int
) -> tuple[_Floats, _Floats]:
    """Return the matrices of linear interpolation along one axis, and which positions are inside."""
    positions = scale[:, None] * ((np.arange(side) + 0.5) / side) + offset[:, None]
    inside = (positions >= 0) & (positions <= 1)
    pixels = (positions * side - 0.5).clip(0, side - 1).astype(np.float32)
    distances = np.abs(pixels[:, :, None] - np.arange(side, dtype=np.float32))
    return np.maximum(0, 1 - distances), inside.astype(np.float32)


def _hypotheses() -> Iterator[tuple[float, float, float, float]]:
    yield 1, 0, 1, 0
    for part in _CROPS:
        rest = 1 - part
        for across in (0, rest / 2, rest):
            for down in (0, rest / 2, rest):
                yield part, across, part, down
                yield 1 / part, -across / part, 1 / part, -down / part


def _normalized(images: _Floats, mask: _Floats) -> _Floats:
    """Return images as rows of mean 0 and length 1, of what is inside the mask."""
    rows = images.reshape(len(images), -1)
    weights = mask.ravel()
    rows = (rows - (rows @ weights)[:, None] / weights.sum()) * weights
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6), np.float32)


def _fit_gray_values(moved: _Floats, second: _Floats, weights: _Floats) -> tuple[_Floats, _Floats, _Floats]:
    """Return the gain and bias ``(p, 1, 1)`` that make `moved` like `second`, and their correlations ``(p,)``."""
    mean_moved, mean_second = _mean(moved, weights), _mean(second, weights)
    one, other = moved - mean_moved, second - mean_second
    variance, other_variance = _mean(one**2, weights), _mean(other**2, weights)
    covariance = _mean(one * other, weights)
    gain = np.asarray((covariance / np.maximum(variance, 1e-6)).clip(*_GAINS), np.float32)
    correlations = covariance / np.maximum(np.sqrt(variance * other_variance), 1e-6)
    return gain, mean_second - gain * mean_moved, np.asarray(correlations[:, 0, 0], np.float32)


def _mean(values: _Floats, weights: _Floats) -> _Floats:
    total = np.einsum("phw,phw->p", values, weights) / (weights.sum(axis=(1, 2)) + 1e-9)
    return np.asarray(total[:, None, None], np.float32)
