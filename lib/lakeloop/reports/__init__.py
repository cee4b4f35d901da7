"""Reports: what ran and what came of it, as one HTML page that needs no network.

Enters: the small tables of `ops` and some quarantined rows, which it reads without Spark, defect findings and training
results. Leaves: a page with its tables, charts and scripts inside it. May import `core`, `lake`, `quality`,
`ingestion`, `training` and `monitoring`; it never starts Spark.
"""
