"""Databases: a table or a query, whole or from a cursor on, over one connection or several.

Enters: a `JdbcSource` and its connection. Leaves: a plan of one interval of the cursor, and its rows. `reader` plans
and reads: `table` is what is there right now, `spans` what a plan says of the cursor, `taken` recognises rows that came
before. `statements` makes the SQL, `order` computes with cursors, `columns` converts what came, `database` asks and
says in words what went wrong. What differs between engines stands in one `Dialect` each: `postgresql`, `sqlite`.
"""

from lakeloop.ingestion.sources.jdbc.database import Database
from lakeloop.ingestion.sources.jdbc.reader import JdbcReader

__all__ = ["Database", "JdbcReader"]
