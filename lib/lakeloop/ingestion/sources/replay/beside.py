"""A pipeline's source and the replays of what came from it, as one source."""

from dataclasses import dataclass

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.sources.backfill import Backfill
from lakeloop.ingestion.sources.protocol import (
    Ended,
    ExplainingSource,
    Extract,
    MovingSource,
    Progress,
    SiftingSource,
    Source,
)
from lakeloop.ingestion.sources.replay.reader import ReplayReader
from lakeloop.lake.ledger import Plan


@dataclass(frozen=True)
class WithReplays:
    """A pipeline's source and its replays: whichever planned a batch reads and ends it, whoever comes to finish it.

    With `is_asked` replays are planned, with `backfill` what the source read before; the source reads that itself.
    """

    usual: Source
    replays: ReplayReader
    is_asked: bool = False
    backfill: Backfill | None = None

    def plan(self, last: Plan | None, progress: Progress, /) -> Plan | None:
        """The next batch of the one that is asked."""
        if self.backfill is not None:
            return self.backfill.plan(last, progress)
        return self.replays.plan(last, progress) if self.is_asked else self.usual.plan(last, progress)

    def read(self, plan: Plan) -> Extract:
        """The rows of a plan of either."""
        return self._planner(plan).read(plan)

    def finish(self, ended: Ended) -> None:
        """Note what became of a batch of either."""
        self._planner(ended.plan).finish(ended)

    def release(self, plan: Plan) -> None:
        """Free what a plan of either holds."""
        self._planner(plan).release(plan)

    def without_unreadable(self, plan: Plan) -> Plan | None:
        """What the source says of a plan of its own; a replay reads no files."""
        if plan.kind == "replay" or not isinstance(self.usual, SiftingSource):
            return None
        return self.usual.without_unreadable(plan)

    def explain(self, failure: PySparkException | Py4JJavaError) -> SourceError | None:
        """What the source says of a failure, if it knows it for its own."""
        return self.usual.explain(failure) if isinstance(self.usual, ExplainingSource) else None

    def has_moved(self, plan: Plan, /) -> bool:
        """What the source says of a plan of its own; what is replayed has landed."""
        return plan.kind != "replay" and isinstance(self.usual, MovingSource) and self.usual.has_moved(plan)

    def _planner(self, plan: Plan) -> Source:
        return self.replays if plan.kind == "replay" else self.usual
