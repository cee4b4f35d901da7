"""Candidates fitted and measured fold by fold; what they have in common is fitted once a fold.

`stage_tree.py` finds what candidates share, `fold_fits.py` fits it; `candidate_scores.py` is the entry for model files,
`sharing_cross_validator.py` the one for any Spark pipeline.
"""
