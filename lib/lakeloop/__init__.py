"""Lakeloop: data in, models out, and the loop closed, on Spark, Delta Lake and MLflow."""

__version__ = "0.1.0"
