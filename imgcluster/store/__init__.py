"""The workspace on disk: embeddings, tables, manifest and lock. Nothing outside knows file names or formats."""
