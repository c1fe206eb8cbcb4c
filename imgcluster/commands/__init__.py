"""What each command does, as a function: stages put in a row, the workspace read and written.

The functions can be used from Python alone; `imgcluster` offers them at its top. What they share is in ``support``.
"""
