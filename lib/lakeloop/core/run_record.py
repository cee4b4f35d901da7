"""Who ran what, when: one identity for a run, carried by every row, log line and commit that it makes."""

import datetime as dt
import getpass
import os
import secrets
from dataclasses import dataclass, field


def now() -> dt.datetime:
    """The present in UTC."""
    return dt.datetime.now(dt.UTC)


def _new_run_id() -> str:
    return f"{now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        return f"uid {os.getuid()}"


@dataclass(frozen=True)
class RunContext:
    """One invocation of a verb. `run_id` sorts by the second of its start."""

    verb: str
    environment: str
    run_id: str = field(default_factory=_new_run_id)
    started_at: dt.datetime = field(default_factory=now)
    user: str = field(default_factory=_user)
    is_polling: bool = False  # one look of many: finding nothing is not worth an entry


@dataclass(frozen=True)
class RowCounts:
    """Rows of one batch of one table. `read = good + quarantined + dropped` or the batch is refused."""

    read: int = 0
    good: int = 0
    quarantined: int = 0
    dropped: int = 0

    def __add__(self, other: "RowCounts") -> "RowCounts":
        return RowCounts(
            self.read + other.read,
            self.good + other.good,
            self.quarantined + other.quarantined,
            self.dropped + other.dropped,
        )

    @property
    def adds_up(self) -> bool:
        """Whether every row that was read is accounted for exactly once."""
        return self.read == self.good + self.quarantined + self.dropped
