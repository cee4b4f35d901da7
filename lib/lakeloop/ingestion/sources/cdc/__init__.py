"""Changes of a table of PostgreSQL: the whole table once, then every committed change, in the order of the commits.

Enters: a connection, a `CdcSource`, and the position in the last plan. Leaves: landed rows, one per change, and a plan
that names them. `server` connects and puts errors into words, `checks` asks whether changes can be had, `slots` holds
the server's log, `snapshot` reads the table, `pgoutput` decodes messages, `visibility` and `changes` pick and order
them, `landing` writes and reads the files, and `position` says where the next batch goes on.
"""

from lakeloop.ingestion.sources.cdc.reader import CdcReader

__all__ = ["CdcReader"]
