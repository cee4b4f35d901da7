"""Quarantined rows, read again from what bronze kept of them, as a source beside the pipeline's own.

Enters: the open rows of a pipeline and its declaration of today. Leaves: an extract like any other, and the decisions
that close the rows. `open_rows` and `selection` choose, `forms` finds out how each came, `originals` parses them, and
`reader` lands them. Where cells are corrected, `edits` has what is asked, `values` what a row holds, `corrections`
decides on one row, `fixing` on all of them in Spark, and `overlay` puts the corrections onto the parsed rows.
"""

from lakeloop.ingestion.sources.replay.beside import WithReplays
from lakeloop.ingestion.sources.replay.edits import Edits
from lakeloop.ingestion.sources.replay.forms import require_replayable, require_waiting
from lakeloop.ingestion.sources.replay.reader import ReplayReader
from lakeloop.ingestion.sources.replay.selection import Replays, columns_of_source
from lakeloop.ingestion.sources.replay.shown import OpenRow, open_rows

__all__ = [
    "Edits",
    "OpenRow",
    "ReplayReader",
    "Replays",
    "WithReplays",
    "columns_of_source",
    "open_rows",
    "require_replayable",
    "require_waiting",
]
