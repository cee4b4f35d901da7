"""What a model file says, one module per part of the file; read without Spark.

Enters: YAML under `conf/<layer>/models/`. Leaves: a `ModelSpec` (`model.py`). What may be written here comes from
`algorithms` and `metrics.names`; nothing here knows a DataFrame.
"""
