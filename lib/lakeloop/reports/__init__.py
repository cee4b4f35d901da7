"""Reports: what ran and what came of it, as one HTML page that needs no network.

Enters: ledger entries, rule results, defect findings and training results, already collected as Python values. Leaves:
a page with its tables, charts and scripts inside it. May import `core`, `lake`, `quality`, `ingestion` and `training`;
it never starts Spark.
"""
