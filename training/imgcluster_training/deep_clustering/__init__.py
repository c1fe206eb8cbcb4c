"""Deep clustering: training an encoder, without labels, until its codes form clusters.

`refine` carries out the stages of a recipe's ``[cluster]`` one after another; every kind of stage has its own module.
"""
