"""Building, training and exporting encoders with PyTorch; everything the tool itself runs without.

`imgcluster` never imports this package, except inside ``imgcluster train-encoder`` at the moment it runs.
"""
