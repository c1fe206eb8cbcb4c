"""Numbers that say how good a clustering is, with and without labels."""
