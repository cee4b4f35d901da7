"""From the columns of a gold table to one vector per row.

Enters: a `ModelSpec` and the schema of the table. Leaves: unfitted Spark ML stages (`stages.py`).
"""
