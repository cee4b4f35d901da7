"""What the folds say of the candidates beside one another, and which one is taken.

Enters: the `CandidateScore` of each. Leaves: a `Comparison` (`comparing.py`), of paired tests (`paired_test.py`), the
front of quality, speed and size (`pareto.py`), and the choice (`selection.py`). Nothing here starts Spark.
"""
