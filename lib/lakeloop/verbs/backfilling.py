"""A part of a pipeline's source, read again as it is declared today, while runs and watchers go on."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from lakeloop.core.config import Project
from lakeloop.core.errors import ConcurrentRunError, StreamError
from lakeloop.core.run_record import RunContext, now
from lakeloop.ingestion.backfill_rules import require_backfillable
from lakeloop.ingestion.enrichment.service import open_services
from lakeloop.ingestion.sources.backfill import Asked, Backfill
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.lake.ledger import Ledger, RunEntry
from lakeloop.lake.pipeline_turns import WAITS, Turns
from lakeloop.lake.stream_decisions import find_pause
from lakeloop.verbs.lakes import open_lake
from lakeloop.verbs.progress import Progress, silent

AGAIN_SECONDS = 5


def backfill(
    project: Project,
    name: str,
    asked: Asked,
    context: RunContext,
    *,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Iterator[RunEntry]:
    """Read a part of the source again and publish it, batch by batch; each is given as it ends.

    A batch that an interrupted run left is finished first, and a backfill that was interrupted goes on where the same
    is asked of the same declaration. Between two batches whoever waits has a turn. With `dry_run` nothing is written.
    Raises StreamError where the tables would not be what they should, else what a run raises.
    """
    from lakeloop.ingestion.events import open_events
    from lakeloop.ingestion.pipeline import Pipeline
    from lakeloop.ingestion.sources.opening import open_source

    spec = load_pipeline(project, name)
    require_backfillable(spec)
    if (pause := find_pause(project.lake_root, name)) and not dry_run:
        raise StreamError(f"{name} is {pause.said}, and takes nothing in; `lakeloop stream resume {name}` ends that")
    lake = open_lake(project)
    usual, ledger, say = open_source(project, spec, lake), Ledger(lake.root), partial(_named, progress, name)
    wanted = Backfill(usual.usual, ledger, name, asked, _declaration(spec)).resumed()
    turns, each = Turns(lake.root), context
    if dry_run:
        with turns.taken(name, partial(say, WAITS)):  # what an API answers is landed even so, and swept by who comes
            entry = _rehearsed(spec, wanted, say)
        yield entry
        return
    source = replace(usual, backfill=wanted)
    pipeline = Pipeline(spec, source, lake, open_services(project, spec), open_events(project, spec))
    while True:
        with turns.taken(name, partial(say, WAITS)):
            try:
                entry = pipeline.run(each, say)
            except ConcurrentRunError as error:  # a lake without turns
                say(f"{error}; trying again")
                time.sleep(AGAIN_SECONDS)
                continue
        if entry.outcome != "succeeded":
            if each is context:
                yield replace(entry, message=f"nothing that was read before is there {asked.said}")
            return
        yield entry
        each = replace(context, is_polling=True)


def _rehearsed(spec: PipelineSpec, wanted: Backfill, say: Progress) -> RunEntry:
    started_at = now()
    found = wanted.look(wanted.ledger.history(spec.pipeline).finished, wanted.begins_at, say)
    if found is None:
        said = f"nothing that was read before is there {wanted.asked.said}"
        return RunEntry(spec.pipeline, spec.said_tables, "nothing_new", started_at, said)
    wanted.release(found.plan)
    if found.left is None:
        more = ", and more in further batches"
    else:
        more = f", and {found.left:,} more in further batches" if found.left else ""
    said = f"would read again {wanted.asked.said}: {found.plan.summary}{more}; nothing was written"
    return RunEntry(spec.pipeline, spec.said_tables, "nothing_new", started_at, said)


def _declaration(spec: PipelineSpec) -> str:
    """Tells one state of the declaration from another."""
    declared = spec.model_dump_json(exclude={"columns", "keep", "owner", "description"})
    return hashlib.sha256(declared.encode()).hexdigest()[:16]


def _named(progress: Progress, name: str, text: str) -> None:
    progress(f"{name}: {text}")
