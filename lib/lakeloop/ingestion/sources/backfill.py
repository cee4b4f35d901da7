"""What was read before, read again: batches of the same pipeline from which its source does not go on.

A backfill reads no further than the pipeline has, so that its batches and those of the source never claim the same row
as new. Each of its plans says where the next one begins; the ledger, and no second place, knows how far it came.
"""

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from lakeloop.core.errors import StreamError
from lakeloop.ingestion.sources.protocol import Progress, Source
from lakeloop.lake.ledger import Ledger, Plan


@dataclass(frozen=True)
class Asked:
    """The part of a source from `first` on, before `until`, as somebody wrote it; None: to where the pipeline has read.

    What the texts are is the source's affair: values of a cursor, offsets, times or names.
    """

    first: str
    until: str | None = None

    @property
    def said(self) -> str:
        """In words."""
        return f"from {self.first}" + (f" to {self.until}" if self.until is not None else "")


@dataclass(frozen=True)
class Again:
    """One batch of a backfill. `next` is where the next one begins, None behind the last; `left` counts what it leaves.

    `left` is None where only asking would tell.
    """

    plan: Plan
    next: Any = None
    left: int | None = 0


@runtime_checkable
class BackfillingSource(Protocol):
    """A source that can read a part of itself once more."""

    def plan_again(self, last: Plan, asked: Asked, begin: Any, progress: Progress, /) -> Again | None:
        """What a batch reads of the part, no further than `last` has read; None: nothing of it is there.

        `begin` is the `next` of the batch before, None for the first. Raises SourceError for what is asked in a form
        that does not fit the source, and for what the source does not have any more.
        """
        ...


@dataclass(frozen=True)
class Backfill:
    """Plans a backfill; `usual`, the pipeline's own source, reads it and ends it, whoever comes to finish it.

    One that was interrupted goes on as long as the same is asked under the same `declaration`; `key` tells it.
    """

    usual: Source
    ledger: Ledger
    pipeline: str
    asked: Asked
    declaration: str
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def resumed(self) -> "Backfill":
        """The same, or what is left of it by an interrupted run."""
        last = next((plan.details["backfill"] for plan in self.ledger.backfills(self.pipeline)), None)
        same = last is not None and (last["asked"], last["declaration"]) == (asdict(self.asked), self.declaration)
        return replace(self, key=last["key"]) if last is not None and same and last["next"] is not None else self

    def plan(self, last: Plan | None, progress: Progress, /) -> Plan | None:
        """The next batch; None: everything has been read.

        Raises StreamError where nothing was read yet, else what the source raises.
        """
        before = self._before()
        if before is not None and before["next"] is None:
            return None
        found = self.look(last, self.begins_at, progress)
        if found is None:
            return None
        number = 1 if before is None else before["number"] + 1
        mine = {
            "key": self.key, "asked": asdict(self.asked), "declaration": self.declaration, "number": number,
            "next": found.next,
        }  # fmt: skip
        more = "" if found.next is None else ", more follows" if found.left is None else f", {found.left:,} left"
        summary = f"read again {self.asked.said}, batch {number}: {found.plan.summary}{more}"
        return replace(found.plan, details={**found.plan.details, "backfill": mine}, summary=summary, kind="backfill")

    @property
    def begins_at(self) -> Any:
        """The `next` of the last batch that succeeded, None where none has."""
        before = self._before()
        return None if before is None else before["next"]

    def look(self, last: Plan | None, begin: Any, progress: Progress) -> Again | None:
        """One batch without a trace of it. Raises as `plan` does."""
        if last is None:
            raise StreamError(
                f"{self.pipeline} has read nothing of its source yet, so there is nothing to read again; "
                f"`lakeloop run {self.pipeline}` reads all of it"
            )
        assert isinstance(self.usual, BackfillingSource)
        return self.usual.plan_again(last, self.asked, begin, progress)

    def release(self, plan: Plan) -> None:
        """Free what a plan holds."""
        self.usual.release(plan)

    def _before(self) -> Mapping[str, Any] | None:
        done = (plan.details["backfill"] for plan in self.ledger.backfills(self.pipeline))
        return next((each for each in done if each["key"] == self.key), None)


def moment_of(text: str) -> dt.datetime | None:
    """A day or a moment as ISO 8601, in UTC where it names no zone; None for what is none."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
