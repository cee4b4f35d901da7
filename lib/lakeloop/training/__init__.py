"""Training: from a checked gold table and a model declaration to one fitted, measured Spark pipeline.

Enters: a `ModelSpec` (a model file under `conf/`) and a DataFrame with one row per key. Leaves: a `TrainingResult` with
the champion as a `PipelineModel` of Spark's own stages, the scores of every candidate and what can be told apart, the
metrics on held-out rows and the importance of each source column. `train.py` is the straight line; each folder is one
of its steps: `spec`, `folds`, `features`, `search` and `cross_validation`, with the `estimators` that Spark lacks,
`comparison`, `decision`, `metrics`, `interpretation`.
Imports only `lakeloop.core` and `lakeloop.lake`; it writes no table and knows no registry.
"""
