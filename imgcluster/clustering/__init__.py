"""Clustering: from vectors to labels, confidence and a hierarchy of coarser and finer clusters.

Labels are ``int64 (n,)``: clusters from 0 on, the largest first; −1 is noise, an image of no cluster. Confidence
is ``float32 (n,)`` in [0, 1], 0 for noise. All methods measure Euclidean distance; on vectors of length 1 it
orders as the cosine does.
"""

from imgcluster.clustering.methods import METHODS, choose_method, cluster_degenerate, cluster_vectors
from imgcluster.clustering.noise import assign_noise
from imgcluster.clustering.settings import Settings
from imgcluster.clustering.stability import stability

__all__ = [
    "METHODS",
    "Settings",
    "assign_noise",
    "choose_method",
    "cluster_degenerate",
    "cluster_vectors",
    "stability",
]
