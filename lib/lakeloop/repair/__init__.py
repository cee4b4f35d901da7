"""Repair: what is damaged in a lake, and the way back from it.

Enters: the root of a lake and the declarations of pipelines. Leaves: findings by table, and tables that agree with each
other again. What is set aside goes to `_damaged` in the lake, nothing is deleted. May import `core`, `lake`, `quality`
and `ingestion`.

Tables are mended from the bottom: their logs and files first (`logs.py`), then the ledger (`ledger.py`), the rows of
the record (`record.py`), the catalogs (`catalogs.py`), and at last what readers see (`readers.py`), which alone may
need Spark.
"""

from lakeloop.repair.ailment import Bench, Finding
from lakeloop.repair.examination import examine_lake, examine_pipeline, ops_tables

__all__ = ["Bench", "Finding", "examine_lake", "examine_pipeline", "ops_tables"]
