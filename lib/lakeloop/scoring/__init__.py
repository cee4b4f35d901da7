"""Scoring: a fitted Spark pipeline answers without Spark, from one archive, by numpy and Arrow alone.

Enters: the folder in which Spark saved a PipelineModel (`compiling/`), or an archive. Leaves: answers for one row (a
Python function made for the model), for many rows (arrays), and an archive of plain data without code.
Imports no other room but `core.errors`, and neither Spark nor MLflow, so that a serving process stays small.
"""
