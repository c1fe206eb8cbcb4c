"""Training an encoder until its codes fall into clusters, without labels: the stages of a recipe's ``[cluster]``.

`refine` carries the stages out one after another on the loop in `running`; `stage` says what a stage is, and
every kind has a module of its own. Nothing here sees a label.
"""
