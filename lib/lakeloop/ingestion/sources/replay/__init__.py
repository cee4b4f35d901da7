"""Quarantined rows, read again from what bronze kept of them, as a source beside the pipeline's own.

Enters: the open rows of a pipeline and its declaration of today. Leaves: an extract like any other, and the decisions
that close the rows. `reader` chooses and lands the rows, `forms` finds out how each came, `originals` parses them.
"""

from lakeloop.ingestion.sources.replay.forms import require_replayable, require_waiting
from lakeloop.ingestion.sources.replay.reader import ReplayReader, Replays, WithReplays

__all__ = ["ReplayReader", "Replays", "WithReplays", "require_replayable", "require_waiting"]
