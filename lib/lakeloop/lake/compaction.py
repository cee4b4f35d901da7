"""Tables that grow by a small file a commit are compacted by those who append to them, or each read took longer."""

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakeloop.core import logs
from lakeloop.core.errors import ConcurrentRunError
from lakeloop.lake.table_turns import in_turn

log = logs.get(__name__)
COMPACT_EVERY, VACUUM_EVERY = 20, 1000  # commits


def compact(uri: str) -> None:
    """Join the small files of a table in one commit, by delta-rs; the rows stay as they are.

    The old files stay for readers until a vacuum deletes them. Raises ConcurrentRunError where other writers change the
    same files again and again meanwhile.
    """

    def once() -> None:
        DeltaTable(uri).optimize.compact()

    in_turn(uri, once)


def tidy(table: DeltaTable) -> None:
    """Compact a table at every twentieth commit, and at every thousandth delete files that were of no use for a week.

    `table` is at the version that its caller has committed. What goes wrong is logged: the rows are safe, and the next
    time will do.
    """
    version = table.version()
    if version % COMPACT_EVERY:
        return
    try:
        compact(table.table_uri)
        if version % VACUUM_EVERY == 0:
            DeltaTable(table.table_uri).vacuum(dry_run=False)
    except (ConcurrentRunError, DeltaError, OSError) as error:
        log.warning("not compacted", table=table.table_uri, error=str(error))
