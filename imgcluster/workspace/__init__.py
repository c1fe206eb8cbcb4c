"""The workspace on disk: embeddings, tables, caches, manifest and lock. Nothing outside knows file names or formats."""
