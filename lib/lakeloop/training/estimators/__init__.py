"""Spark estimators of our own: what they fit are Spark's own models, which save and load as such."""
