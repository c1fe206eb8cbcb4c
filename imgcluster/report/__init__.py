"""The page: what it knows (`content`), its pictures (`thumbnails`) and how it is written (`page`).

It reads plain values and gives HTML; where the values come from is the pipeline's business.
"""
