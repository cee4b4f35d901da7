"""The audit behind a server."""

from functools import partial

from lakeloop.lake.audit import AuditEntry, append_audit
from lakeloop.serving.writer import Writer


class AuditWriter(Writer[AuditEntry]):
    """What a server appends to `ops.audit`."""

    def __init__(self, root: str) -> None:
        super().__init__("accesses", partial(append_audit, root))
