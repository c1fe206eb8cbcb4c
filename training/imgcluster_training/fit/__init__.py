"""The training loop, and what it needs: losses, learning rates and checkpoints."""
