"""From data sets and folders of images to batches of tensors."""
