"""Serving: who may see which tables and ask which models, and the APIs that answer over HTTP.

Enters: requests with a key. Leaves: rows, masked where they must be, with an entry in `ops.audit` for each access, and
predictions, with an entry in `ops.predictions` for each. May import `core`, `lake`, `scoring` and the declarations of
`ingestion`; never starts Spark. FastAPI comes with the extra `serving`.
"""
