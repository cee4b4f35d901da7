"""Entry points for spark-submit and for Databricks jobs, one file per schedulable unit."""
