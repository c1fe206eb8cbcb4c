"""From embeddings to the vectors that are clustered: normalization, nearest neighbors, reduction."""
