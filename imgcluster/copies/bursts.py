"""Bursts: photographs of one camera that were taken one after the other and show the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.copies.alignment import find_alignment
from imgcluster.copies.signatures import Signatures, pooled
from imgcluster.images.types import Exif

__all__ = ["resemble", "successive_pairs"]

_Pairs = npt.NDArray[np.int64]

_SECONDS: Final = 5.0
# Several photographs of a burst have the same second, so each is compared with this many that follow.
_FOLLOWING: Final = 10
_COARSE_SIDE: Final = 32
_PAIRS_AT_ONCE: Final = 2048

# The correlation of the aligned gray values, and the cosine of the centered vectors, from which photographs that were
# taken within seconds show the same. Either is enough: the one fails if the subject moves, the other if the exposure
# of a whole collection is alike.
_CORRELATION: Final = 0.65
_COSINE: Final = 0.7


def successive_pairs(exif: Sequence[Exif]) -> _Pairs:
    """Return pairs of photographs that one camera took at most 5 seconds apart, ``int64 (p, 2)``."""
    moments = sorted((one.camera, one.seconds, image) for image, one in enumerate(exif) if not math.isnan(one.seconds))
    pairs = []
    for at, (camera, seconds, image) in enumerate(moments):
        for other_camera, other_seconds, other in moments[at + 1 : at + 1 + _FOLLOWING]:
            if other_camera != camera or other_seconds - seconds > _SECONDS:
                break
            pairs.append((min(image, other), max(image, other)))
    return np.array(pairs, np.int64).reshape(-1, 2)


def resemble(signatures: Signatures, vectors: npt.NDArray[np.float32], pairs: _Pairs) -> npt.NDArray[np.bool_]:
    """Return which pairs of photographs show the same, ``bool (p,)``.

    Args:
        signatures: Those of n images.
        vectors: Centered and of length 1, ``float32 (n, d)``.
        pairs: Indices of two images each, ``int64 (p, 2)``.
    """
    alike = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        chunk = slice(start, start + _PAIRS_AT_ONCE)
        images, positions = np.unique(pairs[chunk], return_inverse=True)
        coarse = pooled(signatures.gray[images], _COARSE_SIDE)
        correlations = find_alignment(coarse, positions.reshape(-1, 2)).correlations
        cosines = np.einsum("pd,pd->p", vectors[pairs[chunk, 0]], vectors[pairs[chunk, 1]])
        alike[chunk] = (correlations >= _CORRELATION) | (cosines >= _COSINE)
    return alike
