"""The page and the figures, made from plain values that the commands read from the workspace.

The page: positions on its map (`projection`), typical images (`exemplars`), `page_content`, made by `page_inputs` and
`page_text`, thumbnails (`sprites`), HTML (`page`) and scripts (``scripts/``). Figures: `plots`.
"""
