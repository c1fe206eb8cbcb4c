"""What several commands share, and the parts of those that are too long for one module."""
