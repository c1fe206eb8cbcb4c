"""The page: its content (`content`, `page_inputs`), thumbnails (`sprites`), HTML (`page`) and scripts (``scripts/``).

It takes plain values; the commands read them from the workspace.
"""
