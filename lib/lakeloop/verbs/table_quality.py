"""How good tables are now and over their latest batches, for the terminal and as a page; starts no Spark."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lakeloop.core import logs
from lakeloop.core.config import Project
from lakeloop.core.documents import propose
from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import RunContext, now
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.lake.batch_profiles import BatchNumbers, past_batches
from lakeloop.lake.examples import Example, quarantined_examples
from lakeloop.lake.masks import REDACTED
from lakeloop.lake.quarantine import Chosen, Quarantine
from lakeloop.lake.table_profiles import append_numbers
from lakeloop.monitoring.incidents import open_incidents
from lakeloop.quality.batch_anomalies import MARK
from lakeloop.reports.page import render_page, write_page
from lakeloop.reports.quality_report import quality_sections
from lakeloop.reports.table_quality import TableQuality, gather
from lakeloop.verbs.anomalies import follows, upstream_of
from lakeloop.verbs.declared import declared

log = logs.get(__name__)
PAGES = "_reports"


def quality(project: Project, names: Sequence[str] = ()) -> list[TableQuality]:
    """The quality of tables, named by themselves or by their pipeline; none named: all that are declared.

    Raises ConfigError for a name that is neither, and DamageError for a table of `ops` that cannot be read.
    """
    every = declared(project)
    specs = _named(project, every, names) if names else every
    found = gather(project.lake_root, specs, now())
    stood_out = [each.spec.pipeline for each in found if each.signals]
    if not stood_out:
        return found
    effects = follows(stood_out, upstream_of(every), {}, open_incidents(project.lake_root))
    causes = {effect.pipeline: effect.upstream for effect in effects}
    return [replace(each, follows=causes.get(each.spec.pipeline)) for each in found]


def report_quality(project: Project, names: Sequence[str] = ()) -> str:
    """Write the page of all tables or of those named into the lake, and give its link.

    Examples of pipelines with personal data are masked. Raises what `quality` raises, and OSError.
    """
    found, moment, root = quality(project, names), now(), project.lake_root
    open_rows = {each.spec.pipeline: _open_rows(root, each) for each in found}
    examples = {each.spec.pipeline: _examples(root, each) for each in found}
    whole = "the whole lake" if not names else ", ".join(each.name for each in found)
    subtitle = f"{whole} in {project.environment}, {moment:%Y-%m-%d %H:%M} UTC"
    html = render_page("Quality", subtitle, quality_sections(found, moment, open_rows, examples))
    name = "quality" if not names else f"quality_{'_'.join(each.spec.pipeline for each in found)}"
    page = f"{root}/{PAGES}/{name}.html"
    write_page(page, html)
    return page if "://" in page else Path(page).absolute().as_uri()


def mark_batch(project: Project, name: str, batch_id: int, context: RunContext) -> str:
    """Let a batch, known to be unusual, teach nothing; gives a sentence. Doing it again changes nothing.

    Raises ConfigError for a name that is no table or pipeline, or a batch whose numbers are not kept.
    """
    (spec,) = _named(project, declared(project), [name])
    past = past_batches(project.lake_root, [spec.pipeline]).get(spec.pipeline, BatchNumbers())
    if batch_id not in past.batch_ids:
        kept = f"{past.batch_ids[0]} to {past.batch_ids[-1]} are kept" if past.batch_ids else "none are kept"
        raise ConfigError(f"{spec.pipeline}: no numbers of batch {batch_id}; those of {kept}")
    position = past.batch_ids.index(batch_id)
    if past.marked[position]:
        return f"Batch {batch_id} of {spec.pipeline} is marked already and teaches nothing."
    where = (past.table, spec.pipeline, batch_id, None, past.ended_at[position])
    append_numbers(project.lake_root, [(*where, MARK.column, MARK.metric, MARK.category, 0.0)])
    log.info("batch marked", run_id=context.run_id, pipeline=spec.pipeline, batch_id=batch_id, user=context.user)
    return f"Batch {batch_id} of {spec.pipeline} is marked: it teaches nothing from now on."


def _named(project: Project, every: Sequence[PipelineSpec], names: Sequence[str]) -> list[PipelineSpec]:
    by_table = {table: spec for spec in every for table in (*spec.tables, spec.record_table)}
    pipelines, found = project.names("pipelines"), dict[str, PipelineSpec]()
    for name in names:
        if name not in by_table and name not in pipelines:
            known = [*pipelines, *by_table]
            raise ConfigError(f"no table or pipeline '{name}' in {project.folder}; {propose(name, known)}")
        spec = by_table[name] if name in by_table else load_pipeline(project, name)
        found[spec.pipeline] = spec
    return list(found.values())


def _open_rows(root: str, table: TableQuality) -> int:
    return Quarantine(root, table.spec.pipeline).count(Chosen())


def _examples(root: str, table: TableQuality) -> list[Example]:
    """Some rows of the newest batch that has quarantined ones."""
    newest = next((batch for batch in reversed(table.history.batches) if batch.counts.quarantined), None)
    if newest is None:
        return []
    found = quarantined_examples(root, table.spec.pipeline, newest.batch_id)
    if not table.spec.pii_columns:
        return found
    return [one._replace(message=REDACTED, original=REDACTED) for one in found]
