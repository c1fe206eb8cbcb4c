"""Clustering: from vectors to labels, confidence, and coarser and finer layers.

Labels are ``int64 (n,)``: clusters from 0 on, the largest first; −1 is noise, an image of no cluster. Confidence is
``float32 (n,)`` in [0, 1], 0 for noise. All methods use Euclidean distance, which orders vectors of length 1 as the
cosine does. Vectors come in content order (`features.duplicate_vectors.content_order`), so that samples and ties do not
depend on file names.
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
