"""Tables that grow by a small file a commit are compacted by those who append to them, or each read took longer."""

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakeloop.core import logs

log = logs.get(__name__)
COMPACT_EVERY, VACUUM_EVERY = 20, 1000  # commits


def tidy(table: DeltaTable) -> None:
    """Join the small files of the last commits, at every twentieth, and at every thousandth delete those of no use.

    `table` is at the version that its caller has committed. Files that were joined stay for readers for a week. What
    goes wrong is logged: the rows are safe, and the next time will do.
    """
    version = table.version()
    if version % COMPACT_EVERY:
        return
    try:
        table.optimize.compact()
        if version % VACUUM_EVERY == 0:
            table.vacuum(dry_run=False)
    except (DeltaError, OSError) as error:
        log.warning("not compacted", table=table.table_uri, error=str(error))
