"""The page: what it knows (`content`), its pictures (`sprites`), how it is written (`page`), and its own scripts, one
noun each, which show it and let people judge.

It reads plain values and gives HTML; where the values come from is the commands' business.
"""
