"""Which images are copies of others: signatures of their pixels, comparison of pairs, and groups with a best image."""
