"""Serving: who may see which tables, and the data API that shows them over HTTP.

Enters: requests with a key. Leaves: rows, masked where they must be, and an entry in `ops.audit` for each access. May
import `core`, `lake` and the declarations of `ingestion`; never starts Spark. FastAPI comes with the extra `serving`.
"""
