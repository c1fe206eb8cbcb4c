"""Building, training and exporting encoders with PyTorch.

`imgcluster` imports this package only inside ``imgcluster train-encoder``, when it runs.
"""
