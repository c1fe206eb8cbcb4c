"""Where the figures in README, cards and comments come from; see README.md beside this file."""
