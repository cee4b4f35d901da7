"""Two tables that grow, joined batch by batch.

Enters: what came to either since the last batch, as the ledger's plan says, and the part of the rest that can match it.
Leaves: an extract of pairs and, for a left join, of rows whose time is up. `watermark` says when that is, `columns`
what fits together, `pairing` which rows do, `reader` plans and reads. The tables are the only state.
"""

from lakeloop.ingestion.sources.joins.reader import JoinReader

__all__ = ["JoinReader"]
