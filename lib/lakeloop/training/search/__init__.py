"""Which candidates are tried, on which folds, and when one is given up.

Enters: a `ModelSpec` and rows with folds. Leaves: a `CandidateScore` for each candidate that was tried. `searching.py`
is the entry; `drawing.py` draws, `halving.py` gives up early, `bayesian.py` learns from the trials before.
"""
