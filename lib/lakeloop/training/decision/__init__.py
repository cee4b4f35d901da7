"""From the winner's scores to probabilities (calibration) and to a yes or no (threshold).

Enters: the table of scores of rows that were out of fold. Leaves: a `DecisionRule` and the stages of Spark's own that
carry it inside the saved model, and a record of what both came to. Nothing here looks at the rows again.
"""
